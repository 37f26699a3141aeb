//! What is installed into a cluster whose API server answers: network, storage, add-ons.

use std::net::IpAddr;
use std::time::Duration;

use crate::domain::fleet::MetalLb;
use crate::domain::kubeadm::addons;
use crate::domain::manifest::{self, ManifestError, Object};
use crate::domain::name::Role;
use crate::domain::node::API_SERVER_PORT;
use crate::engine::files::read_file;
use crate::engine::{ContainerInfo, Engine};
use crate::k8s::apply::{ApplyOptions, apply};
use crate::k8s::sample::Sample;
use crate::k8s::wait::Starts;
use crate::k8s::{ApiServer, Deadline, K8sError, Observer, metallb, nodes, sample, wait};

use super::bootstrap::Handed;
use super::cluster::ClusterPlan;
use super::context::{Outcome, Scope};
use super::error::{Error, ErrorKind, Result};

/// Manifests in the node image, part of kind's contract; `bootstrap/start.sh` hands them over.
const CNI_MANIFEST: &str = "/kind/manifests/default-cni.yaml";
const STORAGE_MANIFEST: &str = "/kind/manifests/default-storage.yaml";
/// Namespaces whose pods must run before a cluster counts as ready.
pub(super) const SYSTEM_NAMESPACES: [&str; 2] = ["kube-system", "local-path-storage"];

/// Applies network and storage from the node's own image, unless it has `handed` their manifests over; storage as a
/// `quick` bootstrap has it, or as it stands there. Returns whether anything changed.
pub(super) async fn base(
    engine: &dyn Engine,
    plan: &ClusterPlan<'_>,
    server: &ApiServer,
    control_plane: &ContainerInfo,
    handed: Option<&Handed>,
    quick: bool,
    scope: &Scope,
) -> Result<bool> {
    const STEP: &str = "install network and storage";
    let deadline = plan.fleet.timeouts.cluster_ready;
    scope
        .step(STEP, deadline, async {
            let seen = |state: &str| scope.progress(STEP, state);
            let deadline = Deadline::after(deadline);
            let (cni, storage) = match handed {
                Some(handed) => (handed.network.clone(), handed.storage.clone()),
                None => tokio::try_join!(
                    read_manifest(engine, control_plane, CNI_MANIFEST, scope),
                    read_manifest(engine, control_plane, STORAGE_MANIFEST, scope),
                )?,
            };
            let cni = cni_objects(&cni, &plan.spec.pod_subnet.to_string(), &format!("{}:{API_SERVER_PORT}", control_plane.name))
                .map_err(|error| bad_manifest(control_plane, CNI_MANIFEST, error))?;
            let mut storage = manifest::parse(&storage).map_err(|error| bad_manifest(control_plane, STORAGE_MANIFEST, error))?;
            if quick {
                addons::quick_storage(&mut storage, &plan.spec.name.node(Role::ControlPlane, 1));
            }
            let options = ApplyOptions::default();
            let (cni, storage) =
                tokio::try_join!(apply(server, cni, options, deadline, &seen), apply(server, storage, options, deadline, &seen))
                    .map_err(|error| failed("install network and storage", error))?;
            let changed = !cni.is_unchanged() || !storage.is_unchanged();
            Ok(if changed { Outcome::changed(true) } else { Outcome::unchanged(false) })
        })
        .await
}

/// Makes the only node of a cluster one that pods and addresses may come to, as kind does; in a cluster of
/// several nodes nothing is touched. Returns whether anything changed.
pub(super) async fn open_only_node(plan: &ClusterPlan<'_>, server: &ApiServer, seen: Observer<'_>) -> Result<bool> {
    // With workers still to come there is one node, too.
    if plan.spec.nodes() != 1 {
        return Ok(false);
    }
    let opened = nodes::open_single_node(server, Deadline::after(plan.fleet.timeouts.cluster_ready), seen).await;
    opened.map_err(|error| failed("open the only node for pods", error))
}

/// Lets the administrator of the kubeconfig in.
pub(super) async fn admit_administrator(plan: &ClusterPlan<'_>, server: &ApiServer, seen: Observer<'_>) -> Result<()> {
    let binding = addons::administrators().map_err(|error| Error::new(ErrorKind::Cluster, "a built-in manifest").because(error))?;
    let deadline = Deadline::after(plan.fleet.timeouts.cluster_ready);
    let applied = apply(server, vec![binding], ApplyOptions::default(), deadline, seen).await;
    applied.map(drop).map_err(|error| failed("let the administrator in", error))
}

