// Package helloworld answers as Istio's sample of that name does.
package helloworld

import (
	"fmt"
	"io"
	"net/http"
)

// Handler answers `GET /hello` with the version and the instance, and `GET /health`.
func Handler(version, instance string) http.Handler {
	answer := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			// The sample's framework says so of every text.
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, text)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", answer(fmt.Sprintf("Hello version: %s, instance: %s\n", version, instance)))
	mux.HandleFunc("GET /health", answer("Helloworld is healthy"))
	return mux
}
