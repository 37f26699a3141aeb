//! What goes wrong with meshes, provoked on a living one: `verify` names each by its cause, never calls
//! it proven, and finds everything right when it is mended.

use std::time::Duration;

use jiff::Timestamp;
use kindmesh::domain::mesh::proof::Cause;
use kindmesh::domain::pki::Root;
use serde_json::{Value, json};

use crate::mesh_failover;
use crate::mesh_support::green;
use crate::support::{Bench, eventually};

/// The clusters; most is broken in the second.
pub const BOTH: [&str; 2] = ["fail1", "fail2"];
const LABEL: &str = "topology.istio.io/network";

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_is_named_and_mended_and_calls_fail_over() {
    let mut bench = Bench::with_turns("fail", 2).await;
    // A network of its own: a node that was cut off it gets its address back. And reduced privileges: redirection by
    // iptables, mutual TLS and failover need no others.
    bench.mesh_file(
        "clusterPrefix: fail\nclusters: 2\nprivileges: reduced\nnetwork:\n  name: fail-net\n  subnet: 172.30.24.0/24\n\
         mesh:\n  egressGateway: true\n  istio:\n    operator: operator.yaml\n    valuesFiles: [values.yaml]\n    \
         values: {meshConfig: {accessLogEncoding: JSON}}\n",
    );
    for (file, text) in [("operator.yaml", OPERATOR), ("values.yaml", "meshConfig: {accessLogEncoding: TEXT, dnsRefreshRate: 42s}\n")] {
        std::fs::write(bench.dir.path().join(file), text).expect("write a file");
    }
    let made = bench.mesh_up();
    assert_eq!(made["privileges"], "reduced");
    green(&serde_json::from_value(made["mesh"]["proof"].clone()).expect("a proof"), &BOTH);
    own_settings(&bench, &made).await;
    bench.settled();
    bench.done("up");

    remote_secrets(&bench).await;
    bench.done("remote secrets");
    tokens(&bench).await;
    bench.done("tokens");
    network_labels(&bench).await;
    bench.done("network labels");
    injection(&bench).await;
    bench.done("injection");
    plain_text(&bench).await;
    bench.done("plain text");
    announcement(&bench).await;
    bench.done("announcement");
    different_roots(&bench).await;
    bench.done("different roots");
    mesh_failover::scaled_to_zero(&bench).await;
    bench.done("scaled to zero");
    mesh_failover::cut_off(&bench, "fail-net").await;
    bench.done("cut off");
}

/// As people have them from before.
const OPERATOR: &str = "
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
spec:
  meshConfig:
    accessLogFile: /dev/stdout
  components:
    pilot:
      k8s:
        env: [{name: PILOT_PUSH_THROTTLE, value: '50'}]
    ingressGateways:
    - name: istio-ingressgateway
      label: {team: edge}
      k8s:
        service:
          ports: [{name: http2, port: 80, targetPort: 8080}, {name: status-port, port: 15021, targetPort: 15021}]
";

/// Values, files of values and the operator's file have all arrived, the stronger over the weaker.
async fn own_settings(bench: &Bench, up: &Value) {
    for (index, cluster) in BOTH.into_iter().enumerate() {
        let mesh = bench.kubectl(cluster, "-n istio-system get configmap istio -o jsonpath={.data.mesh}").await;
        for line in ["accessLogFile: /dev/stdout", "accessLogEncoding: JSON", "dnsRefreshRate: 42s"] {
            assert!(mesh.contains(line), "{line} is not in {mesh}");
        }
        let istiod = bench.object(cluster, "-n istio-system deployment istiod").await;
        let env = istiod["spec"]["template"]["spec"]["containers"][0]["env"].as_array().expect("env").clone();
        assert!(env.contains(&json!({"name": "PILOT_PUSH_THROTTLE", "value": "50"})), "{env:?}");
        let ingress = bench.object(cluster, "-n istio-system service istio-ingressgateway").await;
        assert_eq!(ingress["spec"]["ports"].as_array().map(Vec::len), Some(2), "{ingress:#}");
        let egress = bench.object(cluster, "-n istio-system service istio-egressgateway").await;
        let address = &egress["status"]["loadBalancer"]["ingress"][0]["ip"];
        assert!(address.is_string() && *address == up["mesh"]["clusters"][index]["egressGateway"], "{egress:#}");
    }
}

