//! One cluster of a test's fleet, and what tests do with it again and again.

use std::net::IpAddr;
use std::time::Duration;

use super::evidence;
use crate::domain::manifest;
use crate::domain::net::ranges::AddrRanges;
use crate::k8s::apply::{ApplyOptions, apply};
use crate::k8s::forward::Forward;
use crate::k8s::pod_exec::{self, Place, PodOutput};
use crate::k8s::{ApiServer, Deadline, K8sError, look, wait};
use crate::ops::{ClusterReport, Error, ErrorKind, Kindmesh, Result};

/// How long the helpers here wait for what is about to come: images are pulled, pods scheduled.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longest time for a command in a pod.
const COMMAND: Duration = Duration::from_secs(60);
/// Lines of a log.
const LOG_LINES: i64 = 10_000;

/// A cluster of a [`TestFleet`](super::TestFleet).
#[derive(Debug)]
pub struct TestCluster {
    described: String,
    report: ClusterReport,
    kindmesh: Kindmesh,
    server: ApiServer,
}

/// A port of this machine that leads to a pod's, until it is dropped.
#[derive(Debug)]
pub struct PortForward(Forward);

// === impl TestCluster ===

impl TestCluster {
    pub(super) async fn connect(kindmesh: &Kindmesh, described: &str, report: ClusterReport) -> Result<Self> {
        let client = kindmesh.client(&report.name).await?;
        let server = ApiServer::new(client, report.api_server.clone());
        Ok(Self { described: described.to_owned(), report, kindmesh: kindmesh.clone(), server })
    }

    /// What the description calls it (`cluster1`).
    pub fn name(&self) -> &str {
        &self.described
    }

    /// What it is called on the engine, where no other cluster has this name (`cluster1-x3k9q0ab`); in a mesh
    /// its id.
    pub fn full_name(&self) -> &str {
        &self.report.name
    }

    /// Names of its nodes: of containers and of Kubernetes nodes alike; the control plane comes first.
    pub fn nodes(&self) -> &[String] {
        &self.report.nodes
    }

    /// Its Kubernetes version (`v1.34.4`).
    pub fn kubernetes_version(&self) -> &str {
        &self.report.kubernetes_version
    }

    /// Its LoadBalancer addresses.
    pub fn pool(&self) -> &AddrRanges {
        &self.report.pool
    }

    /// A client of its API server, with every right. It lives as long as the runtime of the test.
    pub fn client(&self) -> kube::Client {
        self.server.client()
    }

    /// A kubeconfig for programs on this machine. It holds a key.
    ///
    /// # Errors
    /// When its first node does not run.
    pub async fn kubeconfig(&self) -> Result<String> {
        self.kindmesh.kubeconfig(&self.report.name, false).await
    }

    /// Applies YAML, one document or many: definitions first, and then what needs them. What is there
    /// already is changed.
    ///
    /// # Errors
    /// When it is no manifest, or the API server refuses a part of it; the message names the object.
    pub async fn apply(&self, yaml: &str) -> Result<()> {
        let objects = manifest::parse(yaml).map_err(|error| Error::new(ErrorKind::Config, "no manifest to apply").because(error))?;
        let options = ApplyOptions { force: true };
        let applied = apply(&self.server, objects, options, Deadline::after(PATIENCE), &|_| ()).await;
        applied.map(drop).map_err(|error| self.failed("apply", error))
    }

    /// Waits for the address of a service of type LoadBalancer; on the network of the fleet, and on this
    /// machine where its containers' addresses can be reached.
    ///
    /// # Errors
    /// When it has none within two minutes, with why.
    pub async fn address(&self, namespace: &str, service: &str) -> Result<IpAddr> {
        let found = wait::service_address(&self.server, namespace, service, Deadline::after(PATIENCE), &|_| ()).await;
        found.map_err(|error| self.failed("find an address", error))
    }

    /// Waits for a pod that is ready and returns its name. `pod` is a name, or a selector (`app=web`).
    ///
    /// # Errors
    /// When there is none within two minutes, with how those that there are look.
    pub async fn ready_pod(&self, namespace: &str, pod: &str) -> Result<String> {
        let what = format!("pod {pod} in namespace {namespace} of cluster {} to be ready", self.described);
        Ok(super::wait_for(&what, PATIENCE, || look::ready_pod(&self.server, namespace, pod)).await?.name)
    }

    /// Runs a command in the first container of a pod, which is waited for as by [`TestCluster::ready_pod`],
    /// for at most a minute. That it fails is no error here: see [`PodOutput::success`].
    ///
    /// # Errors
    /// When there is no ready pod, or the command cannot be asked for.
    pub async fn run_in_pod(&self, namespace: &str, pod: &str, command: &[&str]) -> Result<PodOutput> {
        let what = format!("pod {pod} in namespace {namespace} of cluster {} to be ready", self.described);
        let found = super::wait_for(&what, PATIENCE, || look::ready_pod(&self.server, namespace, pod)).await?;
        let container = found.containers.into_iter().next().unwrap_or_default();
        let place = Place { namespace: namespace.to_owned(), pod: found.name, container };
        let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
        pod_exec::run(&self.server, &place, &command, Deadline::after(COMMAND)).await.map_err(|error| self.failed("run in a pod", error))
    }

    /// What a pod's first container has said, the last ten thousand lines of it. `pod` is a name, or a
    /// selector of one that is ready.
    ///
    /// # Errors
    /// When there is no such pod, or it has said nothing yet because it has not started.
    pub async fn logs(&self, namespace: &str, pod: &str) -> Result<String> {
        let name = if pod.contains('=') { self.ready_pod(namespace, pod).await? } else { pod.to_owned() };
        let all = look::pods(&self.server, Some(namespace), "").await.map_err(|error| self.failed("read a log", error))?;
        let container = all.into_iter().find(|one| one.name == name).and_then(|one| one.containers.into_iter().next());
        let log = look::log_tail(&self.server, namespace, &name, container.as_deref(), LOG_LINES).await;
        log.map_err(|error| self.failed("read a log", error))
    }

    /// A port of 127.0.0.1 that leads to a port of a pod, which is waited for as by
    /// [`TestCluster::ready_pod`]. Unlike addresses, this works wherever the API server can be reached.
    ///
    /// # Errors
    /// When there is no ready pod.
    pub async fn port_forward(&self, namespace: &str, pod: &str, port: u16) -> Result<PortForward> {
        let pod = self.ready_pod(namespace, pod).await?;
        Forward::open(&self.server, namespace, &pod, port).await.map(PortForward).map_err(|error| self.failed("forward a port", error))
    }

    /// What a person would look at first when something is wrong, as text: pods that do not work with the ends of
    /// their logs, warnings, nodes. What cannot be read says so.
    pub async fn evidence(&self) -> String {
        evidence::of_cluster(&self.described, &self.server).await
    }

    pub(super) fn server(&self) -> &ApiServer {
        &self.server
    }

    fn failed(&self, what: &str, error: K8sError) -> Error {
        failed(&format!("{what} in cluster {}", self.described), error)
    }
}

/// The error of something that an API server did not let through.
pub(super) fn failed(what: &str, error: K8sError) -> Error {
    let kind = match &error {
        K8sError::Timeout { .. } => ErrorKind::Timeout,
        error if error.is_not_found() => ErrorKind::NotFound,
        _ => ErrorKind::Cluster,
    };
    // Test frameworks show an error without its causes.
    Error::new(kind, format!("{what}: {error}")).because(error)
}

// === impl PortForward ===

impl PortForward {
    /// Where to connect to.
    pub fn address(&self) -> std::net::SocketAddr {
        self.0.address()
    }
}
