//! What is waited for, and what a wait that is in vain says it has seen.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::k8s::mock::{self, Asked, failure};

const INJECTORS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
const VALIDATORS: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
const MAPS: &str = "/api/v1/namespaces/istio-system/configmaps";
const PODS: &str = "/api/v1/namespaces/istio-system/pods";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/istio-system/deployments";

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(3))
}

fn list(items: &[Value]) -> (u16, Value) {
    (200, json!({"metadata": {"resourceVersion": "1"}, "items": items}))
}

/// A server that has these objects under this path, for ever, and takes orders to delete.
fn with(path: &'static str, items: Vec<Value>) -> (ApiServer, Asked) {
    mock::server(move |method, asked, _| match *method {
        Method::GET if asked == path => list(&items),
        Method::DELETE => (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success", "metadata": {}})),
        _ => failure(404, "not found"),
    })
}

/// What the wait has seen last; it must be one that ran out of time.
fn last_seen<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result.unwrap_err() {
        K8sError::Timeout { last, .. } => last,
        other => panic!("no timeout: {other:?}"),
    }
}

/// The injector's configuration, with a webhook for each of these bundles.
fn injector(bundles: &[Option<&str>]) -> Value {
    let hook = |(index, bundle): (usize, &Option<&str>)| json!({"name": format!("hook{index}"), "clientConfig": {"caBundle": bundle}});
    json!({"metadata": {"name": INJECTOR}, "webhooks": bundles.iter().enumerate().map(hook).collect::<Vec<_>>()})
}

