//! Istio in one cluster: when its parts are ready for the next step, and what is there.

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::try_join_all;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, PodSpec, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::runtime::watcher;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::apply::FIELD_MANAGER;
use super::client::ApiServer;
use super::deadline::{Deadline, Observer};
use super::error::{K8sError, RequestErrorKind, Result};
use super::mesh_objects::is_injected;
use super::retry::healing;
use super::watch::{Verdict, until, until_one};
use super::{state, wait};
use crate::domain::manifest::Object;
use crate::domain::mesh::objects::READER_TOKEN;
use crate::domain::mesh::proof::names::{ROOT_CONFIG_MAP, ROOT_KEY};
use crate::domain::mesh::remote_secret;
use crate::domain::mesh::spec::SYSTEM_NAMESPACE;

/// Deployment of the control plane.
pub const ISTIOD: &str = "istiod";
/// Configuration of the webhook that adds proxies to pods.
const INJECTOR: &str = "istio-sidecar-injector";
/// ConfigMap with istiod's own configuration.
const MESH_CONFIG_MAP: &str = "istio";
/// Label of a pod that is to get a proxy wherever it is.
const INJECT_LABEL: &str = "sidecar.istio.io/inject";
/// An API server that starts again is back in less.
const PATIENCE: Duration = Duration::from_secs(20);

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

/// Takes out of an installation's objects what istiod writes later: the validating webhooks are open
/// at first, and istiod closes them when it serves them. Applied again as they were, they would be
/// opened, or the apply refused.
///
/// # Errors
/// The request's.
pub async fn leave_to_istiod(server: &ApiServer, objects: &mut [Object]) -> Result<()> {
    let api: Api<ValidatingWebhookConfiguration> = Api::all(server.client());
    for object in objects.iter_mut().filter(|object| object.id().kind == "ValidatingWebhookConfiguration") {
        if get(server, &api, "validating webhooks", &object.id().name.clone()).await?.is_some() {
            object.remove_from_each("webhooks", "failurePolicy");
        }
    }
    Ok(())
}

/// A control plane, as far as it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlPlane {
    /// Id of the mesh, as its configuration says.
    pub mesh_id: Option<String>,
    /// Tag of istiod's image.
    pub version: String,
    /// Why it is not available; `None` when it is.
    pub problem: Option<String>,
}

/// Looks at the control plane; `None` when there is none.
///
/// # Errors
/// The requests'.
pub async fn control_plane(server: &ApiServer) -> Result<Option<ControlPlane>> {
    let deployments: Api<Deployment> = Api::namespaced(server.client(), SYSTEM_NAMESPACE);
    let Some(istiod) = get(server, &deployments, "deployment", ISTIOD).await? else { return Ok(None) };
    let maps: Api<ConfigMap> = Api::namespaced(server.client(), SYSTEM_NAMESPACE);
    let mesh = get(server, &maps, "configmap", MESH_CONFIG_MAP).await?.and_then(|map| map.data?.remove("mesh"));
    let image = istiod.spec.iter().filter_map(|spec| spec.template.spec.as_ref()?.containers.first()?.image.clone()).next();
    Ok(Some(ControlPlane {
        mesh_id: mesh.and_then(|text| mesh_id(&text)),
        version: image.as_deref().and_then(|image| image.rsplit_once(':')).map(|(_, tag)| tag.to_owned()).unwrap_or_default(),
        problem: state::deployment(&istiod).err(),
    }))
}

fn mesh_id(config: &str) -> Option<String> {
    let config: serde_json::Value = serde_saphyr::from_str(config).ok()?;
    config.pointer("/defaultConfig/meshId")?.as_str().map(str::to_owned)
}

/// Token and certificate authority of the account with which other clusters read this one, once the
/// server has filled them in.
///
/// # Errors
/// `Timeout`.
pub async fn reader_token(server: &ApiServer, deadline: Deadline, observer: Observer<'_>) -> Result<(String, String)> {
    let api: Api<Secret> = Api::namespaced(server.client(), SYSTEM_NAMESPACE);
    until_one(api, READER_TOKEN, "a token for the other clusters", deadline, observer, |found| {
        let value = |key: &str| {
            let bytes = &found?.data.as_ref()?.get(key)?.0;
            Some(String::from_utf8_lossy(bytes).into_owned()).filter(|text| !text.is_empty())
        };
        match (value("token"), value("ca.crt")) {
            (Some(token), Some(ca)) => Verdict::Done((token, ca)),
            _ => Verdict::NotYet(format!("the server has not filled secret {READER_TOKEN} yet")),
        }
    })
    .await
}

