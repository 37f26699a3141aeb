package cni

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

func TestPodsAreNotHeldForEver(t *testing.T) {
	// Outside of a cluster there is no service to wait for.
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	daemon := Daemon{ConfigDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	mark := filepath.Join(daemon.ConfigDir, PendingName)

	daemon.admitPods(t.Context())
	if _, err := os.Stat(mark); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a node that was not restarted has a mark: %v", err)
	}

	if err := os.WriteFile(mark, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	daemon.admitPods(t.Context())
	if _, err := os.Stat(mark); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the mark is left: %v", err)
	}
}
