// Helloworld answers `GET /hello` on port 5000 with SERVICE_VERSION and HOSTNAME of its environment, as Istio's sample does.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"kindmesh.dev/node/programs/internal/helloworld"
	"kindmesh.dev/node/programs/internal/serve"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	handler := helloworld.Handler(os.Getenv("SERVICE_VERSION"), os.Getenv("HOSTNAME"))
	if err := serve.Until(ctx, ":5000", handler); err != nil {
		fmt.Fprintln(os.Stderr, "helloworld:", err)
		os.Exit(1)
	}
}
