//! MetalLB's manifests on a real server: accepted, strict where users write, the same the second time.

use std::net::Ipv4Addr;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kindmesh::domain::manifest::Object;
use kindmesh::domain::net::range::AddrRange;
use kindmesh::k8s::apply::Change;
use kindmesh::k8s::metallb::{Install, NAMESPACE, announced, read_pools};
use kindmesh::k8s::sample::Sample;
use kindmesh::k8s::{ApiServer, ApplyOptions, Deadline, apply, wait};
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};

use crate::server::{Server, free_port, program, run, seconds};

fn pool() -> AddrRange {
    AddrRange { first: Ipv4Addr::new(172, 18, 255, 200), last: Ipv4Addr::new(172, 18, 255, 224) }
}

fn api(server: &ApiServer, kind: &str, plural: &str) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: "metallb.io".to_owned(),
        version: "v1beta1".to_owned(),
        api_version: "metallb.io/v1beta1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    };
    Api::namespaced_with(server.client(), NAMESPACE, &resource)
}

/// Sets the status of a MetalLB object as its programs would.
async fn report(server: &ApiServer, kind: &str, plural: &str, name: &str, labels: Value, status: Value) {
    let api = api(server, kind, plural);
    let object = json!({"apiVersion": "metallb.io/v1beta1", "kind": kind, "metadata": {"name": name, "labels": labels}, "status": status});
    let params = PatchParams::apply("test").force();
    api.patch(name, &params, &Patch::Apply(&object)).await.unwrap();
    api.patch_status(name, &params, &Patch::Apply(&object)).await.unwrap();
}

