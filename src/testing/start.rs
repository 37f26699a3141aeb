//! From what a test asks for to a fleet that works.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::builder::{Reaper, TestFleetBuilder};
use super::cluster::TestCluster;
use super::ending::Ending;
use super::fleet::TestFleet;
use super::holder::{Holder, reach_of};
use super::scratch::Scratch;
use super::settings::Settings;
use super::source::Source;
use super::{background, evidence, names, plan, reap, reuse};
use crate::domain::fleet::Fleet;
use crate::domain::lease::Lease;
use crate::domain::name::FleetName;
use crate::ops::{ClusterReport, Error, Kindmesh, KubeconfigTarget, Result, UpReport, end_of};

/// A fleet that works, and whom nobody is connected to yet: it can move to another runtime.
pub(super) struct Prepared {
    fleet: Fleet,
    /// What the description calls the clusters, with what was made of them.
    clusters: Vec<(String, ClusterReport)>,
    settings: Arc<Settings>,
    ending: Ending,
}

pub(super) async fn start(asked: TestFleetBuilder) -> Result<TestFleet> {
    prepare(asked).await?.connect().await
}

/// Makes the fleet.
pub(super) async fn prepare(asked: TestFleetBuilder) -> Result<Prepared> {
    let settings = asked.settings();
    let description = asked.description(settings.node_image.as_deref())?;
    let source = Source::Found(settings.clone());
    reap::in_background(&source);
    if asked.reuse {
        return reused(&asked, settings, source, &description).await;
    }
    let mut fleet = plan::renamed(&description, &names::suffix())?;
    if asked.keep.unwrap_or(settings.keep) {
        fleet.lease.expires = expiry(&asked)?;
        let ending = Ending::keep(source, fleet.name.clone());
        let state = settings.state.clone();
        return make(settings, &description, fleet, ending, state, Some("it is kept")).await;
    }
    let holder = holder(&asked, &source, &description).await?;
    fleet.lease = Lease { expires: None, owner: Some(holder.owner().clone()) };
    let ending = Ending::remove(source, fleet.name.clone(), Some(holder));
    // The root is of use only while the mesh is made.
    let scratch = fleet.mesh.is_some().then(|| Scratch::new(&settings.temporary)).transpose()?;
    make(settings, &description, fleet, ending, scratch.as_ref().map(Scratch::path), None).await
}

/// The fleet that all who ask for the same have in common.
async fn reused(asked: &TestFleetBuilder, settings: Arc<Settings>, source: Source, description: &Fleet) -> Result<Prepared> {
    let mut fleet = plan::renamed(description, &reuse::fingerprint(description))?;
    fleet.lease.expires = expiry(asked)?;
    // Of several processes one makes it.
    let _turn = reuse::turn(&settings, &fleet.name).await?;
    super::fault::heal(&source.kindmesh().await?, &fleet.name).await?;
    let ending = Ending::keep(source, fleet.name.clone());
    let state = settings.state.clone();
    make(settings, description, fleet, ending, state, None).await
}

async fn holder(asked: &TestFleetBuilder, source: &Source, description: &Fleet) -> Result<Arc<Holder>> {
    let kindmesh = source.kindmesh().await?;
    let Some(cluster) = description.clusters.first() else { return Err(Error::cancelled("there are no clusters")) };
    let image = kindmesh.node_image(cluster).await?;
    let reach = if asked.reaper == Reaper::Container { reach_of(kindmesh.engine().as_ref()) } else { None };
    match Holder::of_process(source, &image, reach.clone()).await {
        // The socket's path may mean nothing on the engine's side, which may run in a container or a machine of its own.
        Err(error) if reach.is_some() => {
            tracing::warn!(error = error.one_line(), "the engine's socket cannot be given to a container; the next run reaps");
            Holder::of_process(source, &image, None).await
        }
        other => other,
    }
}

fn expiry(asked: &TestFleetBuilder) -> Result<Option<Timestamp>> {
    asked.ttl.map(end_of).transpose()
}

