//! Every fault between clusters, on one mesh of two with somebody else beside it.

use std::net::IpAddr;
use std::time::Duration;

use kindmesh::domain::container::ContainerSpec;
use kindmesh::domain::labels;
use kindmesh::domain::mesh::proof::Cause;
use kindmesh::engine::ExecRequest;
use kindmesh::ops::VerifyOptions;
use kindmesh::testing::{TestCluster, TestFleet, wait_for};
use tokio_util::sync::CancellationToken;

use crate::faults::panic_with;
use crate::support::{engine, left_of, turn};

/// Longest time for a packet within one machine.
const CONNECT_SECONDS: u32 = 2;
const SOON: Duration = Duration::from_secs(60);
/// Between two looks: what only takes its time is done by the second.
const LATER: Duration = Duration::from_secs(5);
/// Port of API servers on the fleet's network.
const API_SERVER: u16 = 6443;
const GATEWAY: u16 = 15443;

/// Whether a container reaches a port of an address.
async fn reaches(fleet: &TestFleet, from: &str, address: IpAddr, port: u16) -> Result<(), String> {
    let script = format!("timeout {CONNECT_SECONDS} bash -c ': </dev/tcp/{address}/{port}'");
    let request = ExecRequest::new(["bash", "-c", &script]);
    let output = fleet.kindmesh().engine().exec(from, request, &CancellationToken::new()).await.unwrap();
    if output.success() { Ok(()) } else { Err(format!("{from} does not reach {address}:{port}")) }
}

/// Where a cluster's API server is on the fleet's network.
async fn api_server(fleet: &TestFleet, cluster: &TestCluster) -> IpAddr {
    let node = fleet.kindmesh().engine().inspect_container(&cluster.nodes()[0]).await.unwrap();
    node.networks[&fleet.description().network.name].ipv4.unwrap().into()
}

/// The ways from one cluster to another: its API server, its gateway.
async fn ways(fleet: &TestFleet, from: &str, to: &str) -> [Result<(), String>; 2] {
    let (from, to) = (&fleet.cluster(from).nodes()[0], fleet.cluster(to));
    let (server, gateway) = (api_server(fleet, to).await, to.address("istio-system", "istio-eastwestgateway").await.unwrap());
    [reaches(fleet, from, server, API_SERVER).await, reaches(fleet, from, gateway, GATEWAY).await]
}

async fn open(fleet: &TestFleet) {
    for (from, to) in [("cluster1", "cluster2"), ("cluster2", "cluster1")] {
        for way in ways(fleet, from, to).await {
            way.unwrap();
        }
    }
}

async fn shut(fleet: &TestFleet) {
    for (from, to) in [("cluster1", "cluster2"), ("cluster2", "cluster1")] {
        for way in ways(fleet, from, to).await {
            way.unwrap_err();
        }
    }
}

/// Puts a container on the fleet's network that is part of no cluster, and returns its name. It goes with the fleet.
async fn stranger(fleet: &TestFleet) -> String {
    let engine = fleet.kindmesh().engine();
    let node = engine.inspect_container(&fleet.clusters()[0].nodes()[0]).await.unwrap();
    let name = format!("{}-stranger", fleet.name());
    let spec = ContainerSpec {
        image: node.image,
        // With the owner's label it goes, too, when this process is killed.
        labels: node.labels.into_iter().filter(|(key, _)| [labels::FLEET, labels::OWNER].contains(&key.as_str())).collect(),
        entrypoint: Some(["sleep", "infinity"].map(str::to_owned).to_vec()),
        cmd: Some(Vec::new()),
        network: fleet.description().network.name.clone(),
        // Node images keep `/var` on a volume, which would be made and filled for nothing.
        binds: vec!["/lib/modules:/var:ro".to_owned()],
        ..ContainerSpec::default()
    };
    engine.create_container(&name, &spec).await.unwrap();
    engine.start_container(&name).await.unwrap();
    name
}

/// The clusters whose API servers a container reaches.
async fn reached_from<'a>(fleet: &'a TestFleet, container: &str) -> Vec<&'a str> {
    let mut reached = Vec::new();
    for cluster in fleet.clusters() {
        if reaches(fleet, container, api_server(fleet, cluster).await, API_SERVER).await.is_ok() {
            reached.push(cluster.name());
        }
    }
    reached
}

