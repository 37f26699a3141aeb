package cri

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Logs prints what a container has written so far: its standard output to Out, its standard error to Err; only the last tail lines
// unless tail is negative.
func (t *Tool) Logs(ctx context.Context, container string, tail int, timestamps bool) error {
	answer, err := t.Runtime.ContainerStatus(ctx, &runtime.ContainerStatusRequest{ContainerId: container})
	if err != nil {
		return fmt.Errorf("find container %q: %w", container, err)
	}
	path := answer.GetStatus().GetLogPath()
	if path == "" {
		return fmt.Errorf("container %q has no log", container)
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("log of container %q: %w", container, err)
	}
	defer file.Close()
	lines, err := readLog(file, tail)
	if err != nil {
		return fmt.Errorf("log of container %q: %w", container, err)
	}
	for _, line := range lines {
		out := t.Out
		if line.stream == "stderr" {
			out = t.Err
		}
		if timestamps {
			fmt.Fprint(out, line.time, " ")
		}
		if _, err := io.WriteString(out, line.text); err != nil {
			return err
		}
	}
	return nil
}

type logLine struct {
	time, stream, text string
}

// readLog parses a container log: each line is "time stream tag text", where the tag P says that the text goes on in the next line
// of that stream and F that it ends here.
func readLog(file io.Reader, tail int) ([]logLine, error) {
	var lines []logLine
	open := map[string]int{}
	reader := bufio.NewReader(file)
	for {
		raw, err := reader.ReadString('\n')
		if raw != "" {
			lines = appendLog(lines, open, strings.TrimSuffix(raw, "\n"))
			if tail >= 0 && len(lines) > tail && len(open) == 0 {
				lines = lines[len(lines)-tail:]
			}
		}
		if errors.Is(err, io.EOF) {
			if tail >= 0 && len(lines) > tail {
				lines = lines[len(lines)-tail:]
			}
			return lines, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// appendLog adds one raw line. In open stands, for each stream with an unfinished line, where in lines that is.
func appendLog(lines []logLine, open map[string]int, raw string) []logLine {
	parts := strings.SplitN(raw, " ", 4)
	if len(parts) < 4 {
		return append(lines, logLine{stream: "stdout", text: raw + "\n"})
	}
	stream, text := parts[1], parts[3]
	finished := !strings.HasPrefix(parts[2], "P")
	if finished {
		text += "\n"
	}
	at, continued := open[stream]
	if continued {
		lines[at].text += text
	} else {
		at = len(lines)
		lines = append(lines, logLine{time: parts[0], stream: stream, text: text})
	}
	if finished {
		delete(open, stream)
	} else {
		open[stream] = at
	}
	return lines
}
