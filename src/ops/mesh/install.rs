//! Istio in one cluster: control plane, gateways, sample. Nothing here needs another cluster.

use std::collections::BTreeMap;
use std::net::IpAddr;

use futures_util::future::try_join_all;
use jiff::Timestamp;

use super::ca;
use super::plan::MeshPlan;
use crate::domain::istio::GatewayKind;
use crate::domain::manifest::Object;
use crate::domain::mesh::objects::{self, CLIENT, SAMPLE_NAMESPACE, SAMPLE_SERVICE, SampleVersion};
use crate::engine::{ContainerInfo, Engine};
use crate::k8s::apply::{ApplyOptions, apply};
use crate::k8s::{ApiServer, Deadline, Observer, istio, wait};
use crate::ops::cluster::ClusterPlan;
use crate::ops::context::{Outcome, Scope};
use crate::ops::error::{Error, ErrorKind, Result};
use crate::ops::install::{failed, proxy_runs};
use crate::ops::service_network;

/// What a cluster has of the mesh once its own part is done.
#[derive(Debug, Clone)]
pub(in crate::ops) struct Installed {
    /// Whether anything had to be done.
    pub(in crate::ops) changed: bool,
    /// Addresses of the gateways, by kind.
    pub(in crate::ops) gateways: BTreeMap<GatewayKind, IpAddr>,
}

/// Where a cluster is.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Place<'a> {
    pub(in crate::ops) engine: &'a dyn Engine,
    pub(in crate::ops) nodes: &'a [ContainerInfo],
    pub(in crate::ops) server: &'a ApiServer,
}

/// Objects are ours even where another hand changed them: what the fleet says, counts.
const FORCE: ApplyOptions = ApplyOptions { force: true };

/// Makes the cluster's own part of the mesh.
///
/// Undo: none beside the cluster's own; the mesh goes with its clusters.
pub(in crate::ops) async fn ensure(plan: &ClusterPlan<'_>, mesh: &MeshPlan, place: Place<'_>, scope: &Scope) -> Result<Installed> {
    let server = place.server;
    let mut changed = control_plane(plan, mesh, place, scope).await?;
    let (gateways, sample) = tokio::try_join!(gateways(plan, mesh, server, scope), sample(plan, mesh, server, scope))?;
    changed |= gateways.1 | sample;
    Ok(Installed { changed, gateways: gateways.0 })
}

async fn control_plane(plan: &ClusterPlan<'_>, mesh: &MeshPlan, place: Place<'_>, scope: &Scope) -> Result<bool> {
    const STEP: &str = "install Istio";
    let server = place.server;
    // It may start only when the node is ready, which the cluster's own deadline allows for.
    let deadline = plan.fleet.timeouts.cluster_ready + plan.fleet.timeouts.mesh_ready;
    scope
        .step(STEP, deadline, async {
            let seen = |state: &str| scope.progress(STEP, state);
            let deadline = Deadline::after(deadline);
            let install = mesh.install(plan.spec.name.as_str())?;
            // Both must be there before istiod starts: it reads them once.
            let mut changed = put(server, vec![install.namespace.clone()], deadline, &seen).await?;
            let cluster = (&plan.fleet.name, &plan.spec.name);
            let given = ca::ensure(server, &mesh.root, cluster, Timestamp::now(), deadline, &seen).await?;
            changed |= given.changed;
            let (mut base, mut rest) = (install.base.clone(), install.control_plane.clone());
            for objects in [&mut base, &mut rest] {
                istio::leave_to_istiod(server, objects).await.map_err(|error| failed(STEP, error))?;
            }
            changed |= put(server, base, deadline, &seen).await?;
            // An istiod that comes earlier waits for the API server in vain, for longer each time.
            proxy_runs(plan, server, &seen).await?;
            service_network::leads(place.engine, server, place.nodes, plan.fleet.timeouts.cluster_ready, &scope.cancel).await?;
            changed |= put(server, rest, deadline, &seen).await?;
            istio::control_plane_ready(server, deadline, &seen).await.map_err(|error| failed("wait for istiod", error))?;
            if given.renewed {
                ca::served(server, &given.bundle, deadline, &seen).await?;
            }
            Ok(Outcome { value: changed, changed })
        })
        .await
}