/// A token that was taken back is made anew by `up`, and given to the others.
async fn tokens(bench: &Bench) {
    let token =
        async || bench.remote_kubeconfig("fail1", "fail2").await.1["users"][0]["user"]["token"].as_str().expect("a token").to_owned();
    let old = token().await;
    bench.kubectl("fail2", "-n istio-system delete serviceaccount istio-reader-service-account").await;
    up(bench);
    let new = token().await;
    assert!(!new.is_empty() && new != old);
    let asked = |token: &str| {
        format!("kubectl --server https://fail2-control-plane:6443 --insecure-skip-tls-verify --token {token} -n sample get services")
    };
    // An API server remembers for 10 s whom it has let in.
    eventually("the old token to be refused", Duration::from_secs(30), async || {
        match bench.in_node("fail1-control-plane", &asked(&old)).await {
            (0, services) => Err(services),
            _ => Ok(()),
        }
    })
    .await;
    assert_eq!(bench.in_node("fail1-control-plane", &asked(&new)).await.0, 0);
}

/// What `up` proves is green.
pub fn up(bench: &Bench) {
    let up = bench.mesh_up();
    green(&serde_json::from_value(up["mesh"]["proof"].clone()).expect("a proof"), &BOTH);
}

/// A remote secret that is missing, that has a token nobody gave out, that leads to the wrong place.
async fn remote_secrets(bench: &Bench) {
    let (mut secret, config) = bench.remote_kubeconfig("fail1", "fail2").await;
    bench.kubectl("fail1", "-n istio-system delete secret istio-remote-secret-fail2").await;
    bench.unproven(Cause::NotSynced, "fail1", &["istio-remote-secret-fail2"]).await;

    let metadata = secret["metadata"].as_object_mut().expect("metadata");
    metadata.retain(|key, _| ["name", "namespace", "labels", "annotations"].contains(&key.as_str()));
    let with = |config: &Value| {
        let mut secret = secret.clone();
        secret.as_object_mut().expect("an object").remove("data");
        secret["stringData"] = json!({"fail2": config.to_string()});
        secret.to_string()
    };
    let mut broken = config.clone();
    broken["users"][0]["user"]["token"] = json!("nobody-gave-this-out");
    bench.apply("fail1", &with(&broken)).await;
    bench.unproven(Cause::NotSynced, "fail1", &["has not read fail2"]).await;

    let mut astray = config;
    astray["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:6443");
    bench.apply("fail1", &with(&astray)).await;
    bench.unproven(Cause::WrongServerAddress, "fail1", &["https://127.0.0.1:6443", "fail2"]).await;
    up(bench);
}

/// The gateway's service, and the control plane's namespace, without their network.
async fn network_labels(bench: &Bench) {
    bench.kubectl("fail2", &format!("-n istio-system label service istio-eastwestgateway {LABEL}-")).await;
    bench.unproven(Cause::NoNetworkLabel, "fail2", &["service istio-eastwestgateway"]).await;
    bench.kubectl("fail2", &format!("label namespace istio-system {LABEL}-")).await;
    bench.unproven(Cause::NoNetworkLabel, "fail2", &["namespace istio-system"]).await;
    up(bench);
}

/// Pods that came while their namespace was not injected: the client of one cluster, helloworld of the
/// other.
async fn injection(bench: &Bench) {
    for (cluster, app) in [("fail1", "curl"), ("fail2", "helloworld")] {
        bench.kubectl(cluster, "label namespace sample istio-injection-").await;
        bench.kubectl(cluster, &format!("-n sample delete pods -l app={app}")).await;
        bench.kubectl(cluster, &format!("-n sample wait --for=condition=Ready pod -l app={app} --timeout=60s")).await;
        bench.kubectl(cluster, "label namespace sample istio-injection=enabled").await;
    }
    bench.unproven(Cause::NotInjected, "fail1", &["pod sample/curl-", "has no proxy"]).await;
    bench.unproven(Cause::NotInjected, "fail2", &["pod sample/helloworld-v2-", "has no proxy"]).await;
    up(bench);
}

