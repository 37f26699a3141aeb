package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// What is the same in every cluster. All else (the API server's own service and address, leases, configuration with
// certificates) belongs to one cluster.
var kept = []string{
	"apiregistration.k8s.io/apiservices/",
	"clusterrolebindings/",
	"clusterroles/",
	"flowschemas/",
	"namespaces/",
	"priorityclasses/",
	"prioritylevelconfigurations/",
	"rolebindings/",
	"roles/",
}

const (
	prefix   = "/registry/"
	database = "seed.db"
	about    = "seed.json"
	// An API server is ready some seconds after its start; on a busy machine some more.
	patience = 3 * time.Minute
)

// seed says when the objects were made.
type seed struct {
	Begun int64 `json:"begun"`
	Ended int64 `json:"ended"`
}

type maker struct {
	etcd, apiserver, out string
}

func (m *maker) run() error {
	if m.etcd == "" || m.apiserver == "" || m.out == "" {
		return fmt.Errorf("make needs --etcd, --apiserver and --out")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	work, err := os.MkdirTemp("", "etcd-seed-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.MkdirAll(m.out, 0o755); err != nil {
		return err
	}

	made := seed{Begun: time.Now().Unix()}
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	client := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	peer := fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	etcd, err := start(work, "etcd", m.etcd, "--data-dir", filepath.Join(work, "data"), "--log-level", "error",
		"--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
		"--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	if err != nil {
		return err
	}
	defer etcd.stop()

	if err := m.fill(ctx, work, client, ports[2], etcd); err != nil {
		return err
	}
	made.Ended = time.Now().Unix()
	if err := save(ctx, client, filepath.Join(m.out, database)); err != nil {
		return err
	}
	text, err := json.Marshal(made)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(m.out, about), append(text, '\n'), 0o644)
}

// fill runs an API server on the database until it has written what it writes at its first start.
func (m *maker) fill(ctx context.Context, work, client string, port int, etcd *program) error {
	key := filepath.Join(work, "sa.key")
	if err := writeKey(key); err != nil {
		return err
	}
	server, err := start(work, "kube-apiserver", m.apiserver, "--etcd-servers", client, "--etcd-prefix", strings.TrimSuffix(prefix, "/"),
		"--bind-address", "127.0.0.1", "--secure-port", fmt.Sprint(port), "--cert-dir", filepath.Join(work, "certs"),
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", key,
		"--service-account-signing-key-file", key, "--authorization-mode", "Node,RBAC", "--service-cluster-ip-range", "10.96.0.0/16",
		// kubeadm's, each of which may bring objects of its own.
		"--enable-admission-plugins", "NodeRestriction", "--enable-bootstrap-token-auth", "--allow-privileged")
	if err != nil {
		return err
	}
	defer server.stop()
	return ready(ctx, fmt.Sprintf("https://127.0.0.1:%d/readyz", port), server, etcd)
}

func ready(ctx context.Context, url string, programs ...*program) error {
	insecure := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // our own child, on loopback
	http := http.Client{Transport: insecure, Timeout: 5 * time.Second}
	last := "no answer yet"
	for {
		answer, err := http.Get(url)
		if err == nil {
			text, _ := io.ReadAll(io.LimitReader(answer.Body, 4096))
			answer.Body.Close()
			if answer.StatusCode == 200 {
				return nil
			}
			last = string(text)
		}
		for _, one := range programs {
			if one.ended() {
				return fmt.Errorf("%s ended: %s", one.name, one.words())
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the API server is not ready: %s", last)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// save takes out what is not kept, and writes the database without its history.
func save(ctx context.Context, endpoint, path string) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer client.Close()
	all, err := client.Get(ctx, "", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return err
	}
	count := 0
	for _, pair := range all.Kvs {
		if isKept(string(pair.Key)) {
			count++
			continue
		}
		if _, err := client.Delete(ctx, string(pair.Key)); err != nil {
			return err
		}
	}
	if count == 0 {
		return fmt.Errorf("the API server wrote nothing that could be kept")
	}
	// Leases would run out in the new cluster.
	leases, err := client.Leases(ctx)
	if err != nil {
		return err
	}
	for _, lease := range leases.Leases {
		if _, err := client.Revoke(ctx, lease.ID); err != nil {
			return err
		}
	}
	now, err := client.Get(ctx, prefix, clientv3.WithCountOnly(), clientv3.WithPrefix())
	if err != nil {
		return err
	}
	if _, err := client.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		return err
	}
	if _, err := client.Defragment(ctx, endpoint); err != nil {
		return err
	}
	snapshot, err := client.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer snapshot.Close()
	content, err := io.ReadAll(snapshot)
	if err != nil {
		return err
	}
	fmt.Printf("%d objects, %d bytes\n", count, len(content))
	return os.WriteFile(path, content, 0o644)
}

func isKept(key string) bool {
	rest, ok := strings.CutPrefix(key, prefix)
	if !ok {
		return false
	}
	for _, one := range kept {
		if strings.HasPrefix(rest, one) {
			return true
		}
	}
	return false
}

func freePorts(count int) ([]int, error) {
	var ports []int
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// program is a child that is ended with us.
type program struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
}

func start(work, name, path string, args ...string) (*program, error) {
	log, err := os.Create(filepath.Join(work, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	one := &program{name: name, log: log.Name(), cmd: cmd, done: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(one.done)
	}()
	return one, nil
}

func (p *program) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *program) words() string {
	text, _ := os.ReadFile(p.log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}

func (p *program) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
}
