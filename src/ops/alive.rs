//! Work on nodes that ends when one of them does.
//!
//! What waits for Kubernetes in a node hears of the node's end only as connections that are refused, which may
//! heal: it would wait for its whole deadline and then tell of the wrong thing.

use std::time::Duration;

use futures_util::future::select_all;

use crate::engine::{ContainerState, Engine};

use super::error::{Error, ErrorKind, Result};

/// Between two looks at a node whose end the engine does not wait for, though it runs; and at an engine that is silent.
const LOOK_PAUSE: Duration = Duration::from_secs(2);
/// So many looks in a row must fail before the engine counts as gone: one connection that breaks is none's end.
const LOOKS: u32 = 3;

/// Does the work, as long as these nodes, named or by ID, run.
///
/// # Errors
/// Those of the work; that a node ended, or that the engine has gone, under it.
pub(super) async fn while_they_run<T>(engine: &dyn Engine, nodes: &[&str], work: impl Future<Output = Result<T>>) -> Result<T> {
    if nodes.is_empty() {
        return work.await;
    }
    let ends = select_all(nodes.iter().map(|node| Box::pin(end(engine, node))));
    tokio::select! {
        // What the work itself has to say of a node's end comes first.
        biased;
        done = work => done,
        (ended, ..) = ends => Err(ended),
    }
}

/// Waits for the end of a node, or for that of its engine.
async fn end(engine: &dyn Engine, node: &str) -> Error {
    let mut failed = 0;
    loop {
        // Whatever this says, also that it was interrupted: the node itself is looked at.
        let waited = engine.wait_container(node).await;
        tracing::debug!(node, ?waited, "a node was waited for");
        match engine.inspect_container(node).await {
            // An engine that ends its containers with itself keeps nothing from being paused or started again.
            Ok(info) if matches!(info.state, ContainerState::Exited | ContainerState::Dead) => {
                let code = info.exit_code.map(|code| format!(" with exit code {code}")).unwrap_or_default();
                return Error::new(ErrorKind::Cluster, format!("node {} ended{code} while it was worked on", info.name))
                    .hint("look at its console with `docker logs` and at the engine's log; `kindmesh up` with the same description goes on from here");
            }
            Ok(_) => failed = 0,
            Err(error) if error.is_not_found() => {
                return Error::new(ErrorKind::Cluster, format!("node {node} was removed while it was worked on"))
                    .hint("`kindmesh up` with the same description makes it again");
            }
            Err(error) => {
                failed += 1;
                if failed == LOOKS {
                    return Error::new(ErrorKind::Engine, format!("the engine of node {node} has gone while the node was worked on"))
                        .because(error)
                        .hint("start the engine; `kindmesh up` with the same description goes on from here");
                }
            }
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

#[cfg(test)]
mod tests;
