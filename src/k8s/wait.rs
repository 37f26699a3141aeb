//! Waiting for what an API server reports: by watching, until a deadline, telling what is seen.
//!
//! Every wait fails with [`K8sError::Timeout`], which holds what was
//! awaited and the state seen last. A server that cannot be reached, or that refuses for a while,
//! is a state like any other: servers restart.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use futures_util::future::try_join_all;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Event, Node, Pod, Service, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::ListParams;
use kube::runtime::watcher;
use kube::{Api, ResourceExt};

use super::client::ApiServer;
use super::deadline::{Deadline, Observer, tell};
use super::error::{K8sError, RequestErrorKind, Result};
use super::state;
use super::watch::{Verdict, until, until_one};

/// Longest single look at `/readyz`: a server that accepts and then says nothing is asked anew.
const READYZ_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks of `/readyz` for objects that every API server writes into an empty database: roles and priority classes.
const BOOTSTRAP: [&str; 2] = ["poststarthook/rbac/bootstrap-roles", "poststarthook/scheduling/bootstrap-system-priority-classes"];

/// How long after a deadline may be asked for what went wrong.
const EXPLAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Waits until the API server answers and calls itself ready.
///
/// # Errors
/// `Timeout`, with the checks of `/readyz` that fail.
pub async fn ready(server: &ApiServer, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    ready_except(server, &[], deadline, observer).await
}

/// Waits until the API server answers and does its work, for a database that has the bootstrap objects already:
/// an API server begins to look after them a second after its start, and calls itself ready when it has.
///
/// # Errors
/// As [`ready`].
pub async fn ready_with_bootstrap_objects(server: &ApiServer, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    ready_except(server, &BOOTSTRAP, deadline, observer).await
}

async fn ready_except(server: &ApiServer, except: &[&str], deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    let awaited = format!("the API server at {}", server.address());
    let look = || async {
        let request = http::Request::get("/readyz?verbose").body(Vec::new()).map_err(kube::Error::HttpError);
        let client = server.client();
        let answer = async { client.request_text(request?).await };
        match tokio::time::timeout(READYZ_TIMEOUT, answer).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                let error = server.error("ask", "/readyz", &error);
                if fails_only(&error, except) { Ok(()) } else { Err(readyz_state(&error)) }
            }
            Err(_) => Err(format!("no answer within {} s", READYZ_TIMEOUT.as_secs())),
        }
    };
    often(&awaited, deadline, observer, look).await
}

/// Waits until the API server answers at all, be it that it is not ready: from then on it makes its own roles.
///
/// # Errors
/// `Timeout`, with why there is no answer.
pub async fn serving(server: &ApiServer, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    let awaited = format!("the API server at {}", server.address());
    let look = || async {
        let request = http::Request::get("/livez").body(Vec::new()).map_err(kube::Error::HttpError);
        let client = server.client();
        match tokio::time::timeout(READYZ_TIMEOUT, async { client.request_text(request?).await }).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                let error = server.error("ask", "/livez", &error);
                let silent = matches!(error.kind(), Some(RequestErrorKind::Unreachable | RequestErrorKind::Interrupted));
                if silent { Err(readyz_state(&error)) } else { Ok(()) }
            }
            Err(_) => Err(format!("no answer within {} s", READYZ_TIMEOUT.as_secs())),
        }
    };
    often(&awaited, deadline, observer, look).await
}

/// Looks until a look finds what is awaited; tells every new reason why not.
async fn often<F: Future<Output = std::result::Result<(), String>>>(
    awaited: &str,
    deadline: Deadline,
    observer: Observer<'_>,
    look: impl FnMut() -> F,
) -> Result<()> {
    let last = std::sync::Mutex::new(String::from("it has not answered yet"));
    // There is nothing to watch before the server serves. A look costs next to nothing, and everything waits for it.
    let backoff = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(50))
        .with_factor(1.2)
        .with_max_delay(Duration::from_millis(200))
        .without_max_times();
    let looks = look.retry(backoff).notify(|state: &String, _| {
        let mut last = last.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if *last != *state {
            tell(observer, state);
            last.clone_from(state);
        }
    });
    match deadline.wait(awaited, looks).await {
        Some(Ok(())) => Ok(()),
        Some(Err(state)) => Err(deadline.error(awaited, state)),
        None => Err(deadline.error(awaited, last.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()))),
    }
}

