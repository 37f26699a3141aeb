use std::sync::Arc;
use std::time::Duration;

use super::{IMAGE, engine, kindmesh};
use crate::domain::fleet::{Fleet, Privileges};
use crate::domain::labels;
use crate::domain::node::Profile;
use crate::engine::Engine;
use crate::engine::fake::FakeEngine;
use crate::ops::inventory::Inventory;
use crate::ops::{ErrorKind, Result, privileges};

/// What the first process of a host without SYS_RESOURCE says of itself.
const STATUS: &str = "Name:\tinit\nCapBnd:\t000001fffeffffff\n";

/// Chooses on this engine, where helper containers end as real ones do.
async fn choose(engine: &Arc<FakeEngine>, wanted: Privileges) -> Result<Profile> {
    let fleet = Fleet::builder("f").privileges(wanted).build().unwrap();
    let km = kindmesh(engine);
    let (scope, facts) = (km.fleet_scope(), engine.facts().await.unwrap());
    let inventory = Inventory::default();
    let helpers = async {
        loop {
            for helper in engine.containers().iter().filter(|one| one.labels.contains_key(labels::HELPER) && one.exit_code.is_none()) {
                engine.log(&helper.name, STATUS);
                engine.end_container(&helper.name, 0);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        probed = privileges::choose(&km, &fleet, &facts, &inventory, IMAGE, privileges::PROBE, &scope) => {
            assert!(engine.containers().is_empty(), "helpers are removed");
            probed.map(|probed| probed.profile)
        }
        () = helpers => unreachable!("helpers go on for ever"),
    }
}

#[tokio::test]
async fn privileged_where_the_engine_can() {
    assert_eq!(choose(&engine(), Privileges::Auto).await.unwrap(), Profile::Privileged);
}

#[tokio::test]
async fn an_old_engine_on_a_host_that_lacks_a_capability() {
    let engine = engine();
    engine.on_start(|_, spec| {
        let lacks = spec.privileged || (spec.cap_add == ["ALL"] && spec.cap_drop.is_empty());
        if lacks { Err("unable to apply caps: operation not permitted".to_owned()) } else { Ok(()) }
    });
    let reduced = Profile::Reduced { cap_drop: vec!["SYS_RESOURCE".to_owned()] };
    assert_eq!(choose(&engine, Privileges::Auto).await.unwrap(), reduced);
    assert_eq!(choose(&engine, Privileges::Reduced).await.unwrap(), reduced);
    let error = choose(&engine, Privileges::Privileged).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Engine);
    assert!(error.hints()[0].contains("--privileges"), "{:?}", error.hints());
}

#[tokio::test]
async fn a_new_engine_that_refuses_to_be_told() {
    let engine = engine();
    engine.on_create(|_, spec| match spec.cap_drop.is_empty() {
        true => Ok(()),
        false => Err("invalid CapDrop: capability not supported by your kernel or not available".to_owned()),
    });
    assert_eq!(choose(&engine, Privileges::Reduced).await.unwrap(), Profile::Reduced { cap_drop: Vec::new() });
}

#[tokio::test]
async fn what_killed_probes_of_a_fleet_left_is_removed_and_nothing_of_others() {
    let engine = engine();
    let fleet: crate::domain::name::FleetName = "f".parse().unwrap();
    for (name, of, purpose) in [("mine", "f", "probe"), ("looked", "f", "doctor"), ("leased", "f", "lease"), ("other", "g", "probe")] {
        super::container(&engine, name, "bridge", &[(labels::FLEET, of), (labels::HELPER, purpose)]).await;
    }
    privileges::clear(engine.as_ref(), &fleet).await.unwrap();
    assert_eq!(super::names(&engine), ["leased", "looked", "other"]);
}
