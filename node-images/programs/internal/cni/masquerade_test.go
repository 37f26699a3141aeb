package cni

import (
	"reflect"
	"strings"
	"testing"
)

func TestSubnetsOfADualStackCluster(t *testing.T) {
	got, err := ParseSubnets(" 10.244.0.0/16, fd00:10:244::/56 ")
	if err != nil || !reflect.DeepEqual(got, prefixes("10.244.0.0/16", "fd00:10:244::/56")) {
		t.Errorf("got %v, error %v", got, err)
	}
	for _, bad := range []string{"", ",", "10.244.0.0", "10.244.0.0/16,nonsense"} {
		if got, err := ParseSubnets(bad); err == nil {
			t.Errorf("%q was read as %v", bad, got)
		}
	}
}

func TestOnlyWhatLeavesThePodSubnetIsMasqueraded(t *testing.T) {
	rules := NftRules(prefixes("10.244.0.0/16"))
	if !strings.Contains(rules, "ip saddr { 10.244.0.0/16 } ip daddr != { 10.244.0.0/16 } masquerade") {
		t.Errorf("nftables:\n%s", rules)
	}
	if strings.Contains(rules, "ip6") {
		t.Errorf("rules for a family the cluster does not have:\n%s", rules)
	}

	const want = "*nat\n:KINDMESH-MASQ - [0:0]\n-A KINDMESH-MASQ -d 10.244.0.0/16 -j RETURN\n-A KINDMESH-MASQ -s 10.244.0.0/16 -j MASQUERADE\nCOMMIT\n"
	if got := IptablesRules(prefixes("10.244.0.0/16"), "ip"); got != want {
		t.Errorf("iptables:\n%s", got)
	}
	if got := IptablesRules(prefixes("10.244.0.0/16"), "ip6"); got != "" {
		t.Errorf("rules for a family the cluster does not have:\n%s", got)
	}
}

func TestTheTableIsReplacedInOneTransaction(t *testing.T) {
	rules := NftRules(prefixes("10.244.0.0/16", "fd00:10:244::/56"))
	for _, family := range []string{"ip", "ip6"} {
		declared := strings.Index(rules, "table "+family+" KINDMESH-MASQ\n")
		deleted := strings.Index(rules, "delete table "+family+" KINDMESH-MASQ\n")
		defined := strings.Index(rules, "table "+family+" KINDMESH-MASQ {\n")
		if declared < 0 || deleted < declared || defined < deleted {
			t.Errorf("%s: declared at %d, deleted at %d, defined at %d in:\n%s", family, declared, deleted, defined, rules)
		}
	}
}