/// Applies what kubeadm printed as its add-ons.
pub(super) async fn kubeadm_addons(plan: &ClusterPlan<'_>, server: &ApiServer, manifests: &str, seen: Observer<'_>) -> Result<()> {
    let node = plan.spec.name.node(Role::ControlPlane, 1);
    let objects = addons::quick(manifests, &node)
        .map_err(|error| Error::new(ErrorKind::Cluster, format!("what kubeadm prints in node {node} is no manifest")).because(error))?;
    let deadline = Deadline::after(plan.fleet.timeouts.cluster_ready);
    apply(server, objects, ApplyOptions::default(), deadline, seen)
        .await
        .map(drop)
        .map_err(|error| failed("install CoreDNS and kube-proxy", error))
}

/// Waits until kube-proxy runs: one of the first pods, which are all started at once.
pub(in crate::ops) async fn proxy_runs(plan: &ClusterPlan<'_>, server: &ApiServer, seen: Observer<'_>) -> Result<()> {
    let deadline = Deadline::after(plan.fleet.timeouts.cluster_ready);
    let runs = wait::daemonset_ready(server, "kube-system", "kube-proxy", deadline, seen).await;
    runs.map_err(|error| failed("wait for kube-proxy", error))
}

/// Installs the add-ons the fleet asks for and waits until they work.
pub(super) async fn addons(plan: &ClusterPlan<'_>, server: &ApiServer, scope: &Scope) -> Result<Outcome<Option<IpAddr>>> {
    let mut outcome = Outcome::unchanged(None);
    if plan.fleet.addons.metallb.is_some() {
        outcome.changed |= install_metallb(plan, server, scope).await?;
    }
    // A mesh brings a sample of its own.
    if plan.fleet.addons.sample && plan.fleet.mesh.is_none() {
        let sample = install_sample(plan, server, scope).await?;
        outcome.changed |= sample.changed;
        outcome.value = sample.value;
    }
    Ok(outcome)
}

/// Takes a node out of the cluster's own list; one that is not there is no error.
pub(super) async fn forget_node(server: &ApiServer, node: &str, deadline: Duration) -> Result<()> {
    let deadline = Deadline::after(deadline);
    wait::ready(server, deadline, &|_| ()).await.map_err(|error| failed("wait for the API server", error))?;
    nodes::delete(server, node).await.map_err(|error| failed("remove a node that is to be replaced", error))
}

/// Waits until the API server calls itself ready.
pub(super) async fn api_server_ready(server: &ApiServer, deadline: Duration, seen: Observer<'_>) -> Result<()> {
    wait::ready(server, Deadline::after(deadline), seen).await.map_err(|error| failed("wait for the API server", error))
}

/// Waits until the API server does its work, for one that found the objects it writes at its first start.
pub(super) async fn api_server_works(server: &ApiServer, deadline: Duration, seen: Observer<'_>) -> Result<()> {
    let works = wait::ready_with_bootstrap_objects(server, Deadline::after(deadline), seen).await;
    works.map_err(|error| failed("wait for the API server", error))
}

/// Waits until the API server answers at all.
pub(super) async fn api_server_serves(server: &ApiServer, deadline: Duration, seen: Observer<'_>) -> Result<()> {
    wait::serving(server, Deadline::after(deadline), seen).await.map_err(|error| failed("wait for the API server", error))
}

/// Waits until every node is Ready and every system pod runs.
pub(super) async fn system_ready(plan: &ClusterPlan<'_>, server: &ApiServer, nodes: &[ContainerInfo], seen: Observer<'_>) -> Result<()> {
    let deadline = Deadline::after(plan.fleet.timeouts.cluster_ready);
    let names: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
    let starts: Starts = nodes.iter().filter_map(|node| Some((node.name.clone(), node.started?))).collect();
    let addons = &plan.fleet.addons;
    let namespaces: Vec<&str> = SYSTEM_NAMESPACES
        .into_iter()
        // Another manifest may bring pods that are meant to wait for something.
        .chain(addons.metallb.as_ref().filter(|metallb| metallb.manifest.is_none()).map(|_| metallb::NAMESPACE))
        .chain((addons.sample && plan.fleet.mesh.is_none()).then_some(sample::NAMESPACE))
        .collect();
    wait::nodes_ready(server, &names, deadline, seen).await.map_err(|error| failed("wait for nodes", error))?;
    wait::system_pods_running(server, &namespaces, &starts, deadline, seen).await.map_err(|error| failed("wait for system pods", error))?;
    Ok(())
}

