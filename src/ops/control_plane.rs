//! The first control plane of a cluster, from a booted node to a cluster that knows how it is configured.
//!
//! As kind does it, `kubeadm init` does all of that in one go, and waits in between. Quickly done, kubeadm writes what
//! the control plane's programs need, and they are started; what it would write into the cluster at its end is written
//! while everything else is being installed.

use crate::domain::kubeadm::bootstraps_fast;
use crate::engine::ContainerInfo;
use crate::k8s::ApiServer;

use super::api_server;
use super::bootstrap::{self, Handed, Look, Progress};
use super::cluster::ClusterPlan;
use super::context::{Kindmesh, Outcome, Scope};
use super::error::Result;
use super::install;

/// A control plane whose programs are started.
pub(super) struct Begun {
    /// Whether anything had to be done.
    pub(super) changed: bool,
    /// Whether the cluster knows how it is configured.
    finished: bool,
    /// Whether the controller manager is known to be started.
    controls: bool,
    /// What the node told when they were started just now.
    handed: Option<Handed>,
}

/// Starts the control plane's programs, as far as they are not.
pub(super) async fn start(
    km: &Kindmesh,
    plan: &ClusterPlan<'_>,
    scope: &Scope,
    control_plane: &ContainerInfo,
    look: &Look,
) -> Result<Begun> {
    const STEP: &str = "start the control plane";
    let engine = km.engine.as_ref();
    scope
        .step(STEP, plan.fleet.timeouts.cluster_ready, async {
            let unfinished = Begun { changed: true, finished: false, controls: false, handed: None };
            match look.progress {
                Progress::Done => return Ok(Outcome::unchanged(Begun { changed: false, finished: true, controls: true, ..unfinished })),
                Progress::Started => return Ok(Outcome::unchanged(unfinished)),
                Progress::Fresh | Progress::Interrupted => {}
            }
            let begun = if bootstraps_fast(plan.fleet.profile, &look.version) {
                let handed = bootstrap::start(engine, plan, control_plane, &look.version, scope, STEP).await?;
                Begun { controls: !handed.seeded, handed: Some(handed), ..unfinished }
            } else {
                bootstrap::configure(engine, plan, control_plane, &look.version, &control_plane.name, &scope.cancel).await?;
                bootstrap::init(engine, control_plane, scope, STEP).await?;
                Begun { finished: true, controls: true, ..unfinished }
            };
            Ok(Outcome::changed(begun))
        })
        .await
}

/// Installs what kubeadm would have installed, where it was not let.
pub(super) async fn addons(plan: &ClusterPlan<'_>, server: &ApiServer, printed: Option<&str>, scope: &Scope) -> Result<()> {
    const STEP: &str = "install CoreDNS and kube-proxy";
    let Some(printed) = printed else { return Ok(()) };
    scope
        .step(STEP, plan.fleet.timeouts.cluster_ready, async {
            let seen = |state: &str| scope.progress(STEP, state);
            install::kubeadm_addons(plan, server, printed, &seen).await?;
            Ok(Outcome::changed(()))
        })
        .await
}

// === impl Begun ===

impl Begun {
    /// Connects to it.
    pub(super) async fn connect(&self, km: &Kindmesh, plan: &ClusterPlan<'_>, control_plane: &ContainerInfo) -> Result<ApiServer> {
        let (engine, cluster) = (km.engine.as_ref(), plan.spec.name.as_str());
        match &self.handed {
            Some(handed) => api_server::connect_with(engine, cluster, control_plane, &handed.super_admin).await,
            None if self.finished => api_server::connect(engine, cluster, control_plane).await,
            None => api_server::connect_early(engine, cluster, control_plane).await,
        }
    }

