package cri

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// fake is a runtime with one image, one pod and one container.
type fake struct {
	runtime.UnimplementedImageServiceServer
	runtime.UnimplementedRuntimeServiceServer
	logPath string
}

const imageID = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func image() *runtime.Image {
	return &runtime.Image{Id: imageID, RepoTags: []string{"localhost:5000/team/app:v1", "docker.io/team/app:latest"}, Size: 75_543_210}
}

func (f *fake) ImageStatus(_ context.Context, request *runtime.ImageStatusRequest) (*runtime.ImageStatusResponse, error) {
	if request.GetImage().GetImage() != "docker.io/team/app:latest" {
		return &runtime.ImageStatusResponse{}, nil
	}
	return &runtime.ImageStatusResponse{Image: image(), Info: map[string]string{"info": `{"chainID":"<x>"}`, "note": "plain"}}, nil
}

func (f *fake) ListImages(context.Context, *runtime.ListImagesRequest) (*runtime.ListImagesResponse, error) {
	return &runtime.ListImagesResponse{Images: []*runtime.Image{image(), {Id: "sha256:feed", Size: 512}}}, nil
}

func (f *fake) ListContainers(_ context.Context, request *runtime.ListContainersRequest) (*runtime.ListContainersResponse, error) {
	containers := []*runtime.Container{
		{
			Id: "c0ffee0123456789abcdef", PodSandboxId: "b0b0123456789abcdef", State: runtime.ContainerState_CONTAINER_RUNNING,
			Metadata: &runtime.ContainerMetadata{Name: "app", Attempt: 2}, Image: &runtime.ImageSpec{Image: imageID},
			CreatedAt: now().Add(-3 * time.Minute).UnixNano(), Labels: map[string]string{podName: "app-1", podNamespace: "shop"},
		},
		{Id: "dead", State: runtime.ContainerState_CONTAINER_EXITED, Metadata: &runtime.ContainerMetadata{Name: "old"}},
	}
	var kept []*runtime.Container
	for _, container := range containers {
		if wanted := request.GetFilter().GetState(); wanted == nil || wanted.State == container.State {
			kept = append(kept, container)
		}
	}
	return &runtime.ListContainersResponse{Containers: kept}, nil
}

func (f *fake) ListPodSandbox(context.Context, *runtime.ListPodSandboxRequest) (*runtime.ListPodSandboxResponse, error) {
	return &runtime.ListPodSandboxResponse{Items: []*runtime.PodSandbox{{
		Id: "b0b0123456789abcdef", State: runtime.PodSandboxState_SANDBOX_NOTREADY, CreatedAt: now().Add(-time.Second).UnixNano(),
		Metadata: &runtime.PodSandboxMetadata{Name: "app-1", Namespace: "shop"},
	}}}, nil
}

func (f *fake) ContainerStatus(context.Context, *runtime.ContainerStatusRequest) (*runtime.ContainerStatusResponse, error) {
	return &runtime.ContainerStatusResponse{Status: &runtime.ContainerStatus{LogPath: f.logPath}}, nil
}

func (f *fake) Version(context.Context, *runtime.VersionRequest) (*runtime.VersionResponse, error) {
	return &runtime.VersionResponse{Version: "0.1.0", RuntimeName: "containerd", RuntimeVersion: "1.6.20", RuntimeApiVersion: "v1"}, nil
}

func (f *fake) Status(context.Context, *runtime.StatusRequest) (*runtime.StatusResponse, error) {
	ready := []*runtime.RuntimeCondition{{Type: "RuntimeReady", Status: true}}
	return &runtime.StatusResponse{Status: &runtime.RuntimeStatus{Conditions: ready}, Info: map[string]string{"config": `{"a":1}`}}, nil
}

func now() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// crictl runs a command line against the fake, over a real socket.
func crictl(t *testing.T, server *fake, args ...string) (out, stderr string, err error) {
	t.Helper()
	// Not t.TempDir: the path of a socket may have 107 characters only.
	dir, err := os.MkdirTemp("", "cri")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	service := grpc.NewServer()
	runtime.RegisterImageServiceServer(service, server)
	runtime.RegisterRuntimeServiceServer(service, server)
	go func() { _ = service.Serve(listener) }()
	t.Cleanup(service.Stop)

	var written, complaints bytes.Buffer
	tool, err := Connect(path, &written, &complaints)
	if err != nil {
		t.Fatal(err)
	}
	defer tool.Close()
	tool.Now = now
	err = tool.run(t.Context(), args[0], args[1:])
	return written.String(), complaints.String(), err
}

func TestInspectiHasTheFieldsThatKindReads(t *testing.T) {
	out, _, err := crictl(t, &fake{}, "inspecti", "docker.io/team/app:latest")
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Status struct {
			ID       string   `json:"id"`
			RepoTags []string `json:"repoTags"`
			Size     string   `json:"size"`
		} `json:"status"`
		Info map[string]string `json:"info"`
		Note string            `json:"note"`
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	if answer.Status.ID != imageID || len(answer.Status.RepoTags) != 2 || answer.Status.Size != "75543210" {
		t.Errorf("status: %+v", answer.Status)
	}
	if answer.Info["chainID"] != "<x>" || answer.Note != "plain" {
		t.Errorf("info: %+v, note %q", answer.Info, answer.Note)
	}
}

func TestInspectiFailsForAMissingImage(t *testing.T) {
	out, _, err := crictl(t, &fake{}, "inspecti", "docker.io/team/other:latest")
	if err == nil || !strings.Contains(err.Error(), `no such image "docker.io/team/other:latest"`) || out != "" {
		t.Errorf("printed %q, error %v", out, err)
	}
}

