//! The sample: an HTTP echo service behind a LoadBalancer address, and proofs that it works.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, AttachParams, ListParams};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::apply::{Applied, ApplyOptions, apply};
use super::client::ApiServer;
use super::deadline::{Deadline, Observer};
use super::error::{K8sError, Result};
use super::{metallb, probe, state, wait};
use crate::domain::manifest::{self, Object};
use crate::domain::net::ranges::AddrRanges;

/// Namespace of the sample.
pub const NAMESPACE: &str = "kindmesh-sample";

/// Name of its Deployment, Service and container.
pub const NAME: &str = "echo";

/// Its image; the node image built here holds it.
pub const IMAGE: &str = "docker.io/kindmesh/echo:v1";

const MANIFEST: &str = include_str!("../../manifests/sample/echo.yaml");

/// Most of an answer read from a command in a pod.
const MOST: u64 = 1024 * 1024;

/// What to install.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Name of the cluster, told in every answer.
    pub cluster: String,
    /// Image; see [`IMAGE`].
    pub image: String,
}

// === impl Sample ===

impl Sample {
    /// The sample of a cluster, with its own image.
    pub fn new(cluster: impl Into<String>) -> Self {
        Self { cluster: cluster.into(), image: IMAGE.to_owned() }
    }

    /// The objects of the sample.
    ///
    /// # Errors
    /// None in practice; the built-in manifest is checked like any other.
    pub fn objects(&self) -> Result<Vec<Object>> {
        let mut objects = manifest::parse(MANIFEST)?;
        let set = |object: &mut Object| object.set_image(NAME, &self.image) && object.set_env(NAME, "CLUSTER", &self.cluster);
        if !objects.iter_mut().any(set) {
            return Err(K8sError::Container { manifest: "sample", container: NAME, what: "image" });
        }
        Ok(objects)
    }

    /// Applies the sample without waiting for it.
    ///
    /// # Errors
    /// Those of [`apply`].
    pub async fn apply(&self, server: &ApiServer, deadline: Deadline, observer: Observer<'_>) -> Result<Applied> {
        apply(server, self.objects()?, ApplyOptions::default(), deadline, observer).await
    }

    /// Waits until the sample's pod is ready and its service has an address of the pool, and
    /// returns that.
    ///
    /// # Errors
    /// `Timeout`; `OutsidePool` for an address from elsewhere.
    pub async fn ready(&self, server: &ApiServer, pool: &AddrRanges, deadline: Deadline, observer: Observer<'_>) -> Result<IpAddr> {
        let (_, address) = tokio::try_join!(
            wait::deployment_available(server, NAMESPACE, NAME, deadline, observer),
            assigned(server, pool, deadline, observer),
        )?;
        Ok(address)
    }
}

/// Whether the sample is there, complete or not.
///
/// # Errors
/// The request's.
pub async fn is_there(server: &ApiServer) -> Result<bool> {
    let api: Api<Deployment> = Api::namespaced(server.client(), NAMESPACE);
    let found = api.get_opt(NAME).await.map_err(|error| server.error("look for", "the sample", &error))?;
    Ok(found.is_some())
}

/// Waits until the service has an address; it must be one of the pool.
///
/// # Errors
/// `Timeout`; `OutsidePool`.
pub async fn assigned(server: &ApiServer, pool: &AddrRanges, deadline: Deadline, observer: Observer<'_>) -> Result<IpAddr> {
    let address = wait::service_address(server, NAMESPACE, NAME, deadline, observer).await?;
    match address {
        IpAddr::V4(v4) if pool.contains(v4) => Ok(address),
        _ => Err(K8sError::OutsidePool { service: format!("{NAMESPACE}/{NAME}"), address: address.to_string(), pool: pool.to_string() }),
    }
}

/// Waits until a node announces the service's address; returns its name.
///
/// # Errors
/// `Timeout`.
pub async fn announced(server: &ApiServer, deadline: Deadline, observer: Observer<'_>) -> Result<String> {
    metallb::announced(server, NAMESPACE, NAME, deadline, observer).await
}

/// Gets the sample's page from this machine, trying until it answers.
///
/// # Errors
/// `Timeout`.
pub async fn answers(address: IpAddr, deadline: Deadline, observer: Observer<'_>) -> Result<String> {
    probe::http_get(SocketAddr::new(address, 80), "/", deadline, observer).await
}

/// Gets `url` from within the sample's pod: what other clusters see of an address.
///
/// # Errors
/// `Exec` when the page cannot be got or no pod is ready, `Timeout`.
pub async fn get_from_pod(server: &ApiServer, url: &str, deadline: Deadline) -> Result<String> {
    let awaited = format!("an answer of {url} in a pod of {NAMESPACE}");
    deadline.bound(&awaited, "no answer", run_get(server, url)).await
}

async fn run_get(server: &ApiServer, url: &str) -> Result<String> {
    let api: Api<Pod> = Api::namespaced(server.client(), NAMESPACE);
    let error = |error: &kube::Error| server.error("run a command in", format!("a pod of {NAMESPACE}"), error);
    let pods = api.list(&ListParams::default().labels(&format!("app={NAME}"))).await.map_err(|e| error(&e))?;
    let command = ["/echo", "get", url];
    let failed = |pod: &str, message: String| K8sError::Exec { pod: format!("{NAMESPACE}/{pod}"), command: command.join(" "), message };
    let usable = |pod: &&Pod| state::pod_counts(pod) && state::pod(pod).is_ok();
    let pod = pods.items.iter().find(usable).map(ResourceExt::name_any);
    let pod = pod.ok_or_else(|| failed(NAME, "no pod is ready; was the sample installed?".to_owned()))?;

    let params = AttachParams::default().stdin(false).stdout(true).stderr(true).container(NAME);
    let mut process = api.exec(&pod, command, &params).await.map_err(|e| error(&e))?;
    let (stdout, stderr, status) = (process.stdout(), process.stderr(), process.take_status());
    // All at once: a full pipe nobody reads would hold up the other one and the status.
    let (stdout, stderr, status) = tokio::join!(read(stdout), read(stderr), async {
        match status {
            Some(status) => status.await,
            None => None,
        }
    });
    match status {
        Some(status) if status.status.as_deref() == Some("Success") => Ok(stdout),
        Some(status) => {
            let said = stderr.trim();
            let why = status.message.unwrap_or_else(|| "it failed".to_owned());
            Err(failed(&pod, if said.is_empty() { why } else { format!("{why}: {said}") }))
        }
        None => Err(failed(&pod, "the connection ended before the command did".to_owned())),
    }
}

async fn read(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // A broken stream shows as a missing status.
        let _ = stream.take(MOST).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_cluster_and_the_image_are_set() {
        let mut sample = Sample::new("east");
        sample.image = "other:v2".to_owned();
        let objects = sample.objects().unwrap();
        let deployment = objects.iter().find(|object| object.id().kind == "Deployment").unwrap();
        let container = &deployment.value()["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "other:v2");
        assert_eq!(container["env"][0], json!({"name": "CLUSTER", "value": "east"}));
        assert!(objects.iter().all(|object| object.id().kind == "Namespace" || object.id().namespace.as_deref() == Some(NAMESPACE)));
    }
}
