//! What a test asks for.

use std::sync::Arc;
use std::time::Duration;

use super::fleet::TestFleet;
use super::settings::Settings;
use crate::domain::fleet::Fleet;
use crate::domain::fleet_builder::{ClusterBuilder, FleetBuilder, MeshBuilder};
use crate::engine::connect::ConnectOptions;
use crate::ops::{Error, ErrorKind, Result};

/// Name of fleets for which none is named; a suffix follows.
const NAME: &str = "test";

/// Describes a [`TestFleet`]; begin with [`TestFleet::builder`].
#[derive(Debug, Clone)]
#[must_use = "nothing is made before `start`"]
pub struct TestFleetBuilder {
    name: String,
    fleet: FleetBuilder,
    counted: bool,
    connect: Option<ConnectOptions>,
    pub(super) keep: Option<bool>,
    pub(super) reuse: bool,
    pub(super) ttl: Option<Duration>,
    pub(super) reaper: Reaper,
}

/// Who removes a fleet whose test process was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reaper {
    /// A container on the engine, some seconds after the process has ended. It is given the engine's socket, and
    /// has no network; on an engine of another machine it is as [`Reaper::NextRun`].
    #[default]
    Container,
    /// The next process that starts a test fleet on this engine, or `kindmesh prune`. No container gets the
    /// engine's socket.
    NextRun,
}

// === impl TestFleetBuilder ===

impl TestFleetBuilder {
    pub(super) fn new() -> Self {
        Self {
            name: NAME.to_owned(),
            fleet: Fleet::builder(NAME).clusters(1),
            counted: false,
            connect: None,
            keep: None,
            reuse: false,
            ttl: None,
            reaper: Reaper::default(),
        }
    }

    /// What the fleet's name begins with, to find it by: at most 31 lower-case letters, digits and `-`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// This many clusters, `cluster1`, `cluster2` and so on; one unless told otherwise.
    pub fn clusters(mut self, count: u32) -> Self {
        self.counted = true;
        self.fleet = self.fleet.clusters(count);
        self
    }

    /// A cluster with a name and settings of its own; clusters that are only counted come before it.
    pub fn cluster(mut self, cluster: ClusterBuilder) -> Self {
        if !self.counted {
            self.fleet = self.fleet.clusters(0);
        }
        self.fleet = self.fleet.cluster(cluster);
        self
    }

    /// Nodes of each cluster; the first is the control plane, and runs pods when it is the only one.
    pub fn nodes(mut self, nodes: u32) -> Self {
        self.fleet = self.fleet.nodes(nodes);
        self
    }

    /// Kubernetes version of the clusters (`v1.34.4`, or `1.34` for the latest known).
    pub fn kubernetes_version(mut self, version: impl Into<String>) -> Self {
        self.fleet = self.fleet.kubernetes_version(version);
        self
    }

    /// Node image of the clusters; `KINDMESH_NODE_IMAGE` names the one for clusters without image and version.
    pub fn image(mut self, image: impl Into<String>) -> Self {
        self.fleet = self.fleet.image(image);
        self
    }

    /// One Istio mesh over all clusters, with a sample in each that [`TestFleet::verify`] sends traffic through.
    pub fn mesh(mut self) -> Self {
        self.fleet = self.fleet.mesh(MeshBuilder::new());
        self
    }

