//! Charts rendered as Helm renders them, without Helm.
//!
//! The templates are read by a Go template parser; what runs them is written here, because Helm's
//! values are Go maps: a template that changes a map changes it for everyone who holds it, and charts
//! in wide use (Istio's among them) rest on that. Everything happens in memory and without a cluster:
//! `lookup` and the questions about a cluster's capabilities are errors, not guesses.

mod chart;
mod error;
mod eval;
mod expr;
mod files;
mod format;
mod funcs;
mod gojson;
mod goyaml;
mod merge;
mod render;
mod split;
mod template;
mod value;
mod yaml;

pub use chart::{Chart, ChartError};
pub use error::{RenderError, RenderProblem};
pub use merge::overlay;
pub use render::{Release, RenderedFile, render, render_files};

#[cfg(test)]
mod tests;
