//! Components that do not run, in nodes that do.

use futures_util::future::try_join_all;

use super::super::fleet::TestFleet;
use super::guard::{Fault, Undo, in_node};
use crate::ops::Result;

/// Stops and starts.
const SCRIPT: &str = include_str!("component.sh");

/// A program that a cluster needs. Those of the control plane run in its first node, the others in all nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Component {
    /// The API server: nothing can be asked or changed, what runs goes on.
    ApiServer,
    /// Its database: the API server answers only with errors.
    Etcd,
    /// The controllers: nothing is repaired, no endpoint follows its pod.
    ControllerManager,
    /// The scheduler: new pods find no node.
    Scheduler,
    /// The kubelets: pods go on, and nobody looks after them. After some 40 s the nodes count as lost.
    Kubelet,
    /// The container runtimes: containers go on, none can be started or entered.
    ContainerRuntime,
}

// === impl Component ===

impl Component {
    /// How it is started, and its name there.
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Component::ApiServer => ("pod", "kube-apiserver"),
            Component::Etcd => ("pod", "etcd"),
            Component::ControllerManager => ("pod", "kube-controller-manager"),
            Component::Scheduler => ("pod", "kube-scheduler"),
            Component::Kubelet => ("unit", "kubelet"),
            Component::ContainerRuntime => ("unit", "containerd"),
        }
    }

    fn in_every_node(self) -> bool {
        matches!(self, Component::Kubelet | Component::ContainerRuntime)
    }
}

/// The command that starts a component again.
pub(super) fn start(component: Component) -> Vec<String> {
    command("start", component)
}

/// The command that starts whatever was stopped.
pub(super) fn start_all() -> Vec<String> {
    ["bash", "-c", SCRIPT, "component", "start-all"].map(str::to_owned).to_vec()
}

fn command(verb: &str, component: Component) -> Vec<String> {
    let (kind, name) = component.place();
    ["bash", "-c", SCRIPT, "component", verb, kind, name].map(str::to_owned).to_vec()
}

impl TestFleet {
    /// Stops a component of a cluster, and returns when it has ended. Undoing waits until the cluster works.
    ///
    /// # Errors
    /// When it does not end; then it is started again.
    ///
    /// # Panics
    /// When there is no cluster of this name.
    pub async fn stop(&self, cluster: &str, component: Component) -> Result<Fault> {
        let cluster = self.cluster(cluster);
        let count = if component.in_every_node() { cluster.nodes().len() } else { 1 };
        let nodes: Vec<String> = cluster.nodes().iter().take(count).cloned().collect();
        let what = format!("{} of {} is stopped", component.place().1, cluster.name());
        let fault = self.fault(what, Undo::Component { nodes: nodes.clone(), component })?;
        let (engine, command) = (self.kindmesh().engine().as_ref(), command("stop", component));
        let stopped = try_join_all(nodes.iter().map(|node| in_node(engine, node, &command))).await;
        stopped.map_err(|error| error.within(fault.what()))?;
        Ok(fault)
    }
}
