//! When the parts of Istio in one cluster are ready for the next step.

use std::net::IpAddr;

use futures_util::future::try_join_all;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::{Api, ListParams, PostParams};
use kube::runtime::watcher;

use super::{ISTIOD, delete, single};
use crate::domain::mesh::proof::names::{ROOT_CONFIG_MAP, ROOT_KEY};
use crate::domain::mesh::spec::SYSTEM_NAMESPACE;
use crate::k8s::client::ApiServer;
use crate::k8s::deadline::{Deadline, Observer};
use crate::k8s::error::{K8sError, RequestErrorKind, Result};
use crate::k8s::mesh_objects::is_injected;
use crate::k8s::retry::healing;
use crate::k8s::watch::{Verdict, until, until_one};
use crate::k8s::{state, wait};

/// Configuration of the webhook that adds proxies to pods.
const INJECTOR: &str = "istio-sidecar-injector";
/// Label of a pod that is to get a proxy wherever it is.
const INJECT_LABEL: &str = "sidecar.istio.io/inject";

/// What keeps the pods of a gateway: the chart knows both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    /// So many pods.
    Deployment,
    /// One pod on every node.
    DaemonSet,
}

/// Waits until istiod is available and its injector is served: only then may pods of the mesh be made.
///
/// istiod writes its certificate into the webhook's configuration, and its root into every namespace.
///
/// # Errors
/// `Timeout`, with what is missing.
pub async fn control_plane_ready(server: &ApiServer, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    wait::deployment_available(server, SYSTEM_NAMESPACE, ISTIOD, deadline, observer).await?;
    tokio::try_join!(injector_served(server, deadline, observer), root_distributed(server, SYSTEM_NAMESPACE, deadline, observer))?;
    injector_answers(server, deadline, observer).await
}

