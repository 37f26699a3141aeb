//! The real kind and kindmesh on one engine: each sees, exports and removes the other's clusters.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kindmesh::domain::net::ranges::AddrRanges;

use crate::support::{Bench, tool};

const EXIT_CONFLICT: i32 = 6;

/// The real kind and its client of the engine; the test program's environment names them.
struct Kind {
    kind: PathBuf,
    path: String,
    home: PathBuf,
}

impl Kind {
    fn new(bench: &Bench) -> Self {
        let kind = tool("KINDMESH_TEST_KIND").expect("KINDMESH_TEST_KIND names the real kind; `scripts/test cluster` fetches it");
        Self { kind, path: std::env::var("PATH").unwrap_or_default(), home: bench.dir.path().to_path_buf() }
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(&self.kind);
        command.args(args).env_clear().env("PATH", &self.path).env("HOME", &self.home);
        if let Ok(host) = std::env::var("DOCKER_HOST") {
            command.env("DOCKER_HOST", host);
        }
        command.output().expect("run kind")
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "kind {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kind_lists_exports_and_deletes_our_clusters() {
    let bench = Bench::new("both").await;
    bench.fleet_file("clusterPrefix: both\nclusters: 2\n");
    bench.kindmesh(["up", "-f", "kindmesh.yaml"]).ok();
    let kind = Kind::new(&bench);

    let clusters = kind.ok(&["get", "clusters"]);
    assert!(clusters.lines().any(|line| line == "both1") && clusters.lines().any(|line| line == "both2"), "{clusters}");
    assert_eq!(kind.ok(&["get", "nodes", "--name", "both1"]).trim(), "both1-control-plane");

    // kind runs its commands in nodes with every privilege there is. An engine that cannot give them
    // refuses that for any cluster, kind's own too; what needs no such command works all the same.
    let asked = kind.run(&["get", "kubeconfig", "--name", "both1", "--internal"]);
    if asked.status.success() || bench.gives_privileges().await {
        assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
        reads_and_exports(&bench, &kind, &String::from_utf8_lossy(&asked.stdout)).await;
    } else {
        let said = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert!(said.contains("unable to apply caps"), "kind failed for another reason: {said}");
    }

    kind.ok(&["delete", "cluster", "--name", "both1"]);
    assert_eq!(bench.containers().await, ["both2-control-plane"]);
    // What kind removed is made again, with the pool of the other untouched.
    let up = bench.kindmesh(["up", "-f", "kindmesh.yaml", "-o", "json"]).json();
    assert_eq!((up["clusters"][0]["changed"].clone(), up["clusters"][1]["changed"].clone()), (true.into(), false.into()));
}

/// kind's kubeconfigs work, the one for nodes and the one for this machine, and its logs are complete.
async fn reads_and_exports(bench: &Bench, kind: &Kind, kubeconfig: &str) {
    let script = format!("cat > /tmp/kind.conf <<'EOF'\n{kubeconfig}\nEOF\nkubectl --kubeconfig /tmp/kind.conf get nodes -o name");
    assert_eq!(bench.in_node("both2-control-plane", &script).await, (0, "node/both1-control-plane\n".to_owned()));

    // kind finds the way from here by the port that the engine tells of the node.
    let ordinary = kube::config::Kubeconfig::from_yaml(&kind.ok(&["get", "kubeconfig", "--name", "both1"])).expect("a kubeconfig");
    let config = kube::Config::from_custom_kubeconfig(ordinary, &kube::config::KubeConfigOptions::default()).await.expect("an entry");
    let nodes: kube::Api<k8s_openapi::api::core::v1::Node> = kube::Api::all(kube::Client::try_from(config).expect("a client"));
    let nodes = nodes.list(&kube::api::ListParams::default()).await.expect("nodes").items;
    let names: Vec<Option<String>> = nodes.into_iter().map(|node| node.metadata.name).collect();
    assert_eq!(names, [Some("both1-control-plane".to_owned())]);

    let logs = bench.dir.path().join("logs");
    kind.ok(&["export", "logs", logs.to_str().unwrap(), "--name", "both1"]);
    for file in ["kubelet.log", "containerd.log", "journal.log", "images.log", "kubernetes-version.txt"] {
        let path = logs.join("both1-control-plane").join(file);
        assert!(non_empty(&path), "{} is missing or empty", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kindmesh_lists_and_deletes_kinds_clusters() {
    let bench = Bench::new("theirs").await;
    let kind = Kind::new(&bench);
    let image = std::env::var("KINDMESH_NODE_IMAGE").unwrap_or_else(|_| "kindmesh/node:v1.34.4".to_owned());
    let kubeconfig = bench.kubeconfig();
    let made =
        kind.run(&["create", "cluster", "--name", "theirs", "--image", &image, "--kubeconfig", kubeconfig.to_str().unwrap(), "--retain"]);
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    // Where the engine cannot start a privileged container, kind leaves its created node behind: it
    // is kind's cluster all the same, to be listed and deleted.
    if !made.status.success() {
        assert!(said.contains("unable to apply caps"), "kind failed for another reason: {said}");
        assert!(!bench.gives_privileges().await, "{said}");
    } else {
        its_pool_is_kept_out_of(&bench).await;
    }
    let clusters = bench.kindmesh(["get", "clusters"]).text();
    let nodes = bench.kindmesh(["get", "nodes", "--cluster", "theirs"]).text();
    let config = bench.kindmesh(["get", "kubeconfig", "--cluster", "theirs"]);
    let deleted = bench.kindmesh(["down", "--cluster", "theirs"]);
    let left = kind.ok(&["get", "clusters"]);
    assert!(clusters.lines().any(|line| line.contains("theirs")), "{clusters}");
    assert!(nodes.contains("theirs-control-plane"), "{nodes}");
    if made.status.success() {
        assert!(config.text().contains("kind-theirs"));
    }
    deleted.ok();
    assert!(!left.lines().any(|line| line == "theirs"), "{left}");
    let text = std::fs::read_to_string(&kubeconfig).unwrap_or_default();
    assert!(!text.contains("kind-theirs"), "{text}");
}

/// Addresses that somebody gave to MetalLB in kind's cluster are no others' any more. They are taken out of a pool of this
/// test's own here: tests of other clusters run on the same network.
async fn its_pool_is_kept_out_of(bench: &Bench) {
    bench.fleet_file("clusterPrefix: ours\nclusters: 1\naddons: {metallb: false}\n");
    let up = bench.kindmesh(["up", "-f", "kindmesh.yaml", "-o", "json"]).json();
    let pool: AddrRanges = up["clusters"][0]["pool"].as_str().expect("a pool").parse().expect("ranges");
    let last = pool.ranges()[0].last;
    let theirs = format!("{}-{last}", Ipv4Addr::from_bits(last.to_bits() - 3));
    bench.apply("theirs", METALLB).await;
    bench.kubectl("theirs", "wait --for=condition=Established crd/ipaddresspools.metallb.io --timeout=30s").await;
    bench.apply("theirs", &POOL.replace("POOL", &theirs)).await;
    let said = bench.kindmesh(["up", "-f", "kindmesh.yaml"]).failed(EXIT_CONFLICT);
    assert!(said.contains(&theirs) && said.contains("the pool of cluster theirs"), "{said}");
    bench.kindmesh(["down", "--fleet", "theirs"]).ok();
    let again = bench.kindmesh(["up", "-f", "kindmesh.yaml", "-o", "json"]).json();
    let other: AddrRanges = again["clusters"][0]["pool"].as_str().expect("a pool").parse().expect("ranges");
    assert!(!other.contains(last), "{other} has {theirs}");
    bench.kindmesh(["down", "--fleet", "theirs"]).ok();
}

/// As much of MetalLB as says which addresses are its own.
const METALLB: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ipaddresspools.metallb.io}
spec:
  group: metallb.io
  names: {kind: IPAddressPool, plural: ipaddresspools, singular: ipaddresspool, listKind: IPAddressPoolList}
  scope: Namespaced
  versions:
  - {name: v1beta1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: metallb-system}}
";
const POOL: &str = "
{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, metadata: {name: theirs, namespace: metallb-system}, spec: {addresses: [POOL]}}
";

fn non_empty(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.len() > 0)
}
