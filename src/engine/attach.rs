//! Commands in containers that are talked to while they run.

use std::fmt;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use tokio::io::AsyncWrite;

use super::Result;

/// A command to run, attached to the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttachRequest {
    /// Program and arguments.
    pub cmd: Vec<String>,
    /// Environment entries, `KEY=value`.
    pub env: Vec<String>,
    /// Whether it gets an input that can be written to.
    pub stdin: bool,
    /// A terminal of this size; then both outputs are one.
    pub tty: Option<TerminalSize>,
}

/// Size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters of a line.
    pub columns: u16,
}

/// A piece of what a command prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputPiece {
    /// From its standard output, or its terminal.
    Stdout(Bytes),
    /// From its standard error.
    Stderr(Bytes),
}

/// A command that runs. Dropping it before its end was awaited kills the command.
pub struct Attached {
    /// What it prints, to its end.
    pub output: BoxStream<'static, Result<OutputPiece>>,
    /// What it reads; shutting it down is the end of its input.
    pub input: Option<Pin<Box<dyn AsyncWrite + Send>>>,
    /// What else can be done with it.
    pub control: Box<dyn AttachedControl>,
}

/// The controls of a command that runs.
#[async_trait]
pub trait AttachedControl: Send + Sync {
    /// Tells its terminal a new size.
    async fn resize(&self, size: TerminalSize) -> Result<()>;

    /// Its exit code; called when its output has ended.
    async fn exit_code(&mut self) -> Result<i64>;

    /// Kills it and its children, and waits until they are gone.
    async fn kill(&mut self) -> Result<()>;
}

// === impl Attached ===

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").field("input", &self.input.is_some()).finish_non_exhaustive()
    }
}