/// Waits until the injector does its work: that istiod is ready is known before its service leads to it, and a pod
/// that is refused is tried again by its controller after ever longer pauses.
async fn injector_answers(server: &ApiServer, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    let api: Api<Pod> = Api::namespaced(server.client(), SYSTEM_NAMESPACE);
    let pod = Pod {
        metadata: ObjectMeta {
            name: Some("kindmesh-injector-probe".to_owned()),
            labels: Some([(INJECT_LABEL.to_owned(), "true".to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            containers: vec![Container { name: "probe".to_owned(), image: Some("probe".to_owned()), ..Container::default() }],
            ..PodSpec::default()
        }),
        ..Pod::default()
    };
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let ask = || async { api.create(&params, &pod).await.map_err(|error| server.error("try", "the sidecar injector", &error)) };
    // The namespace's service account may be still to come.
    let early = |error: &K8sError| matches!(error, K8sError::Request { kind: RequestErrorKind::Refused, message, .. } if message.contains("serviceaccount"));
    healing("the sidecar injector to answer", deadline, observer, early, ask).await.map(drop)
}

async fn injector_served(server: &ApiServer, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    let api: Api<MutatingWebhookConfiguration> = Api::all(server.client());
    until_one(api, INJECTOR, "the sidecar injector", deadline, observer, |found| {
        let Some(found) = found else { return Verdict::NotYet(format!("{INJECTOR} does not exist yet")) };
        let hooks = found.webhooks.as_deref().unwrap_or_default();
        let open = hooks.iter().filter(|hook| hook.client_config.ca_bundle.as_ref().is_none_or(|bundle| bundle.0.is_empty())).count();
        match (hooks.len(), open) {
            (0, _) => Verdict::NotYet(format!("{INJECTOR} has no webhooks")),
            (_, 0) => Verdict::Done(()),
            (all, open) => Verdict::NotYet(format!("{open} of {all} webhooks of {INJECTOR} have no certificate of istiod yet")),
        }
    })
    .await
}

/// Waits until these configurations refuse what istiod calls wrong, and what it was not asked about: it turns them on
/// itself, once it has seen that it is asked.
///
/// # Errors
/// `Timeout`, with what is missing.
pub async fn validators_strict(server: &ApiServer, names: &[String], deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    try_join_all(names.iter().map(|name| {
        let api: Api<ValidatingWebhookConfiguration> = Api::all(server.client());
        until_one(api, name, "the validation of Istio's objects", deadline, observer, move |found| {
            let Some(found) = found else { return Verdict::NotYet(format!("{name} does not exist yet")) };
            let hooks = found.webhooks.as_deref().unwrap_or_default();
            match hooks.iter().find(|hook| hook.failure_policy.as_deref() != Some("Fail")) {
                Some(hook) => Verdict::NotYet(format!("webhook {} of {name} lets pass what istiod does not answer for yet", hook.name)),
                None => Verdict::Done(()),
            }
        })
    }))
    .await
    .map(drop)
}

/// Waits until istiod has written the mesh's root certificate into a namespace: without it pods hang.
///
/// # Errors
/// `Timeout`.
pub async fn root_distributed(server: &ApiServer, namespace: &str, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    let api: Api<ConfigMap> = Api::namespaced(server.client(), namespace);
    until_one(api, ROOT_CONFIG_MAP, &format!("the root certificate in namespace {namespace}"), deadline, observer, |found| {
        match found.and_then(|map| map.data.as_ref()?.get(ROOT_KEY)) {
            Some(root) if !root.trim().is_empty() => Verdict::Done(()),
            _ => Verdict::NotYet(format!("istiod has not written {ROOT_CONFIG_MAP} into {namespace} yet")),
        }
    })
    .await
}

/// Waits until a gateway's pods are injected and ready and its service has an address; returns it.
/// A pod that was made before the injector worked is deleted, so that its controller makes another.
///
/// # Errors
/// `Timeout`, with what is missing.
pub async fn gateway_ready(
    server: &ApiServer,
    name: &str,
    controller: Controller,
    deadline: Deadline,
    observer: Observer<'_>,
) -> Result<IpAddr> {
    let selector = format!("app={name}");
    let (_, address) = tokio::try_join!(
        async {
            replace_uninjected(server, SYSTEM_NAMESPACE, &selector).await?;
            match controller {
                Controller::Deployment => wait::deployment_available(server, SYSTEM_NAMESPACE, name, deadline, observer).await?,
                Controller::DaemonSet => wait::daemonset_ready(server, SYSTEM_NAMESPACE, name, deadline, observer).await?,
            }
            injected(server, SYSTEM_NAMESPACE, &selector, deadline, observer).await
        },
        wait::service_address(server, SYSTEM_NAMESPACE, name, deadline, observer),
    )?;
    Ok(address)
}

/// Waits until every selected pod is ready and has a proxy, and there is one at least.
///
/// # Errors
/// `Timeout`, naming the pod without a proxy.
pub async fn injected(server: &ApiServer, namespace: &str, selector: &str, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    let api: Api<Pod> = Api::namespaced(server.client(), namespace);
    let awaited = format!("pods {selector} in {namespace} with a proxy");
    until(api, watcher::Config::default().labels(selector), &awaited, deadline, observer, |pods| {
        let counted: Vec<&Pod> = pods.values().filter(|pod| state::pod_counts(pod)).collect();
        if counted.is_empty() {
            return Verdict::NotYet(format!("no pod {selector} in {namespace} yet"));
        }
        let complaint = counted.iter().find_map(|pod| match is_injected(pod) {
            false => Some(format!("pod {} has no proxy: it was made before the injector worked", pod.name_any())),
            true => state::pod(pod).err(),
        });
        complaint.map_or(Verdict::Done(()), Verdict::NotYet)
    })
    .await
}

/// Deletes the selected pods that have no proxy, for their controllers to make new ones.
///
/// # Errors
/// The request's.
pub async fn replace_uninjected(server: &ApiServer, namespace: &str, selector: &str) -> Result<usize> {
    let api: Api<Pod> = Api::namespaced(server.client(), namespace);
    let params = ListParams::default().labels(selector);
    let pods = single(|| async { api.list(&params).await.map_err(|error| server.error("list pods of", namespace, &error)) }).await?;
    let mut replaced = 0;
    for pod in pods.items.iter().filter(|pod| state::pod_counts(pod) && !is_injected(pod)) {
        delete(server, &api, "pod", &pod.name_any()).await?;
        replaced += 1;
    }
    Ok(replaced)
}

#[cfg(test)]
mod tests;
