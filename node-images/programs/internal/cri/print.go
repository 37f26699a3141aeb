package cri

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// shortID is how many characters of an id a table shows; enough to be unique on a node and to be given back as an argument.
const shortID = 13

// asJSON turns a message into JSON with the field names of the API (lower camel case) and every field present, also empty ones.
func asJSON(message proto.Message) (json.RawMessage, error) {
	return protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(message)
}

// printJSON writes {"status": status, "info": {...}}. Runtimes hand out info as a map of JSON texts; what is not JSON stays a string.
func printJSON(out io.Writer, status proto.Message, info map[string]string) error {
	encoded, err := asJSON(status)
	if err != nil {
		return err
	}
	document := map[string]any{"status": encoded}
	for key, text := range info {
		if key == "status" {
			continue
		}
		if json.Valid([]byte(text)) {
			document[key] = json.RawMessage(text)
		} else {
			document[key] = text
		}
	}
	return indented(out, document)
}

func indented(out io.Writer, document any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document); err != nil {
		return err
	}
	_, err := text.WriteTo(out)
	return err
}

// format is the value of the option -o.
type format string

// Set implements flag.Value.
func (f *format) Set(value string) error {
	switch value {
	case "table", "json":
		*f = format(value)
		return nil
	}
	return errors.New("only table and json are known")
}

// String implements flag.Value.
func (f *format) String() string { return string(*f) }

func table(out io.Writer, header string, rows []string) error {
	// The widths that crictl uses: columns start at multiples of twenty.
	writer := tabwriter.NewWriter(out, 20, 1, 3, ' ', 0)
	fmt.Fprintln(writer, header)
	for _, row := range rows {
		fmt.Fprintln(writer, row)
	}
	return writer.Flush()
}

func short(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(len(id), shortID)]
}

// size in decimal units, three digits, as in "75.5MB".
func size(bytes uint64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	value := float64(bytes)
	for value >= 1000 && len(units) > 1 {
		value /= 1000
		units = units[1:]
	}
	return fmt.Sprintf("%.3g%s", value, units[0])
}

// age of something made at a time given in nanoseconds since 1970.
func age(now time.Time, made int64) string {
	elapsed := now.Sub(time.Unix(0, made))
	for _, unit := range []struct {
		name string
		span time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if count := int(elapsed / unit.span); count > 0 {
			return plural(count, unit.name)
		}
	}
	return plural(max(0, int(elapsed/time.Second)), "second")
}

func plural(count int, unit string) string {
	if count != 1 {
		unit += "s"
	}
	return fmt.Sprintf("%d %s ago", count, unit)
}
