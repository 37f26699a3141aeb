//! Warm pools: fleets of one description that are made beforehand and wait, suspended, to be handed out.
//!
//! A pool `demo` has the members `demo-w1`, `demo-w2` and so on: ordinary fleets, whose clusters are
//! `cluster1-w1` and so on, so that any number of them fits on one engine. What a filler does next is
//! decided here, from what is there.

use std::collections::BTreeSet;

use serde_json::Value;

use super::fleet::Fleet;
use super::name::{FleetName, NameError};
use super::oci::sha256_digest;

/// Most members a pool can be asked to keep.
pub const MAX_POOL_SIZE: u32 = 99;
/// Members have at most so many digits: beside the warm ones there are those that are handed out.
const HIGHEST_NUMBER: u32 = 999;

/// A description that no pool can be made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WarmError {
    /// A published port can be bound once.
    #[error("cluster {cluster} has the fixed API server port {port}, and a pool keeps several fleets of one description at once")]
    FixedPort {
        /// The cluster.
        cluster: String,
        /// The port.
        port: u16,
    },
    /// A subnet can belong to one network, in which nodes have fixed addresses.
    #[error("network {network} is the fleet's own, and a pool keeps several fleets of one description at once")]
    OwnNetwork {
        /// The network.
        network: String,
    },
    /// A name that has no room for the member's number.
    #[error("members of the pool are numbered: {0}")]
    Name(#[from] NameError),
}

/// How a member of a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberState {
    /// Complete and suspended: it can be handed out.
    Warm,
    /// Handed out.
    Leased,
    /// Being made, or its maker was killed.
    Unfinished,
    /// Being removed, or its remover was killed.
    Discarded,
    /// Made by another description than the pool's: neither handed out nor gone on with.
    Other,
}

/// What a filler does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Remove this member.
    Discard(u32),
    /// Go on with this member.
    Complete(u32),
    /// Make a member of this number.
    Make(u32),
}

/// Whether several fleets of this description can exist at once, and have names.
///
/// # Errors
/// [`WarmError`] with the first thing that is in the way.
pub fn check(description: &Fleet) -> Result<(), WarmError> {
    if description.network.ipv4_subnet.is_some() {
        return Err(WarmError::OwnNetwork { network: description.network.name.clone() });
    }
    if let Some((cluster, port)) = description.clusters.iter().find_map(|cluster| Some((cluster, cluster.api_server_port?))) {
        return Err(WarmError::FixedPort { cluster: cluster.name.to_string(), port });
    }
    member(description, HIGHEST_NUMBER)?;
    Ok(())
}

/// The `number`-th member of the pool of a description.
///
/// ```
/// use kindmesh::domain::{fleet::Fleet, warm};
/// let member = warm::member(&Fleet::builder("demo").build()?, 3)?;
/// assert_eq!((member.name.as_str(), member.clusters[0].name.as_str()), ("demo-w3", "cluster1-w3"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`NameError`] when a name becomes too long.
pub fn member(description: &Fleet, number: u32) -> Result<Fleet, NameError> {
    let mut member = Fleet { name: member_name(&description.name, number)?, warm: Some(description.name.clone()), ..description.clone() };
    for cluster in &mut member.clusters {
        cluster.name = format!("{}{}", cluster.name, suffix(number)).parse()?;
    }
    Ok(member)
}

/// Name of a member.
///
/// # Errors
/// [`NameError`] when it is too long.
pub fn member_name(pool: &FleetName, number: u32) -> Result<FleetName, NameError> {
    format!("{pool}{}", suffix(number)).parse()
}

/// Which member of the pool a fleet is, by its name.
pub fn number(pool: &FleetName, fleet: &str) -> Option<u32> {
    let number: u32 = fleet.strip_prefix(pool.as_str())?.strip_prefix("-w")?.parse().ok()?;
    (number > 0 && member_name(pool, number).is_ok_and(|name| name.as_str() == fleet)).then_some(number)
}

