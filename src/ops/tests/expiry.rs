//! Fleets that end later, or sooner, than their containers say.

use std::sync::Arc;

use jiff::Timestamp;

use super::{container, engine, kindmesh};
use crate::domain::diff::{Change, Consent};
use crate::domain::fleet::Fleet;
use crate::domain::labels;
use crate::domain::lease::Lease;
use crate::engine::Engine as _;
use crate::engine::fake::FakeEngine;
use crate::ops::expiry;
use crate::ops::inventory::Inventory;

const PAST: &str = "2020-01-01T00:00:00Z";
const FUTURE: &str = "2120-01-01T00:00:00Z";

fn fleet(end: Option<&str>) -> Fleet {
    let mut fleet = Fleet::builder("f").cluster_prefix("f").clusters(1).build().unwrap();
    fleet.lease.expires = end.map(|end| end.parse().unwrap());
    fleet
}

async fn node(engine: &FakeEngine, name: &str, more: &[(&str, &str)]) {
    let mut of = vec![(labels::CLUSTER, "f1"), (labels::ROLE, "control-plane"), (labels::FLEET, "f")];
    of.extend(more);
    container(engine, name, "bridge", &of).await;
}

/// What an `up` of this fleet does: the end that it has from now on, and whether that is another.
async fn up(engine: &Arc<FakeEngine>, fleet: &Fleet) -> (Option<String>, bool) {
    let inventory = Inventory::read(engine.as_ref()).await.unwrap();
    let (settled, changed) = expiry::settle(engine.as_ref(), fleet, &inventory, &kindmesh(engine).fleet_scope()).await.unwrap();
    (settled.lease.expires.map(|at| at.to_string()), changed)
}

async fn over(engine: &Arc<FakeEngine>) -> usize {
    kindmesh(engine).prune(true).await.unwrap().fleets.len()
}

#[tokio::test]
async fn a_fleet_that_is_there_ends_when_it_was_asked_last() {
    let engine = engine();
    node(&engine, "f1-control-plane", &[(labels::EXPIRES, PAST)]).await;
    assert_eq!(over(&engine).await, 1);
    assert_eq!(up(&engine, &fleet(Some(FUTURE))).await, (Some(FUTURE.to_owned()), true));
    assert_eq!(over(&engine).await, 0);
    assert_eq!(up(&engine, &fleet(Some(FUTURE))).await, (Some(FUTURE.to_owned()), false), "asked again");
    assert_eq!(up(&engine, &fleet(None)).await, (Some(FUTURE.to_owned()), false), "it stays so");
    assert_eq!(up(&engine, &fleet(Some(PAST))).await, (Some(PAST.to_owned()), true), "sooner, too");
    assert_eq!(engine.volumes().iter().filter(|name| name.starts_with("kindmesh-end-")).count(), 1, "{:?}", engine.volumes());
    assert_eq!(kindmesh(&engine).prune(false).await.unwrap().fleets.len(), 1);
    assert_eq!((engine.containers().len(), engine.volumes()), (0, Vec::new()));
}

#[tokio::test]
async fn a_fleet_without_an_end_gets_one_and_what_has_an_owner_keeps_it() {
    let engine = engine();
    node(&engine, "f1-control-plane", &[]).await;
    assert_eq!(up(&engine, &fleet(None)).await, (None, false));
    assert!(up(&engine, &fleet(Some(PAST))).await.1);
    assert_eq!(over(&engine).await, 1);

    let held = super::engine();
    node(&held, "f1-control-plane", &[(labels::OWNER, "a")]).await;
    container(&held, "holder", "bridge", &[(labels::HELPER, "holder"), (labels::OWNER, "a")]).await;
    let mut mine = fleet(None);
    mine.lease.owner = Some("a".parse().unwrap());
    assert_eq!(up(&held, &mine).await, (None, false));
    assert!(up(&held, &fleet(Some(PAST))).await.1);
    assert_eq!(over(&held).await, 0, "its owner lives");
}

