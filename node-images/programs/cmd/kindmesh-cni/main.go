// Kindmesh-cni is the network daemon of a node; see package cni.
//
// It reads NODE_NAME, POD_SUBNET (CIDRs, comma-separated) and, optionally, CONTROL_PLANE_ENDPOINT (host:port).
//
//	kindmesh-cni configure POD-CIDR ADDRESS
//
// writes the node's configuration and ends: for a node whose pod CIDR is known before the daemon can run there, so that
// its pods need not wait for it. The daemon corrects what does not hold.
package main

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"kindmesh.dev/node/programs/internal/cni"
)

const configDir = "/etc/cni/net.d"

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(log); err != nil {
		log.Error("kindmesh-cni stops", "error", err)
		os.Exit(1)
	}
}

func run(log *slog.Logger) error {
	if len(os.Args) == 4 && os.Args[1] == "configure" {
		return configure(os.Args[2], os.Args[3])
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	subnets, err := cni.ParseSubnets(os.Getenv("POD_SUBNET"))
	if err != nil {
		return err
	}
	api, err := cni.APIConfig(os.Getenv("CONTROL_PLANE_ENDPOINT"))
	if err != nil {
		return err
	}
	daemon := cni.Daemon{
		Node:       os.Getenv("NODE_NAME"),
		ConfigDir:  configDir,
		PodSubnets: subnets,
		API:        api,
		Log:        log,
	}
	return daemon.Run(ctx)
}

func configure(cidr, address string) error {
	cidrs, err := cni.ParseSubnets(cidr)
	if err != nil {
		return err
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return err
	}
	_, err = cni.Configure(configDir, cidrs, []netip.Addr{ip})
	return err
}
