use std::sync::Arc;

use super::{IMAGE, engine, helpers_end, kindmesh, without_a_capability};
use crate::domain::container::ContainerSpec;
use crate::domain::fleet::{Fleet, Privileges};
use crate::domain::labels;
use crate::domain::node::Profile;
use crate::engine::fake::{FakeEngine, Fault, Verb, When};
use crate::engine::{Engine, EngineErrorKind};
use crate::event::{Event, EventKind, Recorder};
use crate::ops::inventory::Inventory;
use crate::ops::up::none_started;
use crate::ops::{ErrorKind, Kindmesh, Result, privileges};

/// What the first process of a host without SYS_RESOURCE says of itself.
const STATUS: &str = "Name:\tinit\nCapBnd:\t000001fffeffffff\n";

/// Chooses on this engine, where helper containers end as real ones do.
async fn choose(engine: &Arc<FakeEngine>, wanted: Privileges) -> Result<Profile> {
    let chosen = choose_for(&kindmesh(engine), engine, wanted, &Inventory::default()).await;
    assert!(engine.containers().is_empty(), "helpers are removed");
    chosen
}

/// The same for a fleet of which this is there.
async fn choose_for(km: &Kindmesh, engine: &Arc<FakeEngine>, wanted: Privileges, inventory: &Inventory) -> Result<Profile> {
    let fleet = Fleet::builder("f").privileges(wanted).build().unwrap();
    let (scope, facts) = (km.fleet_scope(), engine.facts().await.unwrap());
    tokio::select! {
        probed = privileges::choose(km, &fleet, &facts, inventory, IMAGE, privileges::PROBE, &scope) => probed.map(|probed| probed.profile),
        never = helpers_end(engine, STATUS, |_| {}) => match never {},
    }
}

#[tokio::test]
async fn privileged_where_the_engine_can() {
    assert_eq!(choose(&engine(), Privileges::Auto).await.unwrap(), Profile::Privileged);
}

#[tokio::test]
async fn an_old_engine_on_a_host_that_lacks_a_capability() {
    let engine = engine();
    without_a_capability(&engine);
    let reduced = Profile::Reduced { cap_drop: vec!["SYS_RESOURCE".to_owned()] };
    assert_eq!(choose(&engine, Privileges::Auto).await.unwrap(), reduced);
    assert_eq!(choose(&engine, Privileges::Reduced).await.unwrap(), reduced);
    let error = choose(&engine, Privileges::Privileged).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Engine);
    assert!(error.hints()[0].contains("--privileges"), "{:?}", error.hints());
}

/// One `up` asks again for what it adds, and after what it remembered was not so.
#[tokio::test]
async fn the_reduced_profile_is_said_once() {
    let engine = engine();
    without_a_capability(&engine);
    let (cache, recorder) = (tempfile::tempdir().unwrap(), Arc::new(Recorder::default()));
    let notes = || {
        let note = |event: Event| match event.kind {
            EventKind::Note { message } => Some(message),
            _ => None,
        };
        recorder.events().into_iter().filter_map(note).collect::<Vec<_>>()
    };
    let said = "the engine cannot start privileged containers (the host lacks SYS_RESOURCE): nodes get the reduced profile";
    let reduced = Profile::Reduced { cap_drop: vec!["SYS_RESOURCE".to_owned()] };
    let remembering = kindmesh(&engine).cache_dir(cache.path().to_owned()).reporter(recorder.clone());
    for _ in 0..2 {
        assert_eq!(choose_for(&remembering, &engine, Privileges::Auto, &Inventory::default()).await.unwrap(), reduced);
    }
    assert_eq!(notes(), [said]);

    // What its nodes have is what the next ones get, without a word and without a trial.
    let of = [(labels::CLUSTER, "f1"), (labels::ROLE, "control-plane"), (labels::FLEET, "f")];
    let (label, forgetful) = (reduced.to_label(), kindmesh(&engine).reporter(recorder.clone()));
    super::container(&engine, "f1-control-plane", "bridge", &[&of[..], &[(labels::PRIVILEGES, label.as_str())]].concat()).await;
    let inventory = Inventory::read(engine.as_ref()).await.unwrap();
    engine.clear_calls();
    for wanted in [Privileges::Auto, Privileges::Reduced] {
        assert_eq!(choose_for(&forgetful, &engine, wanted, &inventory).await.unwrap(), reduced);
    }
    assert_eq!((notes().len(), engine.changes()), (1, Vec::new()));
    // Who asked for it is told nothing.
    choose_for(&forgetful, &engine, Privileges::Reduced, &Inventory::default()).await.unwrap();
    assert_eq!(notes(), [said]);
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

/// What a profile that is refused leaves: nothing, or what was never started. Anything else is no refusal.
#[tokio::test]
async fn a_profile_is_doubted_only_while_nothing_has_started_with_it() {
    let engine = engine();
    let fleet = Fleet::builder("f").cluster_prefix("f").clusters(2).build().unwrap();
    super::node(&engine, "f1", Some("f"), "bridge").await;
    let before = Inventory::read(engine.as_ref()).await.unwrap();
    assert!(none_started(engine.as_ref(), &fleet, &before).await, "what was there before counts for nothing");
    let spec = engine.container_spec("f1-control-plane").unwrap();
    let labels = [spec.labels, [(labels::CLUSTER.to_owned(), "f2".to_owned())].into()].into_iter().flatten().collect();
    engine.create_container("f2-control-plane", &ContainerSpec { labels, ..spec }).await.unwrap();
    assert!(none_started(engine.as_ref(), &fleet, &before).await);
    engine.start_container("f2-control-plane").await.unwrap();
    assert!(!none_started(engine.as_ref(), &fleet, &before).await);
    engine.fault(When::Every(Verb::ListContainers), Fault::Fail(EngineErrorKind::Unreachable, "gone".to_owned()));
    assert!(!none_started(engine.as_ref(), &fleet, &before).await, "an engine that is gone refuses nothing");
}
