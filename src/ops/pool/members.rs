//! The members of a pool, as the labels on the engine tell of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::fleet::Fleet;
use crate::domain::labels;
use crate::domain::name::FleetName;
use crate::domain::warm::{self, MemberState};
use crate::engine::{ContainerInfo, ContainerState, Engine};
use crate::ops::error::Result;
use crate::ops::nodes;

use super::claim;

/// Members that nobody can have now.
pub(super) const UNREADY: [MemberState; 3] = [MemberState::Unfinished, MemberState::Discarded, MemberState::Other];

/// A member of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) fleet: FleetName,
    /// Which of the pool, counted from 1.
    pub(super) number: u32,
    pub(super) state: MemberState,
    /// Image that a marker can be made from; `None` when no node is left.
    pub(super) image: Option<String>,
}

/// Reads them with one call, in the order of their numbers. Where the pool's description is known, a member
/// that lacks a node of it is unfinished, and one that was made by another is no member of this pool.
pub(super) async fn read(engine: &dyn Engine, pool: &FleetName, description: Option<&Fleet>) -> Result<Vec<Member>> {
    let containers = engine.list_containers(&[format!("{}={pool}", labels::WARM)]).await?;
    let mut fleets: BTreeMap<&str, Vec<&ContainerInfo>> = BTreeMap::new();
    for container in &containers {
        if let Some(fleet) = container.labels.get(labels::FLEET) {
            fleets.entry(fleet).or_default().push(container);
        }
    }
    let digest = description.map(warm::digest);
    let member = |(fleet, containers): (&str, Vec<&ContainerInfo>)| {
        let number = warm::number(pool, fleet)?;
        let fleet: FleetName = fleet.parse().ok()?;
        let wanted = wanted(&fleet, description);
        let claimed = containers.iter().find_map(|container| claim::state(container));
        let image = containers.iter().find(|one| is_node(one)).map(|node| node.image.clone());
        let state = claimed.unwrap_or_else(|| nodes_state(&containers, wanted.as_ref(), digest.as_deref()));
        Some(Member { fleet, number, state, image })
    };
    let mut members: Vec<Member> = fleets.into_iter().filter_map(member).collect();
    members.sort_by_key(|member| member.number);
    Ok(members)
}

/// Whether all nodes of a member are there and suspended, whoever has claimed it.
pub(super) async fn is_suspended(engine: &dyn Engine, member: &FleetName, description: Option<&Fleet>) -> Result<bool> {
    let containers = engine.list_containers(&[format!("{}={member}", labels::FLEET)]).await?;
    let (wanted, digest) = (wanted(member, description), description.map(warm::digest));
    Ok(nodes_state(&containers.iter().collect::<Vec<_>>(), wanted.as_ref(), digest.as_deref()) == MemberState::Warm)
}

/// Names of all pools that have a member on the engine, sorted.
pub(super) async fn pools(engine: &dyn Engine) -> Result<BTreeSet<FleetName>> {
    let containers = engine.list_containers(&[labels::WARM.to_owned()]).await?;
    Ok(containers.iter().filter_map(|container| container.labels.get(labels::WARM)?.parse().ok()).collect())
}

/// Names of the members in this state.
pub(super) fn names(members: &[Member], of: &[MemberState]) -> Vec<String> {
    members.iter().filter(|member| of.contains(&member.state)).map(|member| member.fleet.to_string()).collect()
}

/// What a member is to be, where that is known.
fn wanted(member: &FleetName, description: Option<&Fleet>) -> Option<Fleet> {
    let description = description?;
    warm::member(description, warm::number(&description.name, member.as_str())?).ok()
}

/// What the nodes of a member say that nobody has claimed.
fn nodes_state(containers: &[&ContainerInfo], wanted: Option<&Fleet>, digest: Option<&str>) -> MemberState {
    let nodes: Vec<&&ContainerInfo> = containers.iter().filter(|container| is_node(container)).collect();
    let foreign = |node: &&&ContainerInfo| node.labels.get(labels::DESCRIPTION).map(String::as_str) != digest;
    if digest.is_some() && nodes.iter().any(foreign) {
        return MemberState::Other;
    }
    let suspended = nodes.iter().all(|node| node.state == ContainerState::Paused);
    let has = |name: &str| nodes.iter().any(|node| node.name == name);
    let complete = wanted.is_none_or(|wanted| wanted.clusters.iter().flat_map(nodes::plans).all(|plan| has(&plan.name)));
    if suspended && complete && !nodes.is_empty() { MemberState::Warm } else { MemberState::Unfinished }
}

fn is_node(container: &ContainerInfo) -> bool {
    container.labels.contains_key(labels::CLUSTER)
}
