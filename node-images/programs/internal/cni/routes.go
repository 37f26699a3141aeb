package cni

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routeProtocol marks the routes that are ours, so that only those are ever removed. Numbers above 4 are free for daemons; this
// one is used by none in iproute2's list.
const routeProtocol = 77

// Route leads to the pods of another node.
type Route struct {
	// Dst is the other node's pod CIDR.
	Dst netip.Prefix
	// Via is the other node's internal address.
	Via netip.Addr
}

// WantedRoutes are the routes that node self needs, ordered by destination: one for every pod CIDR of every other node that has
// an address of the same family.
func WantedRoutes(self string, peers []Peer) []Route {
	var routes []Route
	for _, peer := range peers {
		if peer.Name == self {
			continue
		}
		for _, cidr := range peer.PodCIDRs {
			if via, ok := peer.gateway(cidr); ok {
				routes = append(routes, Route{Dst: cidr, Via: via})
			}
		}
	}
	slices.SortFunc(routes, func(a, b Route) int {
		if order := a.Dst.Addr().Compare(b.Dst.Addr()); order != 0 {
			return order
		}
		return a.Dst.Bits() - b.Dst.Bits()
	})
	return routes
}

// DiffRoutes compares the routes that are wanted with those present: put are missing or lead elsewhere, drop are there for nobody.
// A destination that only changed its gateway is put, not dropped, so that it is replaced without a gap.
func DiffRoutes(wanted, present []Route) (put, drop []Route) {
	destinations := make(map[netip.Prefix]bool, len(wanted))
	for _, route := range wanted {
		destinations[route.Dst] = true
		if !slices.Contains(present, route) {
			put = append(put, route)
		}
	}
	for _, route := range present {
		if !destinations[route.Dst] {
			drop = append(drop, route)
		}
	}
	return put, drop
}

// SyncRoutes makes the kernel's routes of ours equal to wanted. It tries every route and returns all that failed.
func SyncRoutes(wanted []Route) (changed int, err error) {
	present, err := presentRoutes()
	if err != nil {
		return 0, err
	}
	put, drop := DiffRoutes(wanted, present)
	var failures []error
	for _, route := range drop {
		if err := netlink.RouteDel(route.netlink()); err != nil && !errors.Is(err, unix.ESRCH) {
			failures = append(failures, fmt.Errorf("remove the route to %s via %s: %w", route.Dst, route.Via, err))
			continue
		}
		changed++
	}
	for _, route := range put {
		if err := netlink.RouteReplace(route.netlink()); err != nil {
			failures = append(failures, fmt.Errorf("set the route to %s via %s: %w", route.Dst, route.Via, err))
			continue
		}
		changed++
	}
	return changed, errors.Join(failures...)
}

func presentRoutes() ([]Route, error) {
	filter := &netlink.Route{Protocol: routeProtocol, Table: unix.RT_TABLE_MAIN}
	listed, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, filter, netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	var routes []Route
	for _, route := range listed {
		if route.Dst == nil {
			continue
		}
		address, ok := netip.AddrFromSlice(route.Dst.IP)
		if !ok {
			continue
		}
		via, _ := netip.AddrFromSlice(route.Gw)
		bits, _ := route.Dst.Mask.Size()
		routes = append(routes, Route{Dst: netip.PrefixFrom(address.Unmap(), bits), Via: via.Unmap()})
	}
	return routes, nil
}

func (r Route) netlink() *netlink.Route {
	return &netlink.Route{
		Dst: &net.IPNet{
			IP:   r.Dst.Addr().AsSlice(),
			Mask: net.CIDRMask(r.Dst.Bits(), r.Dst.Addr().BitLen()),
		},
		Gw:       r.Via.AsSlice(),
		Protocol: routeProtocol,
		Table:    unix.RT_TABLE_MAIN,
	}
}

// MTU of the link that carries one of addresses; 0 when none does.
func MTU(addresses []netip.Addr) (int, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return 0, fmt.Errorf("list links: %w", err)
	}
	for _, link := range links {
		assigned, err := netlink.AddrList(link, netlink.FAMILY_ALL)
		if err != nil {
			return 0, fmt.Errorf("list addresses of %s: %w", link.Attrs().Name, err)
		}
		for _, address := range assigned {
			if ip, ok := netip.AddrFromSlice(address.IP); ok && slices.Contains(addresses, ip.Unmap()) {
				return link.Attrs().MTU, nil
			}
		}
	}
	return 0, nil
}