/// Waits until every expected node has registered and is ready; others may be there too.
///
/// # Errors
/// `Timeout`, with the nodes that are missing or not ready and what their kubelets say.
pub async fn nodes_ready(server: &ApiServer, expected: &[String], deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    let awaited = format!("nodes {}", expected.join(", "));
    let api: Api<Node> = Api::all(server.client());
    until(api, watcher::Config::default(), &awaited, deadline, observer, |nodes| {
        let states = expected.iter().filter_map(|name| match nodes.get(name) {
            Some(node) => state::node(node).err(),
            None => Some(format!("node {name} has not registered yet")),
        });
        verdict(states)
    })
    .await
}

/// When each node was started last, by name, in seconds since 1970 on the nodes' clock.
pub type Starts = BTreeMap<String, i64>;

/// Waits until everything in the given namespaces runs: every Deployment available, every
/// DaemonSet ready, every pod ready or done, and at least one pod in each.
///
/// After a restart of a node the server shows its pods as they were before, until the node reports
/// again: what `starts` says to be of a time before does not count.
///
/// # Errors
/// `Timeout`, with the pods and workloads that are not there yet.
pub async fn system_pods_running(
    server: &ApiServer,
    namespaces: &[&str],
    starts: &Starts,
    deadline: Deadline,
    observer: Observer<'_>,
) -> Result<()> {
    // Workloads are watched beside pods: a pod that its controller has yet to make is seen by no one.
    let each = namespaces.iter().map(|namespace| async move {
        tokio::try_join!(
            pods_running(server, namespace, starts, deadline, observer),
            deployments_available(server, namespace, deadline, observer),
            daemon_sets_ready(server, namespace, deadline, observer),
        )
    });
    try_join_all(each).await.map(drop)
}

async fn pods_running(server: &ApiServer, namespace: &str, starts: &Starts, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    let api: Api<Pod> = Api::namespaced(server.client(), namespace);
    until(api, watcher::Config::default(), &format!("pods in {namespace}"), deadline, observer, |pods| {
        let counted: Vec<&Pod> = pods.values().filter(|pod| state::pod_counts(pod)).collect();
        match counted.len() {
            0 => Verdict::NotYet(format!("no pod in {namespace} yet")),
            // A static pod is shown as its kubelet last got round to telling, up to 10 s late: that the server answers
            // and pods are scheduled says more.
            _ => verdict(
                counted
                    .into_iter()
                    .filter(|pod| !state::is_static(pod))
                    .filter_map(|pod| state::pod(pod).and_then(|()| state::pod_is_current(pod, starts)).err()),
            ),
        }
    })
    .await
}

async fn deployments_available(server: &ApiServer, namespace: &str, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    let api: Api<Deployment> = Api::namespaced(server.client(), namespace);
    until(api, watcher::Config::default(), &format!("deployments in {namespace}"), deadline, observer, |found| {
        verdict(found.values().filter_map(|deployment| state::deployment(deployment).err()))
    })
    .await
}

async fn daemon_sets_ready(server: &ApiServer, namespace: &str, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    let api: Api<DaemonSet> = Api::namespaced(server.client(), namespace);
    until(api, watcher::Config::default(), &format!("daemonsets in {namespace}"), deadline, observer, |found| {
        verdict(found.values().filter_map(|daemon_set| state::daemon_set(daemon_set, false).err()))
    })
    .await
}

/// Waits until every replica of a Deployment is available.
///
/// # Errors
/// `Timeout`, with what its pods wait for.
pub async fn deployment_available(
    server: &ApiServer,
    namespace: &str,
    name: &str,
    deadline: Deadline,
    observer: Observer<'_>,
) -> Result<()> {
    let api: Api<Deployment> = Api::namespaced(server.client(), namespace);
    let awaited = format!("deployment {namespace}/{name}");
    let mut selector = None;
    let result = until_one(api, name, &awaited, deadline, observer, |found| {
        let Some(found) = found else { return Verdict::NotYet(format!("deployment {name} does not exist yet")) };
        selector = found.spec.as_ref().and_then(|spec| spec.selector.match_labels.clone());
        verdict(state::deployment(found).err().into_iter())
    })
    .await;
    explain_pods(server, namespace, selector, result).await
}

