package cni

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// inNetwork runs the test in a network namespace of its own, whose only link but loopback carries address.
func inNetwork(t *testing.T, address string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for a network namespace")
	}
	// The thread is never unlocked: it ends with the test, and its namespace with it.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs a network namespace: %v", err)
	}
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "eth0", MTU: 1400}}
	if err := netlink.LinkAdd(link); err != nil {
		t.Fatal(err)
	}
	parsed, err := netlink.ParseAddr(address)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(link, parsed); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		t.Fatal(err)
	}
}

func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s", program)
		}
	}
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	text, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, text)
	}
	return string(text)
}

func TestRoutesInTheKernelFollowTheNodes(t *testing.T) {
	inNetwork(t, "172.18.0.2/16")
	// Somebody else's route must survive everything.
	foreign := *route("10.99.0.0/24", "172.18.0.99").netlink()
	foreign.Protocol = unix.RTPROT_STATIC
	if err := netlink.RouteAdd(&foreign); err != nil {
		t.Fatal(err)
	}
	first := []Route{route("10.244.1.0/24", "172.18.0.3"), route("10.244.2.0/24", "172.18.0.4")}
	second := []Route{route("10.244.1.0/24", "172.18.0.7")}
	for _, step := range []struct {
		wanted  []Route
		changed int
	}{{first, 2}, {first, 0}, {second, 2}, {nil, 1}} {
		changed, err := SyncRoutes(step.wanted)
		if err != nil || changed != step.changed {
			t.Errorf("%v: changed %d, error %v", step.wanted, changed, err)
		}
		if got, err := presentRoutes(); err != nil || !reflect.DeepEqual(got, step.wanted) {
			t.Errorf("%v: the kernel has %v, error %v", step.wanted, got, err)
		}
	}
	left, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Dst: foreign.Dst}, netlink.RT_FILTER_DST)
	if err != nil || len(left) != 1 {
		t.Errorf("the foreign route: %v, error %v", left, err)
	}
}

func TestOneBadRouteDoesNotStopTheOthers(t *testing.T) {
	inNetwork(t, "172.18.0.2/16")
	good := route("10.244.2.0/24", "172.18.0.4")
	_, err := SyncRoutes([]Route{route("10.244.1.0/24", "192.0.2.1"), good})
	if err == nil || !strings.Contains(err.Error(), "10.244.1.0/24 via 192.0.2.1") {
		t.Errorf("got %v", err)
	}
	if got, err := presentRoutes(); err != nil || !reflect.DeepEqual(got, []Route{good}) {
		t.Errorf("the kernel has %v, error %v", got, err)
	}
}

func TestTheMTUIsThatOfTheNodesLink(t *testing.T) {
	inNetwork(t, "172.18.0.2/16")
	if mtu, err := MTU([]netip.Addr{netip.MustParseAddr("172.18.0.2")}); err != nil || mtu != 1400 {
		t.Errorf("got %d, error %v", mtu, err)
	}
	if mtu, err := MTU([]netip.Addr{netip.MustParseAddr("172.18.0.3")}); err != nil || mtu != 0 {
		t.Errorf("an address nobody has: got %d, error %v", mtu, err)
	}
}

func TestNftablesTakesTheRulesTwice(t *testing.T) {
	needs(t, "nft")
	inNetwork(t, "172.18.0.2/16")
	for range 2 {
		if err := Masquerade(t.Context(), prefixes("10.244.0.0/16", "fd00:10:244::/56")); err != nil {
			t.Fatal(err)
		}
	}
	if rules := output(t, "nft", "list", "ruleset"); strings.Count(rules, "masquerade") != 2 {
		t.Errorf("not one rule per family:\n%s", rules)
	}
}

func TestLegacyIptablesServeWithoutNftables(t *testing.T) {
	needs(t, "iptables-legacy", "ip6tables-legacy")
	inNetwork(t, "172.18.0.2/16")
	if err := exec.Command("iptables-legacy", "-t", "nat", "-S").Run(); err != nil {
		t.Skipf("needs a kernel with legacy iptables: %v", err)
	}
	// A search path with everything but nft.
	path := t.TempDir()
	for _, name := range []string{"iptables-legacy", "iptables-legacy-restore", "ip6tables-legacy", "ip6tables-legacy-restore"} {
		program, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(program, filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
	}
	before := os.Getenv("PATH")
	t.Setenv("PATH", path)
	for range 2 {
		if err := Masquerade(t.Context(), prefixes("10.244.0.0/16", "fd00:10:244::/56")); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", before)
	for _, command := range []string{"iptables-legacy", "ip6tables-legacy"} {
		rules := output(t, command, "-t", "nat", "-S")
		if strings.Count(rules, "-j "+chain) != 1 || strings.Count(rules, "-j MASQUERADE") != 1 {
			t.Errorf("%s:\n%s", command, rules)
		}
	}
}
