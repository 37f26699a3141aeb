//! What of Istio is in a cluster, and what may be taken away.

use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::domain::manifest;
use crate::k8s::mock::{self, Asked, failure};

const SYSTEM: &str = "/apis/apps/v1/namespaces/istio-system/deployments/istiod";
const CONFIG: &str = "/api/v1/namespaces/istio-system/configmaps/istio";
const VALIDATOR: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/there";

/// A server with these objects, by path, that takes orders to delete.
fn with(objects: Vec<(&'static str, Value)>) -> (ApiServer, Asked) {
    mock::server(move |method, path, _| match *method {
        Method::GET => {
            objects.iter().find(|(known, _)| *known == path).map_or_else(|| failure(404, "not found"), |(_, it)| (200, it.clone()))
        }
        Method::DELETE => (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success", "metadata": {}})),
        _ => failure(405, "not allowed"),
    })
}

fn istiod(available: u32) -> Value {
    json!({"metadata": {"name": "istiod", "namespace": "istio-system"},
        "spec": {"selector": {}, "template": {"spec": {"containers": [{"name": "discovery", "image": "registry.example:5000/pilot:1.31.1"}]}}},
        "status": {"updatedReplicas": 1, "availableReplicas": available}})
}

#[tokio::test]
async fn a_control_plane_is_told_by_its_parts() {
    assert_eq!(control_plane(&with(vec![]).0).await.unwrap(), None);
    let config = json!({"metadata": {"name": "istio"}, "data": {"mesh": "defaultConfig:\n  meshId: demo\n"}});
    let found = control_plane(&with(vec![(SYSTEM, istiod(1)), (CONFIG, config)]).0).await.unwrap();
    assert_eq!(found, Some(ControlPlane { mesh_id: Some("demo".to_owned()), version: "1.31.1".to_owned(), problem: None }));
    let bare = control_plane(&with(vec![(SYSTEM, istiod(0))]).0).await.unwrap().unwrap();
    assert_eq!((bare.mesh_id, bare.problem.as_deref()), (None, Some("deployment istiod: 0 of 1 replicas available")));
}

/// A busy server is asked again, and a refusal is the end.
#[tokio::test(start_paused = true)]
async fn a_look_outlasts_a_server_that_starts_again() {
    let (server, asked) = mock::server(|_, path, count| match (path, count) {
        (_, 0) => failure(503, "the server is starting"),
        (SYSTEM, _) => (200, istiod(1)),
        _ => failure(404, "not found"),
    });
    assert!(control_plane(&server).await.unwrap().is_some());
    assert_eq!(asked.lock().unwrap().len(), 3);
    let (server, asked) = mock::server(|_, _, _| failure(403, "forbidden"));
    assert_eq!(control_plane(&server).await.unwrap_err().to_string(), "read deployment istiod: forbidden");
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_validator_that_is_there_stays_as_istiod_left_it() {
    let text = |name: &str| {
        format!(
            "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {{name: {name}}}\n\
             webhooks: [{{name: a, failurePolicy: Ignore}}]\n---\n"
        )
    };
    let mut objects = manifest::parse(&(text("there") + &text("new"))).unwrap();
    let (server, _) = with(vec![(VALIDATOR, json!({"metadata": {"name": "there"}}))]);
    leave_to_istiod(&server, &mut objects).await.unwrap();
    let policies: Vec<&Value> = objects.iter().map(|object| &object.value()["webhooks"][0]["failurePolicy"]).collect();
    assert_eq!(policies, [&Value::Null, &json!("Ignore")]);
}

#[tokio::test]
async fn only_a_deployment_of_ours_is_deleted() {
    let by = |manager: &str| {
        let mut found = istiod(1);
        found["metadata"]["managedFields"] = json!([{"manager": manager}]);
        vec![(SYSTEM, found)]
    };
    for (objects, dropped) in [(vec![], false), (vec![(SYSTEM, istiod(1))], false), (by("kubectl"), false), (by(FIELD_MANAGER), true)] {
        let (server, asked) = with(objects);
        assert_eq!(drop_deployment(&server, "istio-system", "istiod").await.unwrap(), dropped);
        let deleted = asked.lock().unwrap().iter().filter(|(method, path)| (method, path.as_str()) == (&Method::DELETE, SYSTEM)).count();
        assert_eq!(deleted, usize::from(dropped));
    }
}

#[tokio::test]
async fn remote_secrets_are_listed_by_cluster_and_one_that_is_gone_is_no_error() {
    let secret = |name: &str| json!({"metadata": {"name": name}});
    let items = [secret("istio-remote-secret-east"), secret("other"), secret("istio-remote-secret-west")];
    let list = json!({"metadata": {"resourceVersion": "1"}, "items": items});
    let (server, _) = with(vec![("/api/v1/namespaces/istio-system/secrets", list)]);
    assert_eq!(remote_clusters(&server).await.unwrap(), ["east", "west"]);
    let (server, asked) = mock::server(|_, _, _| failure(404, "not found"));
    forget_cluster(&server, "east").await.unwrap();
    let path = "/api/v1/namespaces/istio-system/secrets/istio-remote-secret-east".to_owned();
    assert_eq!(*asked.lock().unwrap(), [(Method::DELETE, path)]);
}