async fn gateways(
    plan: &ClusterPlan<'_>,
    mesh: &MeshPlan,
    server: &ApiServer,
    scope: &Scope,
) -> Result<(BTreeMap<GatewayKind, IpAddr>, bool)> {
    const STEP: &str = "start gateways";
    let deadline = plan.fleet.timeouts.mesh_ready;
    scope
        .step(STEP, deadline, async {
            let seen = |state: &str| scope.progress(STEP, state);
            let deadline = Deadline::after(deadline);
            let install = mesh.install(plan.spec.name.as_str())?;
            let mut objects: Vec<Object> = install.gateways.iter().flat_map(|gateway| &gateway.objects).cloned().collect();
            objects.push(install.cross_network.clone());
            let changed = put(server, objects, deadline, &seen).await?;
            let ready = install.gateways.iter().map(|gateway| async {
                let name = gateway.kind.name();
                let daemon_set = gateway.objects.iter().any(|object| object.id().kind == "DaemonSet");
                let controller = if daemon_set { istio::Controller::DaemonSet } else { istio::Controller::Deployment };
                let address = istio::gateway_ready(server, name, controller, deadline, &seen).await;
                address.map(|address| (gateway.kind, address)).map_err(|error| failed(&format!("wait for gateway {name}"), error))
            });
            // Beside them: it takes istiod about as long.
            let validators: Vec<String> = [&install.base, &install.control_plane]
                .into_iter()
                .flatten()
                .filter(|object| object.id().kind == "ValidatingWebhookConfiguration")
                .map(|object| object.id().name.clone())
                .collect();
            let strict = async {
                let strict = istio::validators_strict(server, &validators, deadline, &seen).await;
                strict.map_err(|error| failed("wait for istiod's validation", error))
            };
            let (addresses, ()) = tokio::try_join!(try_join_all(ready), strict)?;
            let addresses: BTreeMap<GatewayKind, IpAddr> = addresses.into_iter().collect();
            Ok(Outcome { value: (addresses, changed), changed })
        })
        .await
}

/// The sample: helloworld in the version of this cluster, a client, the way in from the host.
async fn sample(plan: &ClusterPlan<'_>, mesh: &MeshPlan, server: &ApiServer, scope: &Scope) -> Result<bool> {
    const STEP: &str = "install sample";
    if !mesh.sample {
        return Ok(false);
    }
    let deadline = plan.fleet.timeouts.mesh_ready;
    scope
        .step(STEP, deadline, async {
            let seen = |state: &str| scope.progress(STEP, state);
            let deadline = Deadline::after(deadline);
            let index = plan.fleet.clusters.iter().position(|cluster| cluster.name == plan.spec.name);
            let version = SampleVersion::of_cluster(index.unwrap_or_default());
            let objects = objects::sample(version, &mesh.images, mesh.ingress).map_err(built_in)?;
            let (namespace, rest): (Vec<_>, Vec<_>) = objects.into_iter().partition(|object| object.id().kind == "Namespace");
            let mut changed = put(server, namespace, deadline, &seen).await?;
            // A pod that comes before the root certificate waits for the kubelet's next try.
            let root = istio::root_distributed(server, SAMPLE_NAMESPACE, deadline, &seen);
            root.await.map_err(|error| failed("wait for the sample's namespace", error))?;
            changed |= put(server, rest, deadline, &seen).await?;
            // A cluster whose place in the fleet has changed has the other version now, and only that.
            let other = version.other().deployment();
            let dropped = istio::drop_deployment(server, SAMPLE_NAMESPACE, &other).await;
            changed |= dropped.map_err(|error| failed("remove the sample's other version", error))?;
            let ready = [(CLIENT, CLIENT.to_owned()), (SAMPLE_SERVICE, version.deployment())].map(|(app, deployment)| async move {
                let selector = format!("app={app}");
                istio::replace_uninjected(server, SAMPLE_NAMESPACE, &selector).await?;
                wait::deployment_available(server, SAMPLE_NAMESPACE, &deployment, deadline, &seen).await?;
                istio::injected(server, SAMPLE_NAMESPACE, &selector, deadline, &seen).await
            });
            try_join_all(ready).await.map_err(|error| failed("wait for the sample", error))?;
            Ok(Outcome { value: changed, changed })
        })
        .await
}

pub(super) async fn put(server: &ApiServer, objects: Vec<Object>, deadline: Deadline, seen: Observer<'_>) -> Result<bool> {
    let applied = apply(server, objects, FORCE, deadline, seen).await.map_err(|error| failed("apply", error))?;
    Ok(!applied.is_unchanged())
}

pub(super) fn built_in(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Config, "a built-in manifest cannot be used").because(error)
}
