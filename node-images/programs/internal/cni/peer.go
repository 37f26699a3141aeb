package cni

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// Peer is what the daemon needs to know of a node.
type Peer struct {
	// Name of the node.
	Name string
	// PodCIDRs are the networks its pods live in; empty until the controller manager has assigned them.
	PodCIDRs []netip.Prefix
	// Addresses are its internal addresses, at most one per family is used.
	Addresses []netip.Addr
}

// PeerOf reads a Node. What cannot be parsed is left out: the object is checked by the API server, and a node without usable
// fields is a node that has to be waited for.
func PeerOf(node *corev1.Node) Peer {
	peer := Peer{Name: node.Name}
	cidrs := node.Spec.PodCIDRs
	if len(cidrs) == 0 && node.Spec.PodCIDR != "" {
		cidrs = []string{node.Spec.PodCIDR}
	}
	for _, text := range cidrs {
		if cidr, err := netip.ParsePrefix(text); err == nil {
			peer.PodCIDRs = append(peer.PodCIDRs, cidr.Masked())
		}
	}
	for _, address := range node.Status.Addresses {
		if address.Type != corev1.NodeInternalIP {
			continue
		}
		if ip, err := netip.ParseAddr(address.Address); err == nil {
			peer.Addresses = append(peer.Addresses, ip.Unmap())
		}
	}
	return peer
}

// Equal tells whether nothing that matters here differs. Nodes are updated with every heartbeat; this keeps the daemon asleep.
func (p Peer) Equal(other Peer) bool {
	return p.Name == other.Name && equal(p.PodCIDRs, other.PodCIDRs) && equal(p.Addresses, other.Addresses)
}

// gateway is the peer's first address of the family of cidr.
func (p Peer) gateway(cidr netip.Prefix) (netip.Addr, bool) {
	for _, address := range p.Addresses {
		if address.Is4() == cidr.Addr().Is4() {
			return address, true
		}
	}
	return netip.Addr{}, false
}

func equal[T comparable](a, b []T) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