#[tokio::test(start_paused = true)]
async fn the_injector_has_a_certificate_in_every_webhook() {
    let served = async |items: Vec<Value>| injector_served(&with(INJECTORS, items).0, soon(), &|_| {}).await;
    for (found, told) in [
        (vec![], "istio-sidecar-injector does not exist yet"),
        (vec![injector(&[])], "istio-sidecar-injector has no webhooks"),
        (vec![injector(&[Some("cm9vdA=="), None])], "1 of 2 webhooks of istio-sidecar-injector have no certificate of istiod yet"),
        (vec![injector(&[Some(""), None])], "2 of 2 webhooks of istio-sidecar-injector have no certificate of istiod yet"),
    ] {
        assert_eq!(last_seen(served(found).await), told);
    }
    served(vec![injector(&[Some("cm9vdA=="), Some("cm9vdA==")])]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_injector_that_does_not_answer_is_asked_again() {
    let broken = "Internal error occurred: failed calling webhook \"namespace.sidecar-injector.istio.io\": connection refused";
    let (server, asked) = mock::server(move |_, _, _| failure(500, broken));
    let last = last_seen(injector_answers(&server, soon(), &|_| {}).await);
    assert_eq!(last, format!("try the sidecar injector: {broken}"));
    assert!(asked.lock().unwrap().len() > 2, "{asked:?}");

    // Neither is a namespace without its account a reason to give up; another refusal is.
    let (server, asked) = mock::server(|method, path, count| match count {
        0 => failure(403, "error looking up service account istio-system/default: serviceaccount \"default\" not found"),
        _ if (method, path) == (&Method::POST, PODS) => (201, json!({"metadata": {"name": "kindmesh-injector-probe"}})),
        _ => failure(404, "not found"),
    });
    injector_answers(&server, soon(), &|_| {}).await.unwrap();
    assert_eq!(asked.lock().unwrap().len(), 2);
    let (server, asked) = mock::server(|_, _, _| failure(403, "pods are forbidden"));
    assert!(matches!(injector_answers(&server, soon(), &|_| {}).await, Err(K8sError::Request { kind: RequestErrorKind::Refused, .. })));
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn validators_refuse_what_istiod_does_not_answer_for() {
    let validator = |name: &str, policies: &[Option<&str>]| {
        let hook = |policy: &Option<&str>| json!({"name": format!("hook.{name}"), "clientConfig": {}, "failurePolicy": policy});
        json!({"metadata": {"name": name}, "webhooks": policies.iter().map(hook).collect::<Vec<_>>()})
    };
    let names = ["a".to_owned(), "b".to_owned()];
    let strict = async |items: Vec<Value>| validators_strict(&with(VALIDATORS, items).0, &names, soon(), &|_| {}).await;
    let good = || validator("a", &[Some("Fail"), Some("Fail")]);
    for (found, told) in [
        (vec![good()], "b does not exist yet"),
        (
            vec![good(), validator("b", &[Some("Fail"), Some("Ignore")])],
            "webhook hook.b of b lets pass what istiod does not answer for yet",
        ),
        (vec![good(), validator("b", &[None])], "webhook hook.b of b lets pass what istiod does not answer for yet"),
    ] {
        assert_eq!(last_seen(strict(found).await), told);
    }
    strict(vec![good(), validator("b", &[Some("Fail")])]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_root_is_in_the_namespace() {
    let map = |data: Value| vec![json!({"metadata": {"name": ROOT_CONFIG_MAP, "namespace": "istio-system"}, "data": data})];
    let distributed = async |items: Vec<Value>| root_distributed(&with(MAPS, items).0, SYSTEM_NAMESPACE, soon(), &|_| {}).await;
    for found in [vec![], map(json!({})), map(json!({"other.pem": "root"})), map(json!({"root-cert.pem": " \n"}))] {
        assert_eq!(last_seen(distributed(found).await), "istiod has not written istio-ca-root-cert into istio-system yet");
    }
    distributed(map(json!({"root-cert.pem": "root"}))).await.unwrap();
}

/// Available is not enough: what a pod needs comes after it.
#[tokio::test(start_paused = true)]
async fn a_control_plane_is_ready_when_all_of_it_is() {
    let ready = async |injector: Value, root: Value| {
        let (server, _) = mock::server(move |method, path, _| match (method, path) {
            (&Method::GET, DEPLOYMENTS) => {
                let status = json!({"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1});
                list(&[json!({"metadata": {"name": ISTIOD, "namespace": "istio-system", "generation": 1}, "status": status})])
            }
            (&Method::GET, INJECTORS) => list(std::slice::from_ref(&injector)),
            (&Method::GET, MAPS) => list(&[json!({"metadata": {"name": ROOT_CONFIG_MAP, "namespace": "istio-system"}, "data": root})]),
            (&Method::POST, PODS) => (201, json!({"metadata": {"name": "kindmesh-injector-probe"}})),
            _ => failure(404, "not found"),
        });
        control_plane_ready(&server, soon(), &|_| {}).await
    };
    let (served, root) = (|| injector(&[Some("cm9vdA==")]), || json!({"root-cert.pem": "root"}));
    ready(served(), root()).await.unwrap();
    assert!(last_seen(ready(injector(&[None]), root()).await).contains("no certificate of istiod"));
    assert!(last_seen(ready(served(), json!({})).await).contains("has not written istio-ca-root-cert"));
}

/// A pod that runs and is ready, with these containers.
fn pod(name: &str, containers: &[(&str, &str)]) -> Value {
    let containers: Vec<Value> = containers.iter().map(|(name, image)| json!({"name": name, "image": image})).collect();
    json!({"metadata": {"name": name, "namespace": "istio-system", "labels": {"app": "gw"}}, "spec": {"containers": containers},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
}

#[tokio::test(start_paused = true)]
async fn every_pod_has_a_proxy() {
    let (good, bare) = (|| pod("good", &[("istio-proxy", "proxyv2:1")]), || pod("bare", &[("app", "app:1")]));
    let all = async |items: Vec<Value>| injected(&with(PODS, items).0, SYSTEM_NAMESPACE, "app=gw", soon(), &|_| {}).await;
    let mut unready = good();
    unready["status"]["conditions"] = json!([]);
    for (found, told) in [
        (vec![], "no pod app=gw in istio-system yet"),
        (vec![good(), bare()], "pod bare has no proxy: it was made before the injector worked"),
        (vec![pod("auto", &[("istio-proxy", "auto")])], "pod auto has no proxy: it was made before the injector worked"),
        (vec![unready], "pod good runs but is not ready"),
    ] {
        assert_eq!(last_seen(all(found).await), told);
    }
    let mut going = bare();
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    all(vec![good(), going]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pod_without_a_proxy_is_deleted_and_no_other() {
    let mut going = pod("going", &[("app", "app:1")]);
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let bare = [pod("bare", &[("app", "app:1")]), pod("auto", &[("istio-proxy", "auto")])];
    let good = pod("good", &[("app", "app:1"), ("istio-proxy", "proxyv2:1")]);
    let (server, asked) = with(PODS, [&bare[..], &[good.clone(), going]].concat());
    assert_eq!(replace_uninjected(&server, SYSTEM_NAMESPACE, "app=gw").await.unwrap(), 2);
    let deleted: Vec<String> =
        asked.lock().unwrap().iter().filter(|(method, _)| *method == Method::DELETE).map(|(_, path)| path.clone()).collect();
    assert_eq!(deleted, [format!("{PODS}/bare"), format!("{PODS}/auto")]);

    let (server, asked) = with(PODS, vec![good]);
    assert_eq!(replace_uninjected(&server, SYSTEM_NAMESPACE, "app=gw").await.unwrap(), 0);
    assert_eq!(asked.lock().unwrap().len(), 1);
}
