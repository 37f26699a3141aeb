//! Where a node's bytes go: bounded channels into the command that reads them, and into what the engine unpacks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::engine::{ByteStream, Engine, EngineError, EngineErrorKind};
use crate::ops::context::Scope;

use super::plan::{Mode, Plan};

/// Pieces under way to one node at most; the source waits for the slowest.
const DEPTH: usize = 16;
/// Time between two words about progress.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// One node's end of the pump.
pub(super) struct Sink {
    pub(super) plan: Plan,
    sender: Option<Sender>,
    engine: Arc<dyn Engine>,
    /// Where layers are unpacked.
    folder: String,
    /// The layer that comes just now.
    layer: Option<Upload>,
    command: Command,
    scope: Scope,
    node: Arc<str>,
    sent: u64,
    begun: Instant,
    told: Instant,
}

/// What is known of the command from how it reads.
#[derive(Debug, Clone, Default)]
struct Command {
    /// It has begun to read.
    reads: CancellationToken,
    /// Nobody will read any more.
    ended: CancellationToken,
}

type Sender = mpsc::Sender<crate::engine::Result<Bytes>>;

/// A layer on its way: the engine unpacks it into the node from outside. A command in the node would do the same, but
/// each byte would pass through three programs more.
struct Upload {
    name: String,
    /// As long as the engine reads.
    sender: Option<Sender>,
    task: AbortOnDropHandle<crate::engine::Result<()>>,
}

// === impl Sink ===

impl Sink {
    /// A sink for layers that are unpacked under a folder, and what the node's command reads.
    pub(super) fn new(plan: Plan, engine: Arc<dyn Engine>, node: &str, folder: &str, scope: Scope) -> (Self, ByteStream) {
        let (sender, stream) = channel();
        let command = Command::default();
        // Both are seen by who holds the stream: the first poll, and its drop.
        let (reads, guard) = (command.reads.clone(), command.ended.clone().drop_guard());
        let stream = stream::once(async move { reads.cancel() }).filter_map(|()| async { None }).chain(stream);
        let stream = stream.inspect(move |_| _ = &guard).boxed();
        let now = Instant::now();
        let (node, folder) = (node.into(), folder.to_owned());
        (Self { plan, sender: Some(sender), engine, folder, layer: None, command, scope, node, sent: 0, begun: now, told: now }, stream)
    }

    /// Bytes sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether anybody reads.
    pub(super) fn is_open(&self) -> bool {
        self.sender.is_some()
    }

    /// Sends some bytes to the command, as soon as there is room. A command that has ended reads no more; why, it
    /// tells itself.
    pub(super) async fn send(&mut self, bytes: Bytes) {
        let Some(sender) = &self.sender else { return };
        let length = bytes.len();
        match sender.send(Ok(bytes)).await {
            Ok(()) => self.count(length),
            Err(_) => self.close(),
        }
    }

    /// A layer begins, which the engine unpacks into its folder.
    ///
    /// While an engine copies into a container it starts no command there, nor looks at it: the command must have begun before,
    /// and what tidies up after a command that failed must not wait for the rest of a layer.
    pub(super) fn begin_layer(&mut self, name: &str) {
        let (sender, stream) = channel();
        let (engine, node, path) = (self.engine.clone(), self.node.clone(), format!("{}/{name}", self.folder));
        let Command { reads, ended } = self.command.clone();
        let over = EngineError::new("send images to", node.as_ref(), EngineErrorKind::Interrupted, "the command that takes them has ended");
        let upload = async move {
            reads.cancelled().await;
            engine.put_archive(&node, &path, stream).await
        };
        let task = tokio::spawn(async move { ended.run_until_cancelled(upload).await.unwrap_or(Err(over)) });
        let task = AbortOnDropHandle::new(task);
        self.layer = Some(Upload { name: name.to_owned(), sender: Some(sender), task });
    }

    /// Sends some bytes of a layer, as soon as there is room: to the engine when it was begun there, else to the command.
    pub(super) async fn send_layer(&mut self, bytes: Bytes) {
        if self.plan.mode == Mode::Import {
            return self.send(bytes).await;
        }
        // A command that has ended has no use for the rest.
        if self.sender.as_ref().is_none_or(Sender::is_closed) {
            return self.close();
        }
        let Some(layer) = &mut self.layer else { return };
        let Some(sender) = &layer.sender else { return };
        let length = bytes.len();
        match sender.send(Ok(bytes)).await {
            Ok(()) => self.count(length),
            // Whether it has enough or has failed is known at the end.
            Err(_) => layer.sender = None,
        }
    }

    /// Waits until the layer that was begun is whole, and tells the command.
    pub(super) async fn end_layer(&mut self) {
        let Some(Upload { name, sender, task }) = self.layer.take() else { return };
        drop(sender);
        match task.await {
            Ok(Ok(())) => self.send(format!("layer {name}\n").into()).await,
            Ok(Err(error)) => self.fail(&error.to_string()).await,
            Err(crashed) => self.fail(&crashed.to_string()).await,
        }
    }

    fn count(&mut self, length: usize) {
        if self.sent == 0 {
            // The source's own preparations are no part of the rate.
            self.begun = Instant::now();
        }
        self.sent += length as u64;
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
        self.layer = None;
        if let Some(sender) = self.sender.take() {
            let error = EngineError::new("send images to", self.node.as_ref(), EngineErrorKind::Interrupted, reason);
            // Without a reader it has failed by itself.
            let _ = sender.send(Err(error)).await;
        }
    }

    /// That was all.
    pub(super) fn close(&mut self) {
        self.layer = None;
        self.sender = None;
    }
}

fn channel() -> (Sender, ByteStream) {
    let (sender, receiver) = mpsc::channel(DEPTH);
    let stream = stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) });
    (sender, stream.boxed())
}

/// `12.5 MB, 80 MB/s`
pub(super) fn amount(bytes: u64, took: Duration) -> String {
    let megabytes = bytes as f64 / 1e6;
    format!("{megabytes:.1} MB, {:.0} MB/s", megabytes / took.as_secs_f64().max(0.001))
}
