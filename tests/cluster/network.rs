//! The network: made once, whoever makes it.

use std::process::Command;

use kindmesh::domain::fleet::Fleet;
use kindmesh::domain::fleet_builder::NetworkBuilder;
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
            racer.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("start a racer")
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
