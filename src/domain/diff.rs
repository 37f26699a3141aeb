//! What `up` does to a fleet: the difference between its description and what is there.

use std::collections::BTreeSet;

use serde::Serialize;

use super::fleet::{ClusterSpec, Fleet};
use super::name::Role;

/// What is to happen to one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is what it is to be.
    Keep,
    /// It is not there.
    Create,
    /// It was begun and not finished.
    Finish,
    /// It is complete and at rest.
    Wake,
    /// It becomes something else in its place.
    Change,
    /// It is removed and made anew, for it cannot be changed in its place.
    Recreate,
    /// It is there and not described.
    Remove,
    /// It cannot be done, or not without being asked for.
    Refuse,
}

/// Kind of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// The fleet itself: when it ends.
    Fleet,
    /// The network of the fleet.
    Network,
    /// A cluster.
    Cluster,
    /// A node of a cluster that stays.
    Node,
    /// What is installed into a cluster that stays.
    Addon,
    /// A cluster's part of the mesh.
    Mesh,
}

/// One line of a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Kind.
    pub kind: Subject,
    /// Name; of an add-on or a mesh `CLUSTER/ADDON`.
    pub name: String,
    /// What happens to it.
    pub action: Action,
    /// Why, and what becomes of it.
    pub why: Vec<String>,
}

/// Everything that `up` would do, in the order of the description; what is removed comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FleetDiff {
    /// The fleet.
    pub fleet: String,
    /// Whether anything would be done.
    pub changed: bool,
    /// One entry per object, also for those that stay as they are; for the fleet itself only when it ends at another time.
    pub changes: Vec<Change>,
}

/// What the user allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consent {
    /// To remove what is not described.
    pub prune: bool,
    /// To make clusters anew.
    pub recreate: Recreate,
}

/// Which clusters may be made anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Recreate {
    /// None.
    #[default]
    None,
    /// All that cannot be changed in their place.
    Needed,
    /// These, whatever they are.
    Named(BTreeSet<String>),
}

/// The fleet as it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// When the fleet ends and is to end, in words; `None` when that stays.
    pub end: Option<String>,
    /// The network, when there is one of its name.
    pub network: Option<FoundNetwork>,
    /// Clusters of the fleet, and those of others that have a name of its description.
    pub clusters: Vec<FoundCluster>,
}

/// A network as it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundNetwork {
    /// What it is otherwise than described.
    pub differences: Vec<String>,
}

/// A cluster as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundCluster {
    /// Name.
    pub name: String,
    /// Whose it is, when it is not the fleet's.
    pub foreign: Option<String>,
    /// Its nodes.
    pub nodes: Vec<FoundNode>,
    /// What cannot be changed in its place and is otherwise than described.
    pub fixed: Vec<String>,
    /// What can be changed in its place and is otherwise.
    pub loose: Vec<String>,
    /// What is installed; `None` when the cluster could not be asked.
    pub installed: Option<Installed>,
}

/// What a cluster that answers has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Installed {
    /// MetalLB.
    pub metallb: bool,
    /// The sample of a fleet without a mesh.
    pub sample: bool,
    /// A control plane of Istio.
    pub mesh: bool,
}

/// A node as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundNode {
    /// Name.
    pub name: String,
    /// How far it is.
    pub state: NodeState,
}

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// It belongs to the cluster and runs.
    Member,
    /// It ran and does not now.
    AtRest,
    /// It is not a member yet.
    Unfinished,
}

