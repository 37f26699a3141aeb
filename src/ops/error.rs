//! What can go wrong with a fleet: one error type, classified for exit codes, with hints.

use serde::Serialize;

use crate::domain::name::NameError;
use crate::engine::{EngineError, EngineErrorKind};

/// Result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation that failed: what was tried on which object, why, and what to do next.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    hints: Vec<String>,
}

/// Class of a failure; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value that cannot work: a name, a subnet, a fleet file.
    Config,
    /// The engine does not answer, or answered with an error.
    Engine,
    /// A node image is neither there nor to be had.
    Image,
    /// Something in the way: a taken name, a port in use, a foreign network, a held lock.
    Conflict,
    /// The object asked for does not exist.
    NotFound,
    /// A deadline passed; the message has the last state seen.
    Timeout,
    /// A node or an API server failed.
    Cluster,
    /// A mesh that was looked at and is not right.
    Unproven,
    /// A file could not be read or written.
    File,
    /// The caller gave up.
    Cancelled,
}

/// What was done at once for several clusters: everything, or the first failure with the others as hints.
pub(super) fn all_or_first<T>(results: Vec<Result<T>>) -> Result<Vec<T>> {
    let (done, failed): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    match first_of(failed.into_iter().filter_map(Result::err)) {
        None => done.into_iter().collect(),
        Some(first) => Err(first),
    }
}

/// The first failure, with the others as hints; `None` without any.
pub(super) fn first_of(failures: impl IntoIterator<Item = Error>) -> Option<Error> {
    let mut failures = failures.into_iter();
    let first = failures.next()?;
    Some(failures.fold(first, |error, other| error.hint(format!("also failed: {}", other.one_line()))))
}

// === impl Error ===

impl Error {
    /// A failure of this kind; `message` says what failed and on which object.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, hints: Vec::new() }
    }

    /// Attaches the cause.
    #[must_use]
    pub fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Adds what the user can do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The caller gave up while `what` was going on.
    pub fn cancelled(what: &str) -> Self {
        Self::new(ErrorKind::Cancelled, format!("cancelled: {what}"))
            .hint("run the same command again to go on where it stopped, or `kindmesh down` to remove what is there")
    }

    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the user can do next, most useful first.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Message and causes on one line, for events.
    pub fn one_line(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let part = error.to_string();
            if !text.contains(&part) {
                text.push_str(": ");
                text.push_str(&part);
            }
            cause = error.source();
        }
        text.replace('\n', " ")
    }

    /// Says where it happened, keeping kind, cause and hints.
    #[must_use]
    pub fn within(mut self, place: impl std::fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        let kind = match error.kind {
            EngineErrorKind::Timeout => ErrorKind::Timeout,
            EngineErrorKind::Cancelled => ErrorKind::Cancelled,
            EngineErrorKind::Conflict => ErrorKind::Conflict,
            _ => ErrorKind::Engine,
        };
        let hint = match error.kind {
            EngineErrorKind::Unreachable => Some("check that the engine runs, and its address: --host, DOCKER_HOST or the Docker context"),
            EngineErrorKind::Cancelled => Some("run the same command again to go on where it stopped"),
            _ => None,
        };
        let wrapped = Self::new(kind, error.to_string());
        match hint {
            Some(hint) => wrapped.hint(hint),
            None => wrapped,
        }
    }
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        Self::new(ErrorKind::Config, error.to_string())
    }
}
