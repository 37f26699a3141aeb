//! A warm pool of single-node fleets: leased by two at once, refused to a third, filled up again, given up.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use kindmesh::domain::labels;
use serde_json::{Value, json};

use crate::support::{Bench, eventually};

const EXIT_CONFLICT: i32 = 6;
const EXIT_NOT_FOUND: i32 = 9;
const MEMBERS: [&str; 3] = ["lend-w1", "lend-w2", "lend-w3"];

/// A pool, and what its test leaves when it fails.
struct Pool(Bench);

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_is_filled_leased_from_and_given_up() {
    let pool = Pool(Bench::new("lend").await);
    let bench = &pool.0;
    pool.clear();
    bench.fleet_file("clusterPrefix: lend\nclusters: 1\naddons:\n  metallb: false\n");

    let made = bench.kindmesh(["up", "-f", "kindmesh.yaml", "--warm", "2", "-o", "json"]).json();
    assert_eq!((&made["warm"], &made["made"]), (&json!(["lend-w1", "lend-w2"]), &json!(["lend-w1", "lend-w2"])), "{made:#}");
    bench.done(&format!("two made: {} s", made["took"]));
    for member in &MEMBERS[..2] {
        let status = bench.kindmesh(["status", "--fleet", member, "-o", "json"]).json();
        assert_eq!(status["fleets"][0]["clusters"][0]["nodes"][0]["state"], "paused", "{status:#}");
    }
    assert!(!bench.kubeconfig().exists(), "nobody uses them yet");
    let again = bench.kindmesh(["up", "-f", "kindmesh.yaml", "--warm", "2", "-o", "json"]).json();
    assert_eq!(again["changed"], false, "{again:#}");

    let leases = leased_at_once(bench, ["one", "two"]);
    bench.done(&format!("leased: {} s, {} s", leases[0]["took"], leases[1]["took"]));
    assert_ne!(leases[0]["fleet"], leases[1]["fleet"], "{leases:#?}");
    for lease in &leases {
        let cluster = lease["clusters"][0]["cluster"].as_str().expect("a cluster");
        let wanted = json!([{"name": "lend1", "cluster": cluster, "context": "kind-lend1"}]);
        assert_eq!(lease["clusters"], wanted);
        runs_a_pod(lease).await;
        assert!(bench.engine.inspect_container(&marker(lease)).await.expect("a marker").volumes.is_empty(), "a marker keeps no volume");
    }
    let said = bench.kindmesh(["pool", "lease", "lend", "--kubeconfig", "three"]).failed(EXIT_CONFLICT);
    assert!(said.contains("2 leased") && said.contains("kindmesh pool serve --once lend"), "{said}");
    assert!(!bench.dir.path().join("three").exists());
    let said = bench.kindmesh(["pool", "lease", "lend", "--kubeconfig", "one"]).failed(EXIT_CONFLICT);
    assert!(said.contains("one exists"), "{said}");

    ended(bench, &leases[0]).await;
    killed_in_the_making(bench).await;
    let served = bench.kindmesh(["pool", "serve", "--once", "lend", "-o", "json"]).json();
    assert_eq!(served["pools"][0]["warm"].as_array().map(Vec::len), Some(2), "{served:#}");
    bench.done("filled again");

    // In the background this time, which takes a member's place.
    let third = lease(bench, "three", &[]).wait_with_output().expect("lease");
    let third: Value = serde_json::from_slice(&third.stdout).expect("a lease");
    eventually("the background fills the pool", Duration::from_secs(180), || async {
        let listed = bench.kindmesh(["pool", "list", "-o", "json"]).json()["pools"][0].clone();
        if listed["warm"].as_array().map(Vec::len) == Some(2) { Ok(()) } else { Err(listed.to_string()) }
    })
    .await;
    bench.done("filled in the background");

    let down = bench.kindmesh(["down", "--fleet", "lend", "-o", "json"]).json();
    assert_eq!((&down["pools"], down["leasesKept"].as_array().map(Vec::len)), (&json!(["lend"]), Some(2)), "{down:#}");
    runs_a_pod(&leases[1]).await;
    ended(bench, &leases[1]).await;
    ended(bench, &third).await;
    let _ = bench.kindmesh(["pool", "lease", "lend"]).failed(EXIT_NOT_FOUND);
    assert_eq!(left(bench).await, Vec::<String>::new());
    let state = bench.dir.path().join(".local/state/kindmesh");
    let files: Vec<PathBuf> =
        std::fs::read_dir(&state).map(|found| found.map(|one| one.expect("a file").path()).collect()).unwrap_or_default();
    assert_eq!(files, Vec::<PathBuf>::new());
}

/// Two processes that lease at the same moment.
fn leased_at_once(bench: &Bench, files: [&str; 2]) -> Vec<Value> {
    let running = files.map(|file| lease(bench, file, &["--no-refill"]));
    let ended = running.map(|one| one.wait_with_output().expect("lease"));
    ended
        .iter()
        .map(|output| {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            serde_json::from_slice(&output.stdout).expect("a lease")
        })
        .collect()
}

