//! A meshed fleet of two put to rest and woken, twice over: suspended, and ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kindmesh::domain::labels;
use kindmesh::ops::VerifyReport;
use serde_json::{Value, json};

use crate::mesh_support::green;
use crate::support::{Bench, eventually};

const EXIT_CONFLICT: i32 = 6;
const TWO: [&str; 2] = ["rest1", "rest2"];

#[tokio::test(flavor = "multi_thread")]
async fn a_mesh_is_paused_and_resumed_stopped_and_started() {
    let mut bench = Bench::with_turns("rest", 2).await;
    bench.mesh_file("clusterPrefix: rest\nclusters: 2\n");
    // Without a proof, which is had afterwards.
    let up = bench.kindmesh(["up", "-f", "kindmesh.yaml", "--mesh", "--no-verify", "--sample", "-o", "json"]).json();
    assert_eq!((&up["mesh"]["sample"], &up["mesh"]["proof"]), (&json!(true), &Value::Null));
    bench.proven(&TWO, "60s");
    bench.settled();
    bench.done("up");
    let before = kept(&bench).await;
    let pods = pods(&bench).await;

    paused_and_resumed(&bench).await;
    assert_eq!(before, kept(&bench).await);
    assert_eq!(pods, self::pods(&bench).await, "nothing was started again");
    bench.done("resumed");

    bench.another_turn().await;
    stopped_and_started(&bench).await;
    assert_eq!(before, kept(&bench).await);
    bench.done("started");

    // `up` wakes, too, from both.
    did(&bench, &["pause", "-f", "kindmesh.yaml"], "paused", true);
    green(&proof(&bench.mesh_up()["mesh"]), &TWO);
    did(&bench, &["stop", "-f", "kindmesh.yaml"], "stopped", true);
    green(&proof(&bench.mesh_up()["mesh"]), &TWO);
    assert_eq!(before, kept(&bench).await);
    bench.done("up again");
}

async fn paused_and_resumed(bench: &Bench) {
    let paused = did(bench, &["pause", "--fleet", "rest"], "paused", true);
    assert_eq!(paused["clusters"][1], json!({"name": "rest2", "nodes": ["rest2-control-plane"], "changed": true}));
    did(bench, &["pause", "--fleet", "rest"], "paused", false);
    let status = bench.kindmesh(["status", "--fleet", "rest", "-o", "json"]).json();
    for cluster in status["fleets"][0]["clusters"].as_array().expect("clusters") {
        assert_eq!(cluster["nodes"][0]["state"], "paused");
        assert!(cluster["error"].as_str().expect("an error").contains("kindmesh resume"), "{cluster:#}");
    }
    assert!(client(bench, "rest1").await.is_err(), "nobody answers");

    let resumed = did(bench, &["resume", "--fleet", "rest"], "running", true);
    green(&proof(&resumed), &TWO);
    assert!(client(bench, "rest1").await.is_ok());
    green(&proof(&did(bench, &["resume", "--fleet", "rest"], "running", false)), &TWO);
}

