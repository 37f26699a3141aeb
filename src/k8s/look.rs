//! What a person would look at first: pods and how they are, warnings, the ends of logs.

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams, LogParams};

use super::client::ApiServer;
use super::error::{K8sError, RequestErrorKind, Result};
use super::state;

/// Annotation that names the container that is meant when none is named.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// A pod and how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodLook {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Its node; empty while it has none.
    pub node: String,
    /// Its containers, the usual one first.
    pub containers: Vec<String>,
    /// Container starts after the first, of all of them.
    pub restarts: i32,
    /// Why it does not work; `None` when it is ready, or has done its work.
    pub trouble: Option<String>,
}

/// The pods of a namespace, or of all, that match a selector (empty for all).
///
/// # Errors
/// The request's.
pub async fn pods(server: &ApiServer, namespace: Option<&str>, selector: &str) -> Result<Vec<PodLook>> {
    let api: Api<Pod> = namespace.map_or_else(|| Api::all(server.client()), |namespace| Api::namespaced(server.client(), namespace));
    let pods = api.list(&ListParams::default().labels(selector)).await.map_err(|error| server.error("list", "pods", &error))?;
    Ok(pods.items.iter().map(pod_look).collect())
}

/// The ready pod that is meant: by its name, or the first by its labels when `pod` is a selector (`app=web`).
///
/// # Errors
/// The request's; `NotFound` with what was seen instead.
pub async fn ready_pod(server: &ApiServer, namespace: &str, pod: &str) -> Result<PodLook> {
    let selects = pod.contains('=') || pod.contains(" in ");
    let found = pods(server, Some(namespace), if selects { pod } else { "" }).await?;
    let mut found: Vec<PodLook> = found.into_iter().filter(|one| selects || one.name == pod).collect();
    found.sort_by(|a, b| (a.trouble.is_some(), &a.name).cmp(&(b.trouble.is_some(), &b.name)));
    let missing = |message: String| K8sError::Request {
        verb: "find",
        object: format!("pod {pod} in namespace {namespace}"),
        kind: RequestErrorKind::NotFound,
        message,
    };
    match found.into_iter().next() {
        Some(PodLook { name, trouble: Some(trouble), .. }) => Err(missing(format!("{name} is not ready: {trouble}"))),
        Some(ready) => Ok(ready),
        None => Err(missing("there is none".to_owned())),
    }
}

/// The last lines of a container's log; of the pod's only container, or the one it names as default, without
/// a name.
///
/// # Errors
/// The request's.
pub async fn log_tail(server: &ApiServer, namespace: &str, pod: &str, container: Option<&str>, lines: i64) -> Result<String> {
    let api: Api<Pod> = Api::namespaced(server.client(), namespace);
    let params = LogParams { container: container.map(str::to_owned), tail_lines: Some(lines), ..LogParams::default() };
    api.logs(pod, &params).await.map_err(|error| server.error("read log of", format!("pod {namespace}/{pod}"), &error))
}

/// The latest warnings of a cluster, oldest first, each with how often it came.
///
/// # Errors
/// The request's.
pub async fn warnings(server: &ApiServer, most: usize) -> Result<Vec<String>> {
    let api: Api<Event> = Api::all(server.client());
    let params = ListParams::default().fields("type=Warning");
    let mut events = api.list(&params).await.map_err(|error| server.error("list", "events", &error))?.items;
    events.sort_by_key(|event| event.last_timestamp.as_ref().map(|time| time.0).or(event.event_time.as_ref().map(|time| time.0)));
    Ok(events[events.len().saturating_sub(most)..].iter().map(event_line).collect())
}

fn event_line(event: &Event) -> String {
    let object = &event.involved_object;
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    let times = event.count.filter(|count| *count > 1).map(|count| format!(" ({count} times)")).unwrap_or_default();
    let place = match object.namespace.as_deref() {
        Some(namespace) if !namespace.is_empty() => format!("{namespace}/"),
        _ => String::new(),
    };
    let words: Vec<String> = text(&event.message).split_whitespace().map(str::to_owned).collect();
    format!("{} {place}{}: {}: {}{times}", text(&object.kind), text(&object.name), text(&event.reason), words.join(" "))
}

fn pod_look(pod: &Pod) -> PodLook {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    let done = pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Succeeded");
    PodLook {
        namespace: pod.namespace().unwrap_or_default(),
        name: pod.name_any(),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
        containers: containers(pod),
        restarts: statuses.into_iter().flatten().map(|status| status.restart_count).sum(),
        trouble: if done { None } else { state::pod(pod).err() },
    }
}

/// Names of a pod's containers, the one first that it names as its default: a proxy may have been put before it.
fn containers(pod: &Pod) -> Vec<String> {
    let mut names: Vec<String> = pod.spec.iter().flat_map(|spec| &spec.containers).map(|container| container.name.clone()).collect();
    let default = pod.annotations().get(DEFAULT_CONTAINER);
    names.sort_by_key(|name| Some(name) != default);
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let event: Event = serde_json::from_value(json!({"metadata": {}, "involvedObject": {"kind": "Pod", "namespace": "a", "name": "b"},
            "reason": "BackOff", "message": "Back-off\n restarting", "count": 3}))
        .unwrap();
        assert_eq!(event_line(&event), "Pod a/b: BackOff: Back-off restarting (3 times)");
    }

    #[test]
    fn a_pod_that_is_done_is_no_trouble() {
        let pod = |phase: &str| {
            serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n"}, "status": {"phase": phase,
                "containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 2}]}}))
            .unwrap()
        };
        let look = pod_look(&pod("Succeeded"));
        assert_eq!((look.trouble, look.restarts), (None, 2));
        assert!(pod_look(&pod("Pending")).trouble.is_some());
    }
}
