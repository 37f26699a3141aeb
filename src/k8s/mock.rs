//! An API server made of canned answers, for failures a real one does not give on demand.

use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use super::client::ApiServer;

/// What was asked: method and path.
pub(crate) type Asked = Arc<Mutex<Vec<(Method, String)>>>;

/// A server that answers each request with what `answer` makes of its method, its path and the
/// number of requests before it: a status code and a body. Watches are never answered: nothing ever changes.
pub(crate) fn server(answer: impl Fn(&Method, &str, usize) -> (u16, Value) + Send + Sync + 'static) -> (ApiServer, Asked) {
    let asked = Asked::default();
    let (log, answer) = (asked.clone(), Arc::new(answer));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (log, answer) = (log.clone(), answer.clone());
        async move {
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            let count = log.lock().unwrap().len();
            log.lock().unwrap().push((method.clone(), path.clone()));
            if request.uri().query().is_some_and(|query| query.contains("watch=true")) {
                std::future::pending::<()>().await;
            }
            let (code, body) = answer(&method, &path, count);
            let response = Response::builder().status(code).header("content-type", "application/json");
            Ok::<_, std::convert::Infallible>(response.body(Body::from(body.to_string().into_bytes())).unwrap())
        }
    });
    (ApiServer::new(Client::new(service, "default"), "mock"), asked)
}

/// A failure in the server's form.
pub(crate) fn failure(code: u16, message: &str) -> (u16, Value) {
    let reason = if code == 404 { "NotFound" } else { "Test" };
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message, "metadata": {}}),
    )
}

/// The kinds of `v1` that tests use.
pub(crate) fn core_resources() -> (u16, Value) {
    let resource = |name: &str, kind: &str, namespaced: bool| json!({"name": name, "singularName": "", "kind": kind, "namespaced": namespaced, "verbs": []});
    let list =
        [resource("configmaps", "ConfigMap", true), resource("namespaces", "Namespace", false), resource("pods/status", "Pod", true)];
    (200, json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": list}))
}
