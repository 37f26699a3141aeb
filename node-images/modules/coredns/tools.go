//go:build tools

// Package tools pins the commands that a node image is built from.
package tools

import (
	_ "github.com/coredns/coredns"
)