async fn stopped_and_started(bench: &Bench) {
    did(bench, &["stop", "-f", "kindmesh.yaml"], "stopped", true);
    did(bench, &["stop", "-f", "kindmesh.yaml"], "stopped", false);
    let status = bench.kindmesh(["status", "--fleet", "rest", "-o", "json"]).json();
    assert_eq!(status["fleets"][0]["clusters"][0]["nodes"][0]["state"], "exited");
    for verb in ["pause", "resume"] {
        let said = bench.kindmesh([verb, "-f", "kindmesh.yaml"]).failed(EXIT_CONFLICT);
        assert!(said.contains("rest1-control-plane") && said.contains("kindmesh start --fleet rest"), "{said}");
    }
    // Started in another order, the nodes may well get each other's address.
    bench.engine.start_container("rest2-control-plane").await.expect("start the second first");
    let started = did(bench, &["start", "-f", "kindmesh.yaml"], "running", true);
    bench.done(&format!("start: {} s", started["took"]));
    assert_eq!((&started["clusters"][0]["changed"], &started["clusters"][1]["changed"]), (&json!(true), &json!(false)));
    green(&proof(&started), &TWO);
    for cluster in TWO {
        assert!(client(bench, cluster).await.is_ok());
        let pods = bench.kubectl(cluster, "get pods -A --no-headers").await;
        assert!(pods.lines().all(|line| line.split_whitespace().nth(3) == Some("Running")), "{pods}");
        // For the configuration they began with, and for the one that makes them look again.
        let loads = r#""controller":"ConfigReconciler","event":"force service reload""#;
        eventually("the speaker looks again", Duration::from_secs(20), || async {
            let speaker = bench.kubectl(cluster, "-n metallb-system logs daemonset/speaker").await;
            if speaker.matches(loads).count() >= 2 { Ok(()) } else { Err(speaker) }
        })
        .await;
    }
    green(&proof(&did(bench, &["start", "-f", "kindmesh.yaml"], "running", false)), &TWO);
}

/// Runs a verb and checks what it says of itself.
fn did(bench: &Bench, args: &[&str], state: &str, changed: bool) -> Value {
    let report = bench.kindmesh(args.iter().chain(&["-o", "json"])).json();
    assert_eq!((&report["fleet"], &report["state"], &report["changed"]), (&json!("rest"), &json!(state), &json!(changed)), "{report:#}");
    report
}

fn proof(report: &Value) -> VerifyReport {
    serde_json::from_value(report["proof"].clone()).expect("a proof")
}

/// Asks a cluster through its entry in the kubeconfig, as people do.
async fn client(bench: &Bench, cluster: &str) -> Result<(), String> {
    let text = std::fs::read_to_string(bench.kubeconfig()).expect("a kubeconfig");
    let options = kube::config::KubeConfigOptions { context: Some(format!("kind-{cluster}")), ..Default::default() };
    let config = kube::config::Kubeconfig::from_yaml(&text).expect("a kubeconfig");
    let mut config = kube::Config::from_custom_kubeconfig(config, &options).await.expect("an entry");
    // A node that is paused takes connections, and says nothing.
    let patience = Some(std::time::Duration::from_secs(3));
    (config.connect_timeout, config.read_timeout) = (patience, patience);
    let client = kube::Client::try_from(config).expect("a client");
    client.apiserver_version().await.map(drop).map_err(|error| error.to_string())
}

/// What must be the same after all of it.
async fn kept(bench: &Bench) -> BTreeMap<String, String> {
    let mut kept = BTreeMap::new();
    let shown = bench.kindmesh(["mesh", "ca", "-f", "kindmesh.yaml", "-o", "json"]).json();
    kept.insert("certificates".to_owned(), shown["clusters"].to_string());
    for (cluster, other) in [(TWO[0], TWO[1]), (TWO[1], TWO[0])] {
        let node = bench.engine.inspect_container(&format!("{cluster}-control-plane")).await.expect("a node");
        kept.insert(format!("{cluster} pool"), node.labels[labels::POOL].clone());
        let secret = bench.object(cluster, &format!("-n istio-system secret istio-remote-secret-{other}")).await;
        kept.insert(format!("{cluster} remote secret"), secret["data"].to_string());
        let authority =
            bench.in_node(&format!("{cluster}-control-plane"), "sha256sum /etc/kubernetes/pki/ca.crt /etc/kubernetes/pki/sa.pub").await;
        kept.insert(format!("{cluster} authority"), authority.1);
        let services =
            bench.kubectl(cluster, "get services -A --no-headers -o custom-columns=N:.metadata.name,A:.status.loadBalancer").await;
        kept.insert(format!("{cluster} services"), services);
    }
    kept
}

async fn pods(bench: &Bench) -> BTreeSet<String> {
    let mut pods = BTreeSet::new();
    for cluster in TWO {
        pods.extend(bench.mesh_pods(cluster).await);
    }
    pods
}
