//! Pools that become larger, as the engine remembers them.

use std::collections::BTreeMap;

use super::{container, engine, kindmesh};
use crate::domain::fleet::Fleet;
use crate::domain::fleet_builder::{ClusterBuilder, NetworkBuilder};
use crate::domain::labels;
use crate::domain::net::NetworkInfo;
use crate::domain::net::pool::reserved_of;
use crate::domain::net::range::AddrRange;
use crate::engine::Engine as _;
use crate::engine::fake::FakeEngine;
use crate::ops::inventory::Inventory;
use crate::ops::{network, resize};

fn fleet(size: u32) -> Fleet {
    Fleet::builder("f").cluster(ClusterBuilder::new("f1").pool_size(size)).network(NetworkBuilder::shared().name("n")).build().unwrap()
}

fn range(text: &str) -> AddrRange {
    text.parse().unwrap()
}

async fn node(engine: &FakeEngine, fleet: &str, cluster: &str, pool: &str) {
    let of = [(labels::CLUSTER, cluster), (labels::ROLE, "control-plane"), (labels::FLEET, fleet), (labels::POOL, pool)];
    container(engine, &format!("{cluster}-control-plane"), "n", &of).await;
}

/// A network with a cluster of ten addresses.
async fn setting(engine: &FakeEngine) -> NetworkInfo {
    let network = network::ensure(engine, &fleet(10)).await.unwrap().value;
    node(engine, "f", "f1", "172.18.1.100-172.18.1.109").await;
    network
}

/// Grows the cluster's pool as far as the fleet says.
async fn grow(engine: &FakeEngine, size: u32, network: &NetworkInfo) -> (Option<bool>, AddrRange) {
    let mut pools: BTreeMap<String, AddrRange> = [("f1".to_owned(), Inventory::read(engine).await.unwrap().pool("f1").unwrap())].into();
    let grown = resize::grow(engine, &fleet(size), network, &mut pools, &reserved_of(network)).await.unwrap();
    (grown, pools["f1"])
}

#[tokio::test]
async fn a_larger_pool_is_remembered_and_goes_with_its_cluster() {
    let engine = engine();
    let network = setting(&engine).await;
    assert_eq!(grow(&engine, 10, &network).await, (Some(false), range("172.18.1.100-172.18.1.109")));
    assert_eq!(engine.volumes().len(), 1, "the node's own");
    for (size, wanted) in [(20, "172.18.1.90-172.18.1.109"), (21, "172.18.1.89-172.18.1.109")] {
        assert_eq!(grow(&engine, size, &network).await, (Some(true), range(wanted)));
        assert_eq!(Inventory::read(engine.as_ref()).await.unwrap().pool("f1"), Some(range(wanted)));
        assert_eq!(engine.volumes().len(), 2, "one note: {:?}", engine.volumes());
    }
    kindmesh(&engine).down(&"f".parse().unwrap()).await.unwrap();
    assert_eq!(engine.volumes(), Vec::<String>::new());
}

#[tokio::test]
async fn addresses_that_another_fleet_claimed_meanwhile_are_given_up() {
    let engine = engine();
    let network = setting(&engine).await;
    // It was not there yet when this fleet chose.
    node(&engine, "g", "g1", "172.18.1.95-172.18.1.99").await;
    assert_eq!(grow(&engine, 20, &network).await, (None, range("172.18.1.100-172.18.1.109")));
    assert_eq!(Inventory::read(engine.as_ref()).await.unwrap().pool("f1"), Some(range("172.18.1.100-172.18.1.109")));
    assert_eq!(engine.volumes().len(), 2, "the nodes' own");
}

#[tokio::test]
async fn a_note_without_its_cluster_is_pruned_and_misleads_nobody() {
    let engine = engine();
    let network = setting(&engine).await;
    grow(&engine, 20, &network).await;
    engine.remove_container("f1-control-plane").await.unwrap();
    node(&engine, "f", "f1", "172.18.1.50-172.18.1.59").await;
    assert_eq!(Inventory::read(engine.as_ref()).await.unwrap().pool("f1"), Some(range("172.18.1.50-172.18.1.59")));
    let pruned = kindmesh(&engine).prune(false).await.unwrap();
    assert_eq!(pruned.pools.len(), 1, "{pruned:?}");
    assert!(engine.volumes().iter().all(|volume| !volume.starts_with("kindmesh-pool-")), "{:?}", engine.volumes());
}
