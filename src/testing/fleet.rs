//! The fleet of a test: there as long as its value, and gone with it.

use std::path::PathBuf;

use super::builder::TestFleetBuilder;
use super::cluster::{TestCluster, failed};
use super::ending::Ending;
use super::{background, evidence};
use crate::domain::fleet::Fleet;
use crate::domain::mesh::proof::names::MIN_CALLS;
use crate::domain::mesh::proof::{Check, Failure};
use crate::k8s::{Deadline, wait};
use crate::ops::{Error, ErrorKind, Kindmesh, Result, VerifyOptions};

/// Clusters for one test. See the [module](super) for what that means.
#[derive(Debug)]
pub struct TestFleet {
    fleet: Fleet,
    clusters: Vec<TestCluster>,
    kindmesh: Kindmesh,
    /// Where everything is written that tells of a failure.
    evidence: Option<PathBuf>,
    // `None` only while it is removed.
    ending: Option<Ending>,
}

// === impl TestFleet ===

impl TestFleet {
    /// A fleet of one cluster, unless told otherwise.
    pub fn builder() -> TestFleetBuilder {
        TestFleetBuilder::new()
    }

    pub(super) fn new(fleet: Fleet, clusters: Vec<TestCluster>, kindmesh: Kindmesh, ending: Ending, evidence: Option<PathBuf>) -> Self {
        Self { fleet, clusters, kindmesh, evidence, ending: Some(ending) }
    }

    /// Its name on the engine, where no other fleet has it.
    pub fn name(&self) -> &str {
        self.fleet.name.as_str()
    }

    /// Its clusters, in the order of the description.
    pub fn clusters(&self) -> &[TestCluster] {
        &self.clusters
    }

    /// A cluster by what the description calls it.
    ///
    /// # Panics
    /// When there is none of this name: the test is wrong.
    #[track_caller]
    pub fn cluster(&self, name: &str) -> &TestCluster {
        let found = self.clusters.iter().find(|cluster| cluster.name() == name || cluster.full_name() == name);
        let there = || self.clusters.iter().map(TestCluster::name).collect::<Vec<_>>().join(", ");
        found.unwrap_or_else(|| panic!("the fleet has no cluster {name}; there are: {}", there()))
    }

    /// What is not said here: the library's own handle on the engine of the fleet.
    pub fn kindmesh(&self) -> &Kindmesh {
        &self.kindmesh
    }

    /// The description of the fleet, with the names it has on the engine.
    pub fn description(&self) -> &Fleet {
        &self.fleet
    }

    /// Proves that the fleet works: with a mesh by calls from each cluster to every other, otherwise by its
    /// API servers and nodes. What is not right yet is waited for, as long as after a start.
    ///
    /// # Errors
    /// `Unproven` or `Timeout`, with everything that is wrong.
    pub async fn verify(&self) -> Result<()> {
        let timeouts = self.fleet.timeouts;
        if self.fleet.mesh.is_none() {
            for cluster in &self.clusters {
                let deadline = Deadline::after(timeouts.cluster_ready);
                let what = format!("verify cluster {}", cluster.name());
                wait::ready(cluster.server(), deadline, &|_| ()).await.map_err(|error| failed(&what, error))?;
                wait::nodes_ready(cluster.server(), cluster.nodes(), deadline, &|_| ()).await.map_err(|error| failed(&what, error))?;
            }
            return Ok(());
        }
        let clusters = self.fleet.clusters.iter().map(|cluster| cluster.name.clone()).collect();
        let options = VerifyOptions { calls: MIN_CALLS, wait: timeouts.mesh_ready, clusters };
        let report = self.kindmesh.verify(&self.fleet.name, &options).await?;
        if report.ok {
            return Ok(());
        }
        let said = |(check, failure): &(&Check, &Failure)| {
            let place = check.cluster.as_deref().map(|cluster| format!("{cluster}: ")).unwrap_or_default();
            format!("{place}{} ({})", failure.message, failure.cause)
        };
        let wrong = report.verdict.telling().iter().map(said).collect::<Vec<_>>().join("; ");
        Err(Error::new(ErrorKind::Unproven, format!("the mesh of fleet {} is not right: {wrong}", self.fleet.name))
            .hint(format!("`kindmesh verify --fleet {}` tells more while the fleet is there", self.fleet.name)))
    }

    /// [`TestCluster::evidence`] of every cluster. Printed by itself when the test panics.
    pub async fn evidence(&self) -> String {
        let names = self.names();
        match &self.ending {
            Some(ending) => evidence::of_clusters(ending.source().clone(), names).await,
            None => String::new(),
        }
    }

    /// Removes the fleet now, unless it stays. Dropping it does the same, but cannot return what went wrong.
    ///
    /// # Errors
    /// When something could not be removed; the message names it.
    pub async fn remove(mut self) -> Result<()> {
        match self.ending.take() {
            Some(ending) if !ending.keeps() => ending.now().await.map(drop),
            _ => Ok(()),
        }
    }

    pub(super) fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    fn names(&self) -> Vec<(String, String)> {
        self.clusters.iter().map(|cluster| (cluster.name().to_owned(), cluster.full_name().to_owned())).collect()
    }
}

impl Drop for TestFleet {
    #[expect(clippy::print_stderr, reason = "a test's author reads it in the test's output")]
    fn drop(&mut self) {
        let Some(ending) = self.ending.take() else { return };
        if std::thread::panicking() {
            let (source, names, fleet) = (ending.source().clone(), self.names(), self.fleet.name.clone());
            let folder = self.evidence.as_ref().map(|folder| folder.join(fleet.as_str()));
            let text = background::run(move || async move {
                let text = evidence::of_clusters(source.clone(), names).await;
                match folder {
                    Some(folder) => text + &evidence::write(&source, &fleet, &folder).await,
                    None => text,
                }
            });
            let text = text.unwrap_or_default();
            eprintln!("kindmesh: the test with fleet {} failed; this is how the fleet is\n{text}", self.fleet.name);
        }
        drop(ending);
    }
}
