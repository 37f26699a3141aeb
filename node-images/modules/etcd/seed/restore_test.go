package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestRenewGivesEveryObjectAnotherIdentityOfTheSameLength(t *testing.T) {
	const first, second = "00fd8a3e-2d6e-42b1-92a8-57a9900c34ea", "16651b2a-0029-4b9b-9399-0313f3ae3a9a"
	made := seed{Begun: 1_795_400_378, Ended: 1_795_400_382}
	now := time.Unix(1_800_000_000, 0)
	content := []byte(first + "|" + second + "|" + first + "|")
	content = append(content, stamp(made.Begun+2)...)
	content = append(content, `|"2026-11-23T02:19:40Z"|"2020-01-01T00:00:00Z"`...)
	count := 0
	renew(content, made, now, func() string {
		count++
		return fmt.Sprintf("00000000-0000-4000-8000-%012d", count)
	})
	want := "00000000-0000-4000-8000-000000000001|00000000-0000-4000-8000-000000000002|00000000-0000-4000-8000-000000000001|" +
		string(stamp(now.Unix())) + `|"2027-01-15T08:00:00Z"|"2020-01-01T00:00:00Z"`
	if string(content) != want {
		t.Errorf("renewed to\n%q, want\n%q", content, want)
	}
}

func TestOnlyWhatIsTheSameEverywhereIsKept(t *testing.T) {
	for key, want := range map[string]bool{
		"/registry/clusterroles/view":                      true,
		"/registry/namespaces/kube-system":                 true,
		"/registry/secrets/kube-system/x":                  false,
		"/registry/configmaps/kube-system/extension":       false,
		"/registry/services/specs/default/kubernetes":      false,
		"/registry/ranges/serviceips":                      false,
		"/registry/leases/kube-system/apiserver-1":         false,
		"compact_rev_key":                                  false,
		"/registry/apiregistration.k8s.io/apiservices/v1.": true,
	} {
		if isKept(key) != want {
			t.Errorf("%s: kept is %v", key, !want)
		}
	}
}

func TestASeedThatIsNotThereMakesNothing(t *testing.T) {
	folder := t.TempDir()
	to := filepath.Join(folder, "etcd")
	restore := restorer{from: folder, to: to, name: "n", peer: "https://10.0.0.1:2380"}
	if err := restore.run(); err == nil {
		t.Error("restored from nothing")
	}
	if left, _ := os.ReadDir(folder); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if bytes.Equal(stamp(1), stamp(2)) {
		t.Error("stamps of different seconds are equal")
	}
}