/// Makes the fleet; when that fails, shows what there is of it before it goes. One that is told of gets a kubeconfig.
async fn make(
    settings: Arc<Settings>,
    description: &Fleet,
    fleet: Fleet,
    ending: Ending,
    state: Option<PathBuf>,
    told: Option<&str>,
) -> Result<Prepared> {
    let source = ending.source().clone();
    let kubeconfig = told.map(|_| settings.temporary.join(format!("kindmesh-{}.kubeconfig", fleet.name)));
    let cancel = CancellationToken::new();
    let made = {
        let (source, wanted, kubeconfig, token) = (source.clone(), fleet.clone(), kubeconfig.clone(), cancel.clone());
        let own_network = plan::wants_own_network(description);
        background::apart(cancel, move || async move {
            let kindmesh = source.kindmesh_of(wanted.lease.owner.clone(), state).await?.cancellation(token);
            up(kindmesh, wanted, own_network, kubeconfig).await
        })
    };
    match made.await.unwrap_or_else(|| Err(Error::cancelled("the thread that made the fleet ended"))) {
        Ok((fleet, report)) => {
            if let (Some(file), Some(told)) = (&kubeconfig, told) {
                announce(&fleet, file, told);
            }
            let described = description.clusters.iter().map(|cluster| cluster.name.to_string());
            Ok(Prepared { fleet, clusters: described.zip(report.clusters).collect(), settings, ending })
        }
        Err(error) => {
            show(&source, description, &fleet).await;
            Err(error)
        }
    }
}

async fn up(mut kindmesh: Kindmesh, mut fleet: Fleet, own_network: bool, kubeconfig: Option<PathBuf>) -> Result<(Fleet, UpReport)> {
    if let Some(file) = kubeconfig {
        kindmesh = kindmesh.kubeconfig_files(KubeconfigTarget { write: file.clone(), all: vec![file] });
    }
    if own_network {
        plan::settle_network(&kindmesh, &mut fleet).await?;
    }
    let report = kindmesh.up(&fleet).await?;
    Ok((fleet, report))
}

#[expect(clippy::print_stderr, reason = "a test's author reads it in the test's output")]
async fn show(source: &Source, description: &Fleet, fleet: &Fleet) {
    let pairs = description.clusters.iter().zip(&fleet.clusters);
    let names = pairs.map(|(described, named)| (described.name.to_string(), named.name.to_string())).collect();
    eprintln!("kindmesh: fleet {} did not come up\n{}", fleet.name, evidence::of_clusters(source.clone(), names).await);
}

#[expect(clippy::print_stderr, reason = "a test's author reads it in the test's output")]
fn announce(fleet: &Fleet, kubeconfig: &Path, told: &str) {
    eprintln!("kindmesh: fleet {}: {told}", fleet.name);
    for cluster in &fleet.clusters {
        eprintln!("  KUBECONFIG={} kubectl --context {} get pods -A", kubeconfig.display(), cluster.name.context());
    }
    eprintln!("  removed by: kindmesh down --fleet {} --kubeconfig {}", fleet.name, kubeconfig.display());
}

// === impl Prepared ===

impl Prepared {
    pub(super) fn name(&self) -> &FleetName {
        &self.fleet.name
    }

    /// A handle for the current runtime.
    pub(super) async fn kindmesh(&self) -> Result<Kindmesh> {
        let state = self.ending.keeps().then(|| self.settings.state.clone()).flatten();
        self.ending.source().kindmesh_of(self.fleet.lease.owner.clone(), state).await
    }

    /// The fleet for a test on the current runtime.
    pub(super) async fn connect(self) -> Result<TestFleet> {
        let kindmesh = self.kindmesh().await?;
        let mut clusters = Vec::new();
        for (described, report) in self.clusters {
            clusters.push(TestCluster::connect(&kindmesh, &described, report).await?);
        }
        Ok(TestFleet::new(self.fleet, clusters, kindmesh, self.ending, self.settings.evidence.clone()))
    }
}
