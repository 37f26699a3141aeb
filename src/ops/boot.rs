//! Node containers: created, started, waited for until their container runtime answers.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::domain::container::ContainerSpec;
use crate::domain::inotify;
use crate::domain::labels;
use crate::engine::{ContainerInfo, ContainerState, Engine, EngineErrorKind, ExecRequest};
use crate::event::WAIT_SPAN;

use super::error::{Error, ErrorKind, Result};
use super::network;

/// How long an engine may be busy with a container that it was asked for before; creating one takes it well under a
/// second, on a machine with nothing else to do.
const NAME_DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks at such a container.
const NAME_PAUSE: Duration = Duration::from_millis(200);
/// Lines of the console that belong in an error message.
const CONSOLE_TAIL: usize = 12;

/// What asking for a container of a name came to.
pub(super) enum Created {
    /// There was none, and now there is.
    New,
    /// There is one, whoever made it.
    Found(Box<ContainerInfo>),
}

/// Makes sure the container exists. Returns it and whether it was created.
///
/// Undo: [`Engine::remove_container`]; the labels in `spec` let anybody find it.
pub(super) async fn ensure_created(engine: &dyn Engine, name: &str, spec: &ContainerSpec) -> Result<(ContainerInfo, bool)> {
    let container = match create_or_find(engine, name, spec).await? {
        Created::New => return Ok((engine.inspect_container(name).await?, true)),
        Created::Found(container) => *container,
    };
    // Ours from an earlier run, or from one that was killed a moment ago.
    let same = |key: &str| spec.labels.get(key) == container.labels.get(key);
    if !(same(labels::CLUSTER) && same(labels::FLEET)) {
        return Err(Error::new(ErrorKind::Conflict, format!("a container {name} exists that is not part of this fleet"))
            .hint("rename the cluster, or remove that container if nothing needs it"));
    }
    Ok((container, false))
}

/// Creates a container, unless there is one of this name.
///
/// An engine gives a name away before it has a container of that name, and goes on with what was asked for by who
/// was killed meanwhile; so a name that is taken by nothing is waited for: either there is a container soon, or the
/// name is free again.
///
/// Undo: [`Engine::remove_container`].
pub(super) async fn create_or_find(engine: &dyn Engine, name: &str, spec: &ContainerSpec) -> Result<Created> {
    let until = Instant::now() + NAME_DEADLINE;
    loop {
        let refused = match engine.create_container(name, spec).await {
            Ok(_) => return Ok(Created::New),
            Err(error) if error.is_conflict() => error,
            Err(error) => return Err(error.into()),
        };
        match engine.inspect_container(name).await {
            Err(error) if error.is_not_found() && Instant::now() < until => tokio::time::sleep(NAME_PAUSE).await,
            Err(error) if error.is_not_found() => {
                let patience = NAME_DEADLINE.as_secs();
                let message = format!("for {patience} s the name {name} has been taken by a container that does not exist");
                return Err(Error::new(ErrorKind::Conflict, message).because(refused).hint("restart the engine, which frees such names"));
            }
            found => return Ok(Created::Found(Box::new(found?))),
        }
    }
}

/// Whether the engine is removing a container, or has removed it: somebody asked for that, who may have been killed.
pub(super) async fn is_going(engine: &dyn Engine, container: &ContainerInfo) -> bool {
    match engine.inspect_container(&container.id).await {
        Ok(found) => matches!(found.state, ContainerState::Removing | ContainerState::Dead),
        Err(error) => error.is_not_found(),
    }
}

/// Whether an engine refuses something with a container because it is removing it. Only its words tell: until the
/// container's processes are killed it is called running.
pub(super) fn tells_going(error: &Error) -> bool {
    error.one_line().contains("marked for removal")
}

/// Returns when a container that is going is gone.
pub(super) async fn ensure_gone(engine: &dyn Engine, container: &ContainerInfo) -> Result<()> {
    match engine.remove_container(&container.id).await {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

/// Starts a node if it does not run. Returns whether it was started.
pub(super) async fn ensure_started(engine: &dyn Engine, node: &ContainerInfo) -> Result<bool> {
    match node.state {
        ContainerState::Running => Ok(false),
        ContainerState::Paused => {
            engine.unpause_container(&node.name).await?;
            Ok(true)
        }
        _ => {
            let mut started = engine.start_container(&node.name).await;
            // Whoever made the second network of a name did so after this one was found alone. A node has one network, unless
            // somebody gave it another: then they must look after it.
            let mut names = node.networks.keys();
            if let (Some(name), None, Err(error)) = (names.next(), names.next(), &started)
                && error.message.contains(&format!("network {name} is ambiguous"))
            {
                network::settle(engine, name).await?;
                started = engine.start_container(&node.name).await;
            }
            started.map(|()| true).map_err(|error| start_error(node, error))
        }
    }
}

/// Waits until systemd and the container runtime of a node are up.
pub(super) async fn wait_booted(engine: &dyn Engine, node: &ContainerInfo, deadline: Duration, cancel: &CancellationToken) -> Result<()> {
    let booted = async {
        // A command run in the node before systemd has moved processes out of the root cgroup would
        // break the delegation of controllers on cgroup v2; so the console is read first, and only what
        // this start of the node has said.
        let mut console = engine.container_logs(&node.name, true, node.started).await?;
        let mut seen = Vec::new();
        loop {
            match console.next().await {
                Some(piece) => seen.extend_from_slice(&piece?),
                None => return Err(ended(engine, node, &seen).await),
            }
            if announces_boot(&String::from_utf8_lossy(&seen)) {
                break;
            }
        }
        let script = "until ctr version >/dev/null 2>&1; do sleep 0.1; done";
        engine.exec(&node.name, ExecRequest::new(["sh", "-c", script]), cancel).await?;
        Ok(())
    };
    let awaited = format!("node {} to boot", node.name);
    let span = tracing::trace_span!(target: WAIT_SPAN, "wait", awaited);
    match tokio::time::timeout(deadline, booted.instrument(span)).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(
            ErrorKind::Timeout,
            format!(
                "node {} did not boot within {} s; its console ends with:\n{}",
                node.name,
                deadline.as_secs(),
                console(engine, node).await
            ),
        )
        .hint(inotify_hint())),
    }
}

