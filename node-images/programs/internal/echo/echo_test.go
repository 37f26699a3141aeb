package echo

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func start(t *testing.T, identity Identity) *httptest.Server {
	t.Helper()
	handler, err := Handler(identity)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func TestTheAnswerNamesClusterNodeAndPod(t *testing.T) {
	server := start(t, Identity{Cluster: "cluster1", Node: "cluster1-worker", Pod: "echo-x"})
	var body bytes.Buffer
	if err := Get(t.Context(), server.URL, time.Second, &body); err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(body.Bytes(), &got); err != nil {
		t.Fatalf("%q: %v", body.String(), err)
	}
	want := map[string]string{"cluster": "cluster1", "node": "cluster1-worker", "pod": "echo-x"}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s is %q, want %q", key, got[key], value)
		}
	}
}

func TestHealthAndUnknownPaths(t *testing.T) {
	server := start(t, Identity{})
	if err := Get(t.Context(), server.URL+"/healthz", time.Second, io.Discard); err != nil {
		t.Error(err)
	}
	err := Get(t.Context(), server.URL+"/nothing", time.Second, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("an unknown path gave %v", err)
	}
}

func TestGetGivesUpAtItsDeadline(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	err := Get(t.Context(), server.URL, 50*time.Millisecond, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Errorf("got %v", err)
	}
}
