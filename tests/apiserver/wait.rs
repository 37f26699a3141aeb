//! Waiting: what is seen, what is said when the time is over, servers that go and come.

use std::sync::Mutex;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Service};
use kindmesh::k8s::{ApiServer, Deadline, nodes, wait};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use crate::server::{Server, free_port, namespace, run, seconds, shared};

/// Makes a node, as its kubelet would.
async fn register(server: &ApiServer, name: &str) {
    let node = json!({
        "metadata": {"name": name, "labels": {
            "node-role.kubernetes.io/control-plane": "", "node.kubernetes.io/exclude-from-external-load-balancers": ""}},
        "spec": {"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]},
    });
    let api: Api<Node> = Api::all(server.client());
    api.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
}

async fn report(server: &ApiServer, name: &str, ready: &str, message: &str) {
    let status = json!({"status": {"conditions": [{"type": "Ready", "status": ready, "message": message}],
        "addresses": [{"type": "InternalIP", "address": "172.18.0.2"}]}});
    let api: Api<Node> = Api::all(server.client());
    api.patch_status(name, &PatchParams::default(), &Patch::Strategic(&status)).await.unwrap();
}

#[tokio::test]
async fn nobody_at_the_address_is_told_with_the_address() {
    let port = free_port();
    let kubeconfig = format!(
        "{{current-context: a, contexts: [{{name: a, context: {{cluster: a, user: a}}}}], users: [{{name: a, user: {{}}}}], \
         clusters: [{{name: a, cluster: {{server: 'https://127.0.0.1:{port}'}}}}]}}"
    );
    let server = ApiServer::from_kubeconfig(&kubeconfig).await.unwrap();
    let error = wait::ready(&server, Deadline::after(Duration::from_millis(700)), &|_| {}).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(&format!("waited 0.7 s for the API server at https://127.0.0.1:{port}; last seen: ")), "{text}");
    assert!(text.contains("refused"), "{text}");
}

#[tokio::test]
async fn a_server_that_restarts_is_waited_for() {
    let mut process = tokio::task::spawn_blocking(|| Server::start("restart")).await.unwrap();
    let server = process.ready().await;
    let heard = Mutex::new(Vec::new());
    let observer = |state: &str| heard.lock().unwrap().push(state.to_owned());
    let expected = ["n1".to_owned()];
    let saw = |text: &'static str| {
        let heard = &heard;
        async move {
            while !heard.lock().unwrap().iter().any(|state: &String| state.contains(text)) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    let script = async {
        saw("node n1 has not registered yet").await;
        process.stop();
        saw("does not answer").await;
        process.restart();
        process.ready().await;
        register(&server, "n1").await;
        report(&server, "n1", "True", "").await;
    };
    let both = async { tokio::join!(wait::nodes_ready(&server, &expected, seconds(60), &observer), script) };
    let (result, ()) = tokio::time::timeout(Duration::from_secs(90), both).await.unwrap();
    result.unwrap();
}

#[tokio::test]
async fn nodes_tell_why_they_are_not_ready_and_the_only_one_is_opened() {
    let process = tokio::task::spawn_blocking(|| Server::start("nodes")).await.unwrap();
    let server = process.ready().await;
    register(&server, "a-control-plane").await;
    report(&server, "a-control-plane", "False", "cni plugin not initialized").await;
    let expected = ["a-control-plane".to_owned(), "a-worker".to_owned()];
    let error = wait::nodes_ready(&server, &expected, Deadline::after(Duration::from_millis(800)), &|_| {}).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "waited 0.8 s for nodes a-control-plane, a-worker; \
         last seen: node a-control-plane is not ready (cni plugin not initialized), node a-worker has not registered yet"
    );

    assert!(nodes::open_single_node(&server, seconds(10), &|_| {}).await.unwrap());
    assert!(!nodes::open_single_node(&server, seconds(10), &|_| {}).await.unwrap(), "it is open already");
    let api: Api<Node> = Api::all(server.client());
    let node = api.get("a-control-plane").await.unwrap();
    let taints = node.spec.unwrap().taints.unwrap_or_default();
    assert!(taints.iter().all(|taint| !taint.key.contains("control-plane")), "{taints:?}");
    assert!(!node.metadata.labels.unwrap().contains_key("node.kubernetes.io/exclude-from-external-load-balancers"));

    register(&server, "a-worker").await;
    assert!(!nodes::open_single_node(&server, seconds(10), &|_| {}).await.unwrap(), "with two nodes nothing is touched");
    let listed = nodes::list(&server).await.unwrap();
    assert_eq!(
        listed.iter().map(|node| (node.name.as_str(), node.control_plane)).collect::<Vec<_>>(),
        [("a-control-plane", true), ("a-worker", true)]
    );
    assert_eq!(listed[0].ready, Err("node a-control-plane is not ready (cni plugin not initialized)".to_owned()));
    assert_eq!(listed[0].addresses, ["172.18.0.2".parse::<std::net::IpAddr>().unwrap()]);
}