/// Beforehand `diff` tells what `up` does to the end, and nothing where it does nothing.
#[tokio::test]
async fn a_difference_has_the_end_that_is_moved() {
    let engine = engine();
    let told = async |fleet: Fleet| {
        let before = engine.volumes();
        let diff = kindmesh(&engine).diff(&fleet, &Consent::default()).await.unwrap();
        assert_eq!(engine.volumes(), before, "it only looks");
        let lines = diff.changes.iter().map(Change::line).find(|line| line.contains("fleet f"));
        assert!(diff.changed || lines.is_none(), "{diff:?}");
        lines
    };
    assert_eq!(told(fleet(Some(FUTURE))).await, None, "it is made with the fleet");
    node(&engine, "f1-control-plane", &[]).await;
    assert_eq!(told(fleet(None)).await, None);
    assert_eq!(told(fleet(Some(PAST))).await.unwrap(), format!("change fleet f: has no end, becomes {PAST}"));
    up(&engine, &fleet(Some(PAST))).await;
    assert_eq!(told(fleet(Some(PAST))).await, None, "it has it already");
    assert_eq!(told(fleet(None)).await, None, "it stays so");
    assert_eq!(told(fleet(Some(FUTURE))).await.unwrap(), format!("change fleet f: ends at {PAST}, becomes {FUTURE}"));
    let mut mine = fleet(Some(FUTURE));
    mine.lease.owner = Some("a".parse().unwrap());
    assert_eq!(told(mine).await, None, "an owner's fleets end with it");
}

#[tokio::test]
async fn what_is_added_ends_with_the_fleet() {
    let engine = engine();
    node(&engine, "f1-control-plane", &[(labels::EXPIRES, FUTURE)]).await;
    assert_eq!(up(&engine, &fleet(None)).await, (Some(FUTURE.to_owned()), false));
}

#[tokio::test]
async fn a_note_on_a_fleet_that_is_gone_is_of_no_account() {
    let engine = engine();
    node(&engine, "f1-control-plane", &[]).await;
    up(&engine, &fleet(Some(PAST))).await;
    // By hand, as with docker rm.
    engine.remove_container("f1-control-plane").await.unwrap();
    assert_eq!(kindmesh(&engine).prune(true).await.unwrap().ends, ["kindmesh-end-f-0"]);
    assert_eq!(up(&engine, &fleet(None)).await, (None, false));
    assert_eq!(engine.volumes().iter().filter(|name| name.starts_with("kindmesh-end-")).count(), 0);

    node(&engine, "f1-control-plane", &[]).await;
    up(&engine, &fleet(Some(FUTURE))).await;
    engine.remove_container("f1-control-plane").await.unwrap();
    assert_eq!(kindmesh(&engine).prune(false).await.unwrap().ends, ["kindmesh-end-f-0"]);
    assert_eq!(engine.volumes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_note_that_is_not_understood_ends_nothing() {
    let engine = engine();
    node(&engine, "f1-control-plane", &[]).await;
    let of = |number: &str, end: &str| {
        [(labels::FLEET, "f"), (labels::END, number), (labels::EXPIRES, end)].map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    };
    engine.create_volume("kindmesh-end-f-1", &of("1", "tomorrow")).await.unwrap();
    engine.create_volume("kindmesh-end-f-x", &of("x", PAST)).await.unwrap();
    assert_eq!(over(&engine).await, 0);
    // Of a killed `up`, which had not come to removing the older.
    engine.create_volume("kindmesh-end-f-9", &of("9", PAST)).await.unwrap();
    engine.create_volume("kindmesh-end-f-10", &of("10", FUTURE)).await.unwrap();
    assert_eq!(over(&engine).await, 0);
    let lease = Lease { expires: Some(Timestamp::UNIX_EPOCH), owner: None };
    let ends = expiry::Ends::read(engine.as_ref()).await.unwrap();
    assert_eq!(ends.lease("f", [lease.clone()]).expires, Some(FUTURE.parse().unwrap()));
    assert_eq!(ends.lease("g", [lease.clone()]), lease);
}
