// Package cni connects the pods of one node with those of the other nodes: it writes the node's CNI configuration, keeps routes
// to the other nodes' pod networks, and masquerades what leaves the pod subnet.
package cni

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
)

// ConflistName is the file in /etc/cni/net.d. The container runtime takes the first file in alphabetical order, hence the number.
const ConflistName = "10-kindmesh.conflist"

// PendingName is a mark in /etc/cni/net.d: the node was started again, and its pods wait for its network (see node/entrypoint).
const PendingName = "kindmesh.pending"

// ipamPlugin waits while there is such a mark, and then is host-local.
const ipamPlugin = "kindmesh-ipam"

// ipamState holds the addresses in use. It lies on a tmpfs, so that addresses of pods that died with the node do not stay taken.
const ipamState = "/run/cni-ipam-state"

type conflist struct {
	CNIVersion string `json:"cniVersion"`
	Name       string `json:"name"`
	Plugins    []any  `json:"plugins"`
}

type ptpPlugin struct {
	Type   string    `json:"type"`
	IPMasq bool      `json:"ipMasq"`
	MTU    int       `json:"mtu,omitempty"`
	IPAM   addresses `json:"ipam"`
}

// addresses is what host-local reads.
type addresses struct {
	Type    string        `json:"type"`
	DataDir string        `json:"dataDir"`
	Routes  []destination `json:"routes"`
	Ranges  [][]subnet    `json:"ranges"`
}

type destination struct {
	Dst string `json:"dst"`
}

type subnet struct {
	Subnet string `json:"subnet"`
}

type portmapPlugin struct {
	Type         string          `json:"type"`
	Capabilities map[string]bool `json:"capabilities"`
}

// Conflist renders the CNI configuration of a node whose pods take their addresses from podCIDRs (one per address family, in the
// order in which the pods shall carry them). An mtu of 0 leaves the choice to the plugin.
func Conflist(podCIDRs []netip.Prefix, mtu int) ([]byte, error) {
	if len(podCIDRs) == 0 {
		return nil, errors.New("a node needs at least one pod CIDR")
	}

	ipam := addresses{Type: ipamPlugin, DataDir: ipamState}
	for _, cidr := range podCIDRs {
		everywhere := "0.0.0.0/0"
		if cidr.Addr().Is6() {
			everywhere = "::/0"
		}
		ipam.Routes = append(ipam.Routes, destination{Dst: everywhere})
		ipam.Ranges = append(ipam.Ranges, []subnet{{Subnet: cidr.Masked().String()}})
	}

	return json.MarshalIndent(conflist{
		// The version that every release of the plugins and of containerd understands.
		CNIVersion: "0.3.1",
		Name:       "kindmesh",
		Plugins: []any{
			ptpPlugin{Type: "ptp", MTU: mtu, IPAM: ipam},
			portmapPlugin{Type: "portmap", Capabilities: map[string]bool{"portMappings": true}},
		},
	}, "", "  ")
}

// Configure writes the CNI configuration of a node with these pod CIDRs and addresses of its own, and reports whether that changed
// anything.
func Configure(dir string, podCIDRs []netip.Prefix, addresses []netip.Addr) (bool, error) {
	mtu, err := MTU(addresses)
	if err != nil {
		return false, err
	}
	content, err := Conflist(podCIDRs, mtu)
	if err != nil {
		return false, err
	}
	return WriteConflist(dir, content)
}

// WriteConflist puts content in dir under ConflistName and reports whether that changed anything. The file is replaced in one
// step, for the runtime reads the folder whenever something moves in it.
func WriteConflist(dir string, content []byte) (bool, error) {
	path := filepath.Join(dir, ConflistName)
	present, err := os.ReadFile(path)
	if err == nil && bytes.Equal(present, content) {
		return false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("read %s: %w", path, err)
	}

	// The name must not end like a configuration, or the runtime would load the unfinished file.
	temporary := path + ".tmp"
	if err := os.WriteFile(temporary, content, 0o644); err != nil {
		return false, fmt.Errorf("write %s: %w", temporary, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return false, fmt.Errorf("replace %s: %w", path, err)
	}
	return true, nil
}
