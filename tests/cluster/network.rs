//! The network: made once, whoever makes it.

use std::process::{Command, Stdio};

use kindmesh::domain::fleet::Fleet;
use kindmesh::domain::fleet_builder::NetworkBuilder;
use kindmesh::domain::labels;
use kindmesh::ops::Kindmesh;

use crate::support::Bench;

const NAME: &str = "kindmesh-race";

/// Not a test of its own: what each of the racing processes runs.
#[tokio::test]
#[ignore = "a part of the race below, which starts it in processes of its own"]
async fn racer() {
    let host = std::env::var("DOCKER_HOST").ok();
    let options = kindmesh::engine::connect::ConnectOptions { docker_host: host, ..Default::default() };
    let engine = kindmesh::engine::connect::connect(&options).await.expect("an engine");
    let fleet = Fleet::builder("race").network(NetworkBuilder::shared().name(NAME)).clusters(1).build().expect("a fleet");
    Kindmesh::new(engine).ensure_network(&fleet).await.expect("the network");
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_creations_at_once_leave_one_network() {
    let bench = Bench::new("race").await;
    let this = std::env::current_exe().expect("this program");
    let racers: Vec<_> = (0..32)
        .map(|_| {
            let mut racer = Command::new(&this);
            racer.args(["--exact", "network::racer", "--ignored", "--quiet"]);
            racer.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start a racer")
        })
        .collect();
    let failures: Vec<String> = racers
        .into_iter()
        .map(|racer| racer.wait_with_output().expect("a racer's end"))
        .filter(|output| !output.status.success())
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .collect();
    let networks = bench.engine.networks_named(NAME).await.expect("list networks");
    bench.kindmesh(["down", "--fleet", "race"]).ok();
    assert_eq!(failures, Vec::<String>::new());
    assert_eq!(networks.len(), 1, "{networks:#?}");
    assert!(bench.engine.networks_named(NAME).await.expect("list networks").is_empty(), "down removes it");
}

/// Both fleets may make it on an engine that lets two creators succeed, and one of the two goes again.
#[tokio::test(flavor = "multi_thread")]
async fn two_fleets_that_make_it_at_once_are_both_on_it() {
    const SHARED: &str = "kindmesh-meet";
    let bench = Bench::with_turns("meet-a", 2).await;
    let body = |prefix: &str| format!("clusterPrefix: {prefix}\nclusters: 1\nnetwork:\n  name: {SHARED}\n");
    bench.fleet_file(&body("meet-a"));
    let other = format!("apiVersion: kindmesh.dev/v1alpha1\nkind: Fleet\nname: meet-b\n{}", body("meet-b"));
    std::fs::write(bench.dir.path().join("other.yaml"), other).expect("write a fleet file");
    bench.kindmesh(["down", "--fleet", "meet-b"]).ok();

    let begun = ["kindmesh.yaml", "other.yaml"].map(|file| {
        let mut up = bench.command(["up", "-f", file]);
        up.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("run kindmesh")
    });
    let ended = begun.map(|up| up.wait_with_output().expect("its end"));
    let networks = bench.engine.networks_named(SHARED).await.expect("list networks");
    let nodes = bench.engine.list_containers(&[]).await.expect("list containers");
    for fleet in ["meet-a", "meet-b"] {
        bench.kindmesh(["down", "--fleet", fleet]).ok();
    }
    for up in &ended {
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    }
    let [network] = networks.as_slice() else { panic!("{networks:#?}") };
    let subnet = network.ipv4().expect("IPv4").subnet;
    for name in ["meet-a1-control-plane", "meet-b1-control-plane"] {
        let node = nodes.iter().find(|node| node.name == name).expect(name);
        assert_eq!(node.networks[SHARED].network_id, network.id, "{node:#?}");
        let pool = &node.labels[labels::POOL];
        assert!(pool.split(['-', ',']).all(|end| subnet.contains(end.parse().expect("an address"))), "{pool} in {subnet}");
    }
    assert!(bench.engine.networks_named(SHARED).await.expect("list networks").is_empty(), "the last one removes it");
}
