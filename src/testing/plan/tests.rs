use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::*;
use crate::engine::EngineErrorKind;
use crate::engine::fake::{Fault, Verb, When};
use crate::testing::support::{engine, source};

fn fleet(clusters: u32) -> Fleet {
    Fleet::builder("test").clusters(clusters).build().unwrap()
}

#[test]
fn everything_that_must_be_unique_gets_the_suffix() {
    let renamed = renamed(&fleet(2), "abc").unwrap();
    let clusters: Vec<&str> = renamed.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    assert_eq!((renamed.name.as_str(), renamed.network.name.as_str()), ("test-abc", "test-abc"));
    assert_eq!(clusters, ["cluster1-abc", "cluster2-abc"]);
    let shared = Fleet::builder("test").network(crate::domain::fleet_builder::NetworkBuilder::shared().name("other")).build().unwrap();
    assert_eq!(super::renamed(&shared, "abc").unwrap().network.name, "other", "a network that is named is meant");
    let long = Fleet::builder("x".repeat(38)).build().unwrap();
    let error = super::renamed(&long, "abc").unwrap_err();
    assert!(error.hints()[0].contains("a suffix of 4 characters"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn many_fleets_at_once_get_networks_that_do_not_overlap() {
    let engine = engine();
    let kindmesh = source(&engine).kindmesh().await.unwrap();
    let made = join_all((0..32).map(|_| async {
        let mut one = renamed(&fleet(1), &names::suffix()).unwrap();
        settle_network(&kindmesh, &mut one).await.map(|()| one.network.ipv4_subnet.unwrap())
    }));
    let subnets: Vec<Ipv4Network> = made.await.into_iter().map(Result::unwrap).collect();
    assert_eq!(subnets.iter().collect::<BTreeSet<_>>().len(), 32);
    assert!(subnets.iter().all(|subnet| subnet.prefix() == 24 && subnet.to_string().starts_with("198.1")), "{subnets:?}");
    assert_eq!(engine.networks().len(), 32);
}

#[tokio::test(start_paused = true)]
async fn a_subnet_that_somebody_takes_in_the_same_moment_is_given_up_for_another() {
    let engine = engine();
    let refusal =
        Fault::Fail(EngineErrorKind::Refused, "invalid pool request: Pool overlaps with other one on this address space".to_owned());
    engine.fault(When::Verb(Verb::CreateNetwork, 1), refusal);
    let kindmesh = source(&engine).kindmesh().await.unwrap();
    let mut one = renamed(&fleet(1), "abc").unwrap();
    settle_network(&kindmesh, &mut one).await.unwrap();
    let wanted = ipnetwork::IpNetwork::V4(one.network.ipv4_subnet.unwrap());
    assert!(engine.networks()[0].ipam.iter().any(|entry| entry.subnet == wanted));

    // Found again, it stays as it is.
    let mut again = renamed(&fleet(1), "abc").unwrap();
    settle_network(&kindmesh, &mut again).await.unwrap();
    assert_eq!(again.network.ipv4_subnet, one.network.ipv4_subnet);
    assert_eq!(engine.networks().len(), 1);
}
