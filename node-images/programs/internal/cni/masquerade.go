package cni

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
)

// chain is the nftables table, or the chain of the iptables nat table, that belongs to this daemon.
const chain = "KINDMESH-MASQ"

// ParseSubnets reads a comma-separated list of CIDRs, as the pod subnet of a dual-stack cluster is written.
func ParseSubnets(text string) ([]netip.Prefix, error) {
	var subnets []netip.Prefix
	for _, part := range strings.Split(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		subnet, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, fmt.Errorf("pod subnet %q: %w", part, err)
		}
		subnets = append(subnets, subnet.Masked())
	}
	if len(subnets) == 0 {
		return nil, fmt.Errorf("pod subnet %q: no CIDR in it", text)
	}
	return subnets, nil
}

// NftRules is the input of `nft -f -` that replaces our tables in one transaction: what comes from a pod subnet and does not go
// to one takes the node's address, everything else is left alone. One table per family, as older kernels know no other nat tables.
func NftRules(subnets []netip.Prefix) string {
	var rules strings.Builder
	for _, family := range []string{"ip", "ip6"} {
		own := ofFamily(subnets, family)
		if len(own) == 0 {
			continue
		}
		set := "{ " + strings.Join(own, ", ") + " }"
		// Naming the table first lets the deletion succeed on a node that has none yet.
		fmt.Fprintf(&rules, "table %s %s\n", family, chain)
		fmt.Fprintf(&rules, "delete table %s %s\n", family, chain)
		fmt.Fprintf(&rules, "table %s %s {\n", family, chain)
		fmt.Fprintf(&rules, "\tchain postrouting {\n")
		fmt.Fprintf(&rules, "\t\ttype nat hook postrouting priority 110; policy accept;\n")
		fmt.Fprintf(&rules, "\t\t%s saddr %s %s daddr != %s masquerade\n", family, set, family, set)
		fmt.Fprintf(&rules, "\t}\n}\n")
	}
	return rules.String()
}

// IptablesRules is the same for `iptables-restore --noflush`, for one family ("ip" or "ip6"); empty when no subnet is of that family.
// The jump into the chain is not part of it: it must exist once only, which restore cannot express.
func IptablesRules(subnets []netip.Prefix, family string) string {
	own := ofFamily(subnets, family)
	if len(own) == 0 {
		return ""
	}
	var rules strings.Builder
	fmt.Fprintf(&rules, "*nat\n:%s - [0:0]\n", chain)
	for _, subnet := range own {
		fmt.Fprintf(&rules, "-A %s -d %s -j RETURN\n", chain, subnet)
	}
	for _, subnet := range own {
		fmt.Fprintf(&rules, "-A %s -s %s -j MASQUERADE\n", chain, subnet)
	}
	rules.WriteString("COMMIT\n")
	return rules.String()
}

// Masquerade installs the rules, through nftables where the kernel has it and else through legacy iptables. Doing so again changes
// nothing, and restores what somebody flushed.
func Masquerade(ctx context.Context, subnets []netip.Prefix) error {
	if run(ctx, "", "nft", "list", "tables") == nil {
		return run(ctx, NftRules(subnets), "nft", "-f", "-")
	}
	for family, command := range map[string]string{"ip": "iptables-legacy", "ip6": "ip6tables-legacy"} {
		rules := IptablesRules(subnets, family)
		if rules == "" {
			continue
		}
		if err := run(ctx, rules, command+"-restore", "--wait", "--noflush"); err != nil {
			return err
		}
		jump := []string{"POSTROUTING", "-m", "addrtype", "!", "--dst-type", "LOCAL", "-j", chain}
		if run(ctx, "", command, append([]string{"-w", "-t", "nat", "-C"}, jump...)...) == nil {
			continue
		}
		if err := run(ctx, "", command, append([]string{"-w", "-t", "nat", "-A"}, jump...)...); err != nil {
			return err
		}
	}
	return nil
}

func ofFamily(subnets []netip.Prefix, family string) []string {
	var own []string
	for _, subnet := range subnets {
		if subnet.Addr().Is4() == (family == "ip") {
			own = append(own, subnet.String())
		}
	}
	return own
}

func run(ctx context.Context, input, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	command.Stdin = strings.NewReader(input)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return nil
}
