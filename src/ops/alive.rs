//! Work on nodes that ends when one of them does.
//!
//! What waits for Kubernetes in a node hears of the node's end only as connections that are refused, which may
//! heal: it would wait for its whole deadline and then tell of the wrong thing.

use std::time::Duration;

use futures_util::future::select_all;
use tokio::time::timeout;

use crate::engine::{ContainerInfo, ContainerState, Engine, EngineError, EngineErrorKind};

use super::context::Scope;
use super::error::{Error, ErrorKind, Result};

/// Between two looks at a node that the engine would tell the end of: it may be silent itself.
const WAIT: Duration = Duration::from_secs(15);
/// A look takes milliseconds, on a busy machine seconds.
const LOOK: Duration = Duration::from_secs(20);
/// After a wait that failed.
const PAUSE: Duration = Duration::from_secs(2);
/// After a wait that told of an end: engines err.
const TOLD: Duration = Duration::from_millis(500);
/// So many looks in a row must fail before the engine counts as gone: one connection that breaks is none's end.
const LOOKS: u32 = 3;

/// Does the work, as long as these nodes, named or by ID, run. That one does not is told at once, for others may be
/// worked on for long.
///
/// # Errors
/// Those of the work; that a node ended, was started anew or removed, or that the engine has gone, under it.
pub(super) async fn while_they_run<T>(
    engine: &dyn Engine,
    nodes: &[&str],
    scope: &Scope,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    if nodes.is_empty() {
        return work.await;
    }
    let ends = select_all(nodes.iter().map(|node| Box::pin(end(engine, node))));
    tokio::select! {
        // What the work itself has to say of a node's end comes first.
        biased;
        done = work => done,
        (ended, ..) = ends => {
            scope.warn("watch nodes", ended.one_line());
            Err(ended)
        }
    }
}

/// Waits for the end of a node, or for that of its engine.
async fn end(engine: &dyn Engine, node: &str) -> Error {
    let (mut failed, mut since) = (0, None);
    loop {
        match look(engine, node).await {
            Ok(info) => match over(&info, since) {
                Some(what) => return ended(&info, &what),
                None => (failed, since) = (0, info.started),
            },
            Err(error) if error.is_not_found() => {
                return Error::new(ErrorKind::Cluster, format!("node {node} was removed while it was worked on"))
                    .hint("`kindmesh up` with the same description makes it again");
            }
            Err(error) => {
                failed += 1;
                if failed == LOOKS {
                    return Error::new(ErrorKind::Engine, format!("the engine has gone while node {node} was worked on"))
                        .because(error)
                        .hint("see that the engine runs and answers; `kindmesh up` with the same description finishes what was begun");
                }
            }
        }
        // Whatever this says, also that it was interrupted: the node itself is looked at.
        if let Ok(waited) = timeout(WAIT, engine.wait_container(node)).await {
            tracing::debug!(node, ?waited, "a node was waited for");
            tokio::time::sleep(if waited.is_ok() { TOLD } else { PAUSE }).await;
        }
    }
}

async fn look(engine: &dyn Engine, node: &str) -> std::result::Result<ContainerInfo, EngineError> {
    let silent = || EngineError::new("inspect container", node, EngineErrorKind::Timeout, format!("no answer within {} s", LOOK.as_secs()));
    timeout(LOOK, engine.inspect_container(node)).await.unwrap_or_else(|_| Err(silent()))
}

/// What has become of a node that is not the running one it was.
fn over(info: &ContainerInfo, since: Option<i64>) -> Option<String> {
    match info.state {
        ContainerState::Exited | ContainerState::Dead => {
            Some(info.exit_code.map_or("ended".to_owned(), |code| format!("ended with exit code {code}")))
        }
        ContainerState::Removing => Some("is being removed".to_owned()),
        // Engines start a node that crashed once more.
        ContainerState::Restarting => Some("crashed".to_owned()),
        _ => (since.is_some() && info.started != since).then(|| "was started anew".to_owned()),
    }
}

fn ended(info: &ContainerInfo, what: &str) -> Error {
    Error::new(ErrorKind::Cluster, format!("node {} {what} while it was worked on", info.name)).hint(
        "look at its console with `docker logs` and at the engine's log; `kindmesh up` with the same description finishes what was begun",
    )
}

#[cfg(test)]
mod tests;
