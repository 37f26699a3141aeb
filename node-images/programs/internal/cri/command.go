package cri

import (
	"context"
	"flag"
	"fmt"
	"io"
	"time"
)

// usage names what is there; the real crictl knows more.
const usage = `usage: crictl [--runtime-endpoint ENDPOINT] [--timeout DURATION] COMMAND

commands:
  images [-o table|json] [-q]       list images
  inspecti IMAGE...                 print an image's status as JSON
  info                              print the runtime's status as JSON
  logs [--tail N] [-t] CONTAINER    print a container's log
  pods [-o table|json] [-q]         list pods
  ps [-a] [-o table|json] [-q]      list containers
  version                           print the runtime's version
`

// Run parses args as a command line without the program's name and carries it out.
func Run(ctx context.Context, args []string, out, err io.Writer) error {
	global := flag.NewFlagSet("crictl", flag.ContinueOnError)
	global.SetOutput(io.Discard)
	endpoint := DefaultEndpoint
	timeout := 10 * time.Second
	for _, name := range []string{"runtime-endpoint", "r", "image-endpoint", "i"} {
		global.StringVar(&endpoint, name, endpoint, "")
	}
	for _, name := range []string{"timeout", "t"} {
		global.DurationVar(&timeout, name, timeout, "")
	}
	if parseErr := global.Parse(args); parseErr != nil {
		return fmt.Errorf("%w\n%s", parseErr, usage)
	}
	if global.NArg() == 0 {
		return fmt.Errorf("no command given\n%s", usage)
	}

	tool, connectErr := Connect(endpoint, out, err)
	if connectErr != nil {
		return connectErr
	}
	defer tool.Close()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return tool.run(ctx, global.Arg(0), global.Args()[1:])
}

func (t *Tool) run(ctx context.Context, command string, args []string) error {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	output := format("table")
	var quiet, all, timestamps bool
	tail := -1
	switch command {
	case "images", "image", "img", "ps", "pods":
		flags.Var(&output, "o", "")
		flags.Var(&output, "output", "")
		flags.BoolVar(&quiet, "q", false, "")
		flags.BoolVar(&quiet, "quiet", false, "")
		if command == "ps" {
			flags.BoolVar(&all, "a", false, "")
			flags.BoolVar(&all, "all", false, "")
		}
	case "inspecti":
		// JSON is all there is, but scripts ask for it.
		flags.Var(&output, "o", "")
		flags.Var(&output, "output", "")
	case "logs":
		flags.IntVar(&tail, "tail", tail, "")
		flags.BoolVar(&timestamps, "t", false, "")
		flags.BoolVar(&timestamps, "timestamps", false, "")
	}
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, usage)
	}

	switch command {
	case "images", "image", "img":
		return t.ListImages(ctx, output, quiet)
	case "inspecti":
		if flags.NArg() == 0 {
			return fmt.Errorf("inspecti: no image named\n%s", usage)
		}
		return t.InspectImages(ctx, flags.Args())
	case "info":
		return t.Info(ctx)
	case "logs":
		if flags.NArg() != 1 {
			return fmt.Errorf("logs: name one container\n%s", usage)
		}
		return t.Logs(ctx, flags.Arg(0), tail, timestamps)
	case "pods":
		return t.ListPods(ctx, output, quiet)
	case "ps":
		return t.ListContainers(ctx, output, quiet, all)
	case "version":
		return t.Version(ctx)
	}
	return fmt.Errorf("unknown command %q\n%s", command, usage)
}