    /// Anything else that a fleet can be. A network that is described here is used as it is described; without
    /// one, the fleet gets its own.
    ///
    /// ```no_run
    /// # async fn example() -> kindmesh::ops::Result<()> {
    /// use kindmesh::testing::TestFleet;
    ///
    /// let fleet = TestFleet::builder().describe(|fleet| fleet.pool_size(10).sample(true)).start().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn describe(mut self, describe: impl FnOnce(FleetBuilder) -> FleetBuilder) -> Self {
        self.fleet = describe(self.fleet);
        self
    }

    /// Keeps the fleet when the test is over, and prints how to reach it. Without this, `KINDMESH_KEEP` decides.
    pub fn keep(mut self, keep: bool) -> Self {
        self.keep = Some(keep);
        self
    }

    /// One fleet for all tests and test runs that ask for the same: the first makes it, the others find it. It
    /// stays; tests must leave it as they found it, and be prepared for others that use it at the same time.
    pub fn reuse(mut self) -> Self {
        self.reuse = true;
        self
    }

    /// How long a fleet that is kept or reused may live; afterwards the next test, or `kindmesh prune`, removes
    /// it. Without this, it stays until somebody removes it.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Who removes the fleet when this process is killed.
    pub fn reaper(mut self, reaper: Reaper) -> Self {
        self.reaper = reaper;
        self
    }

    /// The engine; without this it is found as by the program, by `DOCKER_HOST`, Docker's context and the
    /// usual sockets.
    pub fn connect(mut self, options: ConnectOptions) -> Self {
        self.connect = Some(options);
        self
    }

    /// Makes the fleet, and returns when all of it works.
    ///
    /// # Errors
    /// The first failure, naming object and cause. What was made is removed again, unless fleets are kept; what
    /// could be seen of it is printed before.
    pub async fn start(self) -> Result<TestFleet> {
        super::start::start(self).await
    }

    /// The name that the fleet of [`TestFleetBuilder::reuse`] has, for who removes it: `kindmesh down --fleet …`.
    ///
    /// # Errors
    /// When the description cannot be.
    pub fn fleet_name(&self) -> Result<String> {
        let description = self.description(self.settings().node_image.as_deref())?;
        Ok(super::plan::renamed(&description, &super::reuse::fingerprint(&description))?.name.to_string())
    }

    /// The environment, with what was said outright.
    pub(super) fn settings(&self) -> Arc<Settings> {
        let settings = Settings::of_process();
        Arc::new(match &self.connect {
            Some(connect) => Settings { connect: connect.clone(), ..settings },
            None => settings,
        })
    }

    /// The fleet, without names and a network of its own.
    pub(super) fn description(&self, usual_image: Option<&str>) -> Result<Fleet> {
        let built = self.fleet.clone().build();
        let mut fleet = built.map_err(|error| Error::new(ErrorKind::Config, format!("the description of the fleet: {error}")))?;
        fleet.name = self.name.parse()?;
        for cluster in fleet.clusters.iter_mut().filter(|cluster| cluster.image.is_none() && cluster.kubernetes_version.is_none()) {
            cluster.image = usual_image.map(str::to_owned);
        }
        Ok(fleet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(builder: TestFleetBuilder) -> Vec<String> {
        builder.description(None).unwrap().clusters.iter().map(|cluster| cluster.name.to_string()).collect()
    }

    #[test]
    fn one_cluster_unless_told_otherwise() {
        assert_eq!(names(TestFleet::builder()), ["cluster1"]);
        assert_eq!(names(TestFleet::builder().clusters(2)), ["cluster1", "cluster2"]);
        assert_eq!(names(TestFleet::builder().cluster(ClusterBuilder::new("east")).cluster(ClusterBuilder::new("west"))), ["east", "west"]);
        assert_eq!(names(TestFleet::builder().clusters(1).cluster(ClusterBuilder::new("east"))), ["cluster1", "east"]);
    }

    #[test]
    fn the_usual_image_is_for_clusters_that_name_nothing() {
        let builder = TestFleet::builder()
            .cluster(ClusterBuilder::new("a"))
            .cluster(ClusterBuilder::new("b").image("own:1"))
            .cluster(ClusterBuilder::new("c").kubernetes_version("v1.33.13"));
        let images: Vec<Option<String>> =
            builder.description(Some("usual:1")).unwrap().clusters.into_iter().map(|cluster| cluster.image).collect();
        assert_eq!(images, [Some("usual:1".to_owned()), Some("own:1".to_owned()), None]);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        let error = TestFleet::builder().name("Big").description(None).unwrap_err();
        assert!(error.to_string().contains("'Big' has the character 'B'"), "{error}");
        let error = TestFleet::builder().describe(|fleet| fleet.pool_size(1)).description(None).unwrap_err();
        assert!(error.to_string().starts_with("the description of the fleet: "), "{error}");
    }
}
