//! Nodes that do not run: the reason for whatever else is wrong with their cluster.

use super::cause::Cause;
use super::judge::Failure;
use super::view::{ClusterView, FleetView};

/// A node that does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestingNode {
    /// Its name.
    pub name: String,
    /// How it is instead.
    pub rest: Rest,
}

/// What a node does instead of running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rest {
    /// It keeps its memory and gets no processor.
    Paused,
    /// It has ended.
    Stopped,
    /// It was made and never ran.
    Unstarted,
}

/// `node a is paused`, `nodes a, b are stopped; node c is paused`; `None` when all run.
pub fn describe(nodes: &[RestingNode]) -> Option<String> {
    let of = |(rest, words): (Rest, &str)| {
        let names: Vec<&str> = nodes.iter().filter(|node| node.rest == rest).map(|node| node.name.as_str()).collect();
        match names.as_slice() {
            [] => None,
            [name] => Some(format!("node {name} is {words}")),
            names => Some(format!("nodes {} are {words}", names.join(", "))),
        }
    };
    let states = [Rest::Unstarted, Rest::Stopped, Rest::Paused].map(|rest| (rest, rest.word()));
    let told: Vec<String> = states.into_iter().filter_map(of).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// What is told of a cluster whose nodes do not all run.
pub(super) fn failure(view: &FleetView, cluster: &ClusterView) -> Option<Failure> {
    let message = describe(&cluster.resting)?;
    Some(Failure { next: wake(view), ..Failure::new(Cause::NodeNotRunning, message) })
}

/// The one command that makes all nodes of the fleet run again.
fn wake(view: &FleetView) -> String {
    let most = view.clusters.iter().flat_map(|cluster| &cluster.resting).map(|node| node.rest).max();
    most.unwrap_or(Rest::Paused).way_back(&view.name)
}

// === impl Rest ===

impl Rest {
    /// As it stands behind `is`.
    pub fn word(self) -> &'static str {
        match self {
            Rest::Unstarted => "not started yet",
            Rest::Stopped => "stopped",
            Rest::Paused => "paused",
        }
    }

    /// The command that makes such nodes of a fleet run again.
    pub fn way_back(self, fleet: &str) -> String {
        match self {
            Rest::Unstarted => "run `kindmesh up` with the description of the fleet again, which finishes it".to_owned(),
            Rest::Stopped => format!("start it: `kindmesh start --fleet {fleet}`"),
            Rest::Paused => format!("let it go on: `kindmesh resume --fleet {fleet}`"),
        }
    }
}
