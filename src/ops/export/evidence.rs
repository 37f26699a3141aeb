//! Evidence of a failure: everything worth reading afterwards, written while it is still there.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::folder::Folder;
use super::report::ExportOptions;
use super::run::unwritable;
use crate::domain::labels;
use crate::domain::name::FleetName;
use crate::engine::ContainerInfo;
use crate::event::{Event, EventKind};
use crate::ops::context::Kindmesh;
use crate::ops::error::{Error, Result};
use crate::ops::events::FleetEvent;
use crate::ops::inventory::Inventory;

/// What failed, as it was told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// What was run (`kindmesh up`).
    pub command: String,
    /// What failed, on which object, why.
    pub message: String,
    /// What lies below, outermost first.
    pub causes: Vec<String>,
    /// What to do next.
    pub hints: Vec<String>,
}

/// A wait, and what was seen last of what was awaited: a span of [`WAIT_SPAN`](crate::event::WAIT_SPAN).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenWait {
    /// What was awaited.
    pub awaited: String,
    /// In which cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The state seen last, in words; `None` when it came before anything else was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// When it began, in milliseconds since the command began.
    pub begin_ms: u64,
    /// When it ended; `None` when it went on when the command failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<u64>,
}

/// What is known of a failed command by who ran it.
#[derive(Debug, Clone)]
pub struct EvidenceRequest {
    /// Its fleet; without one, every fleet on the engine is looked at.
    pub fleet: Option<FleetName>,
    /// The failure.
    pub failure: Failure,
    /// Everything the command told, in order.
    pub events: Vec<Event>,
    /// Its waits, in the order of their beginning.
    pub waits: Vec<SeenWait>,
    /// When it began.
    pub began: SystemTime,
    /// How long the clusters may take to tell, all together. What was told by then stays.
    pub deadline: Duration,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceReport {
    /// The folder.
    pub folder: PathBuf,
    /// What could not be had, each with its reason.
    pub missing: Vec<String>,
}

/// For the engine to tell what it remembers.
const ENGINE: Duration = Duration::from_secs(10);

/// Writes what is known without asking anybody: `failure.txt` and `failure.json`, `steps.log`, `waits.log`.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_failure(folder: &Path, request: &EvidenceRequest) -> Result<()> {
    write_known(folder, request).map(drop).map_err(|error| unwritable(folder, error))
}

impl Kindmesh {
    /// Writes evidence of a failure into a folder, for people who were not there:
    ///
    /// - `failure.txt`, `failure.json`: the message, its causes, its hints;
    /// - `steps.log`: what the command told, step by step; `waits.log`: every wait with its last-seen state;
    /// - `engine-events.log`: what happened to the fleet's containers and networks since the command began, as far
    ///   as the engine remembers;
    /// - what [`Kindmesh::export_logs`] writes, of every cluster that the fleet has.
    ///
    /// Works with API servers and nodes that are dead: what does not answer is left out and told. Runs, within its
    /// deadline, also when the operation itself was cancelled. Holds no secrets, as far as they can be known.
    ///
    /// # Errors
    /// Only when the folder cannot be written.
    pub async fn write_evidence(&self, folder: &Path, request: &EvidenceRequest) -> Result<EvidenceReport> {
        let begun = Instant::now();
        let root = write_known(folder, request).map_err(|error| unwritable(folder, error))?;
        // What failed because somebody gave up is of interest, too.
        let km = self.clone().cancellation(CancellationToken::new());
        let mut missing = Vec::new();
        match tokio::time::timeout(ENGINE.min(request.deadline), km.engine_events(request)).await {
            Ok(Ok(text)) => {
                missing.extend(root.write("engine-events.log", text.as_bytes()).err().map(|error| format!("engine-events.log: {error}")))
            }
            Ok(Err(error)) => missing.push(format!("engine-events.log: {}", error.one_line())),
            Err(_) => missing.push("engine-events.log: the engine did not tell in time".to_owned()),
        }
        let left = request.deadline.saturating_sub(begun.elapsed());
        let exported = async {
            let inventory = Inventory::read(km.engine.as_ref()).await?;
            let concerned = inventory.clusters().filter(|(_, nodes)| nodes.iter().any(|node| concerns(request.fleet.as_ref(), node)));
            let clusters: Vec<String> = concerned.map(|(name, _)| name.to_owned()).collect();
            // Who names clusters need not name the fleet; it is told where it has none.
            let fleet = request.fleet.clone().filter(|_| clusters.is_empty());
            // A node that hangs must not take the time of the others.
            let deadline = left.mul_f64(0.7);
            let options = ExportOptions { fleet, clusters, deadline, ..ExportOptions::default() };
            km.export_logs(folder, &options).await
        };
        match tokio::time::timeout(left, exported).await {
            Ok(Ok(report)) => missing.extend(report.missing),
            // Nothing was made yet, or the engine is gone: that, too, is worth knowing.
            Ok(Err(error)) => missing.push(format!("clusters: {}", error.one_line())),
            Err(_) => missing.push(format!("the rest of the clusters: not told within {} s", request.deadline.as_secs())),
        }
        if !missing.is_empty() {
            let text = missing.iter().map(|missing| format!("{missing}\n")).collect::<String>();
            // The report tells it all the same.
            let _ = root.write("missing.log", text.as_bytes());
        }
        Ok(EvidenceReport { folder: folder.to_owned(), missing })
    }