/// What the description calls a cluster of a member.
pub fn described(cluster: &str, number: u32) -> &str {
    cluster.strip_suffix(&suffix(number)).unwrap_or(cluster)
}

/// What tells one description from another: a digest (`sha256:…`) of everything it says. What it leaves out does
/// not count, so that a later version's settings change nothing for those who do not use them.
pub fn digest(description: &Fleet) -> String {
    // A description is plain data: it can always be written down.
    let mut document = serde_json::to_value(description).unwrap_or_default();
    without_nulls(&mut document);
    document.sort_all_objects();
    sha256_digest(document.to_string().as_bytes())
}

/// [`digest`] of the description that a member was made by; `None` for a fleet that is no member of a pool.
pub fn digest_of(member: &Fleet) -> Option<String> {
    let pool = member.warm.clone()?;
    let number = number(&pool, member.name.as_str())?;
    let mut description = Fleet { name: pool, warm: None, ..member.clone() };
    for cluster in &mut description.clusters {
        cluster.name = described(cluster.name.as_str(), number).parse().ok()?;
    }
    Some(digest(&description))
}

fn without_nulls(document: &mut Value) {
    match document {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// What to do next so that a pool has `size` warm members; `None` when nothing is left to do. Leased ones
/// are nobody's business but the leaser's, and what is of another description is whoever's who made it. Numbers that
/// are `taken` otherwise are passed over.
pub fn next(size: u32, members: &[(u32, MemberState)], taken: &BTreeSet<u32>) -> Option<Step> {
    let of = |state: MemberState| members.iter().filter(move |(_, its)| *its == state).map(|(number, _)| *number);
    if let Some(number) = of(MemberState::Discarded).min() {
        return Some(Step::Discard(number));
    }
    let kept = of(MemberState::Warm).count() + of(MemberState::Unfinished).count();
    if kept > size as usize {
        // What is not ready is no loss.
        return of(MemberState::Unfinished).max().or(of(MemberState::Warm).max()).map(Step::Discard);
    }
    if let Some(number) = of(MemberState::Unfinished).min() {
        return Some(Step::Complete(number));
    }
    if kept == size as usize {
        return None;
    }
    let used: BTreeSet<u32> = members.iter().map(|(number, _)| *number).chain(taken.iter().copied()).collect();
    (1..).find(|number| !used.contains(number)).map(Step::Make)
}

fn suffix(number: u32) -> String {
    format!("-w{number}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::fleet_builder::{ClusterBuilder, MeshBuilder, NetworkBuilder};

    fn fleet(cluster: ClusterBuilder) -> Fleet {
        Fleet::builder("demo").cluster(cluster).build().unwrap()
    }

    #[test]
    fn members_are_fleets_of_other_names() {
        let description = Fleet::builder("demo").clusters(2).build().unwrap();
        let member = member(&description, 12).unwrap();
        assert_eq!(member.warm, Some(description.name.clone()));
        let names: Vec<&str> = member.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
        assert_eq!((member.name.as_str(), names), ("demo-w12", vec!["cluster1-w12", "cluster2-w12"]));
        assert_eq!((number(&description.name, "demo-w12"), described("cluster2-w12", 12)), (Some(12), "cluster2"));
        for other in ["demo", "demo-w", "demo-w0", "demo-w01", "demo-w1-w2", "demo-w+1", "demos-w1"] {
            assert_eq!(number(&description.name, other), None, "{other}");
        }
    }

    #[test]
    fn members_tell_by_what_they_were_made() {
        let description = Fleet::builder("demo").clusters(2).build().unwrap();
        let (first, last) = (member(&description, 1).unwrap(), member(&description, 999).unwrap());
        assert_eq!(digest_of(&first), Some(digest(&description)));
        assert_eq!(digest_of(&first), digest_of(&last));
        assert_eq!(digest_of(&description), None);
        for other in [
            Fleet::builder("demo").clusters(3).build().unwrap(),
            Fleet::builder("demo").clusters(2).mesh(MeshBuilder::default()).build().unwrap(),
            Fleet::builder("demo").clusters(2).image("a:1").build().unwrap(),
        ] {
            assert_ne!(digest(&other), digest(&description), "{other:?}");
        }
    }

    #[test]
    fn what_cannot_exist_twice_is_refused() {
        let port = fleet(ClusterBuilder::new("a").api_server_port(6443));
        assert_eq!(check(&port), Err(WarmError::FixedPort { cluster: "a".to_owned(), port: 6443 }));
        let network = Fleet::builder("demo").network(NetworkBuilder::own("172.30.0.0/16").name("mine")).build().unwrap();
        assert_eq!(check(&network), Err(WarmError::OwnNetwork { network: "mine".to_owned() }));
        let named = Fleet::builder("demo").network(NetworkBuilder::shared().name("other")).build().unwrap();
        assert_eq!(check(&named), Ok(()));
        let long = fleet(ClusterBuilder::new("x".repeat(36)));
        let said = check(&long).unwrap_err().to_string();
        assert!(said.starts_with("members of the pool are numbered: ") && said.contains("has 41 characters"), "{said}");
        assert_eq!(check(&fleet(ClusterBuilder::new("x".repeat(35)))), Ok(()));
    }

    #[test]
    fn a_filler_goes_on_before_it_begins_and_passes_over_what_is_taken() {
        use MemberState::{Discarded, Leased, Unfinished, Warm};
        let none = BTreeSet::new();
        assert_eq!(next(2, &[(1, Leased), (2, Unfinished), (3, Discarded)], &none), Some(Step::Discard(3)));
        assert_eq!(next(2, &[(1, Leased), (2, Unfinished)], &none), Some(Step::Complete(2)));
        assert_eq!(next(2, &[(1, Leased), (2, Warm)], &none), Some(Step::Make(3)));
        assert_eq!(next(2, &[(2, Warm)], &BTreeSet::from([1, 3])), Some(Step::Make(4)));
        assert_eq!(next(1, &[(2, Warm)], &none), None);
        assert_eq!(next(1, &[(1, Warm), (2, Warm), (3, Unfinished)], &none), Some(Step::Discard(3)));
        assert_eq!(next(1, &[(1, Warm), (2, Warm)], &none), Some(Step::Discard(2)));
    }

    fn state() -> impl Strategy<Value = MemberState> {
        use MemberState::{Discarded, Leased, Other, Unfinished, Warm};
        prop_oneof![Just(Warm), Just(Leased), Just(Unfinished), Just(Discarded), Just(Other)]
    }

    proptest! {
        #[test]
        fn every_pool_comes_to_its_size_and_leases_stay(
            size in 0_u32..6,
            states in proptest::collection::btree_map(1_u32..9, state(), 0..8),
            taken in proptest::collection::btree_set(1_u32..9, 0..3),
        ) {
            let mut members = states.clone();
            let mut steps = 0;
            while let Some(step) = next(size, &members.clone().into_iter().collect::<Vec<_>>(), &taken) {
                match step {
                    Step::Discard(number) => prop_assert!(!matches!(members.remove(&number), Some(MemberState::Leased | MemberState::Other))),
                    Step::Complete(number) => prop_assert_eq!(members.insert(number, MemberState::Warm), Some(MemberState::Unfinished)),
                    Step::Make(number) => {
                        prop_assert!(!taken.contains(&number));
                        prop_assert_eq!(members.insert(number, MemberState::Warm), None);
                    }
                }
                steps += 1;
                prop_assert!(steps <= 32);
            }
            prop_assert_eq!(members.values().filter(|state| **state == MemberState::Warm).count(), size as usize);
            let kept = |members: &std::collections::BTreeMap<u32, MemberState>| -> Vec<u32> {
                let kept = members.iter().filter(|(_, state)| matches!(state, MemberState::Leased | MemberState::Other));
                kept.map(|(number, _)| *number).collect()
            };
            prop_assert_eq!(kept(&members), kept(&states));
        }
    }
}
