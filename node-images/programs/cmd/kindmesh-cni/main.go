// Kindmesh-cni is the network daemon of a node; see package cni.
//
// It reads NODE_NAME, POD_SUBNET (CIDRs, comma-separated) and, optionally, CONTROL_PLANE_ENDPOINT (host:port).
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"kindmesh.dev/node/programs/internal/cni"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(log); err != nil {
		log.Error("kindmesh-cni stops", "error", err)
		os.Exit(1)
	}
}

func run(log *slog.Logger) error {
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
		ConfigDir:  "/etc/cni/net.d",
		PodSubnets: subnets,
		API:        api,
		Log:        log,
	}
	return daemon.Run(ctx)
}
