// Command etcd-seed saves what every API server writes into an empty database, and lets new clusters begin with it.
//
//	etcd-seed make --etcd PROGRAM --apiserver PROGRAM --out FOLDER
//	etcd-seed restore --from FOLDER --to FOLDER --name NODE --peer URL
//
// `make` runs both programs on loopback until the API server is ready, and keeps the objects that are the same in
// every cluster. `restore` makes the data directory of a cluster's only etcd member of them: with UIDs, times and a
// membership of its own. There are no secrets in it: an API server makes none.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "etcd-seed:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("say make or restore")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	switch args[0] {
	case "make":
		var m maker
		flags.StringVar(&m.etcd, "etcd", "", "the program")
		flags.StringVar(&m.apiserver, "apiserver", "", "the program")
		flags.StringVar(&m.out, "out", "", "folder for the seed, made if need be")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return m.run()
	case "restore":
		var r restorer
		flags.StringVar(&r.from, "from", "", "folder with the seed")
		flags.StringVar(&r.to, "to", "", "data directory to be made")
		flags.StringVar(&r.name, "name", "", "name of the member")
		flags.StringVar(&r.peer, "peer", "", "URL of the member for its peers")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return r.run()
	}
	return fmt.Errorf("there is no %q: say make or restore", args[0])
}
