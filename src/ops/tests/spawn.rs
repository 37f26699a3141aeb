//! What callers must be able to hand to their runtime's threads.

use crate::domain::diff::Consent;
use crate::domain::fleet::Fleet;
use crate::domain::name::FleetName;
use crate::ops::{Kindmesh, StopOptions, VerifyOptions};

fn spawned<F: Future + Send + 'static>(work: F) -> F {
    work
}

/// Never called: that it compiles is the test.
#[expect(dead_code, reason = "the compiler is who reads it")]
fn every_operation_can_be_spawned(km: Kindmesh, fleet: Fleet, name: FleetName) {
    let of = || (km.clone(), fleet.clone(), name.clone());
    let (one, fleet, _) = of();
    drop(spawned(async move { one.up(&fleet).await }));
    let (one, fleet, _) = of();
    drop(spawned(async move { one.diff(&fleet, &Consent::default()).await }));
    let (one, fleet, _) = of();
    drop(spawned(async move { one.warm(&fleet, 1).await }));
    let (one, _, name) = of();
    drop(spawned(async move { one.down(&name).await }));
    let (one, _, _) = of();
    drop(spawned(async move { one.down_all().await }));
    let (one, _, _) = of();
    drop(spawned(async move { one.prune(false).await }));
    let (one, _, _) = of();
    drop(spawned(async move { one.delete_cluster("a").await }));
    let (one, _, name) = of();
    drop(spawned(async move { one.pause(&name).await }));
    let (one, _, name) = of();
    drop(spawned(async move { one.stop(&name, &StopOptions::default()).await }));
    let (one, _, name) = of();
    drop(spawned(async move { one.resume(&name).await }));
    let (one, _, name) = of();
    drop(spawned(async move { one.start(&name).await }));
    let (one, _, name) = of();
    drop(spawned(async move { one.verify(&name, &VerifyOptions::default()).await }));
    let (one, _, name) = of();
    drop(spawned(async move { one.mesh_ca_rotate(&name, None).await }));
}