#[tokio::test]
async fn a_service_gets_its_address_or_the_reason_is_told() {
    let server = namespace("addresses").await;
    let service = |name: &str, kind: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: addresses}}, spec: {{type: {kind}, ports: [{{port: 80, protocol: TCP}}]}}}}"
        )
    };
    run(&server, &format!("{}\n---\n{}", service("lb", "LoadBalancer"), service("inner", "ClusterIP"))).await.unwrap();

    let error = wait::service_address(&server, "addresses", "inner", seconds(10), &|_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "an address of service addresses/inner will not come: its type is ClusterIP, not LoadBalancer");
    let short = Deadline::after(Duration::from_millis(800));
    let error = wait::service_address(&server, "addresses", "lb", short, &|_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "waited 0.8 s for an address of service addresses/lb; last seen: no address assigned yet");

    let assign = async {
        let api: Api<Service> = Api::namespaced(server.client(), "addresses");
        let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "172.18.255.200"}]}}});
        api.patch_status("lb", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    };
    let (address, ()) = tokio::join!(wait::service_address(&server, "addresses", "lb", seconds(10), &|_| {}), assign);
    assert_eq!(address.unwrap().to_string(), "172.18.255.200");
}

#[tokio::test]
async fn workloads_and_accounts_that_do_not_come_are_named() {
    let server = namespace("missing").await;
    let short = || Deadline::after(Duration::from_millis(500));
    let cases = [
        (
            wait::deployment_available(&server, "missing", "d", short(), &|_| {}).await,
            "waited 0.5 s for deployment missing/d; last seen: deployment d does not exist yet",
        ),
        (
            wait::daemonset_ready(&server, "missing", "d", short(), &|_| {}).await,
            "waited 0.5 s for daemonset missing/d; last seen: daemonset d does not exist yet",
        ),
        (
            wait::service_account(&server, "missing", "default", short(), &|_| {}).await,
            "waited 0.5 s for service account missing/default; last seen: service account default does not exist yet",
        ),
        (
            wait::system_pods_running(&server, &["missing"], &Default::default(), short(), &|_| {}).await,
            "waited 0.5 s for pods in missing; last seen: no pod in missing yet",
        ),
        (
            wait::crds_established(&server, &["a.example.org".to_owned()], short(), &|_| {}).await,
            "waited 0.5 s for 1 custom resource definitions; last seen: a.example.org does not exist yet",
        ),
    ];
    for (result, message) in cases {
        assert_eq!(result.unwrap_err().to_string(), message);
    }
}

#[tokio::test]
async fn pods_that_are_not_ready_are_told_with_what_they_wait_for() {
    let server = namespace("pods").await;
    let pod =
        "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: pods, labels: {app: d}}, spec: {containers: [{name: c, image: i}]}}";
    let deployment = "apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: pods}
spec:
  selector: {matchLabels: {app: d}}
  template: {metadata: {labels: {app: d}}, spec: {containers: [{name: c, image: i}]}}
";
    run(&server, &format!("{pod}\n---\n{deployment}")).await.unwrap();
    let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": "no such image"}});
    let status = json!({"status": {"phase": "Pending", "containerStatuses": [
        {"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": waiting}]}});
    let api: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(server.client(), "pods");
    api.patch_status("p", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();

    let short = Deadline::after(Duration::from_millis(800));
    let error = wait::deployment_available(&server, "pods", "d", short, &|_| {}).await.unwrap_err().to_string();
    assert!(error.ends_with("; pod p: container c ErrImagePull (no such image)"), "{error}");
}

#[tokio::test]
async fn the_version_is_read() {
    let server = shared().await;
    let version = server.server_version().await.unwrap();
    assert!(version.at_least(1, 33), "{version}");
}
