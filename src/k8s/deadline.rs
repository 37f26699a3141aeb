//! Until when to wait, and who hears what is seen meanwhile.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use super::error::{K8sError, Result};
use crate::event::WAIT_SPAN;

/// Hears the state seen last while something is awaited, whenever it changes; a short text in
/// words, without secrets. Called from the waiting task and must not block.
pub type Observer<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A point in time up to which may be waited, and how long that was in the beginning.
///
/// It runs from its construction: handed from wait to wait, all of them together take no longer.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    total: Duration,
    end: Instant,
}

/// Span of a wait.
pub(crate) fn wait_span(awaited: &str) -> Span {
    tracing::trace_span!(target: WAIT_SPAN, "wait", awaited, last = tracing::field::Empty)
}

/// Tells the state seen last, to the observer and to who listens to spans; called within the wait.
pub(crate) fn tell(observer: Observer<'_>, state: &str) {
    Span::current().record("last", state);
    observer(state);
}

// === impl Deadline ===

impl Deadline {
    /// `total` from now.
    pub fn after(total: Duration) -> Self {
        Self { total, end: Instant::now() + total }
    }

    /// How long it was in the beginning.
    pub fn total(&self) -> Duration {
        self.total
    }

    /// What is left of it.
    pub fn remaining(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Runs `work` until the deadline; `None` when it passed first.
    pub(crate) async fn limit<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout_at(self.end, work).await.ok()
    }

    /// [`Deadline::limit`] as a wait that who listens to spans sees.
    pub(crate) async fn wait<T>(&self, awaited: &str, work: impl Future<Output = T>) -> Option<T> {
        self.limit(work.instrument(wait_span(awaited))).await
    }

    /// The error of a wait for `awaited` that saw `last`.
    pub(crate) fn error(&self, awaited: impl Into<String>, last: impl Into<String>) -> K8sError {
        K8sError::Timeout { awaited: awaited.into(), after: self.total, last: last.into() }
    }

    /// Runs `work` until the deadline or fails with the state in `last`.
    pub(crate) async fn bound<T>(&self, awaited: &str, last: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        match self.limit(work).await {
            Some(result) => result,
            None => Err(self.error(awaited, last)),
        }
    }
}
