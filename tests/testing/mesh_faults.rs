//! Every fault between clusters, on one mesh of two.

use std::net::IpAddr;
use std::time::Duration;

use kindmesh::engine::ExecRequest;
use kindmesh::ops::VerifyOptions;
use kindmesh::testing::{TestCluster, TestFleet, wait_for};
use tokio_util::sync::CancellationToken;

use crate::faults::panic_with;
use crate::support::{engine, left_of, turn};

/// Longest time for a packet within one machine.
const CONNECT_SECONDS: u32 = 2;
const SOON: Duration = Duration::from_secs(60);

/// Whether a node of one cluster reaches a port of an address.
async fn reaches(fleet: &TestFleet, from: &TestCluster, address: IpAddr, port: u16) -> Result<(), String> {
    let script = format!("timeout {CONNECT_SECONDS} bash -c ': </dev/tcp/{address}/{port}'");
    let request = ExecRequest::new(["bash", "-c", &script]);
    let output = fleet.kindmesh().engine().exec(&from.nodes()[0], request, &CancellationToken::new()).await.unwrap();
    if output.success() { Ok(()) } else { Err(format!("{} does not reach {address}:{port}", from.name())) }
}

/// The ways from one cluster to another: its API server, its gateway.
async fn ways(fleet: &TestFleet, from: &str, to: &str) -> [Result<(), String>; 2] {
    let (from, to) = (fleet.cluster(from), fleet.cluster(to));
    let node = fleet.kindmesh().engine().inspect_container(&to.nodes()[0]).await.unwrap();
    let node = node.networks[&fleet.description().network.name].ipv4.unwrap();
    let gateway = to.address("istio-system", "istio-eastwestgateway").await.unwrap();
    [reaches(fleet, from, node.into(), 6443).await, reaches(fleet, from, gateway, 15443).await]
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

    let fault = fleet.partition("cluster1", "cluster2").await.unwrap();
    shut(&fleet).await;
    seen(&fleet).await;
    panic_with(fault).await;
    open(&fleet).await;

    let fault = fleet.isolate("cluster2").await.unwrap();
    shut(&fleet).await;
    seen(&fleet).await;
    panic_with(fault).await;
    open(&fleet).await;

    // Two at once, mended in whichever order.
    let (first, second) = (fleet.partition("cluster1", "cluster2").await.unwrap(), fleet.isolate("cluster1").await.unwrap());
    first.undo().await.unwrap();
    shut(&fleet).await;
    second.undo().await.unwrap();
    open(&fleet).await;
    fleet.verify().await.unwrap();

    let once = VerifyOptions { calls: 1, wait: Duration::ZERO, clusters: Vec::new() };
    let unproven = || async {
        let report = fleet.kindmesh().verify(&fleet.description().name, &once).await.unwrap();
        if report.ok { Err("it is proven") } else { Ok(()) }
    };
    let fault = fleet.expire_token("cluster2").await.unwrap();
    fault.undo().await.unwrap();
    let fault = fleet.expire_token("cluster2").await.unwrap();
    // A control plane that starts now cannot read the other cluster.
    restart_istiod(fleet.cluster("cluster1")).await;
    wait_for("the mesh to be unproven", SOON, unproven).await.unwrap();
    panic_with(fault).await;
    fleet.verify().await.unwrap();

    let name = fleet.name().to_owned();
    fleet.remove().await.unwrap();
    assert_eq!(left_of(engine().await.as_ref(), &name).await, Vec::<String>::new());
}

async fn restart_istiod(cluster: &TestCluster) {
    use k8s_openapi::api::core::v1::Pod;
    use kube::api::{Api, DeleteParams, ListParams};
    let pods = Api::<Pod>::namespaced(cluster.client(), "istio-system");
    let deleted = pods.delete_collection(&DeleteParams::default(), &ListParams::default().labels("app=istiod")).await;
    deleted.map(drop).unwrap();
}