    /// Waits until the API server answers and does its work: it may just have been started, or started again.
    pub(super) async fn answers(&self, plan: &ClusterPlan<'_>, server: &ApiServer, scope: &Scope) -> Result<()> {
        const STEP: &str = "wait for the API server";
        let deadline = plan.fleet.timeouts.cluster_ready;
        scope
            .step(STEP, deadline, async {
                let seen = |state: &str| scope.progress(STEP, state);
                match self.handed.as_ref().is_some_and(|handed| handed.seeded) {
                    true => install::api_server_works(server, deadline, &seen).await?,
                    false => install::api_server_ready(server, deadline, &seen).await?,
                }
                Ok(Outcome::unchanged(()))
            })
            .await
    }

    /// Starts the scheduler as soon as the API server serves: when the scheduler has come up, the server has made
    /// the roles it needs, or found them.
    pub(super) async fn schedule(
        &self,
        km: &Kindmesh,
        plan: &ClusterPlan<'_>,
        server: &ApiServer,
        control_plane: &ContainerInfo,
        scope: &Scope,
    ) -> Result<()> {
        const STEP: &str = "start the scheduler";
        if self.finished {
            return Ok(());
        }
        scope
            .step(STEP, plan.fleet.timeouts.cluster_ready, async {
                let seen = |state: &str| scope.progress(STEP, state);
                install::api_server_serves(server, plan.fleet.timeouts.cluster_ready, &seen).await?;
                bootstrap::start_program(km.engine.as_ref(), control_plane, "scheduler", scope, STEP).await?;
                Ok(Outcome::changed(()))
            })
            .await
    }

    /// Starts the controller manager where kubeadm did not: now that there is something to control, and that the server
    /// will have looked after its roles when the controller manager has come up. It looks for that only each second.
    pub(super) async fn control(&self, km: &Kindmesh, plan: &ClusterPlan<'_>, control_plane: &ContainerInfo, scope: &Scope) -> Result<()> {
        const STEP: &str = "start the controllers";
        if self.controls {
            return Ok(());
        }
        scope
            .step(STEP, plan.fleet.timeouts.cluster_ready, async {
                bootstrap::start_program(km.engine.as_ref(), control_plane, "controller-manager", scope, STEP).await?;
                Ok(Outcome::changed(()))
            })
            .await
    }

    /// Makes the kubeconfig that users get one that may do everything.
    pub(super) async fn admit(&self, plan: &ClusterPlan<'_>, server: &ApiServer, scope: &Scope) -> Result<()> {
        if self.finished {
            return Ok(());
        }
        install::admit_administrator(plan, server, &|state| scope.progress("write kubeconfig", state)).await
    }

    /// The manifests of kubeadm's add-ons; `None` when it has installed them itself.
    pub(super) async fn addons(&self, km: &Kindmesh, control_plane: &ContainerInfo, scope: &Scope) -> Result<Option<String>> {
        match &self.handed {
            Some(handed) => Ok(Some(handed.addons.clone())),
            None if self.finished => Ok(None),
            None => bootstrap::addon_manifests(km.engine.as_ref(), control_plane, scope).await.map(Some),
        }
    }

    /// What the node told when its programs were started just now; `None` when they were there.
    pub(super) fn handed(&self) -> Option<&Handed> {
        self.handed.as_ref()
    }

    /// Writes into the cluster how it is configured, and opens its only node for pods. Returns whether anything
    /// was changed.
    pub(super) async fn finish(
        &self,
        km: &Kindmesh,
        plan: &ClusterPlan<'_>,
        server: &ApiServer,
        control_plane: &ContainerInfo,
        scope: &Scope,
    ) -> Result<bool> {
        const STEP: &str = "configure the cluster";
        scope
            .step(STEP, plan.fleet.timeouts.cluster_ready, async {
                let seen = |state: &str| scope.progress(STEP, state);
                if !self.finished {
                    if plan.spec.nodes() == 1 {
                        // Nobody waits for it, and everybody for the first pods.
                        install::proxy_runs(plan, server, &seen).await?;
                    }
                    bootstrap::finish(km.engine.as_ref(), control_plane, plan.spec.nodes() == 1, scope, STEP).await?;
                }
                let opened = install::open_only_node(plan, server, &seen).await?;
                let changed = opened || !self.finished;
                Ok(Outcome { value: changed, changed })
            })
            .await
    }
}
