// Pause holds the namespaces of a pod.
//
// It is process 1 of the pod when the pod shares its process namespace, so it reaps whatever is orphaned there; it ends on
// SIGTERM and SIGINT. Nothing else: the less it does, the less memory every pod costs.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// version is set at link time; it only answers `pause -v`.
var version = "dev"

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-v" {
		fmt.Println("pause", version)
		return
	}

	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		reap()
	}
}

// reap collects every child that has ended. One SIGCHLD may stand for several of them, so it goes on until none is left.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
	}
}
