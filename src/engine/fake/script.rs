//! What commands in containers answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::ExecOutput;

/// A command as the fake received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecCall {
    /// Name of the container.
    pub container: String,
    /// Program and arguments.
    pub cmd: Vec<String>,
    /// Everything that was fed to standard input.
    pub stdin: Vec<u8>,
    /// Environment entries.
    pub env: Vec<String>,
}

/// How a command answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecReply {
    /// At once.
    Output(ExecOutput),
    /// After a while; may be cancelled meanwhile.
    After(Duration, ExecOutput),
    /// Never, until it is cancelled.
    Hang,
}

type Rule = Arc<dyn Fn(&ExecCall) -> Option<ExecReply> + Send + Sync>;

/// Rules for commands; the youngest that answers wins.
#[derive(Clone, Default)]
pub(super) struct Script {
    rules: Vec<Rule>,
}

// === impl ExecCall ===

impl ExecCall {
    /// Program and arguments in one line.
    pub fn line(&self) -> String {
        self.cmd.join(" ")
    }
}

// === impl ExecReply ===

impl ExecReply {
    /// Success with this output.
    pub fn stdout(text: impl Into<String>) -> Self {
        Self::Output(ExecOutput { exit_code: 0, stdout: text.into().into_bytes(), stderr: Vec::new() })
    }

    /// Failure with this exit code and error output.
    pub fn fails(exit_code: i64, stderr: impl Into<String>) -> Self {
        Self::Output(ExecOutput { exit_code, stdout: Vec::new(), stderr: stderr.into().into_bytes() })
    }
}

// === impl Script ===

impl Script {
    pub(super) fn add(&mut self, rule: impl Fn(&ExecCall) -> Option<ExecReply> + Send + Sync + 'static) {
        self.rules.push(Arc::new(rule));
    }

    pub(super) fn answer(&self, call: &ExecCall) -> Option<ExecReply> {
        self.rules.iter().rev().find_map(|rule| rule(call))
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Script({} rules)", self.rules.len())
    }
}