/// Waits until a DaemonSet is ready on every node that wants it, and on one at least.
///
/// # Errors
/// `Timeout`, with what its pods wait for.
pub async fn daemonset_ready(server: &ApiServer, namespace: &str, name: &str, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    let api: Api<DaemonSet> = Api::namespaced(server.client(), namespace);
    let awaited = format!("daemonset {namespace}/{name}");
    let mut selector = None;
    let result = until_one(api, name, &awaited, deadline, observer, |found| {
        let Some(found) = found else { return Verdict::NotYet(format!("daemonset {name} does not exist yet")) };
        selector = found.spec.as_ref().and_then(|spec| spec.selector.match_labels.clone());
        verdict(state::daemon_set(found, true).err().into_iter())
    })
    .await;
    explain_pods(server, namespace, selector, result).await
}

/// Waits until a LoadBalancer service has an address and returns it.
///
/// # Errors
/// `Timeout`, with the service's last event; `Hopeless` when its type is another.
pub async fn service_address(
    server: &ApiServer,
    namespace: &str,
    name: &str,
    deadline: Deadline,
    observer: Observer<'_>,
) -> Result<IpAddr> {
    let api: Api<Service> = Api::namespaced(server.client(), namespace);
    let awaited = format!("an address of service {namespace}/{name}");
    let result = until_one(api, name, &awaited, deadline, observer, |found| {
        let Some(found) = found else { return Verdict::NotYet(format!("service {name} does not exist yet")) };
        let kind = found.spec.as_ref().and_then(|spec| spec.type_.as_deref()).unwrap_or("ClusterIP");
        if kind != "LoadBalancer" {
            return Verdict::Never(format!("its type is {kind}, not LoadBalancer"));
        }
        match state::service_address(found).map(str::parse) {
            Some(Ok(address)) => Verdict::Done(address),
            Some(Err(_)) => Verdict::Never("its ingress address is no IP address".to_owned()),
            None => Verdict::NotYet("no address assigned yet".to_owned()),
        }
    })
    .await;
    match result {
        Err(K8sError::Timeout { awaited, after, last }) => {
            let event = last_event(server, namespace, name).await.map(|event| format!(" ({event})")).unwrap_or_default();
            Err(K8sError::Timeout { awaited, after, last: last + &event })
        }
        result => result,
    }
}

/// Waits until the server serves the kinds of all these definitions.
///
/// # Errors
/// `Timeout`, with the definitions that are missing, unaccepted or not established.
pub async fn crds_established(server: &ApiServer, names: &[String], deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    // One watch of them all: a watch for each would cost a connection for each.
    let api: Api<CustomResourceDefinition> = Api::all(server.client());
    let awaited = format!("{} custom resource definitions", names.len());
    until(api, watcher::Config::default(), &awaited, deadline, observer, |found| {
        verdict(names.iter().filter_map(|name| match found.get(name) {
            Some(definition) => state::definition(definition).err(),
            None => Some(format!("{name} does not exist yet")),
        }))
    })
    .await
}

/// Waits until a service account exists; without its namespace's `default` no pod is admitted.
///
/// # Errors
/// `Timeout`.
pub async fn service_account(server: &ApiServer, namespace: &str, name: &str, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    let api: Api<ServiceAccount> = Api::namespaced(server.client(), namespace);
    until_one(api, name, &format!("service account {namespace}/{name}"), deadline, observer, |found| match found {
        Some(_) => Verdict::Done(()),
        None => Verdict::NotYet(format!("service account {name} does not exist yet")),
    })
    .await
}

/// Done when there is nothing to complain about; else the complaints, the first few in full.
fn verdict(complaints: impl Iterator<Item = String>) -> Verdict<()> {
    const SHOWN: usize = 3;
    let complaints: Vec<String> = complaints.collect();
    match complaints.len() {
        0 => Verdict::Done(()),
        count if count > SHOWN => Verdict::NotYet(format!("{}, and {} more", complaints[..SHOWN].join(", "), count - SHOWN)),
        _ => Verdict::NotYet(complaints.join(", ")),
    }
}

/// What `/readyz` says, in one line: the checks that fail, or why there is no answer.
fn readyz_state(error: &K8sError) -> String {
    let K8sError::Request { message, kind, .. } = error else { return error.to_string() };
    if *kind != RequestErrorKind::Unavailable {
        return message.clone();
    }
    let failing = failing_checks(error);
    match failing.is_empty() {
        true => message.lines().next().unwrap_or("not ready").to_owned(),
        false => format!("not ready: {}", failing.join(", ")),
    }
}

