//! Help, version, schema, completion, reference topics.

use crate::support::Sealed;

fn stdout(args: &str) -> String {
    Sealed::new().run(&args.split(' ').collect::<Vec<_>>()).ok()
}

#[test]
fn help() {
    insta::assert_snapshot!(stdout("--help"), @r"
    Kubernetes clusters in containers, with load balancers, over the Docker Engine API alone

    Usage: kindmesh [OPTIONS] <COMMAND>

    Commands:
      up          Create a fleet, or complete it
      diff        Show what `up` would do
      down        Remove a fleet, with everything made for it
      prune       Remove fleets whose time is over, and what killed processes left
      doctor      Look for what would go wrong, before anything is made
      pause       Suspend a fleet: it keeps its memory and gets no processor
      resume      Let a paused fleet go on
      stop        Stop a fleet, keeping what is on its volumes
      start       Start a stopped fleet
      pool        Lease fleets that were made beforehand
      status      Show fleets: clusters, nodes, pools, addresses
      events      Show what happens to a fleet: events of Kubernetes and of the engine
      verify      Prove a mesh by traffic
      graph       Draw a fleet as SVG or Mermaid
      load        Load images into nodes
      exec        Run a command in a node
      export      Write logs and states of clusters into a folder
      get         List clusters and nodes, print a kubeconfig
      kubeconfig  Print the kubeconfig of a cluster, as `get kubeconfig`
      mesh        Work with the mesh of a fleet
      network     Work with networks
      build       Build images
      schema      Print the JSON schema of the fleet file
      completion  Print the completion script of a shell
      version     Print the version
      help        Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Global options:
      -H, --host <URL>               Address of the engine, unix://… or tcp://… [default: as the docker command]
          --context <NAME>           Docker context of the engine [default: as the docker command]
          --state-dir <FOLDER>       Folder for root certificates of meshes and for warm pools [default: ~/.local/state/kindmesh]
          --lock-timeout <DURATION>  How long to wait for another command that changes the same fleet; 0s does not wait [default: 10m]
      -o, --output <FORMAT>          text, or json: a document on standard output, events on standard error [default: text]
      -q, --quiet                    Tell nothing but errors and results
      -v, --verbose...               Tell more; twice for every detail

    Makes fleets of kind-compatible clusters on one network, gives each its own pool of LoadBalancer
    addresses, and writes their kubeconfig entries. Needs an engine that speaks Docker's API, and calls
    no other program.

    Examples:
      kindmesh up                 two clusters, cluster1 and cluster2
      kindmesh up -f fleet.yaml   the fleet a file describes
      kindmesh status             what there is
      kindmesh down               remove it

    See also: kindmesh help environment, kindmesh help exit-codes
    ");
}

#[test]
fn help_of_up() {
    insta::assert_snapshot!(stdout("help up"), @r"
    Create a fleet, or complete it

    Usage: kindmesh up [OPTIONS]

    Options:
          --kubeconfig <FILE>             Kubeconfig file that gets the entries [default: as kubectl]
          --dry-run                       Show what would be done, as `kindmesh diff` does, and do nothing
          --warm <N>                      Keep a warm pool of N such fleets, suspended, for `kindmesh pool lease`; 0 gives it up
          --timings <FILE>                Write where the time went: a Chrome trace, and a chart beside it with the extension .svg
          --evidence <DIR>                When it fails, write logs, events and last-seen states into this folder
      -f, --file <FILE>                   Fleet file, - for standard input [default: kindmesh.yaml, if it is there]
          --fleet <NAME>                  Name of the fleet, without a file [default: kindmesh]
          --clusters <N>                  Number of clusters, without a file [default: 2]
          --image <REFERENCE>             Node image of every cluster
          --kubernetes-version <VERSION>  Kubernetes version of every cluster
          --privileges <PROFILE>          Rights of node containers: auto, privileged or reduced [default: auto]
          --profile <PROFILE>             How clusters are bootstrapped: fast, or exactly as kind does it: kind [default: fast]
          --sample                        Install a small web service with a LoadBalancer address into every cluster (a mesh has a sample of its own)
          --prune                         Remove clusters and nodes that the description no longer has
          --recreate [<CLUSTER>]          Make a cluster anew; without a name every one that cannot be changed in its place
          --ttl <DURATION>                Let `kindmesh prune` remove the fleet after so long a time, like 2h, from now on
      -h, --help                          Print help

    Mesh:
          --mesh                     Install an Istio mesh over all clusters
          --no-verify                Do not prove the mesh, and install the sample only with --sample
          --istio-version <VERSION>  Version of Istio [default: that of the node image, else 1.31.1]
          --istio-charts <PATH>      Folder or archive of Istio's charts base, istiod and gateway [default: those of the node image, else a download]
          --istio-values <FILE>      File of values for the istiod chart; may be given several times, the later wins
          --istio-operator <FILE>    File with an IstioOperator
          --root-ca <FILE>           Root certificate of one's own, PEM [default: one made for the fleet and kept]
          --root-key <FILE>          Private key of the root certificate, PEM; kept in the state folder until `down`

    Global options:
      -H, --host <URL>               Address of the engine, unix://… or tcp://… [default: as the docker command]
          --context <NAME>           Docker context of the engine [default: as the docker command]
          --state-dir <FOLDER>       Folder for root certificates of meshes and for warm pools [default: ~/.local/state/kindmesh]
          --lock-timeout <DURATION>  How long to wait for another command that changes the same fleet; 0s does not wait [default: 10m]
      -o, --output <FORMAT>          text, or json: a document on standard output, events on standard error [default: text]
      -q, --quiet                    Tell nothing but errors and results
      -v, --verbose...               Tell more; twice for every detail

    Without a file the fleet has two clusters, cluster1 and cluster2, on the network that kind uses.
    Running it again completes what is missing and changes what is otherwise than described; --dry-run
    shows what. Clusters and nodes that are not described any more are refused, or removed with --prune;
    what cannot be changed in its place is refused, or made anew with --recreate.
    Nodes are privileged, as kind's are, where the engine can do that, and else have every
    capability that the host has and nothing more; --privileges asks for one or the other.

    Examples:
      kindmesh up                                  two clusters, each with LoadBalancer addresses
      kindmesh up --sample                         and a small web service on one of them in each cluster
      kindmesh up --mesh                           and one Istio mesh over all clusters
      kindmesh up --clusters 3 --fleet trio        three clusters under a name of their own
      kindmesh up -f fleet.yaml                    what a file says
      kindmesh up -f fleet.yaml --dry-run          what that would do
      kindmesh up -f fleet.yaml --recreate west    make one cluster of it anew
      kindmesh up --kubernetes-version v1.33.1     another Kubernetes
      kindmesh up --mesh --warm 3                  three such fleets made beforehand (`kindmesh help pool`)
      kindmesh up -o json 2>events.jsonl           for programs
    ");
}

#[test]
fn every_command_has_help() {
    let commands = [
        "up",
        "down",
        "pause",
        "resume",
        "stop",
        "start",
        "status",
        "verify",
        "graph",
        "load",
        "get",
        "get clusters",
        "get nodes",
        "get kubeconfig",
        "network",
        "pool",
        "pool lease",
        "pool serve",
        "pool list",
        "mesh",
        "mesh ca",
        "mesh ca rotate",
        "network pools",
        "build",
        "build node-image",
        "schema",
        "completion",
        "version",
    ];
    for command in commands {
        let text = stdout(&format!("{command} --help"));
        assert!(text.contains("Usage: kindmesh ") && text.contains("--output"), "{command}: {text}");
    }
}

#[test]
fn nothing_asked_shows_the_help_and_fails() {
    let said = Sealed::new().run(&[]).failed(2);
    assert!(said.contains("Usage: kindmesh"), "{said}");
}

#[test]
fn version() {
    let number = env!("CARGO_PKG_VERSION");
    assert_eq!(stdout("--version"), format!("kindmesh {number}\n"));
    assert!(stdout("version").starts_with(&format!("kindmesh {number} ")));
    assert_eq!(stdout("version -q"), format!("{number}\n"));
    assert_eq!(Sealed::new().run(&["version", "-o", "json"]).json()["version"], number);
}

#[test]
fn schema_is_a_json_schema() {
    let schema: serde_json::Value = serde_json::from_str(&stdout("schema")).unwrap();
    assert!(schema["$schema"].as_str().unwrap().contains("json-schema.org"), "{schema}");
    for field in ["apiVersion", "kind", "name", "clusters", "network", "mesh"] {
        assert!(schema["properties"].get(field).is_some(), "{field} is not in the schema");
    }
}

#[test]
fn completion_of_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = stdout(&format!("completion {shell}"));
        assert!(script.contains("kindmesh") && script.contains("node-image"), "{shell}: {script}");
    }
}

