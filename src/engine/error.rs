//! Errors of engine calls: verb, object, cause.

use std::fmt;

/// Result of an engine call.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;

/// An engine call that failed: what was tried (`create container`), on which object, and why.
#[derive(Debug)]
pub struct EngineError {
    /// What was tried, in words: `create container`.
    pub verb: &'static str,
    /// The object: a name, an ID or an image reference; may be empty.
    pub object: String,
    /// Class of the failure; what code branches on.
    pub kind: EngineErrorKind,
    /// The engine's own words, or the transport's.
    pub message: String,
}

/// Class of an engine failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineErrorKind {
    /// Nothing answers at the endpoint.
    Unreachable,
    /// The object does not exist (404).
    NotFound,
    /// The name is taken, or the state forbids it (409).
    Conflict,
    /// The engine refused the request (400, 403 and the like).
    Refused,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// The engine failed (5xx).
    Failed,
    /// The connection broke in the middle.
    Interrupted,
    /// The deadline passed.
    Timeout,
    /// The caller gave up.
    Cancelled,
    /// The answer could not be understood.
    Protocol,
}

// === impl EngineError ===

impl EngineError {
    /// From its parts.
    pub fn new(verb: &'static str, object: impl Into<String>, kind: EngineErrorKind, message: impl Into<String>) -> Self {
        Self { verb, object: object.into(), kind, message: message.into() }
    }

    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.kind == EngineErrorKind::NotFound
    }

    /// Whether the name is taken or the state forbids it.
    pub fn is_conflict(&self) -> bool {
        self.kind == EngineErrorKind::Conflict
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb)?;
        if !self.object.is_empty() {
            write!(f, " {}", self.object)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for EngineError {}
