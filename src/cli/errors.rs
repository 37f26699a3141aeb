//! Errors as the user sees them: a kind that decides the exit code, the chain of causes, hints.

use std::error::Error as StdError;
use std::fmt::Write as _;

use serde::Serialize;

use super::exit::Exit;
use super::style::Style;
use crate::ops;

/// A failed run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CliError {
    /// How the program ends because of it.
    pub kind: Exit,
    /// What failed, on which object, why.
    pub message: String,
    /// What lies below, outermost first; nothing the message says already.
    pub causes: Vec<String>,
    /// What to do next, most useful first.
    pub hints: Vec<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    error: &'a CliError,
}

// === impl CliError ===

impl CliError {
    /// An error without causes and hints.
    pub fn new(kind: Exit, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// Wraps an error with everything below it.
    pub fn from_error(kind: Exit, error: &(dyn StdError + 'static)) -> Self {
        let mut wrapped = Self::new(kind, error.to_string());
        wrapped.add_causes(error.source());
        wrapped
    }

    /// Attaches a cause and everything below it.
    #[must_use]
    pub fn because(mut self, cause: &(dyn StdError + 'static)) -> Self {
        self.add_causes(Some(cause));
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// For people: `error:`, `  caused by:` and `hint:` lines.
    pub fn text(&self, style: Style) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {}", style.error("error:"), self.message);
        for cause in &self.causes {
            let _ = writeln!(text, "  {} {}", style.dim("caused by:"), cause.replace('\n', "\n    "));
        }
        for hint in &self.hints {
            let _ = writeln!(text, "{} {}", style.hint("hint:"), hint);
        }
        text
    }

    /// For programs: `{"error":{"kind","message","causes","hints"}}` on one line.
    pub fn json(&self) -> String {
        // Strings and lists of strings always serialize.
        serde_json::to_string(&Document { error: self }).unwrap_or_default() + "\n"
    }

    fn add_causes(&mut self, mut cause: Option<&(dyn StdError + 'static)>) {
        while let Some(error) = cause {
            let text = error.to_string();
            // Many errors repeat their source in their own text.
            let said = self.message.contains(&text) || self.causes.iter().any(|other| other.contains(&text));
            if !said {
                self.causes.push(text);
            }
            cause = error.source();
        }
    }
}

impl From<ops::Error> for CliError {
    fn from(error: ops::Error) -> Self {
        let kind = exit_of(error.kind());
        let mut wrapped = Self::from_error(kind, &error);
        wrapped.hints.extend(error.hints().iter().cloned());
        wrapped
    }
}

/// The exit code of a class of failures.
pub(super) fn exit_of(kind: ops::ErrorKind) -> Exit {
    match kind {
        ops::ErrorKind::Config => Exit::Config,
        ops::ErrorKind::Engine => Exit::Engine,
        ops::ErrorKind::Image => Exit::Image,
        ops::ErrorKind::Conflict => Exit::Conflict,
        ops::ErrorKind::NotFound => Exit::NotFound,
        ops::ErrorKind::Timeout => Exit::Timeout,
        ops::ErrorKind::Cluster => Exit::Cluster,
        ops::ErrorKind::Unproven => Exit::Unproven,
        ops::ErrorKind::File => Exit::Failure,
        ops::ErrorKind::Cancelled => Exit::Cancelled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{EngineError, EngineErrorKind};

    fn sample() -> CliError {
        let cause = EngineError::new("create network", "kind", EngineErrorKind::Failed, "no free\nsubnet");
        CliError::new(Exit::Conflict, "cluster1 cannot have a pool").because(&cause).hint("try `kindmesh down`")
    }

    #[test]
    fn text_has_causes_and_hints_each_on_its_line() {
        insta::assert_snapshot!(sample().text(Style::PLAIN), @r"
        error: cluster1 cannot have a pool
          caused by: create network kind: no free
            subnet
        hint: try `kindmesh down`
        ");
    }

    #[test]
    fn json_is_one_line() {
        insta::assert_snapshot!(sample().json().trim_end(), @r#"{"error":{"kind":"conflict","message":"cluster1 cannot have a pool","causes":["create network kind: no free\nsubnet"],"hints":["try `kindmesh down`"]}}"#);
    }

    #[test]
    fn a_cause_the_message_repeats_is_left_out() {
        let cause = EngineError::new("start container", "a", EngineErrorKind::Failed, "port is in use");
        let error = ops::Error::new(ops::ErrorKind::Conflict, format!("cluster1: {cause}")).because(cause);
        let error = CliError::from(error);
        assert_eq!((error.kind, error.causes.len()), (Exit::Conflict, 0));
    }

    #[test]
    fn classes_of_operations_have_their_codes() {
        let kinds = [
            (ops::ErrorKind::Config, 3),
            (ops::ErrorKind::Engine, 4),
            (ops::ErrorKind::Image, 5),
            (ops::ErrorKind::Conflict, 6),
            (ops::ErrorKind::Timeout, 7),
            (ops::ErrorKind::Cluster, 8),
            (ops::ErrorKind::Unproven, 10),
            (ops::ErrorKind::NotFound, 9),
            (ops::ErrorKind::File, 1),
            (ops::ErrorKind::Cancelled, 130),
        ];
        for (kind, code) in kinds {
            assert_eq!(CliError::from(ops::Error::new(kind, "x")).kind.code(), code, "{kind:?}");
        }
    }
}
