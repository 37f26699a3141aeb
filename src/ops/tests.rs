//! Steps of fleets on an engine in memory: races, faults, lost answers, and what must not be touched.

mod diff;
mod down;
mod expiry;
mod image;
mod mesh;
mod network;
mod preflight;
mod privileges;
mod prune;
mod resize;
mod rest;
mod revive;
pub(super) mod server;
mod spawn;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::Kindmesh;
use crate::domain::container::ContainerSpec;
use crate::domain::fleet::Fleet;
use crate::domain::labels;
use crate::engine::fake::FakeEngine;
use crate::engine::{ContainerInfo, Engine as _};

pub(super) const IMAGE: &str = "kindmesh/node:v1.34.4";

/// An engine with a node image.
pub(super) fn engine() -> Arc<FakeEngine> {
    let engine = FakeEngine::new();
    engine.add_image(IMAGE, &[]);
    Arc::new(engine)
}

/// Makes an engine fail as an old one does on a host that lacks a capability.
pub(super) fn without_a_capability(engine: &FakeEngine) {
    engine.on_start(|_, spec| {
        let lacks = spec.privileged || (spec.cap_add == ["ALL"] && spec.cap_drop.is_empty());
        if lacks { Err("unable to apply caps: operation not permitted".to_owned()) } else { Ok(()) }
    });
}

fn kindmesh(engine: &Arc<FakeEngine>) -> Kindmesh {
    Kindmesh::new(engine.clone())
}

pub(super) fn fleet(name: &str) -> Fleet {
    Fleet::builder(name).cluster_prefix(name).clusters(2).build().unwrap()
}

/// A running container with these labels.
async fn container(engine: &FakeEngine, name: &str, network: &str, labels: &[(&str, &str)]) {
    let spec = ContainerSpec {
        image: IMAGE.to_owned(),
        network: network.to_owned(),
        anonymous_volumes: vec!["/var".to_owned()],
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>(),
        ..ContainerSpec::default()
    };
    engine.create_container(name, &spec).await.unwrap();
    engine.start_container(name).await.unwrap();
}

/// A node of a cluster, of one of our fleets or of kind's.
pub(super) async fn node(engine: &FakeEngine, cluster: &str, fleet: Option<&str>, network: &str) {
    let mut of = vec![(labels::CLUSTER, cluster), (labels::ROLE, "control-plane")];
    of.extend(fleet.map(|fleet| (labels::FLEET, fleet)));
    container(engine, &format!("{cluster}-control-plane"), network, &of).await;
}

/// Ends helper containers, as real ones end by themselves: each is looked at and has `told` this.
pub(super) async fn helpers_end(engine: &FakeEngine, told: &str, look: impl Fn(&ContainerInfo)) -> Infallible {
    loop {
        for helper in engine.containers().iter().filter(|one| one.labels.contains_key(labels::HELPER) && one.exit_code.is_none()) {
            look(helper);
            engine.log(&helper.name, told);
            engine.end_container(&helper.name, 0);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn names(engine: &FakeEngine) -> Vec<String> {
    let mut names: Vec<String> = engine.containers().into_iter().map(|container| container.name).collect();
    names.sort();
    names
}