fn lease(bench: &Bench, file: &str, more: &[&str]) -> std::process::Child {
    let args = ["pool", "lease", "lend", "--kubeconfig", file, "-o", "json"];
    let mut command = bench.command(args.iter().chain(more));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start kindmesh")
}

/// With the kubeconfig of the lease, under the name that the description has.
async fn runs_a_pod(lease: &Value) {
    let text = std::fs::read_to_string(lease["kubeconfig"].as_str().expect("a file")).expect("a kubeconfig");
    let config = kube::config::Kubeconfig::from_yaml(&text).expect("a kubeconfig");
    assert_eq!(config.current_context.as_deref(), Some("kind-lend1"));
    let config = kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default()).await.expect("an entry");
    let pods: kube::Api<k8s_openapi::api::core::v1::Pod> = kube::Api::default_namespaced(kube::Client::try_from(config).expect("a client"));
    let pod = json!({"metadata": {"generateName": "lend-"}, "spec": {
        "containers": [{"name": "echo", "image": "docker.io/kindmesh/echo:v1", "imagePullPolicy": "IfNotPresent"}],
        "terminationGracePeriodSeconds": 0,
    }});
    let name =
        pods.create(&kube::api::PostParams::default(), &serde_json::from_value(pod).expect("a pod")).await.expect("create").metadata.name;
    let name = name.expect("a name");
    eventually("the pod runs", Duration::from_secs(60), || async {
        let phase = pods.get(&name).await.map_err(|error| error.to_string())?.status.and_then(|status| status.phase);
        if phase.as_deref() == Some("Running") { Ok(()) } else { Err(format!("{phase:?}")) }
    })
    .await;
}

/// A lease that ends takes its file and its marker with it.
async fn ended(bench: &Bench, lease: &Value) {
    let fleet = lease["fleet"].as_str().expect("a fleet");
    bench.kindmesh(["down", "--fleet", fleet]).ok();
    assert!(!Path::new(lease["kubeconfig"].as_str().expect("a file")).exists());
    let (marker, node) = (marker(lease), format!("lend1-{}-", &fleet["lend-".len()..]));
    let left = left(bench).await;
    assert!(!left.iter().any(|name| *name == marker || name.starts_with(&node)), "{left:?}");
}

/// A filler that is killed leaves a member for the next one.
async fn killed_in_the_making(bench: &Bench) {
    let mut filler = bench.command(["pool", "serve", "--once"]);
    let mut filler = filler.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start kindmesh");
    eventually("a member is being made", Duration::from_secs(60), || async {
        let listed = bench.kindmesh(["pool", "list", "-o", "json"]).json()["pools"][0]["unfinished"].clone();
        if listed.as_array().is_some_and(|unfinished| !unfinished.is_empty()) { Ok(()) } else { Err(listed.to_string()) }
    })
    .await;
    let busy = bench.kindmesh(["pool", "serve", "--once", "lend", "-o", "json"]).json();
    assert_eq!(busy["pools"][0]["busy"], true, "{busy:#}");
    filler.kill().expect("kill kindmesh");
    filler.wait().expect("reap it");
}

fn marker(lease: &Value) -> String {
    format!("kindmesh-lease-{}", lease["fleet"].as_str().expect("a fleet"))
}

/// Containers of the pool, with any label or none.
async fn left(bench: &Bench) -> Vec<String> {
    let containers = bench.engine.list_containers(&[]).await.expect("list containers");
    let mine = |one: &kindmesh::engine::ContainerInfo| {
        one.name.contains("lend") || one.labels.get(labels::WARM).is_some_and(|pool| pool == "lend")
    };
    containers.into_iter().filter(mine).map(|container| container.name).collect()
}

impl Pool {
    /// Removes what an earlier run of this test left, and this one when it fails: then whatever can be removed, for a
    /// panic on top of another would end the other tests, too.
    fn clear(&self) {
        let down = |fleet: &str| {
            let ran = self.0.kindmesh(["down", "--fleet", fleet]);
            assert!(ran.code == Some(0) || std::thread::panicking(), "down of {fleet} failed: {}", ran.stderr);
        };
        down("lend");
        // What was leased stays, under whatever number.
        let listed = self.0.kindmesh(["pool", "list", "-o", "json"]);
        let listed: Value = serde_json::from_str(&listed.stdout).unwrap_or_default();
        let pools = listed["pools"].as_array().cloned().unwrap_or_default();
        for pool in pools.iter().filter(|pool| pool["pool"] == "lend") {
            let members = ["warm", "leased", "unfinished"].into_iter().filter_map(|state| pool[state].as_array());
            members.flatten().filter_map(Value::as_str).for_each(down);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("KINDMESH_KEEP").is_none() {
            self.clear();
        }
    }
}