    async fn engine_events(&self, request: &EvidenceRequest) -> Result<String, Error> {
        let label = match &request.fleet {
            Some(fleet) => format!("{}={fleet}", labels::FLEET),
            None => labels::FLEET.to_owned(),
        };
        let events = self.engine.past_events(&[label], request.began).await?;
        Ok(events.iter().filter_map(FleetEvent::of_engine).map(|event| format!("{event}\n")).collect())
    }
}

/// Whether a node belongs to what failed: to the fleet, to a member of the warm pool of that name, or, where neither is
/// known, to any fleet.
fn concerns(fleet: Option<&FleetName>, node: &ContainerInfo) -> bool {
    let is = |label: &str| node.labels.get(label).map(String::as_str);
    match fleet {
        Some(fleet) => [labels::FLEET, labels::WARM].into_iter().any(|label| is(label) == Some(fleet.as_str())),
        None => is(labels::FLEET).is_some(),
    }
}

fn write_known(folder: &Path, request: &EvidenceRequest) -> std::io::Result<Folder> {
    let root = Folder::create(folder)?;
    root.write("failure.txt", failure_text(&request.failure).as_bytes())?;
    root.write("failure.json", (serde_json::to_string_pretty(&request.failure).unwrap_or_default() + "\n").as_bytes())?;
    root.write("steps.log", request.events.iter().map(step_line).collect::<String>().as_bytes())?;
    root.write("waits.log", request.waits.iter().map(wait_line).collect::<String>().as_bytes())?;
    Ok(root)
}

fn failure_text(failure: &Failure) -> String {
    let mut text = format!("{} failed: {}\n", failure.command, failure.message);
    // Writing to a string cannot fail.
    for cause in &failure.causes {
        let _ = writeln!(text, "  caused by: {}", cause.replace('\n', "\n    "));
    }
    for hint in &failure.hints {
        let _ = writeln!(text, "hint: {hint}");
    }
    text
}

/// `   12.345 a: start nodes: failed: …`
fn step_line(event: &Event) -> String {
    let what = match &event.kind {
        EventKind::Started => "begins".to_owned(),
        EventKind::Progress { message } => message.clone(),
        EventKind::Finished { took, changed } => {
            format!("done in {:.1} s{}", took.as_secs_f64(), if *changed { "" } else { ", nothing to do" })
        }
        EventKind::Failed { error } => format!("failed: {error}"),
        EventKind::Note { message } => format!("note: {message}"),
        EventKind::Warning { message } => format!("warning: {message}"),
    };
    let cluster = event.cluster.as_ref().map(|cluster| format!("{cluster}: ")).unwrap_or_default();
    format!("{:9.3} {cluster}{}: {}\n", event.elapsed.as_secs_f64(), event.step, what.replace('\n', " "))
}

