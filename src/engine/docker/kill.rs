//! Ending a command that runs in a container.
//!
//! The API has no verb for it: dropping the connection leaves the command running. So every command
//! carries a mark in its environment, which its children inherit, and a second command looks for
//! the mark in `/proc` and kills whoever has it. It needs nothing but a shell.

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use super::client::DockerEngine;

/// Name of the variable that marks a command.
const VARIABLE: &str = "KINDMESH_EXEC";

/// How long one look for the command may take.
const LIMIT: Duration = Duration::from_secs(15);

/// How often we look for it.
const LOOKS: usize = 20;

/// Time between two looks: what an engine needs to start a command it was asked for.
const BETWEEN: Duration = Duration::from_millis(500);

/// Kills every process with the mark `$1` in its environment, until none is left: children may
/// appear while we look. Shells drop NUL bytes when they read, so an environment reads as one line.
/// Passes are bounded, for a process that cannot die (stuck in the kernel).
const SCRIPT: &str = r#"
pass=0
while [ "$pass" -lt 100 ]; do
  left=
  for dir in /proc/[0-9]*; do
    found=
    { while IFS= read -r text || [ -n "$text" ]; do
        case $text in *"$1"*) found=y ;; esac
      done < "$dir/environ"; } 2>/dev/null
    if [ -n "$found" ]; then
      kill -9 "${dir#/proc/}" 2>/dev/null && left=y
    fi
  done
  [ -z "$left" ] && exit 0
  pass=$((pass + 1))
  [ "$pass" -gt 2 ] && sleep 0.05 2>/dev/null
done
exit 1
"#;

/// The mark of one command.
#[derive(Debug, Clone)]
pub(super) struct Mark(String);

/// Kills the command when it is dropped before it was told that the command has ended: whoever
/// awaited it has gone away.
#[derive(Debug)]
pub(super) struct KillGuard {
    armed: Option<(DockerEngine, String, Mark)>,
}

// === impl Mark ===

impl Mark {
    /// A mark like no other. The hasher's keys are random per process and differ per instance.
    pub(super) fn new() -> Self {
        let random = || RandomState::new().build_hasher().finish();
        Self(format!("{VARIABLE}={:016x}{:016x}", random(), random()))
    }

    /// The environment entry.
    pub(super) fn entry(&self) -> &str {
        &self.0
    }
}

// === impl KillGuard ===

impl KillGuard {
    /// Watches over a command.
    pub(super) fn new(engine: &DockerEngine, container: &str, mark: Mark) -> Self {
        Self { armed: Some((engine.clone(), container.to_owned(), mark)) }
    }

    /// The command has ended by itself.
    pub(super) fn disarm(&mut self) {
        self.armed = None;
    }

    /// Kills the command and returns when `running`, which awaits it, has ended too. One look is not
    /// enough: the engine may be about to start the command when it is called off. The error says
    /// why the command may still run; after that, nothing more is tried.
    pub(super) async fn kill<T>(&mut self, running: impl Future<Output = T>) -> Result<(), String> {
        let Some((engine, container, mark)) = self.armed.take() else { return Ok(()) };
        let killing = async {
            let mut outcome = Err("it was not looked for".to_owned());
            for _ in 0..LOOKS {
                outcome = kill(&engine, &container, &mark).await;
                if outcome.is_err() {
                    break;
                }
                tokio::time::sleep(BETWEEN).await;
            }
            outcome.and(Err("it went on after it was killed".to_owned()))
        };
        tokio::select! {
            biased;
            _ = running => Ok(()),
            outcome = killing => outcome,
        }
    }
}

impl Drop for KillGuard {
    fn drop(&mut self) {
        let Some((engine, container, mark)) = self.armed.take() else { return };
        // Without a runtime nothing can be sent any more; the container's end is the command's.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            // Twice, since the request that starts the command may have been under way.
            for pause in [Duration::ZERO, BETWEEN] {
                tokio::time::sleep(pause).await;
                if let Err(reason) = kill(&engine, &container, &mark).await {
                    tracing::warn!(container, reason, "a command that nobody waits for may still run");
                    return;
                }
            }
        });
    }
}

/// Kills everything that bears the mark.
async fn kill(engine: &DockerEngine, container: &str, mark: &Mark) -> Result<(), String> {
    let command = ["sh", "-c", SCRIPT, "sh", mark.entry()].map(str::to_owned).to_vec();
    let done = match tokio::time::timeout(LIMIT, engine.run_unmarked(container, command)).await {
        Ok(done) => done,
        Err(_) => return Err(format!("killing it took longer than {} s", LIMIT.as_secs())),
    };
    match done {
        Ok(output) if output.success() => Ok(()),
        Ok(output) if matches!(output.exit_code, 126 | 127) => Err("the container has no shell to kill it with".to_owned()),
        Ok(output) => Err(format!("killing it ended with exit code {}: {}", output.exit_code, output.tail(3))),
        // The container has ended, and every command in it.
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
        Err(error) => Err(error.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_differ() {
        let marks: std::collections::BTreeSet<String> = (0..1000).map(|_| Mark::new().entry().to_owned()).collect();
        assert_eq!(marks.len(), 1000);
        assert!(marks.iter().all(|mark| mark.len() == VARIABLE.len() + 33));
    }
}
