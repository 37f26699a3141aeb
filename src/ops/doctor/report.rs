//! What a check-up came to.

use serde::Serialize;

use crate::domain::checkup::{Finding, Level};
use crate::ops::error::{Error, ErrorKind};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What (`memory`).
    pub name: &'static str,
    /// How bad it is.
    pub level: Level,
    /// Why, in one line.
    pub why: String,
    /// What to do about it, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// What kind of failure it would be.
    #[serde(skip)]
    pub kind: ErrorKind,
}

/// Everything that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DoctorReport {
    /// The fleet that is to be made.
    pub fleet: String,
    /// The checks, in the order in which a fleet would run into them.
    pub checks: Vec<Check>,
    /// How many fail.
    pub failed: usize,
    /// How many warn.
    pub warned: usize,
}

// === impl Check ===

impl Check {
    pub(super) fn new(name: &'static str, kind: ErrorKind, finding: Finding) -> Self {
        let line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { name, level: finding.level, why: line(finding.why), fix: finding.fix.map(line), kind }
    }

    /// A failure that an operation would end with.
    pub(super) fn failed(name: &'static str, error: &Error) -> Self {
        let fix = error.hints().first().cloned().unwrap_or_else(|| "mend what the message names, and look again".to_owned());
        Self::new(name, error.kind(), Finding::fail(error.one_line(), fix))
    }
}

// === impl DoctorReport ===

impl DoctorReport {
    pub(super) fn new(fleet: String, checks: Vec<Check>) -> Self {
        let count = |level| checks.iter().filter(|check| check.level == level).count();
        Self { fleet, failed: count(Level::Fail), warned: count(Level::Warn), checks }
    }

    /// The check-up of a fleet whose engine cannot be reached: nothing else can be looked at.
    pub fn unreachable(fleet: &str, why: &str, fix: &str) -> Self {
        let check = Check::new("engine", ErrorKind::Engine, Finding::fail(why, fix));
        Self::new(fleet.to_owned(), vec![check])
    }

    /// The kind of the first failure; `None` when nothing fails.
    pub fn failure(&self) -> Option<ErrorKind> {
        self.checks.iter().find(|check| check.level == Level::Fail).map(|check| check.kind)
    }
}
