//! One cluster: from its description to every node Ready and every add-on working.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use crate::domain::facts::HostFacts;
use crate::domain::fleet::{ClusterSpec, Fleet};
use crate::domain::kubeadm::bootstraps_fast;
use crate::domain::name::Role;
use crate::domain::net::NetworkInfo;
use crate::domain::net::ranges::AddrRanges;
use crate::domain::node::Profile;
use crate::engine::ContainerInfo;
use crate::k8s::ApiServer;

use super::alive;
use super::api_server;
use super::bootstrap::{self, Look, Progress};
use super::context::{Kindmesh, Outcome, Scope};
use super::control_plane;
use super::error::{Error, ErrorKind, Result};
use super::image::NodeImage;
use super::install;
use super::kubeconfig_entry;
use super::mesh::{self, MeshPlan};
use super::nodes;
use super::report::ClusterReport;
use super::thaw;

/// After it, one is told that nodes take their time to answer.
const SILENCE: Duration = Duration::from_secs(5);

/// Everything that was decided about a cluster before its first container is made.
pub(super) struct ClusterPlan<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) spec: &'a ClusterSpec,
    pub(super) image: &'a NodeImage,
    pub(super) profile: &'a Profile,
    pub(super) facts: &'a HostFacts,
    pub(super) network: &'a NetworkInfo,
    pub(super) pool: AddrRanges,
    /// Fixed addresses by node name; empty on a shared network.
    pub(super) addresses: &'a BTreeMap<String, Ipv4Addr>,
}

/// A cluster that is there, and the way to it.
pub(super) struct Built {
    pub(super) report: ClusterReport,
    pub(super) server: ApiServer,
    /// Its own part of the mesh; `None` without one.
    pub(super) mesh: Option<mesh::Installed>,
}