/// Whether the server accepts this token. One of an account that was deleted and made again does not.
///
/// # Errors
/// The request's, unless it says that the token is not accepted.
pub async fn accepts_token(server: &ApiServer, kubeconfig: &str) -> Result<bool> {
    let other = ApiServer::from_kubeconfig(kubeconfig).await?;
    let api: Api<SelfSubjectReview> = Api::all(other.client());
    single(|| async {
        match api.create(&PostParams::default(), &SelfSubjectReview::default()).await {
            Ok(_) => Ok(true),
            Err(error) => match server.error("ask who a token is of", "the API server", &error) {
                K8sError::Request { kind: RequestErrorKind::Untrusted, .. } => Ok(false),
                other => Err(other),
            },
        }
    })
    .await
}

/// Deletes the reader's token, for a new one to be made.
///
/// # Errors
/// The request's.
pub async fn drop_reader_token(server: &ApiServer) -> Result<()> {
    let api: Api<Secret> = Api::namespaced(server.client(), SYSTEM_NAMESPACE);
    delete(server, &api, "secret", READER_TOKEN).await
}

/// The clusters that this one has remote secrets for, made by us.
///
/// # Errors
/// The request's.
pub async fn remote_clusters(server: &ApiServer) -> Result<Vec<String>> {
    let api: Api<Secret> = Api::namespaced(server.client(), SYSTEM_NAMESPACE);
    let selector = format!("{}=true,app.kubernetes.io/managed-by=kindmesh", remote_secret::LABEL);
    let params = ListParams::default().labels(&selector);
    let found = single(|| async { api.list(&params).await.map_err(|error| server.error("list", "remote secrets", &error)) }).await?;
    let cluster = |secret: &Secret| secret.name_any().strip_prefix(remote_secret::NAME_PREFIX).map(str::to_owned);
    Ok(found.items.iter().filter_map(cluster).collect())
}

/// Deletes a Deployment of ours; one that is not there, or that somebody else made, is left alone. Returns
/// whether there was one.
///
/// # Errors
/// The request's.
pub async fn drop_deployment(server: &ApiServer, namespace: &str, name: &str) -> Result<bool> {
    let api: Api<Deployment> = Api::namespaced(server.client(), namespace);
    let found = get(server, &api, "deployment", name).await?;
    let ours =
        |found: &Deployment| found.metadata.managed_fields.iter().flatten().any(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER));
    if !found.as_ref().is_some_and(ours) {
        return Ok(false);
    }
    delete(server, &api, "deployment", name).await?;
    Ok(true)
}

/// Deletes the remote secret for a cluster; one that is not there is no error.
///
/// # Errors
/// The request's.
pub async fn forget_cluster(server: &ApiServer, cluster: &str) -> Result<()> {
    let api: Api<Secret> = Api::namespaced(server.client(), SYSTEM_NAMESPACE);
    delete(server, &api, "secret", &remote_secret::name(cluster)).await
}

/// A request whose object nothing else waits for: a server that is busy or starts again is asked again.
async fn single<T, F: Future<Output = Result<T>>>(request: impl FnMut() -> F) -> Result<T> {
    healing("the API server to answer", Deadline::after(PATIENCE), &|_| {}, |_| false, request).await
}

async fn get<K>(server: &ApiServer, api: &Api<K>, what: &str, name: &str) -> Result<Option<K>>
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned,
{
    let object = format!("{what} {name}");
    single(|| async { api.get_opt(name).await.map_err(|error| server.error("read", object.clone(), &error)) }).await
}

async fn delete<K>(server: &ApiServer, api: &Api<K>, what: &str, name: &str) -> Result<()>
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned,
{
    let object = format!("{what} {name}");
    single(|| async {
        match api.delete(name, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(error) => match server.error("delete", object.clone(), &error) {
                K8sError::Request { kind: RequestErrorKind::NotFound, .. } => Ok(()),
                other => Err(other),
            },
        }
    })
    .await
}
