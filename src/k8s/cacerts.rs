//! The certificates that a cluster's istiod signs with: the Secret they are in, and what istiod makes
//! of it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use base64::Engine as _;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::apply::{ApplyOptions, Change, FIELD_MANAGER, apply};
use super::client::ApiServer;
use super::deadline::{Deadline, Observer, tell};
use super::error::{K8sError, Result};
use super::retry::healing;
use super::state;
use crate::domain::manifest::Object;
use crate::domain::mesh::spec::SYSTEM_NAMESPACE;
use crate::domain::pki::CaBundle;

/// Name of the Secret; Istio's own.
pub const SECRET: &str = "cacerts";
/// The Secret in which an istiod that found no [`SECRET`] keeps the root it made for itself.
pub const SELF_MADE: &str = "istio-ca-secret";
/// Port on which istiod serves with a certificate that its own authority has signed.
const PORT: u16 = 15012;
/// A name in that certificate.
const NAME: &str = "istiod.istio-system.svc";
/// Selects istiod's pods.
const SELECTOR: &str = "app=istiod";
/// Annotation that makes a kubelet look at a pod at once; it holds a fingerprint.
const ANNOTATION: &str = "kindmesh.dev/signing-ca";
/// An API server that starts again is back in less.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest single look at an istiod, which answers within milliseconds.
const LOOK: Duration = Duration::from_secs(5);

/// The files of the Secret by name, raw; `None` when there is no Secret or no namespace.
///
/// # Errors
/// The request's.
pub async fn read(server: &ApiServer) -> Result<Option<BTreeMap<String, Vec<u8>>>> {
    let secret = get(server, SECRET).await?;
    Ok(secret.map(|secret| secret.data.unwrap_or_default().into_iter().map(|(name, bytes)| (name, bytes.0)).collect()))
}

/// Whether an istiod has made a root for itself here. It keeps to that root until both the Secret and
/// its pods are gone.
///
/// # Errors
/// The request's.
pub async fn self_made(server: &ApiServer) -> Result<bool> {
    Ok(get(server, SELF_MADE).await?.is_some())
}

/// Puts a bundle into the Secret. The namespace must be there.
///
/// # Errors
/// As [`apply`].
pub async fn write(server: &ApiServer, bundle: &CaBundle, deadline: Deadline, observer: Observer<'_>) -> Result<Change> {
    let object = secret(bundle)?;
    // Whoever wrote it before: a bundle is taken whole or not at all.
    let applied = apply(server, vec![object], ApplyOptions { force: true }, deadline, observer).await?;
    Ok(applied.objects.first().map_or(Change::Unchanged, |(_, change)| *change))
}

/// The Secret of a bundle.
///
/// # Errors
/// None in practice; the object is checked like any other.
pub fn secret(bundle: &CaBundle) -> Result<Object> {
    let encode = |text: &str| Value::String(base64::engine::general_purpose::STANDARD.encode(text));
    let data: serde_json::Map<String, Value> = bundle.files().iter().map(|(name, text)| ((*name).to_owned(), encode(text))).collect();
    Ok(Object::try_from(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": SECRET, "namespace": SYSTEM_NAMESPACE, "labels": {"app.kubernetes.io/managed-by": FIELD_MANAGER}},
        "data": data,
    }))?)
}

/// Waits until every istiod of a cluster signs with a bundle's certificate: until its own server
/// certificate, which it then makes anew, is followed by that one. How many there are is returned.
///
/// A kubelet looks at a changed Secret within a minute or so; touching the pods makes it look at once.
///
/// # Errors
/// `Timeout`, with what is served instead; the request's.
pub async fn served(server: &ApiServer, bundle: &CaBundle, mark: &str, deadline: Deadline, observer: Observer<'_>) -> Result<usize> {
    let awaited = format!("istiod to sign with the new certificate at {}", server.address());
    let fail = |message: String| K8sError::Hopeless { awaited: awaited.clone(), state: message };
    let wanted = bundle.signing_der().map_err(|error| fail(error.to_string()))?;
    let tls = Arc::new(client(bundle).map_err(fail)?);
    let touched = Mutex::new(BTreeSet::new());
    until_all(&awaited, deadline, observer, || async {
        let pods = istiods(server).await.map_err(|error| error.to_string())?;
        for pod in &pods {
            // Pods of a rollout come and go: each is touched once, when it is first seen.
            if touched.lock().unwrap_or_else(PoisonError::into_inner).insert(pod.clone()) {
                touch(server, pod, mark).await.map_err(|error| error.to_string())?;
            }
            let chain = tokio::time::timeout(LOOK, look(server.client(), pod, tls.clone()))
                .await
                .map_err(|_| format!("pod {pod} does not answer on port {PORT}"))??;
            if !chain.contains(&wanted) {
                return Err(format!("pod {pod} still signs with the certificate before"));
            }
        }
        if pods.is_empty() { Err("no pod of istiod is ready".to_owned()) } else { Ok(pods.len()) }
    })
    .await
}

