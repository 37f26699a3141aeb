//! Pools of another size, as the engine remembers them.

use std::collections::{BTreeMap, BTreeSet};

use super::{container, engine, kindmesh};
use crate::domain::container::ContainerSpec;
use crate::domain::diff::Recreate;
use crate::domain::fleet::Fleet;
use crate::domain::fleet_builder::{ClusterBuilder, NetworkBuilder};
use crate::domain::labels;
use crate::domain::net::NetworkInfo;
use crate::domain::net::ranges::AddrRanges;
use crate::engine::fake::{FakeEngine, Fault, Verb, When};
use crate::engine::{Engine as _, EngineErrorKind};
use crate::ops::inventory::Inventory;
use crate::ops::{ErrorKind, UpOptions, network, pools, preflight, resize};

fn fleet(size: u32) -> Fleet {
    let clusters = ["f1", "f2"].map(|name| ClusterBuilder::new(name).pool_size(size));
    let [one, two] = clusters;
    Fleet::builder("f").cluster(one).cluster(two).network(NetworkBuilder::shared().name("n")).build().unwrap()
}

fn pool(text: &str) -> AddrRanges {
    text.parse().unwrap()
}

async fn node(engine: &FakeEngine, fleet: &str, cluster: &str, pool: &str) {
    let of = [(labels::CLUSTER, cluster), (labels::ROLE, "control-plane"), (labels::FLEET, fleet), (labels::POOL, pool)];
    container(engine, &format!("{cluster}-control-plane"), "n", &of).await;
}

/// A network with two clusters of ten addresses, side by side as `up` puts them.
async fn setting(engine: &FakeEngine) -> NetworkInfo {
    let network = network::ensure(engine, &fleet(10)).await.unwrap().value;
    node(engine, "f", "f1", "172.18.1.110-172.18.1.119").await;
    node(engine, "f", "f2", "172.18.1.100-172.18.1.109").await;
    engine.inspect_network(&network.id).await.unwrap()
}

async fn has(engine: &FakeEngine, cluster: &str) -> String {
    Inventory::read(engine).await.unwrap().pool(cluster).unwrap().to_string()
}

fn notes(engine: &FakeEngine) -> Vec<String> {
    engine.volumes().into_iter().filter(|volume| volume.starts_with("kindmesh-pool-")).collect()
}

/// The pools for this size, and whether they were had.
async fn grow(engine: &FakeEngine, size: u32, network: &NetworkInfo) -> (BTreeMap<String, AddrRanges>, Option<usize>) {
    let inventory = Inventory::read(engine).await.unwrap();
    let pools = pools::assign(engine, &fleet(size), network, &inventory).await.unwrap();
    let mut grown = BTreeSet::new();
    let all = resize::claim(engine, &fleet(size), &network.name, &pools, &mut grown).await.unwrap();
    (pools, all.then_some(grown.len()))
}

#[tokio::test]
async fn larger_pools_of_neighbours_are_remembered_and_go_with_their_clusters() {
    let engine = engine();
    let network = setting(&engine).await;
    assert_eq!(grow(&engine, 10, &network).await.1, Some(0));
    assert_eq!(notes(&engine), Vec::<String>::new());
    for (size, one, two) in
        [(20, "172.18.1.110-172.18.1.129", "172.18.1.90-172.18.1.109"), (21, "172.18.1.110-172.18.1.130", "172.18.1.89-172.18.1.109")]
    {
        assert_eq!(grow(&engine, size, &network).await.1, Some(2));
        assert_eq!((has(&engine, "f1").await.as_str(), has(&engine, "f2").await.as_str()), (one, two));
        assert_eq!(notes(&engine).len(), 2, "one for each: {:?}", notes(&engine));
    }
    kindmesh(&engine).down(&"f".parse().unwrap()).await.unwrap();
    assert_eq!(engine.volumes(), Vec::<String>::new());
}

#[tokio::test]
async fn addresses_that_another_fleet_claimed_meanwhile_are_given_up() {
    let engine = engine();
    let network = setting(&engine).await;
    let inventory = Inventory::read(engine.as_ref()).await.unwrap();
    let pools = pools::assign(engine.as_ref(), &fleet(20), &network, &inventory).await.unwrap();
    // It was not there yet when this fleet chose.
    node(&engine, "g", "g1", "172.18.1.95-172.18.1.99").await;
    let mut grown = BTreeSet::new();
    assert!(!resize::claim(engine.as_ref(), &fleet(20), "n", &pools, &mut grown).await.unwrap());
    assert_eq!(grown, BTreeSet::from(["f1".to_owned()]), "what was had stays had");
    assert_eq!(has(&engine, "f2").await, "172.18.1.100-172.18.1.109");
    // The next choice goes around it.
    assert!(grow(&engine, 20, &network).await.1.is_some());
    assert!(!Inventory::read(engine.as_ref()).await.unwrap().pool("f2").unwrap().overlaps(&pool("172.18.1.95-172.18.1.99")));
}

#[tokio::test]
async fn what_a_killed_up_only_claimed_is_taken_back() {
    let engine = engine();
    let network = setting(&engine).await;
    let inventory = Inventory::read(engine.as_ref()).await.unwrap();
    let pools = pools::assign(engine.as_ref(), &fleet(20), &network, &inventory).await.unwrap();
    // The claim is made, and the look at the others fails: nothing is established, and nothing taken back.
    engine.clear_calls();
    engine.fault(When::Verb(Verb::ListContainers, 2), Fault::Fail(EngineErrorKind::Unreachable, "gone".to_owned()));
    let error = resize::claim(engine.as_ref(), &fleet(20), "n", &pools, &mut BTreeSet::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Engine);
    assert_eq!(notes(&engine).len(), 1);
    let inventory = Inventory::read(engine.as_ref()).await.unwrap();
    assert_eq!(inventory.pool("f1").unwrap().len(), 20, "others keep away from it");
    assert!(resize::settle(engine.as_ref(), &fleet(20), &inventory).await.unwrap());
    assert_eq!((notes(&engine), has(&engine, "f1").await), (Vec::new(), "172.18.1.110-172.18.1.119".to_owned()));
    assert!(!resize::settle(engine.as_ref(), &fleet(20), &inventory).await.unwrap());
}