/// Says what the controllers of a real cluster would say of the two workloads.
async fn run_workloads(server: &ApiServer) {
    let deployments: Api<k8s_openapi::api::apps::v1::Deployment> = Api::namespaced(server.client(), NAMESPACE);
    let daemon_sets: Api<k8s_openapi::api::apps::v1::DaemonSet> = Api::namespaced(server.client(), NAMESPACE);
    let params = PatchParams::default();
    let status =
        json!({"status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}});
    deployments.patch_status("controller", &params, &Patch::Merge(&status)).await.unwrap();
    let status = json!({"status": {"observedGeneration": 1, "desiredNumberScheduled": 1, "currentNumberScheduled": 1, "numberReady": 1,
        "updatedNumberScheduled": 1, "numberMisscheduled": 0}});
    daemon_sets.patch_status("speaker", &params, &Patch::Merge(&status)).await.unwrap();
}

#[tokio::test]
async fn it_is_installed_once_and_says_what_it_waits_for() {
    let process = tokio::task::spawn_blocking(|| Server::start("metallb")).await.unwrap();
    let server = process.ready().await;
    assert_eq!(read_pools(&server, Duration::from_secs(5)).await.unwrap(), [], "no MetalLB, no pools");

    let install = Install::new(pool().into());
    let applied = install.apply(&server, seconds(30), &|_| {}).await.unwrap();
    assert_eq!(applied.changed(), applied.objects.len());
    let again = install.apply(&server, seconds(30), &|_| {}).await.unwrap();
    assert!(again.is_unchanged(), "{again:?}");
    assert_eq!(read_pools(&server, Duration::from_secs(5)).await.unwrap(), [pool()]);

    // Long enough for a server that re-initialises its storage after so many definitions.
    let short = || Deadline::after(Duration::from_secs(3));
    let error = install.ready(&server, short(), &|_| {}).await.unwrap_err().to_string();
    assert!(error.contains("metallb-system/"), "{error}");
    run_workloads(&server).await;
    let error = install.ready(&server, short(), &|_| {}).await.unwrap_err().to_string();
    assert!(error.ends_with("MetalLB's configuration; last seen: nobody has reported yet"), "{error}");
    report(
        &server,
        "ConfigurationState",
        "configurationstates",
        "controller",
        json!({}),
        json!({"result": "Invalid", "errorSummary": "bad pool"}),
    )
    .await;
    let error = install.ready(&server, short(), &|_| {}).await.unwrap_err().to_string();
    assert!(error.ends_with("last seen: metallb-system/controller: invalid: bad pool"), "{error}");
    report(&server, "ConfigurationState", "configurationstates", "controller", json!({}), json!({"result": "Valid"})).await;
    install.ready(&server, seconds(10), &|_| {}).await.unwrap();

    let error = announced(&server, "kindmesh-sample", "echo", short(), &|_| {}).await.unwrap_err().to_string();
    assert!(error.ends_with("no speaker announces service echo yet"), "{error}");
    let labels = json!({"metallb.io/service-name": "echo", "metallb.io/service-namespace": "kindmesh-sample", "metallb.io/node": "n1"});
    report(&server, "ServiceL2Status", "servicel2statuses", "l2-x", labels, json!({"node": "n1", "serviceName": "echo"})).await;
    assert_eq!(announced(&server, "kindmesh-sample", "echo", seconds(10), &|_| {}).await.unwrap(), "n1");

    strict(&server).await;

    let sample = Sample::new("east");
    assert_eq!(sample.apply(&server, seconds(30), &|_| {}).await.unwrap().changed(), 3);
    assert!(sample.apply(&server, seconds(30), &|_| {}).await.unwrap().is_unchanged());
}

/// A manifest of the user's own: the text of the built-in one, as a file that was saved and is named.
#[tokio::test]
async fn a_manifest_of_ones_own_is_installed_once() {
    let process = tokio::task::spawn_blocking(|| Server::start("metallb-own")).await.unwrap();
    let server = process.ready().await;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/metallb");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let texts: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let install = Install { manifest: Some(texts.join("\n---\n")), ..Install::new(pool().into()) };

    let applied = install.apply(&server, seconds(30), &|_| {}).await.unwrap();
    assert!(applied.objects.len() > 10, "{applied:?}");
    assert_eq!(applied.changed(), applied.objects.len());
    let again = install.apply(&server, seconds(30), &|_| {}).await.unwrap();
    assert_eq!(again.objects.len(), applied.objects.len());
    assert!(again.is_unchanged(), "{again:?}");
    assert_eq!(read_pools(&server, Duration::from_secs(5)).await.unwrap(), [pool()]);
    // The built-in one, whose text it is, has its programs serve with a key of ours besides; once made, that stays.
    let mut changed: Vec<Vec<String>> = Vec::new();
    for _ in 0..2 {
        let built_in = Install::new(pool().into()).apply(&server, seconds(30), &|_| {}).await.unwrap();
        changed.push(built_in.objects.into_iter().filter(|(_, change)| *change != Change::Unchanged).map(|(name, _)| name).collect());
    }
    let ours = ["Secret metallb-system/metrics-serving", "Deployment metallb-system/controller", "DaemonSet metallb-system/speaker"];
    assert_eq!(changed, [ours.map(str::to_owned).to_vec(), Vec::new()]);
}

/// MetalLB's own controller on our definitions, with the rights we give it and no others.
///
/// The speaker is left to whole clusters: it would announce on this machine's interfaces.
#[tokio::test]
async fn the_controller_gives_addresses_with_the_rights_it_has() {
    let process = tokio::task::spawn_blocking(|| Server::start("controller")).await.unwrap();
    let server = process.ready().await;
    Install::new(pool().into()).apply(&server, seconds(30), &|_| {}).await.unwrap();
    let objects = "
{apiVersion: v1, kind: Service, metadata: {name: s, namespace: default}, spec: {type: LoadBalancer, ports: [{port: 80, protocol: TCP}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: controller, namespace: metallb-system}, spec: {containers: [{name: c, image: i}]}}
";
    run(&server, objects).await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(server.client(), NAMESPACE);
    let token = accounts.create_token_request("controller", &PostParams::default(), &TokenRequest::default()).await.unwrap();
    let token = token.status.unwrap().token;
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("controller.conf");
    std::fs::write(&kubeconfig, process.kubeconfig_with_token(&token)).unwrap();
    let arguments = [
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--namespace={NAMESPACE}"),
        "--pod-name=controller".to_owned(),
        "--webhook-mode=disabled".to_owned(),
        format!("--port={}", free_port()),
        format!("--health-probe-port={}", free_port()),
    ];
    let controller = program("controller", &arguments);
    let address = wait::service_address(&server, "default", "s", seconds(60), &|_| {}).await.unwrap();
    assert_eq!(address, pool().first);
    let states = api(&server, "ConfigurationState", "configurationstates");
    let valid = |state: Option<&DynamicObject>| state.is_some_and(|state| state.data["status"]["result"] == "Valid");
    tokio::time::timeout(Duration::from_secs(30), await_condition(states, "controller", valid)).await.unwrap().unwrap();
    let log = std::fs::read_to_string(&controller.log).unwrap();
    assert!(!log.contains("forbidden"), "{log}");
}

/// What users write is checked by the schema, since no webhook does.
async fn strict(server: &ApiServer) {
    let object = |kind: &str, spec: &Value| {
        let value =
            json!({"apiVersion": "metallb.io/v1beta1", "kind": kind, "metadata": {"name": "mine", "namespace": NAMESPACE}, "spec": spec});
        vec![Object::try_from(value).unwrap()]
    };
    let good = [
        json!({"addresses": ["10.0.0.0/24", "10.0.1.1-10.0.1.9", "10.0.2.1 - 10.0.2.9", "fc00:f853::/64", "fc00::1-fc00::ff", "::ffff:1.2.3.4/128"]}),
        json!({"addresses": ["10.0.0.255/32"], "autoAssign": false, "avoidBuggyIPs": true,
            "serviceAllocation": {"priority": 5, "namespaces": ["a"], "namespaceSelectors": [{"matchLabels": {"a": "b"}}],
                "serviceSelectors": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}]}}),
    ];
    for spec in &good {
        apply(server, object("IPAddressPool", spec), ApplyOptions::default(), seconds(10), &|_| {}).await.unwrap();
    }
    let bad = [
        (json!({}), "spec"),
        (json!({"addresses": []}), "spec.addresses"),
        (json!({"addresses": ["10.0.0.1"]}), "spec.addresses[0]"),
        (json!({"addresses": ["10.0.0.0/33"]}), "spec.addresses[0]"),
        (json!({"addresses": ["10.0.0.300-10.0.1.1"]}), "spec.addresses[0]"),
        (json!({"addresses": ["here"]}), "spec.addresses[0]"),
        (json!({"addresses": [7]}), "spec.addresses[0]"),
        (json!({"addresses": ["10.0.0.0/24"], "autoassign": true}), "autoassign"),
        (
            json!({"addresses": ["10.0.0.0/24"], "serviceAllocation": {"namespaceSelectors": [{"matchExpressions": [{"key": "a", "operator": "Is"}]}]}}),
            "operator",
        ),
    ];
    for (spec, word) in &bad {
        let error =
            apply(server, object("IPAddressPool", spec), ApplyOptions::default(), seconds(10), &|_| {}).await.unwrap_err().to_string();
        assert!(error.starts_with("apply IPAddressPool metallb-system/mine: ") && error.contains(word), "{spec}: {error}");
    }
    let good = json!({"ipAddressPools": ["mine"], "interfaces": ["eth0"], "nodeSelectors": [{"matchLabels": {"a": "b"}}]});
    apply(server, object("L2Advertisement", &good), ApplyOptions::default(), seconds(10), &|_| {}).await.unwrap();
    for (spec, word) in [(json!({"ipAddressPools": "mine"}), "spec.ipAddressPools"), (json!({"pools": ["mine"]}), "pools")] {
        let error =
            apply(server, object("L2Advertisement", &spec), ApplyOptions::default(), seconds(10), &|_| {}).await.unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}
