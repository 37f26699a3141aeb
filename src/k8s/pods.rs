//! Pods: where there are any, and those that wait for nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Preconditions};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};

use super::client::ApiServer;
use super::deadline::{Deadline, Observer};
use super::error::{K8sError, RequestErrorKind, Result};
use super::state;
use super::wait::Starts;
use super::watch::{Reconnect, Verdict, until};

/// What the kubelet calls a container that it does not start again yet.
const BACKED_OFF: &str = "CrashLoopBackOff";

/// All pods, a line for each: namespace and name, node, phase, restarts, and why it is not ready. What a
/// pod's description says (environment, commands) is left out: it may hold secrets.
///
/// # Errors
/// The request's.
pub async fn rows(server: &ApiServer) -> Result<Vec<String>> {
    let api: Api<Pod> = Api::all(server.client());
    let pods = api.list(&ListParams::default()).await.map_err(|error| server.error("list", "pods", &error))?;
    let mut rows: Vec<String> = pods.items.iter().map(row).collect();
    rows.sort();
    Ok(rows)
}

fn row(pod: &Pod) -> String {
    let status = pod.status.as_ref();
    let containers = status.into_iter().flat_map(|status| status.container_statuses.iter().flatten());
    let restarts: i32 = containers.map(|container| container.restart_count).sum();
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("-");
    let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or("-");
    let state = state::pod(pod).err().unwrap_or_else(|| "ok".to_owned());
    let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
    format!("{namespace}/{name} {node} {phase} restarts={restarts} {state}")
}

/// Namespaces that have pods.
///
/// # Errors
/// The request's.
pub async fn namespaces(server: &ApiServer) -> Result<BTreeSet<String>> {
    let api: Api<Pod> = Api::all(server.client());
    // Names are enough.
    let pods = api.list_metadata(&ListParams::default()).await.map_err(|error| server.error("list", "pods", &error))?;
    Ok(pods.items.iter().filter_map(ResourceExt::namespace).collect())
}

/// Replaces pods of these namespaces that are older than the last start of their node, and that the
/// kubelet has put off because they could not work when everything started at once: it would try
/// them again only after 10 s, then 20 s, and so on. Their controllers make new ones at once. Goes on
/// until it is dropped.
///
/// # Errors
/// The requests'.
pub async fn replace_backed_off(server: &ApiServer, namespaces: &[&str], starts: &Starts) -> Result<Infallible> {
    try_join_all(namespaces.iter().map(|namespace| replace_in(server, namespace, starts))).await?;
    std::future::pending().await
}

/// Pods that may have begun before what they ask was there: with every vain try they ask again later.
#[derive(Debug, Clone, Copy)]
pub struct Early<'a> {
    /// Where they are.
    pub namespace: &'a str,
    /// Which they are, by their labels.
    pub selector: &'a str,
    /// When there was somebody to ask, in seconds since 1970 on the nodes' clock.
    pub since: i64,
    /// How long before that a pod may have begun to ask, and still ask again soon.
    pub slack: Duration,
    /// How long one that began later gets to become ready.
    pub patience: Duration,
}

/// Replaces those of the pods that are older than the last start of their node and are not ready since then: at once those
/// that began too early, and after a while the others. Their controllers make new ones at once.
///
/// # Errors
/// The requests'.
pub async fn replace_early(
    server: &ApiServer,
    early: Early<'_>,
    starts: &Starts,
    deadline: Deadline,
    observer: Observer<'_>,
) -> Result<()> {
    let Early { namespace, selector, .. } = early;
    let first = early.since - i64::try_from(early.slack.as_secs()).unwrap_or_default();
    let too_early = |pod: &Pod| began(pod, starts).is_some_and(|began| began < first);
    let unready = unready(server, namespace, selector, starts).await?;
    let (vain, hopeful): (Vec<&Pod>, Vec<&Pod>) = unready.iter().partition(|pod| too_early(pod));
    let api: Api<Pod> = Api::namespaced(server.client(), namespace);
    try_join_all(vain.into_iter().map(|pod| delete(server, &api, namespace, pod))).await?;
    if hopeful.is_empty() {
        return Ok(());
    }
    let patience = Deadline::after(early.patience.min(deadline.remaining()));
    match current(server, namespace, selector, starts, patience, observer).await {
        Err(K8sError::Timeout { .. }) => {
            let unready = self::unready(server, namespace, selector, starts).await?;
            try_join_all(unready.iter().map(|pod| delete(server, &api, namespace, pod))).await.map(drop)
        }
        other => other,
    }
}