#[test]
fn topics() {
    let table = stdout("help exit-codes");
    insta::assert_snapshot!(table, @r#"
    Exit codes; the kind is also in the error document of `-o json`

    CODE  KIND        MEANING
    0     success     done
    1     failure     failed for a reason no other code stands for, such as an unwritable file
    2     usage       the command line cannot be understood
    3     config      a value cannot work: the fleet file, a name, a subnet
    4     engine      no engine answers, or it refused
    5     image       the node image is neither there nor to be had
    6     conflict    something is in the way: a taken name, a port in use, a foreign network, a held lock
    7     timeout     a deadline passed; the message has the last state seen
    8     cluster     a node or an API server failed
    9     notFound    what was asked for does not exist
    10    unproven    a mesh could not be proven; every failure has a name and a next step
    11    differs     a fleet is not what is described, when `diff --exit-code` asks
    130   cancelled   stopped by a signal
    141   brokenPipe  the reader of the output went away
    "#);
    assert_eq!(table.trim(), stdout("exit-codes").trim());
    let variables = stdout("help environment");
    for name in ["DOCKER_HOST", "KUBECONFIG", "NO_PROXY", "KINDMESH_LOG", "KINDMESH_STATE_DIR"] {
        assert!(variables.contains(name), "{name} is not in: {variables}");
    }
}