/// Looks until a look succeeds; tells every new reason why not.
async fn until_all<T, F: Future<Output = Result<T, String>>>(
    awaited: &str,
    deadline: Deadline,
    observer: Observer<'_>,
    look: impl FnMut() -> F,
) -> Result<T> {
    let last = Mutex::new(String::from("it has not answered yet"));
    // Soon at first, for the kubelet that was touched; then as often as an istiod could change.
    let backoff =
        ExponentialBuilder::new().with_min_delay(Duration::from_millis(200)).with_max_delay(Duration::from_secs(2)).without_max_times();
    let looks = look.retry(backoff).notify(|state: &String, _| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != *state {
            tell(observer, state);
            last.clone_from(state);
        }
    });
    match deadline.wait(awaited, looks).await {
        Some(Ok(value)) => Ok(value),
        Some(Err(state)) => Err(deadline.error(awaited, state)),
        None => Err(deadline.error(awaited, last.into_inner().unwrap_or_else(PoisonError::into_inner))),
    }
}

/// Names of istiod's pods that are ready.
async fn istiods(server: &ApiServer) -> Result<Vec<String>> {
    let api: Api<Pod> = Api::namespaced(server.client(), SYSTEM_NAMESPACE);
    let error = |error: &kube::Error| server.error("list", format!("pods {SELECTOR} in {SYSTEM_NAMESPACE}"), error);
    let pods = api.list(&ListParams::default().labels(SELECTOR)).await.map_err(|e| error(&e))?;
    Ok(pods.items.iter().filter(|pod| state::pod_counts(pod) && state::pod(pod).is_ok()).map(ResourceExt::name_any).collect())
}

async fn touch(server: &ApiServer, pod: &str, mark: &str) -> Result<()> {
    let api: Api<Pod> = Api::namespaced(server.client(), SYSTEM_NAMESPACE);
    let patch = json!({"metadata": {"annotations": {ANNOTATION: mark}}});
    let patched = api.patch(pod, &PatchParams::default(), &Patch::Merge(&patch)).await;
    patched.map(|_| ()).map_err(|error| server.error("annotate", format!("Pod {SYSTEM_NAMESPACE}/{pod}"), &error))
}

/// The certificates that an istiod serves with, verified up to the bundle's root.
async fn look(client: Client, pod: &str, tls: Arc<ClientConfig>) -> Result<Vec<Vec<u8>>, String> {
    let api: Api<Pod> = Api::namespaced(client, SYSTEM_NAMESPACE);
    let unreachable = |error: &dyn std::fmt::Display| format!("pod {pod} cannot be reached on port {PORT}: {error}");
    let mut forwarder = api.portforward(pod, &[PORT]).await.map_err(|error| unreachable(&error))?;
    let stream = forwarder.take_stream(PORT).ok_or_else(|| unreachable(&"the server forwards no such port"))?;
    let chain = chain_over(stream, tls).await.map_err(|error| format!("pod {pod}: {error}"));
    forwarder.abort();
    chain
}

/// The certificates of whoever is on the other side, verified.
async fn chain_over(stream: impl AsyncRead + AsyncWrite + Unpin, tls: Arc<ClientConfig>) -> Result<Vec<Vec<u8>>, String> {
    let name = ServerName::try_from(NAME).map_err(|error| error.to_string())?;
    let connection = TlsConnector::from(tls).connect(name, stream).await.map_err(|error| error.to_string())?;
    let (_, session) = connection.get_ref();
    Ok(session.peer_certificates().unwrap_or_default().iter().map(|certificate| certificate.to_vec()).collect())
}

/// A client that trusts the bundle's root alone.
fn client(bundle: &CaBundle) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    for der in bundle.root_ders().map_err(|error| error.to_string())? {
        roots.add(CertificateDer::from(der)).map_err(|error| error.to_string())?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
    Ok(config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth())
}

async fn get(server: &ApiServer, name: &str) -> Result<Option<Secret>> {
    let api: Api<Secret> = Api::namespaced(server.client(), SYSTEM_NAMESPACE);
    let object = format!("Secret {SYSTEM_NAMESPACE}/{name}");
    let read = || async { api.get_opt(name).await.map_err(|error| server.error("read", object.clone(), &error)) };
    healing(&object, Deadline::after(PATIENCE), &|_| {}, |_| false, read).await
}

#[cfg(test)]
mod tests;
