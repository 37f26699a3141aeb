// Echo serves CLUSTER, NODE_NAME and POD_NAME of its environment as JSON on port 8080; `echo get [-timeout 3s] URL` asks such a
// server and prints the answer, for images that have no other client.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"kindmesh.dev/node/programs/internal/echo"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if len(args) == 0 {
		fmt.Println("serving on port 8080")
		return echo.Serve(ctx, ":8080", echo.Identity{
			Cluster: os.Getenv("CLUSTER"),
			Node:    os.Getenv("NODE_NAME"),
			Pod:     os.Getenv("POD_NAME"),
		})
	}
	if args[0] != "get" {
		return fmt.Errorf("unknown command %q: without arguments it serves, or use `get [-timeout 3s] URL`", args[0])
	}
	flags := flag.NewFlagSet("get", flag.ExitOnError)
	timeout := flags.Duration("timeout", 3*time.Second, "how long to wait for the answer")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("get wants one URL, it was given %d", flags.NArg())
	}
	return echo.Get(ctx, flags.Arg(0), *timeout, os.Stdout)
}