/// Makes the cluster what the plan says.
///
/// Undo: [`super::down`], which finds every container by label.
pub(super) async fn ensure(km: &Kindmesh, plan: &ClusterPlan<'_>, mesh: Option<&MeshPlan>) -> Result<Built> {
    let since = Instant::now();
    let scope = km.cluster_scope(plan.spec.name.as_str());
    let engine = km.engine.as_ref();

    let (mut made, mut changed) = boot_nodes(km, plan, &scope).await?;
    let (remade, looks) = remake_interrupted(km, plan, &scope, &mut made).await?;
    changed |= remade;
    let (control_plane, look) = first_control_plane(plan.spec, &made, &looks)?;

    let names: Vec<String> = made.iter().map(|node| node.name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let finished = async {
        let begun = control_plane::start(km, plan, &scope, &control_plane, &look).await?;
        changed |= begun.changed;
        let server = begun.connect(km, plan, &control_plane).await?;
        let (printed, (), ()) = tokio::try_join!(
            begun.addons(km, &control_plane, &scope),
            begun.schedule(km, plan, &server, &control_plane, &scope),
            begun.answers(plan, &server, &scope),
        )?;
        let is_first = plan.fleet.clusters.first().is_some_and(|first| first.name == plan.spec.name);
        let meshed = async {
            let Some(mesh) = mesh else { return Ok(None) };
            mesh::install(plan, mesh, mesh::Place { engine, nodes: &made, server: &server }, &scope).await.map(Some)
        };
        let quick = bootstraps_fast(plan.fleet.profile, &look.version);
        // What is finished is not looked at again, so the add-ons come before; and workers join what has been
        // written down.
        let joined = async {
            let ((), based) = tokio::try_join!(
                control_plane::addons(plan, &server, printed.as_deref(), &scope),
                install::base(engine, plan, &server, &control_plane, begun.handed(), quick, &scope),
            )?;
            begun.control(km, plan, &control_plane, &scope).await?;
            let finished = begun.finish(km, plan, &server, &control_plane, &scope).await?;
            Ok::<bool, Error>(based | finished | join_workers(km, plan, &scope, &control_plane, &made, &looks).await?)
        };
        // Nobody is given a kubeconfig that the cluster refuses.
        let wrote = async {
            begun.admit(plan, &server, &scope).await?;
            let handed = begun.handed().map(|handed| handed.admin.as_str());
            kubeconfig_entry::write(km, plan.spec.name.as_str(), is_first, &control_plane, handed, &scope).await
        };
        let (wrote, joined, sample, meshed) = tokio::try_join!(wrote, joined, install::addons(plan, &server, &scope), meshed,)?;
        changed |= wrote | joined | sample.changed | meshed.as_ref().is_some_and(|meshed| meshed.changed);
        wait_ready(plan, &server, &made, &scope).await?;

        let report = ClusterReport {
            name: plan.spec.name.to_string(),
            context: plan.spec.name.context(),
            kubernetes_version: look.version.to_string(),
            image: plan.image.reference.clone(),
            api_server: server.address().to_owned(),
            nodes: made.into_iter().map(|node| node.name).collect(),
            pool: plan.pool.clone(),
            sample_address: sample.value,
            changed,
            took: since.elapsed(),
        };
        Ok(Built { report, server, mesh: meshed })
    };
    // Of a node that ends from here on what waits for Kubernetes in it would not hear.
    alive::while_they_run(engine, &names, &scope, finished).await
}

/// Creates and starts every node container, all at once.
async fn boot_nodes(km: &Kindmesh, plan: &ClusterPlan<'_>, scope: &Scope) -> Result<(Vec<ContainerInfo>, bool)> {
    let wanted = nodes::plans(plan.spec);
    // Creating copies the image's /var into a volume, and may have to wait for the disk.
    let deadline = plan.fleet.timeouts.node_boot + Duration::from_secs(60);
    scope
        .step("start nodes", deadline, async {
            let made = nodes::ensure_all(km, plan, &wanted, scope).await?;
            let changed = made.iter().any(|(_, changed)| *changed);
            let nodes: Vec<ContainerInfo> = made.into_iter().map(|(node, _)| node).collect();
            Ok(if changed { Outcome::changed((nodes, true)) } else { Outcome::unchanged((nodes, false)) })
        })
        .await
}

/// A node whose kubeadm was interrupted cannot be used again: it is replaced by a new one of the
/// same name. A cluster without a finished control plane starts over with all its nodes. Returns whether any
/// was replaced, and what each tells of itself.
async fn remake_interrupted(km: &Kindmesh, plan: &ClusterPlan<'_>, scope: &Scope, made: &mut [ContainerInfo]) -> Result<(bool, Vec<Look>)> {
    let engine = km.engine.as_ref();
    let mut looks = told(try_join_all(made.iter().map(|node| bootstrap::look(engine, node, &scope.cancel))), scope).await?;
    let control_plane_done = made.iter().zip(&looks).any(|(node, look)| {
        node.name == plan.spec.name.node(Role::ControlPlane, 1) && matches!(look.progress, Progress::Done | Progress::Started)
    });
    let stale: Vec<usize> = looks
        .iter()
        .enumerate()
        .filter(|(_, look)| look.progress == Progress::Interrupted || (look.progress == Progress::Done && !control_plane_done))
        .map(|(index, _)| index)
        .collect();
    if stale.is_empty() {
        return Ok((false, looks));
    }
    // One after the other.
    let each = plan.fleet.timeouts.node_boot + plan.fleet.timeouts.cluster_ready + Duration::from_secs(60);
    let deadline = each.saturating_mul(u32::try_from(stale.len()).unwrap_or(u32::MAX));
    let plans = nodes::plans(plan.spec);
    scope
        .step("replace interrupted nodes", deadline, async {
            for index in stale {
                let node = &made[index];
                if control_plane_done {
                    // kubeadm refuses to join under the name of a node that is still called Ready.
                    forget(km, plan, &node.name).await?;
                }
                scope.warn("replace interrupted nodes", format!("the bootstrap of {} was interrupted; it starts over", node.name));
                thaw::end(&km.engine, node, thaw::End::Remove).await?;
                let Some(again) = plans.iter().find(|plan| plan.name == node.name) else { continue };
                made[index] = nodes::ensure_one(km, plan, again, scope).await?.0;
                // Its image need not be that of the node before it.
                looks[index] = bootstrap::look(engine, &made[index], &scope.cancel).await?;
            }
            Ok(Outcome::changed((true, looks)))
        })
        .await
}

/// What nodes tell; when that takes long, somebody else's bootstrap is at work in one of them.
async fn told(telling: impl Future<Output = Result<Vec<Look>>>, scope: &Scope) -> Result<Vec<Look>> {
    let mut telling = std::pin::pin!(telling);
    if let Ok(looks) = tokio::time::timeout(SILENCE, &mut telling).await {
        return looks;
    }
    scope.note("start nodes", "waiting for a bootstrap that another process began in a node");
    telling.await
}

/// Takes a node that is to be replaced out of the cluster's own list.
async fn forget(km: &Kindmesh, plan: &ClusterPlan<'_>, node: &str) -> Result<()> {
    let name = plan.spec.name.as_str();
    let control_plane = km.engine.inspect_container(&plan.spec.name.node(Role::ControlPlane, 1)).await?;
    let server = api_server::connect(km.engine.as_ref(), name, &control_plane).await?;
    install::forget_node(&server, node, plan.fleet.timeouts.cluster_ready).await
}

async fn join_workers(
    km: &Kindmesh,
    plan: &ClusterPlan<'_>,
    scope: &Scope,
    control_plane: &ContainerInfo,
    made: &[ContainerInfo],
    looks: &[Look],
) -> Result<bool> {
    const STEP: &str = "join workers";
    let engine = km.engine.as_ref();
    let workers = made.iter().zip(looks).filter(|(node, _)| node.id != control_plane.id);
    let missing: Vec<_> = workers.filter(|(_, look)| look.progress != Progress::Done).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    scope
        .step(STEP, plan.fleet.timeouts.cluster_ready, async {
            bootstrap::ensure_token(engine, control_plane, scope).await?;
            let joins = missing.iter().map(|(node, look)| async {
                bootstrap::configure(engine, plan, node, &look.version, &control_plane.name, &scope.cancel).await?;
                bootstrap::join(engine, node, scope, STEP).await?;
                Ok::<(), Error>(())
            });
            try_join_all(joins).await?;
            Ok(Outcome::changed(true))
        })
        .await
}

async fn wait_ready(plan: &ClusterPlan<'_>, server: &ApiServer, made: &[ContainerInfo], scope: &Scope) -> Result<()> {
    const STEP: &str = "wait for nodes and system pods";
    scope
        .step(STEP, plan.fleet.timeouts.cluster_ready, async {
            let seen = |state: &str| scope.progress(STEP, state);
            tokio::try_join!(
                install::api_server_ready(server, plan.fleet.timeouts.cluster_ready, &seen),
                install::system_ready(plan, server, made, &seen),
            )?;
            Ok(Outcome::unchanged(()))
        })
        .await
}

fn first_control_plane(spec: &ClusterSpec, made: &[ContainerInfo], looks: &[Look]) -> Result<(ContainerInfo, Look)> {
    let name = spec.name.node(Role::ControlPlane, 1);
    let found = made.iter().zip(looks).find(|(node, _)| node.name == name);
    found
        .map(|(node, look)| (node.clone(), look.clone()))
        .ok_or_else(|| Error::new(ErrorKind::Cluster, format!("cluster {} has no node {name}", spec.name)))
}
