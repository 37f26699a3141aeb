//! Every fault of a single cluster: that it is there, and that it is gone afterwards.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use k8s_openapi::api::core::v1::{Node, Pod};
use kindmesh::domain::fleet_builder::ClusterBuilder;
use kindmesh::engine::{ContainerState, ExecRequest};
use kindmesh::testing::{Component, Fault, TestCluster, TestFleet, wait_for};
use kube::api::Api;
use tokio_util::sync::CancellationToken;

use crate::support::turn;

/// What a fault does shows within seconds, and so does its end.
const SOON: Duration = Duration::from_secs(60);
/// A request to an API server that answers.
const ANSWER: Duration = Duration::from_secs(3);

/// The API server's answer, or why there is none.
async fn ask(cluster: &TestCluster) -> Result<(), String> {
    match tokio::time::timeout(ANSWER, cluster.client().apiserver_version()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}

async fn silent(cluster: &TestCluster) -> Result<(), String> {
    match ask(cluster).await {
        Ok(()) => Err("it answers".to_owned()),
        Err(_) => Ok(()),
    }
}

/// Panics while a fault is in force, and catches that: the fault is dropped on the way.
pub async fn panic_with(fault: Fault) {
    let panicked = AssertUnwindSafe(async move {
        let _fault = fault;
        panic!("a test that fails");
    });
    assert!(panicked.catch_unwind().await.is_err());
}

async fn in_node(fleet: &TestFleet, node: &str, script: &str) -> Result<String, String> {
    let request = ExecRequest::new(["sh", "-c", script]);
    let output = fleet.kindmesh().engine().exec(node, request, &CancellationToken::new()).await.map_err(|error| error.to_string())?;
    if output.success() { Ok(output.stdout_text()) } else { Err(output.tail(3)) }
}

fn pod(name: &str) -> String {
    format!(
        "kind: Pod\napiVersion: v1\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\n\
         spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: main, image: 'docker.io/kindmesh/echo:v1', imagePullPolicy: IfNotPresent}}]}}\n"
    )
}

async fn scheduled(cluster: &TestCluster, name: &str) -> Result<(), String> {
    let pod = Api::<Pod>::default_namespaced(cluster.client()).get(name).await.map_err(|error| error.to_string())?;
    pod.spec.and_then(|spec| spec.node_name).map(drop).ok_or_else(|| "it has no node".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_ended_and_stopped_and_mended_each_time() {
    let turn = turn().await;
    let fleet = TestFleet::builder().name("fault").cluster(ClusterBuilder::new("east").nodes(2)).start().await.unwrap();
    drop(turn);
    let east = fleet.cluster("east");
    let (control_plane, worker) = (&east.nodes()[0], &east.nodes()[1]);
    let engine = fleet.kindmesh().engine();
    let address = engine.inspect_container(control_plane).await.unwrap().networks[&fleet.description().network.name].ipv4;

    // pause
    let fault = fleet.pause("east").await.unwrap();
    assert_eq!(fault.what(), "east is paused");
    silent(east).await.unwrap();
    fault.undo().await.unwrap();
    ask(east).await.unwrap();
    let fault = fleet.pause("east").await.unwrap();
    silent(east).await.unwrap();
    panic_with(fault).await;
    ask(east).await.unwrap();

    // kill_node: a worker, and the control plane by the name of its cluster.
    let fault = fleet.kill_node(worker).await.unwrap();
    assert_eq!(engine.inspect_container(worker).await.unwrap().state, ContainerState::Exited);
    ask(east).await.unwrap();
    fault.undo().await.unwrap();
    fleet.verify().await.unwrap();
    let fault = fleet.kill_node("east").await.unwrap();
    silent(east).await.unwrap();
    panic_with(fault).await;
    ask(east).await.unwrap();
    let again = engine.inspect_container(control_plane).await.unwrap();
    assert_eq!(again.networks[&fleet.description().network.name].ipv4, address, "its address stays");
    assert!(fleet.kill_node("nobody").await.unwrap_err().to_string().contains(worker), "those that there are are named");

    // restart_node
    let started = engine.inspect_container(worker).await.unwrap().started;
    fleet.restart_node(worker).await.unwrap();
    assert!(engine.inspect_container(worker).await.unwrap().started > started);
    fleet.verify().await.unwrap();

    components(&fleet, east).await;
    slow(&fleet, east).await;
    fleet.remove().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_is_stopped_and_comes_back() {
    let fleet = TestFleet::builder().start().await.unwrap();
    let east = &fleet.clusters()[0];
    let fault = fleet.stop(east.name(), Component::Etcd).await.unwrap();
    let list = || async { Api::<Node>::all(east.client()).list(&kube::api::ListParams::default()).await };
    assert!(!matches!(tokio::time::timeout(ANSWER, list()).await, Ok(Ok(_))), "nothing can be read");
    panic_with(fault).await;
    list().await.unwrap();
    fleet.remove().await.unwrap();
}

async fn components(fleet: &TestFleet, east: &TestCluster) {
    let (control_plane, worker) = (&east.nodes()[0], &east.nodes()[1]);
    let fault = fleet.stop("east", Component::Scheduler).await.unwrap();
    east.apply(&pod("late")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(scheduled(east, "late").await, Err("it has no node".to_owned()));
    fault.undo().await.unwrap();
    wait_for("a pod to be scheduled", SOON, || scheduled(east, "late")).await.unwrap();

    let fault = fleet.stop("east", Component::ControllerManager).await.unwrap();
    assert!(in_node(fleet, control_plane, "pidof kube-controller-manager").await.is_err());
    panic_with(fault).await;
    in_node(fleet, control_plane, "pidof kube-controller-manager").await.unwrap();

    let fault = fleet.stop("east", Component::ApiServer).await.unwrap();
    silent(east).await.unwrap();
    panic_with(fault).await;
    ask(east).await.unwrap();

    for (component, unit) in [(Component::Kubelet, "kubelet"), (Component::ContainerRuntime, "containerd")] {
        let fault = fleet.stop("east", component).await.unwrap();
        for node in [control_plane, worker] {
            assert!(in_node(fleet, node, &format!("systemctl is-active --quiet {unit}")).await.is_err(), "{unit} in {node}");
        }
        match component {
            Component::Kubelet => fault.undo().await.unwrap(),
            _ => panic_with(fault).await,
        }
        for node in [control_plane, worker] {
            in_node(fleet, node, &format!("systemctl is-active --quiet {unit}")).await.unwrap();
        }
    }
    fleet.verify().await.unwrap();

    // A fleet without a mesh has no token to expire, which is told.
    let error = fleet.expire_token("east").await.unwrap_err();
    assert_eq!(error.kind(), kindmesh::ops::ErrorKind::NotFound, "{error}");
}

/// With a kernel that can, answers take longer; with one that cannot, that is told, and nothing is changed.
async fn slow(fleet: &TestFleet, east: &TestCluster) {
    let delay = Duration::from_millis(300);
    let took = || async {
        let begun = std::time::Instant::now();
        ask(east).await.unwrap();
        begun.elapsed()
    };
    match fleet.slow_link("east", delay).await {
        Ok(fault) => {
            assert!(took().await >= delay);
            fault.undo().await.unwrap();
            assert!(took().await < delay);
            let fault = fleet.slow_link("east", delay).await.unwrap();
            panic_with(fault).await;
            assert!(took().await < delay);
        }
        Err(error) => {
            assert!(TestFleet::is_missing_netem(&error), "{error}");
            assert!(error.hints().iter().any(|hint| hint.contains("modprobe sch_netem")), "{error:?}");
            let queues = in_node(fleet, &east.nodes()[0], "tc qdisc show").await.unwrap();
            assert!(!queues.contains("netem"), "{queues}");
        }
    }
}