/// The usual cause of a node or kubelet that does not start on a host with other nodes.
pub(super) fn inotify_hint() -> String {
    format!(
        "too few inotify instances are a usual cause: on the engine's host, run `sysctl -w fs.inotify.max_user_instances={}`",
        inotify::ADVISED
    )
}

/// Whether the console says that commands may be run in the node; the same two lines kind looks
/// for. systemd puts colour codes between the words.
fn announces_boot(console: &str) -> bool {
    console.lines().any(|line| {
        line.contains("detected cgroup v1")
            || line.find("Reached target ").is_some_and(|start| line.get(start..).is_some_and(|rest| rest.contains("Multi-User System")))
    })
}

async fn ended(engine: &dyn Engine, node: &ContainerInfo, seen: &[u8]) -> Error {
    let code = engine.inspect_container(&node.name).await.ok().and_then(|info| info.exit_code);
    let code = code.map(|code| format!(" with exit code {code}")).unwrap_or_default();
    Error::new(ErrorKind::Cluster, format!("node {} ended{code} while booting; its console ends with:\n{}", node.name, tail(seen)))
        .hint("look at the whole console with `docker logs`, and at the engine's log")
}

async fn console(engine: &dyn Engine, node: &ContainerInfo) -> String {
    let mut seen = Vec::new();
    if let Ok(mut logs) = engine.container_logs(&node.name, false, node.started).await {
        while let Some(Ok(piece)) = logs.next().await {
            seen.extend_from_slice(&piece);
        }
    }
    tail(&seen)
}

fn tail(console: &[u8]) -> String {
    let text = String::from_utf8_lossy(console);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(CONSOLE_TAIL)..].join("\n")
}

fn start_error(node: &ContainerInfo, error: crate::engine::EngineError) -> Error {
    let busy = ["port is already allocated", "address already in use"].iter().any(|words| error.message.contains(words));
    if busy {
        let busy = Error::new(ErrorKind::Conflict, format!("node {}: a published port is in use", node.name)).because(error);
        // A container keeps its port as long as it lives.
        return match node.state {
            ContainerState::Created => busy.hint("choose another `apiServerPort`, or leave it out to get a free one"),
            _ => busy.hint("end what listens there, or have the cluster made anew on another port: `kindmesh up --recreate`"),
        };
    }
    let refused = matches!(error.kind, EngineErrorKind::Refused | EngineErrorKind::Failed) && error.message.contains("caps");
    let start = Error::from(error);
    if refused { start.hint("the engine cannot give these privileges: try `--privileges reduced`") } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::{FakeEngine, Fault, Verb, When};

    #[test]
    fn a_booted_console_is_recognised_with_and_without_colours() {
        assert!(announces_boot("x\r\n[  OK  ] Reached target \u{1b}[0;1;39mmulti-user.target\u{1b}[0m - Multi-User System.\r\n"));
        assert!(announces_boot("[  OK  ] Reached target Multi-User System.\n"));
        assert!(announces_boot("INFO: detected cgroup v1\n"));
        assert!(!announces_boot("Reached target basic.target - Basic System.\n"));
    }

    /// An engine that is still busy with a container of this name, as it seems to who asks.
    fn busy(when: When) -> (FakeEngine, ContainerSpec) {
        let engine = FakeEngine::new();
        engine.add_image("image", &[]);
        engine.fault(when, Fault::Fail(EngineErrorKind::Conflict, "the container name is already in use".to_owned()));
        (engine, ContainerSpec { image: "image".to_owned(), ..ContainerSpec::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_taken_by_nothing_is_free_soon() {
        let (engine, spec) = busy(When::Verb(Verb::CreateContainer, 1));
        let (container, created) = ensure_created(&engine, "node", &spec).await.unwrap();
        assert_eq!((container.name.as_str(), created), ("node", true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_taken_by_nothing_for_ever_is_told_with_the_engines_words() {
        let (engine, spec) = busy(When::Every(Verb::CreateContainer));
        let error = ensure_created(&engine, "node", &spec).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("the name node has been taken") && error.one_line().contains("already in use"), "{error}");
    }
}
