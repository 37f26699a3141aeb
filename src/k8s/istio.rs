//! Istio in one cluster: when its parts are ready for the next step, and what is there.

use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::apply::FIELD_MANAGER;
use super::client::ApiServer;
use super::deadline::{Deadline, Observer};
use super::error::{K8sError, RequestErrorKind, Result};
use super::retry::healing;
use super::state;
use super::watch::{Verdict, until_one};
use crate::domain::manifest::Object;
use crate::domain::mesh::objects::READER_TOKEN;
use crate::domain::mesh::remote_secret;
use crate::domain::mesh::spec::SYSTEM_NAMESPACE;

mod ready;

pub use ready::{Controller, control_plane_ready, gateway_ready, injected, replace_uninjected, root_distributed, validators_strict};

/// Deployment of the control plane.
pub const ISTIOD: &str = "istiod";
/// ConfigMap with istiod's own configuration.
const MESH_CONFIG_MAP: &str = "istio";
/// An API server that starts again is back in less.
const PATIENCE: Duration = Duration::from_secs(20);

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

#[cfg(test)]
mod tests;
