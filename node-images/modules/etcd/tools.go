//go:build tools

// Package tools pins the commands that a node image is built from.
package tools

import (
	_ "go.etcd.io/etcd/server/v3"
)