/// Servers that nobody tells to refuse plain text any more. Their proxies hear of it a moment later.
async fn plain_text(bench: &Bench) {
    bench.kubectl("fail2", "-n sample delete peerauthentication default").await;
    bench.unproven(Cause::PlaintextAccepted, "fail2", &["pod helloworld-v2-", "answers plain text"]).await;
    up(bench);
}

/// An address that no speaker announces.
async fn announcement(bench: &Bench) {
    let selector = |os: &str| format!(r#"{{"spec":{{"template":{{"spec":{{"nodeSelector":{{"kubernetes.io/os":"{os}"}}}}}}}}}}"#);
    let patch = |os: &str| format!("-n metallb-system patch daemonset speaker -p '{}'", selector(os));
    let gateway = bench.object("fail2", "-n istio-system service istio-eastwestgateway").await;
    let address = gateway["status"]["loadBalancer"]["ingress"][0]["ip"].as_str().expect("an address").to_owned();
    bench.kubectl("fail2", &patch("none")).await;
    bench.kubectl("fail2", "-n metallb-system wait --for=delete pod -l component=speaker --timeout=60s").await;
    // Neighbours would remember where it was for a while.
    assert_eq!(bench.in_node("fail1-control-plane", &format!("ip neigh flush to {address}")).await.0, 0);
    bench.unproven(Cause::AddressNotAnnounced, "fail2", &[&address]).await;
    bench.kubectl("fail2", &patch("linux")).await;
    bench.kubectl("fail2", "-n metallb-system rollout status daemonset speaker --timeout=60s").await;
    bench.proven(&BOTH, "90s");
}

/// A cluster whose certificates come from another root.
async fn different_roots(bench: &Bench) {
    let old = bench.object("fail2", "-n istio-system secret cacerts").await;
    let fleet = "fail".parse().expect("a name");
    let now = Timestamp::now();
    let other = Root::generate(&fleet, now).expect("a root").issue(&fleet, &"fail2".parse().expect("a name"), now).expect("certificates");
    let files: Value =
        other.files().into_iter().map(|(name, text)| (name.to_owned(), json!(text))).collect::<serde_json::Map<_, _>>().into();
    signed_with(bench, &json!({"stringData": files}), &other.root_cert).await;
    bench.unproven(Cause::DifferentRoots, "fail2", &["the root in namespace sample"]).await;

    let own = bench.object("fail1", "-n istio-system configmap istio-ca-root-cert").await;
    signed_with(bench, &json!({"data": old["data"]}), own["data"]["root-cert.pem"].as_str().expect("a root")).await;
    bench.proven(&BOTH, "120s");
}

/// Gives the second cluster other certificates, and starts again what holds on to the old ones.
async fn signed_with(bench: &Bench, data: &Value, root: &str) {
    let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cacerts", "namespace": "istio-system"}});
    secret.as_object_mut().expect("an object").extend(data.as_object().expect("an object").clone());
    bench.kubectl("fail2", "-n istio-system delete secret cacerts").await;
    bench.apply("fail2", &secret.to_string()).await;
    bench.kubectl("fail2", "-n istio-system delete pods -l app=istiod").await;
    bench.kubectl("fail2", "-n istio-system rollout status deployment istiod --timeout=90s").await;
    for namespace in ["istio-system", "sample"] {
        eventually(&format!("the new root in {namespace}"), Duration::from_secs(90), || async {
            let found = bench.object("fail2", &format!("-n {namespace} configmap istio-ca-root-cert")).await;
            let found = found["data"]["root-cert.pem"].as_str().unwrap_or_default();
            if found.trim() == root.trim() { Ok(()) } else { Err(found.to_owned()) }
        })
        .await;
    }
    // The gateways' proxies, too: they would not trust their istiod until they read the root anew.
    for (namespace, timeout) in [("istio-system", 90), ("sample", 90)] {
        let deployments = bench.kubectl("fail2", &format!("-n {namespace} get deployments -o name")).await;
        let restarted: Vec<&str> = deployments.lines().filter(|name| !name.ends_with("/istiod")).collect();
        bench.kubectl("fail2", &format!("-n {namespace} rollout restart {}", restarted.join(" "))).await;
        for deployment in restarted {
            bench.kubectl("fail2", &format!("-n {namespace} rollout status {deployment} --timeout={timeout}s")).await;
        }
    }
}
