package cni

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func TestConflistOfADualStackNode(t *testing.T) {
	content, err := Conflist(prefixes("10.244.1.0/24", "fd00:10:244:1::/64"), 1450)
	if err != nil {
		t.Fatal(err)
	}
	// Written out in full: this text is an interface to programs that are not ours.
	const want = `{
		"cniVersion": "0.3.1",
		"name": "kindmesh",
		"plugins": [
			{
				"type": "ptp", "ipMasq": false, "mtu": 1450,
				"ipam": {
					"type": "kindmesh-ipam", "dataDir": "/run/cni-ipam-state",
					"routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
					"ranges": [[{"subnet": "10.244.1.0/24"}], [{"subnet": "fd00:10:244:1::/64"}]]
				}
			},
			{"type": "portmap", "capabilities": {"portMappings": true}}
		]
	}`
	var got, expected any
	if err := json.Unmarshal(content, &got); err != nil {
		t.Fatalf("%s: %v", content, err)
	}
	if err := json.Unmarshal([]byte(want), &expected); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, expected) {
		t.Errorf("got %s", content)
	}
}

func TestConflistWithoutNetworksIsRefused(t *testing.T) {
	if _, err := Conflist(nil, 1500); err == nil {
		t.Error("an empty configuration would take the node's network down")
	}
}

func TestWritingTwiceChangesOnce(t *testing.T) {
	dir := t.TempDir()
	for round, want := range []bool{true, false} {
		changed, err := WriteConflist(dir, []byte("{}"))
		if err != nil || changed != want {
			t.Errorf("round %d: changed %v, error %v", round, changed, err)
		}
	}
	if changed, err := WriteConflist(dir, []byte("{ }")); err != nil || !changed {
		t.Errorf("other content: changed %v, error %v", changed, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != ConflistName {
		t.Errorf("left in the folder: %v, error %v", entries, err)
	}
	if _, err := WriteConflist(filepath.Join(dir, "missing"), nil); err == nil {
		t.Error("a missing folder went unnoticed")
	}
}
