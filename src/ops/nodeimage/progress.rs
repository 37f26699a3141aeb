//! Events of a build.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Result;
use crate::event::{Event, EventKind, Reporter};

/// Tells a reporter what steps do.
pub(super) struct Telling {
    reporter: Arc<dyn Reporter>,
    begun: Instant,
}

/// Tells of one step.
pub(super) struct StepTelling<'a> {
    telling: &'a Telling,
    step: &'a str,
    started: Instant,
}

// === impl Telling ===

impl Telling {
    /// Times are counted from `begun`.
    pub fn new(reporter: Arc<dyn Reporter>, begun: Instant) -> Self {
        Self { reporter, begun }
    }

    /// A step that had nothing to do.
    pub fn cached(&self, step: &str) {
        self.tell(step, EventKind::Finished { took: Duration::ZERO, changed: false });
    }

    /// A step that begins.
    pub fn begin<'a>(&'a self, step: &'a str) -> StepTelling<'a> {
        self.tell(step, EventKind::Started);
        StepTelling { telling: self, step, started: Instant::now() }
    }

    fn tell(&self, step: &str, kind: EventKind) {
        self.reporter.report(&Event { elapsed: self.begun.elapsed(), cluster: None, step: step.to_owned(), kind });
    }
}

// === impl StepTelling ===

impl StepTelling<'_> {
    /// What the step is doing now.
    pub fn line(&self, line: &str) {
        self.telling.tell(self.step, EventKind::Progress { message: line.to_owned() });
    }

    /// The step's end; returns how long it took.
    pub fn end(self, result: Result<()>) -> Result<Duration> {
        let took = self.started.elapsed();
        match &result {
            Ok(()) => self.telling.tell(self.step, EventKind::Finished { took, changed: true }),
            Err(error) => self.telling.tell(self.step, EventKind::Failed { error: one_line(error) }),
        }
        result.map(|()| took)
    }
}

fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text.lines().collect::<Vec<_>>().join("; ")
}
