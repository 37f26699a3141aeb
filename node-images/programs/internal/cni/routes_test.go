package cni

import (
	"net/netip"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func route(dst, via string) Route {
	return Route{Dst: netip.MustParsePrefix(dst), Via: netip.MustParseAddr(via)}
}

func node(name string, cidrs []string, addresses ...string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{PodCIDRs: cidrs}}
	n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeHostName, Address: name})
	for _, address := range addresses {
		n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: address})
	}
	return n
}

func TestRoutesLeadToTheOthersOnly(t *testing.T) {
	peers := []Peer{
		PeerOf(node("c-worker2", []string{"10.244.2.0/24", "fd00:2::/64"}, "172.18.0.4", "fc00::4")),
		PeerOf(node("c-control-plane", []string{"10.244.0.0/24", "fd00:0::/64"}, "172.18.0.2", "fc00::2")),
		PeerOf(node("c-worker", []string{"10.244.1.0/24"}, "172.18.0.3")),
		PeerOf(node("too-young", nil, "172.18.0.9")),
		PeerOf(node("no-address", []string{"10.244.9.0/24"})),
		PeerOf(node("other-family", []string{"fd00:8::/64"}, "172.18.0.8")),
	}
	want := []Route{
		route("10.244.1.0/24", "172.18.0.3"),
		route("10.244.2.0/24", "172.18.0.4"),
		route("fd00:2::/64", "fc00::4"),
	}
	if got := WantedRoutes("c-control-plane", peers); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestDiffOfRoutes(t *testing.T) {
	kept := route("10.244.1.0/24", "172.18.0.3")
	moved, movedTo := route("10.244.2.0/24", "172.18.0.4"), route("10.244.2.0/24", "172.18.0.7")
	missing, stale := route("10.244.3.0/24", "172.18.0.5"), route("10.244.4.0/24", "172.18.0.6")

	put, drop := DiffRoutes([]Route{kept, movedTo, missing}, []Route{kept, moved, stale})
	if !reflect.DeepEqual(put, []Route{movedTo, missing}) {
		t.Errorf("put %v", put)
	}
	if !reflect.DeepEqual(drop, []Route{stale}) {
		t.Errorf("drop %v: a moved route is replaced, never dropped", drop)
	}

	put, drop = DiffRoutes([]Route{kept}, []Route{kept})
	if len(put)+len(drop) != 0 {
		t.Errorf("nothing to do, yet put %v and drop %v", put, drop)
	}
}

func TestHeartbeatsAreNotChanges(t *testing.T) {
	before := node("n", []string{"10.244.0.0/24"}, "172.18.0.2")
	after := before.DeepCopy()
	after.ResourceVersion = "2"
	after.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady}}
	if !PeerOf(before).Equal(PeerOf(after)) {
		t.Error("a heartbeat would wake the daemon")
	}
	after.Status.Addresses[1].Address = "172.18.0.3"
	if PeerOf(before).Equal(PeerOf(after)) {
		t.Error("a new address went unnoticed")
	}
}

func TestOldNodesNameOneNetwork(t *testing.T) {
	old := node("n", nil, "172.18.0.2")
	old.Spec.PodCIDR = "10.244.5.0/24"
	if got := PeerOf(old).PodCIDRs; !reflect.DeepEqual(got, prefixes("10.244.5.0/24")) {
		t.Errorf("got %v", got)
	}
}