async fn install_metallb(plan: &ClusterPlan<'_>, server: &ApiServer, scope: &Scope) -> Result<bool> {
    const STEP: &str = "install MetalLB";
    let Some(settings) = &plan.fleet.addons.metallb else { return Ok(false) };
    // Its pods start when the node is Ready, which the cluster's own deadline allows for.
    let deadline = plan.fleet.timeouts.cluster_ready + plan.fleet.timeouts.addon_ready;
    scope
        .step(STEP, deadline, async {
            let seen = |state: &str| scope.progress(STEP, state);
            let deadline = Deadline::after(deadline);
            let install = metallb_install(plan, settings);
            let applied = install.apply(server, deadline, &seen).await.map_err(|error| failed(STEP, error))?;
            install.ready(server, deadline, &seen).await.map_err(|error| failed(STEP, error))?;
            Ok(if applied.is_unchanged() { Outcome::unchanged(false) } else { Outcome::changed(true) })
        })
        .await
}

fn metallb_install(plan: &ClusterPlan<'_>, settings: &MetalLb) -> metallb::Install {
    let mut install = metallb::Install::new(plan.pool.clone());
    // A name, not an address: it stays when a restarted node gets another one.
    install.api_server = Some((plan.spec.name.node(Role::ControlPlane, 1), API_SERVER_PORT));
    install.manifest.clone_from(&settings.manifest);
    if let Some(image) = &settings.controller_image {
        install.images.controller.clone_from(image);
    }
    if let Some(image) = &settings.speaker_image {
        install.images.speaker.clone_from(image);
    }
    install
}

async fn install_sample(plan: &ClusterPlan<'_>, server: &ApiServer, scope: &Scope) -> Result<Outcome<Option<IpAddr>>> {
    const STEP: &str = "install sample";
    let deadline = plan.fleet.timeouts.cluster_ready + plan.fleet.timeouts.addon_ready;
    scope
        .step(STEP, deadline, async {
            let seen = |state: &str| scope.progress(STEP, state);
            let deadline = Deadline::after(deadline);
            let sample = Sample::new(plan.spec.name.as_str());
            let applied = sample.apply(server, deadline, &seen).await.map_err(|error| failed(STEP, error))?;
            // Proof that the address was assigned from the pool, is announced, and answers.
            let address = sample.ready(server, &plan.pool, deadline, &seen).await.map_err(|error| failed(STEP, error))?;
            sample::announced(server, deadline, &seen)
                .await
                .map_err(|error| failed("wait for the sample's address to be announced", error))?;
            sample::answers(address, deadline, &seen).await.map_err(|error| {
                failed("ask the sample", error)
                    .hint("container networks cannot be reached from every host: is the engine in a virtual machine?")
            })?;
            Ok(Outcome { value: Outcome { value: Some(address), changed: !applied.is_unchanged() }, changed: !applied.is_unchanged() })
        })
        .await
}

async fn read_manifest(engine: &dyn Engine, node: &ContainerInfo, path: &str, scope: &Scope) -> Result<String> {
    let bytes = read_file(engine, &node.name, path, &scope.cancel).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The network's objects, as kind makes them of the image's manifest: the two markers are kind's.
fn cni_objects(text: &str, pod_subnet: &str, endpoint: &str) -> Result<Vec<Object>, ManifestError> {
    let text = match text.contains("would you kindly template this file") {
        true => text.replace("{{ .PodSubnet }}", pod_subnet).replace("{{.PodSubnet}}", pod_subnet),
        false => text.to_owned(),
    };
    let mut objects = manifest::parse(&text)?;
    if text.contains("would you kindly patch this file") {
        for object in objects.iter_mut().filter(|object| object.id().kind == "DaemonSet") {
            object.set_first_env("CONTROL_PLANE_ENDPOINT", endpoint);
        }
    }
    Ok(objects)
}

fn bad_manifest(node: &ContainerInfo, path: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Image, format!("{path} in node {} cannot be read as a manifest", node.name)).because(error)
}

/// The error of a step that an API server did not let through.
pub(super) fn failed(what: &str, error: K8sError) -> Error {
    let kind = if matches!(error, K8sError::Timeout { .. }) { ErrorKind::Timeout } else { ErrorKind::Cluster };
    Error::new(kind, format!("{what} failed")).because(error)
}