/// The test's own machine sees everything all the time.
async fn seen(fleet: &TestFleet) {
    for cluster in fleet.clusters() {
        cluster.client().apiserver_version().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_and_expired_and_mended_each_time() {
    let turn = turn().await;
    let fleet = TestFleet::builder().name("mesh").clusters(2).mesh().start().await.unwrap();
    drop(turn);
    fleet.verify().await.unwrap();
    open(&fleet).await;
    let other = stranger(&fleet).await;
    assert_eq!(reached_from(&fleet, &other).await, ["cluster1", "cluster2"]);

    // Only the two are cut off, from each other.
    let fault = fleet.partition("cluster1", "cluster2").await.unwrap();
    shut(&fleet).await;
    seen(&fleet).await;
    assert_eq!(reached_from(&fleet, &other).await, ["cluster1", "cluster2"]);
    panic_with(fault).await;
    open(&fleet).await;

    // The one is cut off from everybody.
    let fault = fleet.isolate("cluster2").await.unwrap();
    shut(&fleet).await;
    seen(&fleet).await;
    assert_eq!(reached_from(&fleet, &other).await, ["cluster1"]);
    panic_with(fault).await;
    open(&fleet).await;
    assert_eq!(reached_from(&fleet, &other).await, ["cluster1", "cluster2"]);

    // Two at once, mended in whichever order.
    let (first, second) = (fleet.partition("cluster1", "cluster2").await.unwrap(), fleet.isolate("cluster1").await.unwrap());
    first.undo().await.unwrap();
    shut(&fleet).await;
    second.undo().await.unwrap();
    open(&fleet).await;
    fleet.verify().await.unwrap();

    let fault = fleet.expire_token("cluster2").await.unwrap();
    fault.undo().await.unwrap();
    let fault = fleet.expire_token("cluster2").await.unwrap();
    // A control plane that starts now cannot read the other cluster, and is ready after some seconds all the same. Without a ready
    // one the mesh would be unproven with any token.
    let istiod = restart_istiod(fleet.cluster("cluster1")).await;
    let refused = || unread(&fleet, &istiod);
    wait_for("verify to name the cluster that is not read", SOON, refused).await.unwrap();
    tokio::time::sleep(LATER).await;
    wait_for("verify to name it still", SOON, refused).await.unwrap();
    panic_with(fault).await;
    fleet.verify().await.unwrap();

    let name = fleet.name().to_owned();
    fleet.remove().await.unwrap();
    assert_eq!(left_of(engine().await.as_ref(), &name).await, Vec::<String>::new());
}

/// Whether one look of `verify` says that this istiod of the first cluster has not read the second.
async fn unread(fleet: &TestFleet, istiod: &str) -> Result<(), String> {
    let once = VerifyOptions { calls: 1, wait: Duration::ZERO, clusters: Vec::new() };
    let report = fleet.kindmesh().verify(&fleet.description().name, &once).await.map_err(|error| error.one_line())?;
    let (reader, read) = (fleet.cluster("cluster1").full_name(), fleet.cluster("cluster2").full_name());
    let failures = report.verdict.failures();
    let named = failures.iter().any(|(check, failure)| {
        let between = check.cluster.as_deref() == Some(reader) && failure.about.as_deref() == Some(read);
        // What istiod says itself: a remote secret that is missing has the same cause.
        between && failure.cause == Cause::NotSynced && failure.message.starts_with(istiod)
    });
    let told: Vec<&str> = failures.iter().map(|(_, failure)| failure.message.as_str()).collect();
    if named { Ok(()) } else { Err(format!("verify says {told:?}")) }
}

/// Makes a cluster's istiod anew, and returns the name of the new one when it is ready.
async fn restart_istiod(cluster: &TestCluster) -> String {
    use k8s_openapi::api::core::v1::Pod;
    use kube::api::{Api, DeleteParams, ListParams};
    const SELECTOR: &str = "app=istiod";
    let pods = Api::<Pod>::namespaced(cluster.client(), "istio-system");
    let old = cluster.ready_pod("istio-system", SELECTOR).await.unwrap();
    let deleted = pods.delete_collection(&DeleteParams::default(), &ListParams::default().labels(SELECTOR)).await;
    deleted.map(drop).unwrap();
    // It counts as ready until it has ended.
    wait_for("the old istiod to end", SOON, || async {
        match pods.get_opt(&old).await {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err("it is there".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
    .unwrap();
    cluster.ready_pod("istio-system", SELECTOR).await.unwrap()
}
