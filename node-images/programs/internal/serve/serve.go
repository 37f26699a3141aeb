// Package serve runs the sample services' HTTP servers.
package serve

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Until answers on address with handler until ctx ends, then lets the running requests finish.
func Until(ctx context.Context, address string, handler http.Handler) error {
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve on %s: %w", address, err)
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		return server.Shutdown(grace)
	}
}
