//! The command that takes images in a node.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::engine::{ByteStream, Engine, ExecRequest, Stdin};

use super::node;
use super::plan::{Mode, Plan};
use super::scripts::{CLEAN, IMPORT, UNPACK};

/// What an interrupted node is given to tidy up: less than an operation waits for its steps when it is cancelled.
const CLEAN_LIMIT: Duration = Duration::from_secs(4);
/// Folder on the file system where containerd keeps unpacked layers.
const FOLDER: &str = "/var/lib/containerd/kindmesh-load";

/// One node's command, and what it reads.
pub(super) struct Job {
    /// Position of the node.
    pub(super) at: usize,
    pub(super) node: String,
    pub(super) request: ExecRequest,
    /// What tidies up after it when it fails.
    pub(super) clean: Option<ExecRequest>,
}

/// How a node's command ended.
pub(super) type Ended = (usize, Result<(), String>);

// === impl Job ===

impl Job {
    pub(super) fn new(at: usize, node: &str, plan: &Plan, stream: ByteStream) -> Self {
        let token = RandomState::new().build_hasher().finish();
        let (folder, key) = (format!("{FOLDER}-{token:016x}"), format!("kindmesh-load-{token:016x}"));
        let script = |script: &str| {
            let words = ["sh", "-c", script, "sh", &plan.snapshotter, &folder, &key];
            ExecRequest::new(words)
        };
        let (own, clean) = match plan.mode {
            Mode::Unpack => (UNPACK, Some(script(CLEAN))),
            Mode::Import => (IMPORT, None),
        };
        let request = ExecRequest { stdin: Some(Stdin::Stream(Arc::new(Mutex::new(stream)))), ..script(own) };
        Self { at, node: node.to_owned(), request, clean }
    }

    pub(super) async fn run(self, engine: &dyn Engine, cancel: &CancellationToken) -> Result<(), String> {
        let result = node::run(engine, &self.node, self.request, cancel).await.map(drop);
        if let (Err(reason), Some(clean)) = (&result, self.clean) {
            // Not under the operation's token: after a cancellation nothing would run.
            let own = CancellationToken::new();
            let cleaning = node::run(engine, &self.node, clean, &own);
            match tokio::time::timeout(CLEAN_LIMIT, cleaning).await {
                Ok(Ok(_)) => {}
                failed => tracing::debug!(node = self.node, reason, ?failed, "what was unpacked half may still be there"),
            }
        }
        result
    }
}