/// The difference between a description and what was found.
pub fn diff(fleet: &Fleet, found: &Found, consent: &Consent) -> FleetDiff {
    let mut changes = Vec::new();
    let described = |name: &str| fleet.clusters.iter().any(|cluster| cluster.name.as_str() == name);
    for cluster in found.clusters.iter().filter(|cluster| cluster.foreign.is_none() && !described(&cluster.name)) {
        changes.push(surplus(Subject::Cluster, &cluster.name, consent));
    }
    changes.extend(found.end.as_deref().map(|end| Change::new(Subject::Fleet, fleet.name.as_str(), Action::Change, [end])));
    changes.push(network(fleet, found.network.as_ref()));
    for spec in &fleet.clusters {
        let found = found.clusters.iter().find(|cluster| cluster.name == spec.name.as_str());
        cluster(fleet, spec, found, consent, &mut changes);
    }
    let changed = changes.iter().any(|change| !matches!(change.action, Action::Keep | Action::Refuse));
    FleetDiff { fleet: fleet.name.to_string(), changed, changes }
}

fn surplus(kind: Subject, name: &str, consent: &Consent) -> Change {
    let (action, why) = match consent.prune {
        true => (Action::Remove, "not described"),
        false => (Action::Refuse, "there and not described; `--prune` removes it"),
    };
    Change::new(kind, name, action, [why])
}

fn network(fleet: &Fleet, found: Option<&FoundNetwork>) -> Change {
    let name = &fleet.network.name;
    match found {
        None => Change::new(Subject::Network, name, Action::Create, []),
        Some(found) if found.differences.is_empty() => Change::new(Subject::Network, name, Action::Keep, []),
        Some(found) => Change { kind: Subject::Network, name: name.clone(), action: Action::Refuse, why: found.differences.clone() },
    }
}

fn cluster(fleet: &Fleet, spec: &ClusterSpec, found: Option<&FoundCluster>, consent: &Consent, changes: &mut Vec<Change>) {
    let name = spec.name.as_str();
    let new = |action, why: &[String]| Change { kind: Subject::Cluster, name: name.to_owned(), action, why: why.to_vec() };
    let Some(found) = found else {
        let nodes = if spec.nodes() == 1 { "1 node".to_owned() } else { format!("{} nodes", spec.nodes()) };
        changes.push(new(Action::Create, &[nodes]));
        return;
    };
    if let Some(owner) = &found.foreign {
        changes.push(new(Action::Refuse, &[format!("a cluster of {owner} has this name")]));
        return;
    }
    let asked = match &consent.recreate {
        Recreate::None => false,
        Recreate::Needed => !found.fixed.is_empty(),
        Recreate::Named(names) => names.contains(name),
    };
    if asked {
        let why = if found.fixed.is_empty() { vec!["asked for".to_owned()] } else { found.fixed.clone() };
        changes.push(new(Action::Recreate, &why));
        return;
    }
    if !found.fixed.is_empty() {
        let mut why = found.fixed.clone();
        why.push(format!("cannot be changed in its place; `--recreate {name}` makes it anew"));
        changes.push(new(Action::Refuse, &why));
        return;
    }
    let control_plane = spec.name.node(Role::ControlPlane, 1);
    let state = |node: &str| found.nodes.iter().find(|one| one.name == node).map(|one| one.state);
    let (action, why) = match state(&control_plane) {
        None | Some(NodeState::Unfinished) => (Action::Finish, vec!["its control plane was not finished".to_owned()]),
        Some(NodeState::AtRest) => (Action::Wake, found.loose.clone()),
        Some(NodeState::Member) if !found.loose.is_empty() => (Action::Change, found.loose.clone()),
        Some(NodeState::Member) => (Action::Keep, Vec::new()),
    };
    changes.push(new(action, &why));
    nodes(spec, found, consent, changes);
    if action == Action::Finish {
        return;
    }
    addons(fleet, name, found.installed, changes);
}