/// `    3.200 to    63.200 a: node a-worker; last seen: NotReady`
fn wait_line(wait: &SeenWait) -> String {
    #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
    let seconds = |milliseconds: u64| milliseconds as f64 / 1e3;
    let end = wait.end_ms.map_or_else(|| "      ...".to_owned(), |end| format!("{:9.3}", seconds(end)));
    let cluster = wait.cluster.as_ref().map(|cluster| format!("{cluster}: ")).unwrap_or_default();
    let last = wait.last.as_ref().map(|last| format!("; last seen: {}", last.replace('\n', " "))).unwrap_or_default();
    format!("{:9.3} to {end} {cluster}{}{last}\n", seconds(wait.begin_ms), wait.awaited)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::engine::EngineErrorKind;
    use crate::engine::fake::{ExecReply, FakeEngine, Fault, Verb, When};
    use crate::ops::tests::node;

    fn request(fleet: Option<&str>) -> EvidenceRequest {
        let wait = SeenWait {
            awaited: "node a-worker".into(),
            cluster: Some("a".into()),
            last: Some("NotReady: no network\nplugin".into()),
            begin_ms: 3200,
            end_ms: None,
        };
        let event = |kind| Event { elapsed: Duration::from_millis(1234), cluster: Some("a".into()), step: "install".into(), kind };
        EvidenceRequest {
            fleet: fleet.map(|name| name.parse().unwrap()),
            failure: Failure {
                command: "kindmesh up".into(),
                message: "cluster a: install: not done".into(),
                causes: vec!["join with --token abcdef.0123456789abcdef failed".into()],
                hints: vec!["run it again".into()],
            },
            events: vec![event(EventKind::Started), event(EventKind::Failed { error: "no".into() })],
            waits: vec![wait],
            began: SystemTime::UNIX_EPOCH,
            deadline: Duration::from_secs(30),
        }
    }

    fn engine() -> Arc<FakeEngine> {
        let engine = FakeEngine::new();
        engine.add_image(crate::ops::tests::IMAGE, &[]);
        Arc::new(engine)
    }

    #[tokio::test]
    async fn evidence_has_the_failure_the_waits_and_what_the_nodes_tell() {
        let (engine, home) = (engine(), tempfile::tempdir().unwrap());
        node(&engine, "a", Some("f"), "bridge").await;
        let cancelled = CancellationToken::new();
        cancelled.cancel();
        let km = Kindmesh::new(engine.clone()).cancellation(cancelled);
        let report = km.write_evidence(home.path(), &request(Some("f"))).await.unwrap();
        let text = |path: &str| fs::read_to_string(home.path().join(path)).unwrap();
        assert_eq!(
            text("failure.txt"),
            "kindmesh up failed: cluster a: install: not done\n  caused by: join with --token *********************** failed\nhint: run it again\n"
        );
        assert_eq!(text("waits.log"), "    3.200 to       ... a: node a-worker; last seen: NotReady: no network plugin\n");
        assert_eq!(text("steps.log"), "    1.234 a: install: begins\n    1.234 a: install: failed: no\n");
        assert!(text("engine-events.log").contains("a Normal start container a-control-plane"));
        assert!(home.path().join("a-control-plane/serial.log").exists());
        assert_eq!(text("missing.log").lines().count(), report.missing.len());
    }

    #[tokio::test]
    async fn an_engine_that_is_gone_and_a_fleet_that_is_not_there_leave_what_is_known() {
        let (engine, home) = (engine(), tempfile::tempdir().unwrap());
        let km = Kindmesh::new(engine.clone());
        let report = km.write_evidence(home.path(), &request(Some("f"))).await.unwrap();
        assert!(report.missing.iter().any(|missing| missing.contains("no fleet f")), "{:?}", report.missing);
        for verb in [Verb::ListContainers, Verb::PastEvents, Verb::Facts] {
            engine.fault(When::Every(verb), Fault::Fail(EngineErrorKind::Unreachable, "connection refused".into()));
        }
        let report = km.write_evidence(home.path(), &request(None)).await.unwrap();
        assert!(report.missing.iter().any(|missing| missing.contains("connection refused")), "{:?}", report.missing);
        assert!(home.path().join("failure.json").exists());
    }

    #[tokio::test(start_paused = true)]
    async fn nodes_that_hang_cost_the_deadline_and_no_more() {
        let (engine, home) = (engine(), tempfile::tempdir().unwrap());
        for cluster in ["a", "b", "c", "d", "e", "f", "g", "h", "i"] {
            node(&engine, cluster, Some("f"), "bridge").await;
        }
        engine.on_exec(|_| Some(ExecReply::Hang));
        let begun = tokio::time::Instant::now();
        let report = Kindmesh::new(engine).write_evidence(home.path(), &request(None)).await.unwrap();
        assert!(begun.elapsed() <= Duration::from_secs(31), "{:?}", begun.elapsed());
        assert!(report.missing.iter().any(|missing| missing.starts_with("the rest of the clusters")), "{:?}", report.missing);
        assert!(home.path().join("a-control-plane/serial.log").exists());
    }
}
