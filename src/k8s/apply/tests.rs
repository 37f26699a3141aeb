use std::sync::Mutex;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::super::mock::{self, Asked, failure};
use super::*;
use crate::domain::manifest;

const OBJECT: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: ns}}";

fn object(version: &str, data: Value) -> (u16, Value) {
    (
        200,
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "ns", "resourceVersion": version}, "data": data}),
    )
}

async fn run(server: &ApiServer, heard: &Mutex<Vec<String>>) -> Result<Applied> {
    let observer = |state: &str| heard.lock().unwrap().push(state.to_owned());
    let objects = manifest::parse(OBJECT).unwrap();
    apply(server, objects, ApplyOptions::default(), Deadline::after(Duration::from_secs(30)), &observer).await
}

fn patches(asked: &Asked) -> usize {
    asked.lock().unwrap().iter().filter(|(method, _)| *method == Method::PATCH).count()
}

/// Fails the first patches with the given codes, then takes it.
fn failing(codes: &'static [u16]) -> (ApiServer, Asked) {
    let failed = Mutex::new(0);
    mock::server(move |method, path, _| match (method, path) {
        (_, "/api/v1") => mock::core_resources(),
        (&Method::GET, _) => failure(404, "not found"),
        _ => {
            let mut failed = failed.lock().unwrap();
            *failed += 1;
            codes.get(*failed - 1).map_or_else(|| object("1", json!({})), |code| failure(*code, "try later"))
        }
    })
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_server_is_tried_again_and_told_of() {
    let heard = Mutex::default();
    let (server, asked) = failing(&[429, 500, 503]);
    let applied = run(&server, &heard).await.unwrap();
    assert_eq!(applied.objects, [("ConfigMap ns/c".to_owned(), Change::Created)]);
    assert_eq!(patches(&asked), 4);
    assert_eq!(*heard.lock().unwrap(), ["apply ConfigMap ns/c: try later", "1 of 1 objects applied"]);
}

#[tokio::test(start_paused = true)]
async fn refusals_are_final() {
    for code in [400, 401, 403, 404, 422] {
        let (server, asked) = failing(match code {
            400 => &[400],
            401 => &[401],
            403 => &[403],
            404 => &[404],
            _ => &[422],
        });
        let error = run(&server, &Mutex::default()).await.unwrap_err();
        assert!(error.to_string().starts_with("apply ConfigMap ns/c: try later"), "{error}");
        assert_eq!(patches(&asked), 1, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_overloaded_ends_at_the_deadline() {
    let (server, _) = mock::server(|_, path, _| if path == "/api/v1" { mock::core_resources() } else { failure(503, "still starting") });
    let error = run(&server, &Mutex::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "waited 30 s for ConfigMap ns/c; last seen: apply ConfigMap ns/c: still starting");
}

/// Applies the object with this data.
async fn run_with(server: &ApiServer, data: &str) -> Result<Applied> {
    let objects = manifest::parse(&OBJECT.replace("}}", &format!("}}, data: {data}}}"))).unwrap();
    apply(server, objects, ApplyOptions::default(), Deadline::after(Duration::from_secs(30)), &|_| {}).await
}

/// A server with one object, on whose fields there is this note.
fn noted(entry: Value) -> (ApiServer, Asked) {
    mock::server(move |method, path, _| match (method, path) {
        (_, "/api/v1") => mock::core_resources(),
        (&Method::GET, _) => {
            let (code, mut found) = object("1", json!({"a": "1"}));
            found["metadata"]["managedFields"] = json!([entry]);
            (code, found)
        }
        _ => object("1", json!({"a": "1"})),
    })
}

#[tokio::test]
async fn what_is_noted_as_applied_is_only_read() {
    let ours = json!({"manager": "kindmesh", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:a": {}}}});
    let (server, asked) = noted(ours.clone());
    for _ in 0..2 {
        assert!(run_with(&server, "{a: '1'}").await.unwrap().is_unchanged());
    }
    assert_eq!(patches(&asked), 0);
    let kinds = asked.lock().unwrap().iter().filter(|(_, path)| path == "/api/v1").count();
    assert_eq!(kinds, 1, "built-in kinds are asked for once");

    for (field, value) in [
        ("manager", json!("kubectl")),
        ("operation", json!("Update")),
        ("apiVersion", json!("v2")),
        ("subresource", json!("status")),
        ("fieldsV1", json!({"f:data": {"f:b": {}}})),
    ] {
        let mut theirs = ours.clone();
        theirs[field] = value;
        let (server, asked) = noted(theirs);
        run_with(&server, "{a: '1'}").await.unwrap();
        assert_eq!(patches(&asked), 1, "{field}");
    }
}

#[tokio::test]
async fn a_status_that_moves_meanwhile_is_no_change_of_ours() {
    let unchanged = |before: Value, after: Value| async move {
        let (server, _) = mock::server(move |method, path, _| match (method, path) {
            (_, "/api/v1") => mock::core_resources(),
            (&Method::GET, _) => (200, before.clone()),
            _ => (200, after.clone()),
        });
        run(&server, &Mutex::default()).await.unwrap().is_unchanged()
    };
    let object = |version: &str, data: &str, status: &str, label: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": data}, "status": {"s": status},
            "metadata": {"name": "c", "resourceVersion": version, "labels": {"l": label}, "managedFields": [{"manager": version}]}})
    };
    assert!(unchanged(object("1", "a", "a", "a"), object("1", "a", "a", "a")).await);
    assert!(unchanged(object("1", "a", "a", "a"), object("2", "a", "b", "a")).await);
    assert!(!unchanged(object("1", "a", "a", "a"), object("2", "b", "a", "a")).await);
    assert!(!unchanged(object("1", "a", "a", "a"), object("2", "a", "a", "b")).await);
}

/// A server with an allocation whose parent is `owner`; the service is taken once the allocation is gone.
fn allocated(owner: &'static str) -> (ApiServer, Asked) {
    let gone = std::sync::atomic::AtomicBool::new(false);
    mock::server(move |method, path, _| {
        let allocation = path.ends_with("/ipaddresses/10.96.0.10");
        let gone_now = gone.load(std::sync::atomic::Ordering::SeqCst);
        match (method, path) {
            (_, "/api/v1") => {
                let service = json!({"name": "services", "singularName": "", "kind": "Service", "namespaced": true, "verbs": []});
                (200, json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [service]}))
            }
            (&Method::DELETE, _) if allocation => {
                gone.store(true, std::sync::atomic::Ordering::SeqCst);
                (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success", "metadata": {}}))
            }
            (&Method::GET, _) if allocation && !gone_now => {
                let parent = json!({"resource": "services", "namespace": "kube-system", "name": owner});
                let labels = json!({"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"});
                let metadata = json!({"name": "10.96.0.10", "uid": "u", "labels": labels});
                (
                    200,
                    json!({"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": metadata, "spec": {"parentRef": parent}}),
                )
            }
            (&Method::GET, _) => failure(404, "not found"),
            _ if gone_now => {
                (200, json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kube-dns", "namespace": "kube-system"}}))
            }
            _ => failure(
                422,
                "spec.clusterIPs: Invalid value: [\"10.96.0.10\"]: failed to allocate IP 10.96.0.10: provided IP is already allocated",
            ),
        }
    })
}

async fn apply_dns(server: &ApiServer) -> (Result<Applied>, Duration) {
    const DNS: &str = "{apiVersion: v1, kind: Service, metadata: {name: kube-dns, namespace: kube-system}, spec: {clusterIP: 10.96.0.10}}";
    let begun = tokio::time::Instant::now();
    let objects = manifest::parse(DNS).unwrap();
    let applied = apply(server, objects, ApplyOptions::default(), Deadline::after(Duration::from_secs(30)), &|_| ()).await;
    (applied, begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn an_address_that_a_killed_request_took_is_freed_when_no_service_has_come_of_it() {
    let (server, _) = allocated("kube-dns");
    let (applied, after) = apply_dns(&server).await;
    applied.unwrap();
    // Not at once: a request may still be at it. And long before the server finds out.
    assert!(after >= Duration::from_secs(5) && after < Duration::from_secs(14), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn an_address_of_another_service_is_left_alone() {
    let (server, asked) = allocated("another");
    let (applied, _) = apply_dns(&server).await;
    assert!(applied.unwrap_err().to_string().contains("already allocated"));
    assert!(!asked.lock().unwrap().iter().any(|(method, _)| *method == Method::DELETE));
}

#[test]
fn an_address_that_a_killed_request_took_is_waited_for() {
    let refused = |message: &str| K8sError::Request {
        verb: "apply",
        object: "Service kube-system/kube-dns".to_owned(),
        kind: RequestErrorKind::Refused,
        message: message.to_owned(),
    };
    let taken = "spec.clusterIPs: Invalid value: [\"10.240.16.10\"]: failed to allocate IP 10.240.16.10: provided IP is already allocated";
    assert!(comes_right(&refused(taken), false));
    assert!(!comes_right(&refused("spec.clusterIPs: Invalid value: [\"10.9.9.9\"]: not in the valid range"), false));
}