/// Nodes of a cluster that stays, but for its control plane, which is told with the cluster.
fn nodes(spec: &ClusterSpec, found: &FoundCluster, consent: &Consent, changes: &mut Vec<Change>) {
    let wanted: Vec<String> = (1..=spec.workers as usize).map(|index| spec.name.node(Role::Worker, index)).collect();
    let control_plane = spec.name.node(Role::ControlPlane, 1);
    for name in &wanted {
        match found.nodes.iter().find(|node| &node.name == name).map(|node| node.state) {
            None => changes.push(Change::new(Subject::Node, name, Action::Create, ["joins the cluster"])),
            Some(NodeState::Unfinished) => changes.push(Change::new(Subject::Node, name, Action::Finish, ["never joined the cluster"])),
            Some(NodeState::AtRest) => changes.push(Change::new(Subject::Node, name, Action::Wake, [])),
            Some(NodeState::Member) => {}
        }
    }
    for node in found.nodes.iter().filter(|node| node.name != control_plane && !wanted.contains(&node.name)) {
        changes.push(surplus(Subject::Node, &node.name, consent));
    }
}

/// Only what is missing can be told from the outside; what is there is brought up to date without saying so before.
fn addons(fleet: &Fleet, cluster: &str, installed: Option<Installed>, changes: &mut Vec<Change>) {
    let Some(installed) = installed else { return };
    let mut missing = |kind, wanted: bool, there: bool, name: &str| {
        if wanted && !there {
            changes.push(Change::new(kind, &format!("{cluster}/{name}"), Action::Create, []));
        }
    };
    missing(Subject::Addon, fleet.addons.metallb.is_some(), installed.metallb, "metallb");
    missing(Subject::Addon, fleet.addons.sample && fleet.mesh.is_none(), installed.sample, "sample");
    missing(Subject::Mesh, fleet.mesh.is_some(), installed.mesh, "istio");
}

// === impl Change ===

impl Change {
    fn new<'a>(kind: Subject, name: &str, action: Action, why: impl IntoIterator<Item = &'a str>) -> Self {
        Self { kind, name: name.to_owned(), action, why: why.into_iter().map(str::to_owned).collect() }
    }

    /// One line for people: `refuse cluster b: podSubnet is 10.1.0.0/16, wanted is 10.2.0.0/16`.
    pub fn line(&self) -> String {
        let why = if self.why.is_empty() { String::new() } else { format!(": {}", self.why.join("; ")) };
        format!("{} {} {}{why}", self.action.word(), self.kind.word(), self.name)
    }
}

// === impl Action ===

impl Action {
    /// As the user reads it.
    pub fn word(self) -> &'static str {
        match self {
            Action::Keep => "keep",
            Action::Create => "create",
            Action::Finish => "finish",
            Action::Wake => "wake",
            Action::Change => "change",
            Action::Recreate => "recreate",
            Action::Remove => "remove",
            Action::Refuse => "refuse",
        }
    }
}

// === impl Subject ===

impl Subject {
    /// As the user reads it.
    pub fn word(self) -> &'static str {
        match self {
            Subject::Fleet => "fleet",
            Subject::Network => "network",
            Subject::Cluster => "cluster",
            Subject::Node => "node",
            Subject::Addon => "add-on",
            Subject::Mesh => "mesh",
        }
    }
}

// === impl FleetDiff ===

impl FleetDiff {
    /// What cannot be done.
    pub fn refused(&self) -> impl Iterator<Item = &Change> {
        self.of(Action::Refuse)
    }

    /// Names of the clusters that something happens to.
    pub fn clusters(&self, action: Action) -> impl Iterator<Item = &str> {
        self.of(action).filter(|change| change.kind == Subject::Cluster).map(|change| change.name.as_str())
    }

    /// Names of the clusters that are removed, for good or to be made anew.
    pub fn going(&self) -> impl Iterator<Item = &str> {
        self.clusters(Action::Remove).chain(self.clusters(Action::Recreate))
    }

    /// Names of the nodes that something happens to, in clusters that stay.
    pub fn nodes(&self, action: Action) -> impl Iterator<Item = &str> {
        self.of(action).filter(|change| change.kind == Subject::Node).map(|change| change.name.as_str())
    }

    fn of(&self, action: Action) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.action == action)
    }
}

#[cfg(test)]
#[path = "diff/tests.rs"]
mod tests;
