//! What brings a fleet back from a fault: kept beside the fault from before it is there, and done once.

use std::fmt;

use futures_util::future::join_all;

use super::super::background;
use super::super::fleet::TestFleet;
use super::super::source::Source;
use super::{component, rules, slow, token};
use crate::domain::name::FleetName;
use crate::engine::{ContainerState, Engine, EngineError, ExecRequest};
use crate::k8s::reader_token::TakenToken;
use crate::ops::{Error, ErrorKind, Kindmesh, Result};
use tokio_util::sync::CancellationToken;

/// A fault that is in force. [`Fault::undo`] ends it and tells when that fails; dropping it, also by a panic,
/// ends it, too, and prints what fails.
///
/// Undoing returns when the part of the fleet works again, not when the load balancers, meshes and controllers on top
/// of it have noticed: [`TestFleet::verify`] waits for these.
#[must_use = "a fault that is dropped at once is undone at once"]
pub struct Fault {
    what: String,
    source: Source,
    undo: Option<Undo>,
}

/// What is to be done, as data: it may have to be done from another thread.
pub(super) enum Undo {
    /// Take a chain of rules away from these nodes.
    Rules { nodes: Vec<String>, chain: String },
    /// Let these nodes, of one cluster, run.
    Nodes(Vec<String>),
    /// Let a component run in these nodes, of one cluster.
    Component { nodes: Vec<String>, component: component::Component },
    /// Give a cluster its token back.
    Token { cluster: String, token: Box<TakenToken> },
    /// Let packets of these nodes go at once.
    Slow(Vec<String>),
}

// === impl TestFleet ===

impl TestFleet {
    /// A fault whose undo is ready before it is there.
    pub(super) fn fault(&self, what: String, undo: Undo) -> Result<Fault> {
        let ending = self.ending().ok_or_else(|| Error::new(ErrorKind::NotFound, "the fleet is gone"))?;
        Ok(Fault { what, source: ending.source().clone(), undo: Some(undo) })
    }
}

// === impl Fault ===

impl Fault {
    /// What was done (`cluster1 is paused`).
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Ends the fault, and returns when the part of the fleet works again.
    ///
    /// # Errors
    /// When it does not; the drop does not try again.
    pub async fn undo(mut self) -> Result<()> {
        match self.undo.take() {
            Some(undo) => {
                let source = self.source.clone();
                let done = background::apart(CancellationToken::new(), move || async move { run(&source.kindmesh().await?, undo).await });
                let done = done.await.unwrap_or_else(|| Err(Error::cancelled("the thread that undoes a fault ended")));
                done.map_err(|error| error.within(format_args!("undo: {}", self.what)))
            }
            None => Ok(()),
        }
    }
}

impl Drop for Fault {
    #[expect(clippy::print_stderr, reason = "a drop has no other way to tell a test's author")]
    fn drop(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        let (what, source) = (self.what.clone(), self.source.clone());
        let undone = background::run(move || async move { run(&source.kindmesh().await?, undo).await });
        match undone {
            Some(Ok(())) => {}
            Some(Err(error)) => eprintln!("kindmesh: this fault stays: {what}: {}", error.one_line()),
            None => eprintln!("kindmesh: this fault stays: {what}"),
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault").field("what", &self.what).finish_non_exhaustive()
    }
}

async fn run(kindmesh: &Kindmesh, undo: Undo) -> Result<()> {
    let engine = kindmesh.engine().as_ref();
    match undo {
        Undo::Rules { nodes, chain } => in_all(engine, &nodes, &rules::remove(&chain)).await,
        Undo::Nodes(nodes) => {
            let nodes = that_are_there(engine, nodes).await?;
            kindmesh.start_nodes(&nodes).await
        }
        Undo::Component { nodes, component } => {
            let nodes = that_are_there(engine, nodes).await?;
            in_all(engine, &nodes, &component::start(component)).await?;
            kindmesh.start_nodes(&nodes).await
        }
        Undo::Token { cluster, token } => token::give_back(kindmesh, &cluster, &token).await,
        Undo::Slow(nodes) => in_all(engine, &nodes, &slow::remove()).await,
    }
}

/// Takes away what faults of a test that was killed have left in a fleet that is used again. Nodes that do not
/// run, and are about to be started, have neither rules nor queues.
pub(in crate::testing) async fn heal(kindmesh: &Kindmesh, fleet: &FleetName) -> Result<()> {
    let engine = kindmesh.engine().as_ref();
    let label = format!("{}={fleet}", crate::domain::labels::FLEET);
    let containers = engine.list_containers(&[label]).await?;
    let nodes = containers.into_iter().filter(|node| node.labels.contains_key(crate::domain::labels::ROLE));
    let nodes: Vec<String> = nodes.filter(|node| node.state == ContainerState::Running).map(|node| node.name).collect();
    for command in [rules::remove(rules::ANY), slow::remove(), component::start_all()] {
        in_all(engine, &nodes, &command).await?;
    }
    Ok(())
}

/// Those of the nodes that exist: with a fleet that is gone, its faults are.
async fn that_are_there(engine: &dyn Engine, nodes: Vec<String>) -> Result<Vec<String>> {
    let mut there = Vec::new();
    for node in nodes {
        match engine.inspect_container(&node).await {
            Ok(_) => there.push(node),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(there)
}

/// Runs a command that undoes in every node at once. A node that is gone, or has ended, has nothing to undo.
async fn in_all(engine: &dyn Engine, nodes: &[String], command: &[String]) -> Result<()> {
    let done = join_all(nodes.iter().map(|node| async move {
        match in_node(engine, node, command).await {
            Ok(output) => Ok(output),
            Err(error) => match engine.inspect_container(node).await {
                Err(gone) if gone.is_not_found() => Ok(()),
                Ok(info) if matches!(info.state, ContainerState::Exited | ContainerState::Created | ContainerState::Dead) => Ok(()),
                _ => Err(error),
            },
        }
    }));
    done.await.into_iter().collect()
}

/// Runs a command in a node; one that fails is an error with its last words.
pub(super) async fn in_node(engine: &dyn Engine, node: &str, command: &[String]) -> Result<()> {
    let output = engine.exec(node, ExecRequest::new(command.iter().cloned()), &CancellationToken::new()).await;
    let output = output.map_err(|error: EngineError| Error::from(error).within(format_args!("node {node}")))?;
    match output.success() {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Cluster, format!("node {node}: {}", output.tail(3)))),
    }
}
