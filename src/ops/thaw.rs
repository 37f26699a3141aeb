//! Nodes that do not end, because some of their processes are frozen.
//!
//! With control groups of version 1 what is frozen does not end, not even by SIGKILL. A pod's processes are frozen for a
//! moment when the runtime in a node ends them; when the node is killed in that moment, so is the runtime, and nobody
//! lets them go on: the engine waits for the node's end in vain, each time it is asked, and cannot remove it. Version 2
//! ends what is frozen.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::container::ContainerSpec;
use crate::domain::labels;
use crate::engine::{ContainerInfo, Engine, EngineError, EngineErrorKind};

use super::privileges;

/// Purpose of the helper, in the label [`labels::HELPER`].
const PURPOSE: &str = "thaw";
/// Where the engine's host has the control groups that freeze, with version 1.
const FREEZER: &str = "/sys/fs/cgroup/freezer";
/// What engines say of a container that did not end by SIGKILL: all of them, and older ones of one that is nearly gone.
const UNKILLABLE: [&str; 2] = ["did not receive an exit event", "is zombie and can not be killed"];
/// Lets everything go on that belongs to the container of the ID `$1`. Engines name its group by it, alone or as a part.
/// What it let go on it prints.
const SCRIPT: &str = r#"find /freezer -path "*$1*" -name freezer.state | while read -r state; do
  grep -q THAWED "$state" || { echo THAWED >"$state" && echo "$state"; }
done"#;

/// How a node is ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// Its programs have so many seconds to end by themselves; none for a kill.
    Stop(u32),
    /// It is killed and removed.
    Remove,
}

/// Ends a node; when the engine cannot, lets go on what is frozen in it, and asks once more.
///
/// # Errors
/// What the engine said, the second time if there was one.
pub(super) async fn end(engine: &Arc<dyn Engine>, node: &ContainerInfo, how: End) -> Result<(), EngineError> {
    match how.of(engine.as_ref(), node).await {
        Err(error) if UNKILLABLE.iter().any(|words| error.message.contains(words)) => {
            tracing::debug!(node = node.name, %error, "letting go on what is frozen");
            match thaw(engine, node).await {
                // It may have ended by the first signal meanwhile.
                Ok(()) => match how.of(engine.as_ref(), node).await {
                    Err(error) if error.is_conflict() && matches!(how, End::Stop(_)) => Ok(()),
                    ended => ended,
                },
                Err(why) => {
                    tracing::debug!(node = node.name, %why, "nothing was let go on");
                    Err(error)
                }
            }
        }
        ended => ended,
    }
}

/// Runs in a container of the node's own image, which the engine has as long as it has the node. Nothing but the files
/// by which control groups freeze is given to it; where they are not (version 2), it is refused.
///
/// Undo: none is needed; whoever froze the processes has died with them.
async fn thaw(engine: &Arc<dyn Engine>, node: &ContainerInfo) -> Result<(), EngineError> {
    let mut labels = BTreeMap::from([(labels::HELPER.to_owned(), PURPOSE.to_owned())]);
    // What a killed process leaves goes with the fleet, whoever removes it.
    let of_fleet = |label: &&str| node.labels.get(*label).map(|value| ((*label).to_owned(), value.clone()));
    labels.extend([labels::FLEET, labels::OWNER].iter().filter_map(of_fleet));
    let words = ["/bin/sh", "-c", SCRIPT, PURPOSE, &node.id];
    let spec = ContainerSpec {
        image: node.image.clone(),
        entrypoint: Some(words.map(str::to_owned).to_vec()),
        cmd: Some(Vec::new()),
        labels,
        network: "none".to_owned(),
        mounts: BTreeMap::from([(FREEZER.to_owned(), "/freezer".to_owned())]),
        ..ContainerSpec::default()
    };
    let let_go = privileges::run(engine, spec).await?;
    if let_go.trim().is_empty() {
        let nothing = "nothing was frozen, or nothing may be let go on";
        return Err(EngineError::new("let go on what is frozen in", &node.name, EngineErrorKind::Failed, nothing));
    }
    Ok(())
}

// === impl End ===

impl End {
    async fn of(self, engine: &dyn Engine, node: &ContainerInfo) -> Result<(), EngineError> {
        match self {
            // systemd in a node takes many seconds to end everything in order, for nothing that is needed later.
            Self::Stop(0) => engine.kill_container(&node.id, "SIGKILL").await,
            Self::Stop(grace) => engine.stop_container(&node.id, grace).await,
            Self::Remove => engine.remove_container(&node.id).await,
        }
    }
}
