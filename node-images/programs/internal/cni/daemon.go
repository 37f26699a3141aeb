package cni

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

const (
	// reconcileEvery repairs what others broke on the node: flushed rules, deleted routes, an edited configuration.
	reconcileEvery = 30 * time.Second
	// apiRetry is how often an API server that does not answer yet is asked again. The informer's own back-off grows to half a
	// minute, too long for a node that waits for its network.
	apiRetry = 300 * time.Millisecond
	// stepTimeout bounds the programs that are run for the packet filter.
	stepTimeout = 20 * time.Second
	// lookTimeout is for a request at an address that may lead nowhere yet.
	lookTimeout = time.Second
	// requestTimeout is for a request to an API server that is at its address.
	requestTimeout = 5 * time.Second
)

// Daemon is the configuration of one node's daemon.
type Daemon struct {
	// Node is the name of the node it runs on.
	Node string
	// ConfigDir is where the CNI configuration goes, /etc/cni/net.d.
	ConfigDir string
	// PodSubnets are the subnets of all pods of the cluster, one per family.
	PodSubnets []netip.Prefix
	// API is how to reach the API server.
	API *rest.Config
	// Log takes what happens.
	Log *slog.Logger
}

// Run works until ctx ends, and returns an error only for a configuration that can never work.
func (d *Daemon) Run(ctx context.Context) error {
	// The rules need no API server: the first pod may already talk to the outside.
	d.masquerade(ctx)

	client, err := nodeClient(d.API)
	if err != nil {
		return err
	}
	if err := d.awaitAPI(ctx, client, d.API.Host, requestTimeout); err != nil {
		return nil // only the end of ctx leads here
	}

	changed := make(chan struct{}, 1)
	informer, err := d.informer(client, func() {
		select {
		case changed <- struct{}{}:
		default: // one pending signal is enough, the state is read afterwards
		}
	})
	if err != nil {
		return err
	}
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil
	}

	d.reconcile(informer.GetStore())
	go d.admitPods(ctx)
	ticker := time.NewTicker(reconcileEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			d.reconcile(informer.GetStore())
		case <-ticker.C:
			d.masquerade(ctx)
			d.reconcile(informer.GetStore())
		}
	}
}

// admitPods lets the pods of a node that was started again begin: as soon as the API server answers at its service's address.
func (d *Daemon) admitPods(ctx context.Context) {
	mark := filepath.Join(d.ConfigDir, PendingName)
	if _, err := os.Stat(mark); err != nil {
		return
	}
	if err := d.awaitServices(ctx); err != nil {
		if ctx.Err() != nil {
			return
		}
		d.Log.Error("pods begin without services", "error", err)
	}
	if err := os.Remove(mark); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.Log.Error("pods wait in vain", "error", err)
		return
	}
	d.Log.Info("pods of before the restart begin")
}

func (d *Daemon) awaitServices(ctx context.Context) error {
	config, err := APIConfig("")
	if err != nil {
		return err
	}
	client, err := nodeClient(config)
	if err != nil {
		return err
	}
	return d.awaitAPI(ctx, client, config.Host, lookTimeout)
}

// awaitAPI returns once the API server lists nodes, with the first and every hundredth refusal logged. Each try may take as long as
// timeout.
func (d *Daemon) awaitAPI(ctx context.Context, client rest.Interface, host string, timeout time.Duration) error {
	ticker := time.NewTicker(apiRetry)
	defer ticker.Stop()
	for attempt := 0; ; attempt++ {
		err := client.Get().Resource("nodes").VersionedParams(&oneItem, scheme.ParameterCodec).Timeout(timeout).Do(ctx).Error()
		if err == nil {
			return nil
		}
		if attempt%100 == 0 {
			d.Log.Info("waiting for the API server", "server", host, "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// informer watches nodes and calls notify when something that matters here differs.
func (d *Daemon) informer(client rest.Interface, notify func()) (cache.SharedIndexInformer, error) {
	source := cache.NewListWatchFromClient(client, "nodes", "", fields.Everything())
	informer := cache.NewSharedIndexInformer(source, &corev1.Node{}, 0, cache.Indexers{})
	// Nodes carry the list of their images; of all that only a few words are needed.
	err := informer.SetTransform(func(object any) (any, error) {
		if node, ok := object.(*corev1.Node); ok {
			node.Status.Images, node.ManagedFields, node.Annotations = nil, nil, nil
		}
		return object, nil
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the watch on nodes: %w", err)
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify() },
		DeleteFunc: func(any) { notify() },
		UpdateFunc: func(before, after any) {
			old, oldOK := before.(*corev1.Node)
			current, currentOK := after.(*corev1.Node)
			if oldOK && currentOK && PeerOf(old).Equal(PeerOf(current)) {
				return
			}
			notify()
		},
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the watch on nodes: %w", err)
	}
	return informer, nil
}

// reconcile brings configuration and routes in line with the nodes in store. What fails is logged and tried again with the next
// change, at the latest after reconcileEvery.
func (d *Daemon) reconcile(store cache.Store) {
	var peers []Peer
	for _, object := range store.List() {
		if node, ok := object.(*corev1.Node); ok {
			peers = append(peers, PeerOf(node))
		}
	}
	if err := d.configure(peers); err != nil {
		d.Log.Error("cannot write the CNI configuration", "error", err)
	}
	changed, err := SyncRoutes(WantedRoutes(d.Node, peers))
	if err != nil {
		d.Log.Error("cannot bring the routes up to date", "error", err)
	}
	if changed > 0 {
		d.Log.Info("routes changed", "count", changed, "nodes", len(peers))
	}
}

func (d *Daemon) configure(peers []Peer) error {
	for _, peer := range peers {
		if peer.Name != d.Node {
			continue
		}
		if len(peer.PodCIDRs) == 0 {
			d.Log.Info("this node has no pod CIDR yet")
			return nil
		}
		written, err := Configure(d.ConfigDir, peer.PodCIDRs, peer.Addresses)
		if written {
			d.Log.Info("CNI configuration written", "podCIDRs", peer.PodCIDRs)
		}
		return err
	}
	return errors.New("node " + d.Node + " is not among the nodes of the cluster")
}

func (d *Daemon) masquerade(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if err := Masquerade(ctx, d.PodSubnets); err != nil {
		d.Log.Error("cannot install the masquerading rules", "error", err)
	}
}
