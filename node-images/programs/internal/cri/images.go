package cri

import (
	"context"
	"fmt"
	"sort"
	"strings"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// InspectImages prints what the runtime knows of each image; one that it does not have is an error.
func (t *Tool) InspectImages(ctx context.Context, references []string) error {
	for _, reference := range references {
		request := &runtime.ImageStatusRequest{Image: &runtime.ImageSpec{Image: reference}, Verbose: true}
		answer, err := t.Images.ImageStatus(ctx, request)
		if err != nil {
			return fmt.Errorf("inspect image %q: %w", reference, err)
		}
		if answer.GetImage() == nil {
			return fmt.Errorf("no such image %q present", reference)
		}
		if err := printJSON(t.Out, answer.GetImage(), answer.GetInfo()); err != nil {
			return fmt.Errorf("inspect image %q: %w", reference, err)
		}
	}
	return nil
}

// ListImages prints the images the runtime has, one line for each tag.
func (t *Tool) ListImages(ctx context.Context, output format, quiet bool) error {
	request := &runtime.ListImagesRequest{}
	answer, err := t.Images.ListImages(ctx, request)
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	if output == "json" {
		return t.printList(answer)
	}
	if quiet {
		for _, image := range answer.GetImages() {
			fmt.Fprintln(t.Out, image.GetId())
		}
		return nil
	}
	var rows []string
	for _, image := range answer.GetImages() {
		tags := image.GetRepoTags()
		if len(tags) == 0 {
			tags = []string{"<none>:<none>"}
		}
		for _, reference := range tags {
			name, tag := splitTag(reference)
			rows = append(rows, strings.Join([]string{name, tag, short(image.GetId()), size(image.GetSize())}, "\t"))
		}
	}
	sort.Strings(rows)
	return table(t.Out, "IMAGE\tTAG\tIMAGE ID\tSIZE", rows)
}

// splitTag parts a reference at its tag; the colon of a registry's port is not one.
func splitTag(reference string) (name, tag string) {
	colon := strings.LastIndex(reference, ":")
	if colon < 0 || strings.Contains(reference[colon:], "/") {
		return reference, "<none>"
	}
	return reference[:colon], reference[colon+1:]
}