// fields reduces runs of blanks, so that the tests do not depend on widths.
func fields(text string) []string {
	text = regexp.MustCompile(` {3,}`).ReplaceAllString(strings.TrimSpace(text), "|")
	return strings.Split(regexp.MustCompile(` *\n`).ReplaceAllString(text, "\n"), "\n")
}

func expectTable(t *testing.T, server *fake, want []string, args ...string) {
	t.Helper()
	out, _, err := crictl(t, server, args...)
	if err != nil {
		t.Fatal(err)
	}
	if got := fields(out); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("crictl %s:\n%s", strings.Join(args, " "), strings.Join(got, "\n"))
	}
}

func TestTables(t *testing.T) {
	expectTable(t, &fake{}, []string{
		"IMAGE|TAG|IMAGE ID|SIZE",
		"<none>|<none>|feed|512B",
		"docker.io/team/app|latest|0123456789abc|75.5MB",
		"localhost:5000/team/app|v1|0123456789abc|75.5MB",
	}, "images")
	expectTable(t, &fake{}, []string{
		"CONTAINER|IMAGE|CREATED|STATE|NAME|ATTEMPT|POD ID|POD|NAMESPACE",
		"c0ffee0123456|0123456789abc|3 minutes ago|Running|app|2|b0b0123456789|app-1|shop",
	}, "ps")
	expectTable(t, &fake{}, []string{
		"POD ID|CREATED|STATE|NAME|NAMESPACE|ATTEMPT|RUNTIME",
		"b0b0123456789|1 second ago|Notready|app-1|shop|0|(default)",
	}, "pods")
}

func TestQuietListsGiveIds(t *testing.T) {
	for want, args := range map[string][]string{
		imageID + "\nsha256:feed\n":      {"images", "-q"},
		"c0ffee0123456789abcdef\n":       {"ps", "-q"},
		"c0ffee0123456789abcdef\ndead\n": {"ps", "-a", "--quiet"},
		"b0b0123456789abcdef\n":          {"pods", "-q"},
	} {
		if out, _, err := crictl(t, &fake{}, args...); err != nil || out != want {
			t.Errorf("%v printed %q, error %v", args, out, err)
		}
	}
}

func TestListsAsJSON(t *testing.T) {
	for key, args := range map[string][]string{
		"images":     {"images", "-o", "json"},
		"containers": {"ps", "--output", "json"},
		"items":      {"pods", "-o", "json"},
	} {
		out, _, err := crictl(t, &fake{}, args...)
		if err != nil {
			t.Fatal(err)
		}
		var answer map[string][]map[string]any
		if err := json.Unmarshal([]byte(out), &answer); err != nil || len(answer[key]) == 0 {
			t.Errorf("%v printed %s, error %v", args, out, err)
		}
	}
}

func TestVersionAndInfo(t *testing.T) {
	out, _, err := crictl(t, &fake{}, "version")
	if want := "Version:  0.1.0\nRuntimeName:  containerd\nRuntimeVersion:  1.6.20\nRuntimeApiVersion:  v1\n"; err != nil || out != want {
		t.Errorf("version printed %q, error %v", out, err)
	}
	out, _, err = crictl(t, &fake{}, "info")
	if err != nil || !strings.Contains(out, `"RuntimeReady"`) || !strings.Contains(out, `"a": 1`) {
		t.Errorf("info printed %s, error %v", out, err)
	}
}

func TestLogsJoinPartsAndKeepStreamsApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	content := "t1 stdout F one\nt2 stdout P tw\nt3 stderr F oops\nt4 stdout F o words\nt5 stdout F \n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	server := &fake{logPath: path}
	out, stderr, err := crictl(t, server, "logs", "c0ffee")
	if err != nil || out != "one\ntwo words\n\n" || stderr != "oops\n" {
		t.Errorf("printed %q and %q, error %v", out, stderr, err)
	}
	out, stderr, err = crictl(t, server, "logs", "--tail", "2", "-t", "c0ffee")
	if err != nil || out != "t5 \n" || stderr != "t3 oops\n" {
		t.Errorf("the last two: %q and %q, error %v", out, stderr, err)
	}
	if _, _, err := crictl(t, &fake{logPath: path + ".gone"}, "logs", "c0ffee"); err == nil {
		t.Error("a missing log went unnoticed")
	}
}

func TestBadCommandLines(t *testing.T) {
	for _, args := range [][]string{{"rmi", "x"}, {"images", "-o", "yaml"}, {"inspecti"}, {"logs"}, {"logs", "--follow", "x"}} {
		if _, _, err := crictl(t, &fake{}, args...); err == nil || !strings.Contains(err.Error(), "usage:") {
			t.Errorf("%v gave %v", args, err)
		}
	}
	if err := Run(t.Context(), nil, &bytes.Buffer{}, &bytes.Buffer{}); err == nil {
		t.Error("an empty command line was accepted")
	}
}

func TestSizesAndAges(t *testing.T) {
	for bytes, want := range map[uint64]string{0: "0B", 999: "999B", 1500: "1.5kB", 126_000_000: "126MB", 2_340_000_000: "2.34GB"} {
		if got := size(bytes); got != want {
			t.Errorf("%d is %s, want %s", bytes, got, want)
		}
	}
	for elapsed, want := range map[time.Duration]string{0: "0 seconds ago", 90 * time.Minute: "1 hour ago", 49 * time.Hour: "2 days ago"} {
		if got := age(now(), now().Add(-elapsed).UnixNano()); got != want {
			t.Errorf("%s is %s, want %s", elapsed, got, want)
		}
	}
}
