//! An engine in memory with parts of fleets on it.

use std::sync::Arc;

use super::source::Source;
use crate::domain::container::ContainerSpec;
use crate::domain::labels;
use crate::domain::lease::{HOLDER, Lease};
use crate::engine::Engine;
use crate::engine::fake::FakeEngine;

/// Any image.
const IMAGE: &str = "kindmesh/node:v1";

/// An engine with an image.
pub(super) fn engine() -> FakeEngine {
    let engine = FakeEngine::new();
    engine.add_image(IMAGE, &[]);
    engine
}

/// A way to it.
pub(super) fn source(engine: &FakeEngine) -> Source {
    Source::Given(Arc::new(engine.clone()))
}

/// A lease of an owner.
pub(super) fn of(owner: &str) -> Lease {
    Lease { expires: None, owner: Some(owner.parse().unwrap()) }
}

/// A node of a fleet.
pub(super) async fn node(engine: &FakeEngine, fleet: &str, lease: &Lease) {
    let mut spec =
        ContainerSpec { image: IMAGE.to_owned(), network: "none".to_owned(), labels: lease.labels(), ..ContainerSpec::default() };
    for (key, value) in [(labels::FLEET, fleet), (labels::CLUSTER, fleet), (labels::ROLE, "control-plane")] {
        spec.labels.insert(key.to_owned(), value.to_owned());
    }
    engine.create_container(&format!("{fleet}-control-plane"), &spec).await.unwrap();
}

/// A holder that runs.
pub(super) async fn holder(engine: &FakeEngine, owner: &str) {
    let mut spec = super::holder::describe(&owner.parse().unwrap(), IMAGE, None);
    spec.labels.insert(labels::HELPER.to_owned(), HOLDER.to_owned());
    engine.create_container(&format!("holder-{owner}"), &spec).await.unwrap();
    engine.start_container(&format!("holder-{owner}")).await.unwrap();
}

/// Names of all containers.
pub(super) fn containers(engine: &FakeEngine) -> Vec<String> {
    engine.containers().into_iter().map(|one| one.name).collect()
}