/// The selected pods that are older than the last start of their node and are not ready since then.
async fn unready(server: &ApiServer, namespace: &str, selector: &str, starts: &Starts) -> Result<Vec<Pod>> {
    let mut pods = list(server, namespace, selector).await?;
    pods.retain(|pod| is_of_before(pod, starts) && state::pod(pod).and_then(|()| state::pod_is_current(pod, starts)).is_err());
    Ok(pods)
}

async fn list(server: &ApiServer, namespace: &str, selector: &str) -> Result<Vec<Pod>> {
    let api: Api<Pod> = Api::namespaced(server.client(), namespace);
    let pods = api.list(&ListParams::default().labels(selector)).await;
    Ok(pods.map_err(|error| server.error("list", format!("pods of namespace {namespace}"), &error))?.items)
}

/// When the last of the selected pods that are ready became so, in seconds since 1970 on the nodes' clock; 0 without any.
///
/// # Errors
/// The request's.
pub async fn ready_since(server: &ApiServer, namespace: &str, selector: &str) -> Result<i64> {
    let pods = list(server, namespace, selector).await?;
    let conditions = pods.iter().flat_map(|pod| pod.status.iter().flat_map(|status| status.conditions.iter().flatten()));
    let ready = conditions.filter(|condition| condition.type_ == "Ready" && condition.status == "True");
    Ok(ready.filter_map(|condition| condition.last_transition_time.as_ref()).map(|time| time.0.as_second()).max().unwrap_or_default())
}

/// When the first container of a pod that runs now began, after the last start of its node; `None` when none has, as far as
/// the kubelet has told.
fn began(pod: &Pod, starts: &Starts) -> Option<i64> {
    let start = starts.get(pod.spec.as_ref()?.node_name.as_deref()?)?;
    let status = pod.status.as_ref()?;
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let running = containers.filter_map(|container| container.state.as_ref()?.running.as_ref()?.started_at.as_ref());
    running.map(|started| started.0.as_second()).filter(|began| began >= start).min()
}

/// Waits until every selected pod is ready, as the kubelet tells since the last start of its node, and
/// there is one at least.
///
/// # Errors
/// `Timeout`, with the pod that is not.
pub async fn current(
    server: &ApiServer,
    namespace: &str,
    selector: &str,
    starts: &Starts,
    deadline: Deadline,
    observer: Observer<'_>,
) -> Result<()> {
    let api: Api<Pod> = Api::namespaced(server.client(), namespace);
    let awaited = format!("pods {selector} in {namespace}");
    until(api, watcher::Config::default().labels(selector), &awaited, deadline, observer, |pods| {
        let counted: Vec<&Pod> = pods.values().filter(|pod| state::pod_counts(pod)).collect();
        if counted.is_empty() {
            return Verdict::NotYet(format!("no pod {selector} in {namespace} yet"));
        }
        let mut complaints = counted.into_iter().filter_map(|pod| state::pod(pod).and_then(|()| state::pod_is_current(pod, starts)).err());
        complaints.next().map_or(Verdict::Done(()), Verdict::NotYet)
    })
    .await
}

async fn replace_in(server: &ApiServer, namespace: &str, starts: &Starts) -> Result<Infallible> {
    let api: Api<Pod> = Api::namespaced(server.client(), namespace);
    let mut pods = std::pin::pin!(watcher(api.clone(), watcher::Config::default()).backoff(Reconnect::default()));
    let mut replaced = BTreeMap::new();
    loop {
        // What a watch cannot tell now it tells when it has connected again.
        let Some(Ok(Event::Apply(pod) | Event::InitApply(pod))) = pods.next().await else { continue };
        if !is_put_off(&pod, starts) {
            continue;
        }
        let (name, uid) = (pod.name_any(), pod.uid());
        if replaced.insert(name, uid.clone()) != Some(uid) {
            delete(server, &api, namespace, &pod).await?;
        }
    }
}

