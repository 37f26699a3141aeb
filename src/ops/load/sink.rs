//! Where a node's bytes go: a bounded channel into the command that reads them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use crate::engine::{ByteStream, EngineError, EngineErrorKind};
use crate::ops::context::Scope;

use super::plan::Plan;

/// Pieces under way to one node at most; the source waits for the slowest.
const DEPTH: usize = 16;
/// Time between two words about progress.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// One node's end of the pump.
pub(super) struct Sink {
    pub(super) plan: Plan,
    sender: Option<mpsc::Sender<crate::engine::Result<Bytes>>>,
    scope: Scope,
    node: Arc<str>,
    sent: u64,
    begun: Instant,
    told: Instant,
}

// === impl Sink ===

impl Sink {
    /// A sink, and what the node's command reads.
    pub(super) fn new(plan: Plan, node: &str, scope: Scope) -> (Self, ByteStream) {
        let (sender, receiver) = mpsc::channel(DEPTH);
        let stream =
            futures_util::stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) });
        let now = Instant::now();
        (Self { plan, sender: Some(sender), scope, node: node.into(), sent: 0, begun: now, told: now }, stream.boxed())
    }

    /// Bytes sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether anybody reads.
    pub(super) fn is_open(&self) -> bool {
        self.sender.is_some()
    }

    /// Sends some bytes, as soon as there is room. A command that has ended reads no more; why, it tells itself.
    pub(super) async fn send(&mut self, bytes: Bytes) {
        let Some(sender) = &self.sender else { return };
        if self.sent == 0 {
            // The source's own preparations are no part of the rate.
            self.begun = Instant::now();
        }
        let length = bytes.len() as u64;
        if sender.send(Ok(bytes)).await.is_err() {
            self.sender = None;
            return;
        }
        self.sent += length;
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            self.scope.progress(super::run::STEP, format!("{}: {}", self.node, amount(self.sent, self.begun.elapsed())));
        }
    }

    /// Tells that the source has said nothing for so long.
    pub(super) fn tell_silence(&self, silent: Duration) {
        if self.is_open() {
            let message = format!("{}: {} bytes; the source has said nothing for {} s", self.node, self.sent, silent.as_secs());
            self.scope.progress(super::run::STEP, message);
        }
    }

    /// Lets the command fail: what it got is not the whole.
    pub(super) async fn fail(&mut self, reason: &str) {
        if let Some(sender) = self.sender.take() {
            let error = EngineError::new("send images to", self.node.as_ref(), EngineErrorKind::Interrupted, reason);
            // Without a reader it has failed by itself.
            let _ = sender.send(Err(error)).await;
        }
    }

    /// That was all.
    pub(super) fn close(&mut self) {
        self.sender = None;
    }
}

/// `12.5 MB, 80 MB/s`
pub(super) fn amount(bytes: u64, took: Duration) -> String {
    let megabytes = bytes as f64 / 1e6;
    format!("{megabytes:.1} MB, {:.0} MB/s", megabytes / took.as_secs_f64().max(0.001))
}
