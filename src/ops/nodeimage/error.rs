//! What can go wrong while a node image is built.

use std::io;
use std::path::{Path, PathBuf};

use crate::engine::{EngineError, EngineErrorKind};

/// Result of a build.
pub type Result<T, E = BuildError> = std::result::Result<T, E>;

/// A build that failed: what was tried, on which object, and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The recipe, or a file it names, is missing or wrong.
    #[error("node image recipe {place}: {message}")]
    Recipe {
        /// Folder of the recipe, or `built in`.
        place: String,
        /// What is wrong, and where.
        message: String,
    },
    /// A program that the build needs is not installed.
    #[error("cannot run {program} ({path}): {hint}")]
    MissingTool {
        /// Name of the program.
        program: &'static str,
        /// Path that was tried.
        path: PathBuf,
        /// How to get it.
        hint: &'static str,
        /// Why it could not be started.
        #[source]
        source: io::Error,
    },
    /// A program ended badly.
    #[error("{what}: {program} ended with {status}: {tail}")]
    Tool {
        /// What it was to do.
        what: String,
        /// Name of the program.
        program: &'static str,
        /// How it ended.
        status: String,
        /// Its last lines.
        tail: String,
    },
    /// A program said something that could not be understood.
    #[error("{what}: {message}")]
    Answer {
        /// What was asked.
        what: String,
        /// What is wrong with the answer.
        message: String,
    },
    /// A file or folder could not be read or written.
    #[error("{verb} {path}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The engine refused or failed.
    #[error("{what}")]
    Engine {
        /// What the build was doing.
        what: String,
        /// The engine's error.
        #[source]
        source: EngineError,
    },
    /// The store's helper container did not do its work.
    #[error("{what} in the build container: {message}")]
    Helper {
        /// What was tried.
        what: String,
        /// Last words of the command or of containerd.
        message: String,
    },
    /// Something could not be cleaned up after another failure.
    #[error("{first}; and cleaning up failed: {left}")]
    Cleanup {
        /// The failure that came first.
        #[source]
        first: Box<BuildError>,
        /// What is left behind, and why.
        left: String,
    },
    /// The caller gave up.
    #[error("the build was cancelled")]
    Cancelled,
}

// === impl BuildError ===

impl BuildError {
    /// An input or output error of `path`, or `Cancelled` when that is what it says.
    pub(super) fn io(verb: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            if is_cancelled(&source) { Self::Cancelled } else { Self::Io { verb, path: path.as_ref().to_path_buf(), source } }
        }
    }

    /// An engine error, or `Cancelled` when that is what it says.
    pub(super) fn engine(what: impl Into<String>) -> impl FnOnce(EngineError) -> Self {
        move |source| match source.kind {
            EngineErrorKind::Cancelled => Self::Cancelled,
            _ => Self::Engine { what: what.into(), source },
        }
    }
}

/// The error that a writer or reader returns once the build is cancelled.
pub(super) fn cancelled() -> io::Error {
    io::Error::other(CancelledMark)
}

/// Whether an input or output error is [`cancelled`].
pub(super) fn is_cancelled(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<CancelledMark>())
}

#[derive(Debug, thiserror::Error)]
#[error("cancelled")]
struct CancelledMark;
