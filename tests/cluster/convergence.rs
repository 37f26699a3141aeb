//! A fleet becomes what is described, from whatever is there, and only one command at a time changes it.

use std::process::Stdio;
use std::time::Duration;

use crate::support::{Bench, eventually};

const EXIT_CONFLICT: i32 = 6;
const EXIT_DIFFERS: i32 = 11;

const ONE: &str = "clusterPrefix: conv\nclusters: 1\naddons:\n  metallb: false\n";
const TWO_NODES: &str = "clusters:\n- name: conv1\n  nodes: 2\naddons:\n  metallb: false\n";
const OTHER_SUBNET: &str = "clusters:\n- name: conv1\n  podSubnet: 10.77.0.0/16\naddons:\n  metallb: false\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_becomes_what_is_described_one_command_at_a_time() {
    let bench = Bench::new("conv").await;
    bench.fleet_file(ONE);
    let nothing = bench.kindmesh(["diff", "--exit-code"]);
    assert!(nothing.code == Some(EXIT_DIFFERS) && nothing.stdout.contains("create cluster conv1: 1 node"), "{nothing:?}");

    // One is killed on its way, two go on at the same time.
    let mut killed = bench.command(["up"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start kindmesh");
    eventually("the node is being made", Duration::from_secs(30), || async {
        let containers = bench.containers().await;
        if containers.iter().any(|name| name == "conv1-control-plane") { Ok(()) } else { Err(format!("{containers:?}")) }
    })
    .await;
    let busy = bench.kindmesh(["down", "--lock-timeout", "0s"]).failed(EXIT_CONFLICT);
    assert!(busy.contains(&format!("`up` (process {}", killed.id())), "{busy}");
    killed.kill().expect("kill kindmesh");
    killed.wait().expect("reap it");
    let both = [(); 2].map(|()| {
        let mut command = bench.command(["up", "-o", "json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start kindmesh")
    });
    let both = both.map(|one| one.wait_with_output().expect("up"));
    let texts = both.map(|output| (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()));
    assert!(texts.iter().all(|(well, _)| *well), "{texts:#?}");
    // One had nothing to do but to wait; the other may have waited for a moment, too.
    let idle = |text: &str| text.contains("works on fleet conv; waiting for it") && text.contains("nothing to do");
    assert_eq!(texts.iter().filter(|(_, text)| idle(text)).count(), 1, "{texts:#?}");
    bench.done("killed, and made by two at once");
    let same = bench.kindmesh(["diff", "--exit-code", "-o", "json"]).json();
    assert_eq!(same["changed"], false, "{same:#}");

    // A worker comes and goes; the cluster and its kubeconfig stay.
    bench.fleet_file(TWO_NODES);
    bench.kindmesh(["up"]).ok();
    bench.fleet_file(ONE);
    let refused = bench.kindmesh(["up"]).failed(EXIT_CONFLICT);
    assert!(refused.contains("conv1-worker") && refused.contains("--prune"), "{refused}");
    bench.kindmesh(["up", "--prune"]).ok();
    assert!(bench.engine.inspect_container("conv1-worker").await.expect_err("a worker").is_not_found());
    assert_eq!(bench.kubectl("conv1", "get nodes --output name").await.trim(), "node/conv1-control-plane");
    assert!(std::fs::read_to_string(bench.kubeconfig()).expect("a kubeconfig").contains("kind-conv1"));
    bench.done("a worker came and went");

    // What cannot be changed in its place is made anew only when that is asked for.
    bench.fleet_file(OTHER_SUBNET);
    let before = bench.engine.inspect_container("conv1-control-plane").await.expect("a node").id;
    let refused = bench.kindmesh(["up"]).failed(EXIT_CONFLICT);
    assert!(refused.contains("podSubnet is") && refused.contains("--recreate conv1"), "{refused}");
    let shown = bench.kindmesh(["up", "--recreate", "--dry-run", "-o", "json"]).json();
    assert_eq!(shown["changes"][1]["action"], "recreate", "{shown:#}");
    assert_eq!(before, bench.engine.inspect_container("conv1-control-plane").await.expect("a node").id);
    bench.kindmesh(["up", "--recreate"]).ok();
    assert_ne!(before, bench.engine.inspect_container("conv1-control-plane").await.expect("a node").id);
    let cidr = bench.kubectl("conv1", "get nodes --output jsonpath={.items[0].spec.podCIDR}").await;
    assert!(cidr.starts_with("10.77."), "{cidr}");
    bench.done("made anew");

    bench.kindmesh(["down"]).ok();
    let locks = bench.engine.list_volumes(&["dev.kindmesh.fleet=conv".to_owned()]).await.expect("volumes");
    assert_eq!(locks, Vec::new());
}