/// Deletes this very pod, not another one of its name. Nothing in it is waited for.
async fn delete(server: &ApiServer, api: &Api<Pod>, namespace: &str, pod: &Pod) -> Result<()> {
    let only_this = Preconditions { uid: pod.uid(), resource_version: None };
    let at_once = DeleteParams { preconditions: Some(only_this), ..DeleteParams::default() }.grace_period(0);
    let name = pod.name_any();
    match api.delete(&name, &at_once).await.map_err(|error| server.error("delete", format!("pod {namespace}/{name}"), &error)) {
        // Somebody else has done it.
        Ok(_) | Err(K8sError::Request { kind: RequestErrorKind::NotFound | RequestErrorKind::Conflict, .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a pod of before the start of its node waits to be tried again.
fn is_put_off(pod: &Pod, starts: &Starts) -> bool {
    let statuses = pod.status.iter().flat_map(|status| status.init_container_statuses.iter().chain(&status.container_statuses).flatten());
    let mut waiting = statuses.filter_map(|status| status.state.as_ref()?.waiting.as_ref()?.reason.as_deref());
    is_of_before(pod, starts) && waiting.any(|reason| reason == BACKED_OFF)
}

/// Whether a pod was made before its node was started last, and has a controller that makes it anew.
fn is_of_before(pod: &Pod, starts: &Starts) -> bool {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    let Some(start) = node.and_then(|node| starts.get(node)) else { return false };
    let old = pod.creation_timestamp().is_some_and(|created| created.0.as_second() < *start);
    let kept = pod.owner_references().iter().any(|owner| owner.controller == Some(true) && owner.kind != "Node");
    old && kept && state::pod_counts(pod)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn only_old_pods_that_have_a_controller_and_wait_are_replaced() {
        let starts: Starts = [("n".to_owned(), 1_800_000_000)].into();
        let case = |created: &str, owner: &str, state: Value| {
            let status = json!({"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 1, "state": state});
            let pod = json!({
                "metadata": {"name": "p", "creationTimestamp": created,
                    "ownerReferences": [{"apiVersion": "v1", "kind": owner, "name": "o", "uid": "u", "controller": true}]},
                "spec": {"nodeName": "n", "containers": []}, "status": {"phase": "Running", "containerStatuses": [status]},
            });
            is_put_off(&serde_json::from_value(pod).unwrap(), &starts)
        };
        let (before, after) = ("2027-01-15T07:59:59Z", "2027-01-15T08:00:01Z");
        let waits = json!({"waiting": {"reason": BACKED_OFF}});
        assert!(case(before, "ReplicaSet", waits.clone()));
        assert!(!case(after, "ReplicaSet", waits.clone()), "it was made anew once already");
        assert!(!case(before, "Node", waits), "nobody makes a static pod anew");
        assert!(!case(before, "ReplicaSet", json!({"running": {"startedAt": before}})));
    }

    #[test]
    fn a_pod_began_with_its_first_container_since_the_start_of_its_node() {
        let starts: Starts = [("n".to_owned(), 1_800_000_000)].into();
        let container = |at: Option<&str>| {
            let state = at.map_or_else(|| json!({"terminated": {"exitCode": 255}}), |at| json!({"running": {"startedAt": at}}));
            json!({"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 1, "state": state})
        };
        let case = |node: &str, init: Option<&str>, main: Option<&str>| {
            let status = json!({"initContainerStatuses": [container(init)], "containerStatuses": [container(main)]});
            let pod = json!({"metadata": {"name": "p"}, "spec": {"nodeName": node, "containers": []}, "status": status});
            began(&serde_json::from_value(pod).unwrap(), &starts)
        };
        let (before, after, later) = ("2027-01-15T07:59:59Z", "2027-01-15T08:00:04Z", "2027-01-15T08:00:09Z");
        assert_eq!(case("n", None, Some(after)), Some(1_800_000_004));
        assert_eq!(case("n", Some(after), Some(later)), Some(1_800_000_004), "a proxy that comes before its program");
        assert_eq!(case("n", None, None), None, "nothing of it runs yet");
        assert_eq!(case("n", None, Some(before)), None, "its kubelet has not reported yet");
        assert_eq!(case("other", None, Some(after)), None);
    }
}
