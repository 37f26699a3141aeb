//! Why a chart could not be rendered: which chart, which file, which line.

use std::fmt;

use crate::domain::manifest::ManifestError;

/// A chart that could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("render chart {chart}: {}{problem}", Place { file: file.as_deref(), line: *line })]
pub struct RenderError {
    /// Name and version of the chart (`istiod-1.31.1`).
    pub chart: String,
    /// The chart's file where it happened, when one is to blame.
    pub file: Option<String>,
    /// Line in that file, from 1; for [`RenderProblem::Output`] a line of what the file rendered to. 0 when unknown.
    pub line: usize,
    /// What happened.
    pub problem: RenderProblem,
}

/// What went wrong while rendering.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderProblem {
    /// The template's syntax is wrong.
    #[error("not a valid template: {0}")]
    Syntax(String),
    /// A function that Helm may know, but this renderer does not.
    #[error("function '{0}' is not known here; use a chart that does without it, or have Helm render it")]
    UnknownFunction(String),
    /// The template says that something is not possible (`fail`, `required`).
    #[error("{0}")]
    Refused(String),
    /// A step of the template failed.
    #[error("{0}")]
    Execution(String),
    /// What the template rendered to is not YAML; the line counts in that text.
    #[error("what it renders to is no valid YAML: {0}")]
    Output(String),
    /// What the template rendered to is YAML, but no Kubernetes object.
    #[error("what it renders to is no object: {0}")]
    Object(#[source] ManifestError),
    /// The values are refused by the chart's own schema.
    #[error("the values do not fit the chart's schema: {0}")]
    Schema(String),
    /// An object that asks for something only Helm does.
    #[error("{0}")]
    Unsupported(String),
}

/// ` FILE:LINE: ` as far as it is known.
struct Place<'a> {
    file: Option<&'a str>,
    line: usize,
}

/// A problem on its way up, before anyone has said in which file it is.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// File and line, once known.
    pub(super) at: Option<(String, usize)>,
    /// What happened.
    pub(super) problem: RenderProblem,
}

// === impl Place ===

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file, self.line) {
            (Some(file), 0) => write!(f, "{file}: "),
            (Some(file), line) => write!(f, "{file}:{line}: "),
            (None, _) => Ok(()),
        }
    }
}

// === impl Fault ===

impl Fault {
    /// A step that failed.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { at: None, problem: RenderProblem::Execution(message.into()) }
    }

    /// A refusal in the chart's own words.
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self { at: None, problem: RenderProblem::Refused(message.into()) }
    }

    /// Says where it happened, unless someone closer has said so.
    pub(super) fn at(mut self, file: &str, line: usize) -> Self {
        self.at.get_or_insert_with(|| (file.to_owned(), line));
        self
    }

    /// As the error of a chart.
    pub(super) fn in_chart(self, chart: &str) -> RenderError {
        let (file, line) = self.at.map_or((None, 0), |(file, line)| (Some(file), line));
        RenderError { chart: chart.to_owned(), file, line, problem: self.problem }
    }
}
