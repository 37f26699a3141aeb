//! Pools on an engine in memory: who gets which member, what is undone, what is left. Clusters that answer are
//! needed for the rest.

mod faults;
mod fill;
mod forget;
mod lease;
mod store;

use std::path::Path;
use std::sync::Arc;

use crate::domain::container::ContainerSpec;
use crate::domain::fleet::{Fleet, Privileges};
use crate::domain::labels;
use crate::domain::name::{FleetName, Role};
use crate::domain::warm;
use crate::engine::Engine as _;
use crate::engine::fake::FakeEngine;
use crate::ops::{Kindmesh, PoolStatus};

use super::store::Record;

const IMAGE: &str = "kindmesh/node:v1.34.4";

/// An engine with a node image, and a state folder.
struct Bench {
    engine: Arc<FakeEngine>,
    state: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let engine = FakeEngine::new();
        engine.add_image(IMAGE, &[]);
        Self { engine: Arc::new(engine), state: tempfile::tempdir().unwrap() }
    }

    fn kindmesh(&self) -> Kindmesh {
        Kindmesh::new(self.engine.clone()).state_dir(self.state.path().to_path_buf())
    }

    /// A pool that is written down, with these warm members.
    async fn pool(&self, size: u32, members: impl IntoIterator<Item = u32>) -> FleetName {
        let fleet = description();
        let store = self.kindmesh().pool_store(&fleet.name).await.unwrap().unwrap();
        store.write(&Record { size, fleet: fleet.clone() }).unwrap();
        for number in members {
            self.member(number, true).await;
        }
        fleet.name
    }

    /// A member as `up` leaves it, suspended or not.
    async fn member(&self, number: u32, suspended: bool) {
        let fleet = description();
        let member = warm::member(&fleet, number).unwrap();
        for cluster in &member.clusters {
            let name = cluster.name.node(Role::ControlPlane, 1);
            let digest = warm::digest(&fleet);
            let labels = [
                (labels::DESCRIPTION, digest.as_str()),
                (labels::CLUSTER, cluster.name.as_str()),
                (labels::ROLE, "control-plane"),
                (labels::FLEET, member.name.as_str()),
                (labels::WARM, fleet.name.as_str()),
            ];
            let spec = ContainerSpec {
                image: IMAGE.to_owned(),
                network: "bridge".to_owned(),
                anonymous_volumes: vec!["/var".to_owned()],
                labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
                ..ContainerSpec::default()
            };
            self.engine.create_container(&name, &spec).await.unwrap();
            self.engine.start_container(&name).await.unwrap();
            if suspended {
                self.engine.pause_container(&name).await.unwrap();
            }
        }
    }

    async fn only(&self) -> PoolStatus {
        let mut pools = self.kindmesh().pools().await.unwrap();
        assert_eq!(pools.len(), 1, "{pools:?}");
        pools.remove(0)
    }

    fn containers(&self) -> Vec<String> {
        let mut names: Vec<String> = self.engine.containers().into_iter().map(|container| container.name).collect();
        names.sort();
        names
    }

    /// Everything below the state folder.
    fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(self.state.path(), &mut found);
        found.sort();
        found.iter().map(|path| path.strip_prefix(self.state.path()).unwrap().display().to_string()).collect()
    }
}

fn walk(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        }
        found.push(path);
    }
}

/// Two clusters.
fn description() -> Fleet {
    Fleet::builder("demo").clusters(2).privileges(Privileges::Privileged).build().unwrap()
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
