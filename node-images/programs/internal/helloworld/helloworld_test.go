package helloworld

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestTheAnswersAreThoseOfTheSample(t *testing.T) {
	handler := Handler("v1", "helloworld-v1-x")
	for _, test := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/hello", http.StatusOK, "Hello version: v1, instance: helloworld-v1-x\n"},
		{"GET", "/health", http.StatusOK, "Helloworld is healthy"},
		{"POST", "/hello", http.StatusMethodNotAllowed, ""},
		{"GET", "/hello/", http.StatusNotFound, ""},
		{"GET", "/", http.StatusNotFound, ""},
	} {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(test.method, test.path, nil))
		if recorder.Code != test.status {
			t.Errorf("%s %s gave %d, want %d", test.method, test.path, recorder.Code, test.status)
		}
		if test.body != "" && recorder.Body.String() != test.body {
			t.Errorf("%s %s gave %q, want %q", test.method, test.path, recorder.Body.String(), test.body)
		}
		if got := recorder.Header().Get("Content-Type"); test.body != "" && got != "text/html; charset=utf-8" {
			t.Errorf("%s %s is of type %q", test.method, test.path, got)
		}
	}
}
