// Package cri asks a node's container runtime what it holds, and prints that in the shapes that tools reading `crictl` expect.
package cri

import (
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// DefaultEndpoint is where containerd listens on a node.
const DefaultEndpoint = "unix:///run/containerd/containerd.sock"

// Tool runs commands against one runtime.
type Tool struct {
	// Images is the runtime's image service.
	Images runtime.ImageServiceClient
	// Runtime is its service for pods and containers.
	Runtime runtime.RuntimeServiceClient
	// Out takes results, Err what the containers of `logs` wrote to their standard error.
	Out, Err io.Writer
	// Now is the time that ages are counted from.
	Now func() time.Time

	connection *grpc.ClientConn
}

// Connect makes a tool for the runtime at endpoint, a unix socket with or without its scheme. Nothing is sent before the first command.
func Connect(endpoint string, out, err io.Writer) (*Tool, error) {
	if !strings.Contains(endpoint, "://") {
		endpoint = "unix://" + endpoint
	}
	connection, dialErr := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if dialErr != nil {
		return nil, fmt.Errorf("connect to the container runtime at %s: %w", endpoint, dialErr)
	}
	return &Tool{
		Images:     runtime.NewImageServiceClient(connection),
		Runtime:    runtime.NewRuntimeServiceClient(connection),
		Out:        out,
		Err:        err,
		Now:        time.Now,
		connection: connection,
	}, nil
}

// Close ends the connection.
func (t *Tool) Close() error { return t.connection.Close() }
