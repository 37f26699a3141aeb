package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
)

type restorer struct {
	from, to, name, peer string
}

func (r *restorer) run() error {
	if r.from == "" || r.to == "" || r.name == "" || r.peer == "" {
		return fmt.Errorf("restore needs --from, --to, --name and --peer")
	}
	header, err := os.ReadFile(filepath.Join(r.from, about))
	if err != nil {
		return err
	}
	var made seed
	if err := json.Unmarshal(header, &made); err != nil {
		return fmt.Errorf("%s: %w", about, err)
	}
	content, err := os.ReadFile(filepath.Join(r.from, database))
	if err != nil {
		return err
	}
	renew(content, made, time.Now(), uuid.NewString)
	work, err := os.MkdirTemp(filepath.Dir(r.to), ".etcd-seed-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	file := filepath.Join(work, database)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return err
	}
	data := filepath.Join(work, "data")
	err = snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath: file, OutputDataDir: data, Name: r.name, PeerURLs: []string{r.peer},
		InitialCluster: r.name + "=" + r.peer, InitialClusterToken: "etcd-cluster", SkipHashCheck: true,
	})
	if err != nil {
		return err
	}
	// In one step: a node killed in between begins without a seed. An empty folder may be there already.
	if err := os.Remove(r.to); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.Rename(data, r.to)
}

var uid = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

// renew gives the objects in a database other UIDs and another time of making, in place: both have the same length
// as before, and nothing in the file is checked by a sum.
func renew(content []byte, made seed, now time.Time, fresh func() string) {
	others := map[string]string{}
	for _, at := range uid.FindAllIndex(content, -1) {
		old := string(content[at[0]:at[1]])
		if others[old] == "" {
			others[old] = fresh()
		}
		copy(content[at[0]:at[1]], others[old])
	}
	for second := made.Begun; second <= made.Ended; second++ {
		replace(content, stamp(second), stamp(now.Unix()))
		// Some kinds are kept as JSON.
		replace(content, text(second), text(now.Unix()))
	}
}

// replace puts new in the place of every old, where both have the same length.
func replace(content, old, new []byte) {
	for at := 0; len(old) == len(new); {
		next := bytes.Index(content[at:], old)
		if next < 0 {
			return
		}
		copy(content[at+next:], new)
		at += next + len(old)
	}
}

func text(seconds int64) []byte {
	return []byte(`"` + time.Unix(seconds, 0).UTC().Format(time.RFC3339) + `"`)
}

// stamp is a time as objects have it: field 1 of a message, and no nanoseconds in field 2.
func stamp(seconds int64) []byte {
	text := binary.AppendUvarint([]byte{1 << 3}, uint64(seconds))
	return append(text, 2<<3, 0)
}