/// Whether `/readyz` says that some checks fail, and no others than these.
fn fails_only(error: &K8sError, except: &[&str]) -> bool {
    let failing = failing_checks(error);
    !failing.is_empty() && failing.iter().all(|check| except.contains(check))
}

/// The checks that fail, by what `/readyz` says.
fn failing_checks(error: &K8sError) -> Vec<&str> {
    match error {
        K8sError::Request { message, kind: RequestErrorKind::Unavailable, .. } => {
            message.lines().filter_map(|line| line.strip_prefix("[-]")).map(|line| line.split(' ').next().unwrap_or(line)).collect()
        }
        _ => Vec::new(),
    }
}

/// Adds to a timeout what the selected pods wait for.
async fn explain_pods(server: &ApiServer, namespace: &str, selector: Option<BTreeMap<String, String>>, result: Result<()>) -> Result<()> {
    let Err(K8sError::Timeout { awaited, after, mut last }) = result else { return result };
    let labels: Vec<String> = selector.into_iter().flatten().map(|(key, value)| format!("{key}={value}")).collect();
    if !labels.is_empty() {
        let api: Api<Pod> = Api::namespaced(server.client(), namespace);
        let params = ListParams::default().labels(&labels.join(","));
        if let Ok(Ok(pods)) = tokio::time::timeout(EXPLAIN_TIMEOUT, api.list(&params)).await
            && let Some(why) = pods.items.iter().filter(|pod| state::pod_counts(pod)).find_map(|pod| state::pod(pod).err())
        {
            last.push_str(&format!("; {why}"));
        }
    }
    Err(K8sError::Timeout { awaited, after, last })
}

/// The newest event about an object.
async fn last_event(server: &ApiServer, namespace: &str, name: &str) -> Option<String> {
    let api: Api<Event> = Api::namespaced(server.client(), namespace);
    let params = ListParams::default().fields(&format!("involvedObject.name={name}"));
    let events = tokio::time::timeout(EXPLAIN_TIMEOUT, api.list(&params)).await.ok()?.ok()?;
    let newest = events
        .items
        .into_iter()
        .max_by_key(|event| event.last_timestamp.as_ref().map(|at| at.0).or(event.creation_timestamp().map(|at| at.0)))?;
    newest.message.or(newest.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_counted_when_there_are_many() {
        let of = |count: usize| verdict((0..count).map(|index| format!("pod {index}")));
        assert!(matches!(of(0), Verdict::Done(())));
        assert!(matches!(of(2), Verdict::NotYet(text) if text == "pod 0, pod 1"));
        assert!(matches!(of(5), Verdict::NotYet(text) if text == "pod 0, pod 1, pod 2, and 2 more"));
    }

    #[test]
    fn readyz_is_told_in_one_line() {
        let of = |kind, message: &str| {
            readyz_state(&K8sError::Request { verb: "ask", object: "/readyz".to_owned(), kind, message: message.to_owned() })
        };
        let list = "[+]ping ok\n[-]etcd failed: reason withheld\n[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\nreadyz check failed";
        assert_eq!(of(RequestErrorKind::Unavailable, list), "not ready: etcd, poststarthook/rbac/bootstrap-roles");
        assert_eq!(of(RequestErrorKind::Unavailable, "shutting down"), "shutting down");
        assert_eq!(of(RequestErrorKind::Unreachable, "Connection refused"), "Connection refused");
    }

    #[test]
    fn a_server_with_its_objects_works_while_it_looks_after_them() {
        let of = |kind, message: &str| {
            let error = K8sError::Request { verb: "ask", object: "/readyz".to_owned(), kind, message: message.to_owned() };
            fails_only(&error, &BOOTSTRAP)
        };
        let own = "[+]ping ok\n[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\nreadyz check failed";
        assert!(of(RequestErrorKind::Unavailable, own));
        assert!(!of(RequestErrorKind::Unavailable, &format!("[-]informer-sync failed: reason withheld\n{own}")));
        assert!(!of(RequestErrorKind::Unavailable, "shutting down"));
        assert!(!of(RequestErrorKind::Unreachable, own));
    }
}
