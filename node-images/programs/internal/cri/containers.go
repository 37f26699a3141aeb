package cri

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// The kubelet's labels on what it starts.
const (
	podName      = "io.kubernetes.pod.name"
	podNamespace = "io.kubernetes.pod.namespace"
)

// ListContainers prints the running containers, or with all those that ended too.
func (t *Tool) ListContainers(ctx context.Context, output format, quiet, all bool) error {
	filter := &runtime.ContainerFilter{}
	if !all {
		filter.State = &runtime.ContainerStateValue{State: runtime.ContainerState_CONTAINER_RUNNING}
	}
	answer, err := t.Runtime.ListContainers(ctx, &runtime.ListContainersRequest{Filter: filter})
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	if output == "json" {
		return t.printList(answer)
	}
	var rows []string
	for _, container := range answer.GetContainers() {
		if quiet {
			fmt.Fprintln(t.Out, container.GetId())
			continue
		}
		rows = append(rows, strings.Join([]string{
			short(container.GetId()),
			short(container.GetImage().GetImage()),
			age(t.Now(), container.GetCreatedAt()),
			state(container.GetState().String()),
			container.GetMetadata().GetName(),
			fmt.Sprint(container.GetMetadata().GetAttempt()),
			short(container.GetPodSandboxId()),
			container.GetLabels()[podName],
			container.GetLabels()[podNamespace],
		}, "\t"))
	}
	if quiet {
		return nil
	}
	return table(t.Out, "CONTAINER\tIMAGE\tCREATED\tSTATE\tNAME\tATTEMPT\tPOD ID\tPOD\tNAMESPACE", rows)
}

// ListPods prints the pods' sandboxes.
func (t *Tool) ListPods(ctx context.Context, output format, quiet bool) error {
	answer, err := t.Runtime.ListPodSandbox(ctx, &runtime.ListPodSandboxRequest{})
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	if output == "json" {
		return t.printList(answer)
	}
	var rows []string
	for _, pod := range answer.GetItems() {
		if quiet {
			fmt.Fprintln(t.Out, pod.GetId())
			continue
		}
		handler := pod.GetRuntimeHandler()
		if handler == "" {
			handler = "(default)"
		}
		rows = append(rows, strings.Join([]string{
			short(pod.GetId()),
			age(t.Now(), pod.GetCreatedAt()),
			state(pod.GetState().String()),
			pod.GetMetadata().GetName(),
			pod.GetMetadata().GetNamespace(),
			fmt.Sprint(pod.GetMetadata().GetAttempt()),
			handler,
		}, "\t"))
	}
	if quiet {
		return nil
	}
	return table(t.Out, "POD ID\tCREATED\tSTATE\tNAME\tNAMESPACE\tATTEMPT\tRUNTIME", rows)
}

// Version prints the runtime's name and versions.
func (t *Tool) Version(ctx context.Context) error {
	answer, err := t.Runtime.Version(ctx, &runtime.VersionRequest{})
	if err != nil {
		return fmt.Errorf("ask for the version: %w", err)
	}
	_, err = fmt.Fprintf(t.Out, "Version:  %s\nRuntimeName:  %s\nRuntimeVersion:  %s\nRuntimeApiVersion:  %s\n",
		answer.GetVersion(), answer.GetRuntimeName(), answer.GetRuntimeVersion(), answer.GetRuntimeApiVersion())
	return err
}

// Info prints the runtime's conditions and configuration.
func (t *Tool) Info(ctx context.Context) error {
	answer, err := t.Runtime.Status(ctx, &runtime.StatusRequest{Verbose: true})
	if err != nil {
		return fmt.Errorf("ask for the status: %w", err)
	}
	return printJSON(t.Out, answer.GetStatus(), answer.GetInfo())
}

func (t *Tool) printList(answer proto.Message) error {
	encoded, err := asJSON(answer)
	if err != nil {
		return err
	}
	return indented(t.Out, encoded)
}

// state shortens CONTAINER_RUNNING to Running and SANDBOX_NOTREADY to Notready.
func state(name string) string {
	_, word, _ := strings.Cut(name, "_")
	word = strings.ToLower(word)
	if word == "" {
		return "Unknown"
	}
	return strings.ToUpper(word[:1]) + word[1:]
}
