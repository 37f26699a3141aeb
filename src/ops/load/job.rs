//! The command that takes images in a node.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::engine::{ByteStream, Engine, ExecRequest, Stdin};

use super::node;
use super::plan::{Mode, Plan, folder};
use super::scripts::{CLEAN, IMPORT, PREPARE, STACK};

/// What an interrupted node is given to tidy up: less than an operation waits for its steps when it is cancelled.
const CLEAN_LIMIT: Duration = Duration::from_secs(4);
/// Folder on the file system where containerd keeps unpacked layers.
const FOLDER: &str = "/var/lib/containerd/kindmesh-load";

/// Where layers are unpacked in a node, until they are images.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// A folder of nobody else's.
    pub(super) folder: String,
    /// Begins the names of snapshots that are not finished.
    key: String,
}

/// One node's command, and what it reads.
pub(super) struct Job {
    /// Position of the node.
    pub(super) at: usize,
    pub(super) node: String,
    /// What must be done before the first layer comes.
    prepare: Option<ExecRequest>,
    pub(super) request: ExecRequest,
    /// What tidies up after it when it fails.
    clean: Option<ExecRequest>,
}

/// How a node's command ended.
pub(super) type Ended = (usize, Result<(), String>);

// === impl Place ===

impl Place {
    pub(super) fn new() -> Self {
        let token = RandomState::new().build_hasher().finish();
        Self { folder: format!("{FOLDER}-{token:016x}"), key: format!("kindmesh-load-{token:016x}") }
    }
}

// === impl Job ===

impl Job {
    pub(super) fn new(at: usize, node: &str, plan: &Plan, place: &Place, stream: ByteStream) -> Self {
        let words = |script: &'static str| ["sh", "-c", script, "sh"].map(str::to_owned).into_iter();
        let script = |script| ExecRequest::new(words(script).chain([plan.snapshotter.clone(), place.folder.clone(), place.key.clone()]));
        let (prepare, own, clean) = match plan.mode {
            Mode::Unpack => {
                let layers = plan.commits.iter().map(|commit| folder(&commit.layer).to_owned());
                let prepare = ExecRequest::new(words(PREPARE).chain([place.folder.clone()]).chain(layers));
                (Some(prepare), STACK, Some(script(CLEAN)))
            }
            Mode::Import => (None, IMPORT, None),
        };
        let request = ExecRequest { stdin: Some(Stdin::Stream(Arc::new(Mutex::new(stream)))), ..script(own) };
        Self { at, node: node.to_owned(), prepare, request, clean }
    }

    /// Makes room for the layers; tidies up when that fails.
    pub(super) async fn prepare(&mut self, engine: &dyn Engine, deadline: Duration, cancel: &CancellationToken) -> Result<(), String> {
        let Some(prepare) = self.prepare.take() else { return Ok(()) };
        let result = tokio::time::timeout(deadline, node::run(engine, &self.node, prepare, cancel)).await;
        let late = || Err(format!("folders for layers were not made within {} s", deadline.as_secs()));
        let result = result.map_or_else(|_| late(), |made| made.map(drop));
        self.tidy(engine, &result).await;
        result
    }

    pub(super) async fn run(mut self, engine: &dyn Engine, cancel: &CancellationToken) -> Result<(), String> {
        let request = std::mem::take(&mut self.request);
        let result = node::run(engine, &self.node, request, cancel).await.map(drop);
        self.tidy(engine, &result).await;
        result
    }

    async fn tidy(&mut self, engine: &dyn Engine, result: &Result<(), String>) {
        if let Err(reason) = result
            && let Some(clean) = self.clean.take()
        {
            // Not under the operation's token: after a cancellation nothing would run.
            let own = CancellationToken::new();
            let cleaning = node::run(engine, &self.node, clean, &own);
            match tokio::time::timeout(CLEAN_LIMIT, cleaning).await {
                Ok(Ok(_)) => {}
                failed => tracing::debug!(node = self.node, reason, ?failed, "what was unpacked half may still be there"),
            }
        }
    }
}