#[tokio::test]
async fn an_older_note_never_counts_again() {
    let engine = engine();
    let network = setting(&engine).await;
    grow(&engine, 20, &network).await;
    // The note before it could not be removed.
    let inventory = Inventory::read(engine.as_ref()).await.unwrap();
    let pools = pools::assign(engine.as_ref(), &fleet(30), &network, &inventory).await.unwrap();
    engine.clear_calls();
    engine.fault(When::Verb(Verb::RemoveVolume, 1), Fault::Fail(EngineErrorKind::Failed, "busy".to_owned()));
    let failed = resize::claim(engine.as_ref(), &fleet(30), "n", &pools, &mut BTreeSet::new()).await;
    assert!(failed.is_err() && notes(&engine).len() > 2, "{failed:?} {:?}", notes(&engine));
    let grown = has(&engine, "f1").await;
    let inventory = Inventory::read(engine.as_ref()).await.unwrap();
    assert!(resize::settle(engine.as_ref(), &fleet(30), &inventory).await.unwrap());
    assert_eq!((has(&engine, "f1").await, notes(&engine).len()), (grown, 2));
}

#[tokio::test]
async fn a_pool_without_room_is_refused_before_anything_is_made_or_removed() {
    let engine = engine();
    setting(&engine).await;
    node(&engine, "f", "old", "172.18.1.10-172.18.1.19").await;
    let described = |size| {
        let builder = ["f1", "f2", "f3"]
            .into_iter()
            .fold(Fleet::builder("f"), |builder, name| builder.cluster(ClusterBuilder::new(name).pool_size(size)));
        builder.network(NetworkBuilder::shared().name("n")).build().unwrap()
    };
    engine.clear_calls();
    let options = UpOptions { prune: true, recreate: Recreate::Named(["f2".to_owned()].into()) };
    let error = kindmesh(&engine).up_with(&described(60_000), &options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("no pools on network n"), "{error}");
    assert_eq!((engine.count(Verb::CreateContainer), engine.count(Verb::RemoveContainer)), (0, 0));
}

#[tokio::test]
async fn room_of_clusters_that_go_counts_as_room() {
    let engine = engine();
    let network = setting(&engine).await;
    // A neighbour that fills the subnet but for a few addresses.
    node(&engine, "f", "wide", "172.18.2.0-172.18.255.254").await;
    let inventory = Inventory::read(engine.as_ref()).await.unwrap();
    let km = kindmesh(&engine);
    preflight::check(&km, &fleet(2_000), &inventory, &[]).await.unwrap_err();
    preflight::check(&km, &fleet(2_000), &inventory, &["wide"]).await.unwrap();
    assert_eq!(network.name, "n");
}

#[tokio::test]
async fn a_cluster_that_could_not_be_removed_keeps_its_note() {
    let engine = engine();
    let network = setting(&engine).await;
    grow(&engine, 20, &network).await;
    engine.fault(When::Verb(Verb::RemoveContainer, 1), Fault::Fail(EngineErrorKind::Failed, "busy".to_owned()));
    kindmesh(&engine).down(&"f".parse().unwrap()).await.unwrap_err();
    assert_eq!((engine.containers().len(), notes(&engine).len()), (1, 1));
    kindmesh(&engine).down(&"f".parse().unwrap()).await.unwrap();
    assert_eq!(engine.volumes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_note_without_its_cluster_misleads_nobody_and_goes() {
    let engine = engine();
    let network = setting(&engine).await;
    grow(&engine, 20, &network).await;
    for name in ["f1-control-plane", "f2-control-plane"] {
        engine.remove_container(name).await.unwrap();
    }
    node(&engine, "f", "f1", "172.18.1.50-172.18.1.59").await;
    assert_eq!(has(&engine, "f1").await, "172.18.1.50-172.18.1.59");
    assert_eq!(kindmesh(&engine).prune(true).await.unwrap().pools.len(), 2);
    // Those of a fleet whose `down` was killed go with its next.
    kindmesh(&engine).down(&"f".parse().unwrap()).await.unwrap();
    assert_eq!(notes(&engine), Vec::<String>::new());
}

#[tokio::test]
async fn a_first_claim_that_nobody_looked_after_gives_way() {
    let engine = engine();
    let network = setting(&engine).await;
    // As an `up` leaves it that is killed between making a container and looking at the others.
    let labels =
        [(labels::CLUSTER, "f3"), (labels::ROLE, "control-plane"), (labels::FLEET, "f"), (labels::POOL, "172.18.1.80-172.18.1.89")];
    let spec = ContainerSpec {
        image: super::IMAGE.to_owned(),
        network: network.name.clone(),
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        ..ContainerSpec::default()
    };
    engine.create_container("f3-control-plane", &spec).await.unwrap();
    let settled = async || {
        let inventory = Inventory::read(engine.as_ref()).await.unwrap();
        resize::settle(engine.as_ref(), &fleet(10), &inventory).await.unwrap()
    };
    assert!(!settled().await, "nobody else wants it");
    node(&engine, "g", "g1", "172.18.1.85-172.18.1.94").await;
    assert!(settled().await);
    assert_eq!(super::names(&engine), ["f1-control-plane", "f2-control-plane", "g1-control-plane"]);
}
