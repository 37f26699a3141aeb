// Crictl answers the few questions that tools put to a node's container runtime through a program of this name; see package cri.
package main

import (
	"context"
	"fmt"
	"os"

	"kindmesh.dev/node/programs/internal/cri"
)

func main() {
	if err := cri.Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "crictl:", err)
		os.Exit(1)
	}
}
