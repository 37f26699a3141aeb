// Package echo is a sample service that tells who answered, and the client that asks it.
package echo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"kindmesh.dev/node/programs/internal/serve"
)

// Identity is what the server answers.
type Identity struct {
	// Cluster is the name of the cluster that the pod belongs to.
	Cluster string `json:"cluster"`
	// Node the pod runs on.
	Node string `json:"node"`
	// Pod that answered.
	Pod string `json:"pod"`
}

// Handler answers `GET /` with identity as JSON and `GET /healthz` with "ok".
func Handler(identity Identity) (http.Handler, error) {
	body, err := json.Marshal(identity)
	if err != nil {
		return nil, fmt.Errorf("encode the identity: %w", err)
	}
	body = append(body, '\n')
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		// A client must see which pod answers now, so its next request may not ride on this connection.
		w.Header().Set("Connection", "close")
		_, _ = w.Write(body)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n")
	})
	return mux, nil
}

// Serve answers on address until ctx ends, then lets the running requests finish.
func Serve(ctx context.Context, address string, identity Identity) error {
	handler, err := Handler(identity)
	if err != nil {
		return err
	}
	return serve.Until(ctx, address, handler)
}

// answerLimit keeps a misdirected request from filling the memory.
const answerLimit = 1 << 20

// Get fetches url within timeout, connecting included, and copies the body to out. A status other than 2xx is an error that holds
// the body's first words.
func Get(ctx context.Context, url string, timeout time.Duration, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("get %s: %w", url, err)
	}
	// Addresses of a test network must not be asked for through a proxy.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("get %s: no answer within %s", url, timeout)
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return fmt.Errorf("get %s: read the answer: %w", url, err)
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("get %s: status %s: %s", url, response.Status, strings.TrimSpace(string(body[:min(len(body), 200)])))
	}
	_, err = out.Write(body)
	return err
}
