//! The fleet file, `kindmesh.yaml`: strict, and every complaint with its line and column.

use super::fleet::Fleet;
use super::fleet_builder::{DEFAULT_FLEET, FleetError, Place};
use super::name::FleetName;
use super::suggest::closest;

/// Calls a builder's method when a field is there, and remembers where it is.
macro_rules! set {
    ($places:ident, $builder:ident, $method:ident, $place:expr, $field:expr) => {
        if let Some(value) = $places.note($place, &$field) {
            $builder = $builder.$method(value.clone());
        }
    };
}

mod at;
mod convert;
mod duration;
mod mesh;
mod shape;
mod switch;

pub use duration::{DurationError, parse as parse_duration};

/// `apiVersion` of a fleet file.
pub const API_VERSION: &str = "kindmesh.dev/v1alpha1";
/// `kind` of a fleet file.
pub const KIND: &str = "Fleet";

/// A fleet file that was refused. Shown as `file:line:column: what is wrong`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {fault}")]
pub struct FleetFileError {
    /// The file, as it was named.
    pub file: String,
    /// Line, counted from 1.
    pub line: u64,
    /// Column, counted from 1.
    pub column: u64,
    /// What is wrong there.
    pub fault: Box<Fault>,
}

/// What is wrong with a fleet file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A key that no fleet file has.
    #[error("unknown field \"{field}\"{}", advice(.meant, .known))]
    UnknownField {
        /// The key.
        field: String,
        /// The key that was probably meant.
        meant: Option<&'static str>,
        /// All keys that may stand there.
        known: Vec<&'static str>,
    },
    /// A key that stands there twice.
    #[error("the field \"{field}\" is there twice")]
    DuplicateField {
        /// The key.
        field: String,
    },
    /// A key that has to be there and is not.
    #[error("the field \"{field}\" is missing; a fleet file begins with `apiVersion: {API_VERSION}` and `kind: {KIND}`")]
    MissingField {
        /// The key.
        field: &'static str,
    },
    /// A version or kind of another tool, or of another time.
    #[error("{field} is \"{found}\", but must be \"{expected}\"")]
    WrongKind {
        /// The key.
        field: &'static str,
        /// Its value.
        found: String,
        /// The only value it may have.
        expected: &'static str,
    },
    /// A value of another type, or a word that is none of those allowed.
    #[error("{message}")]
    Value {
        /// What is there and what is expected.
        message: String,
    },
    /// No YAML.
    #[error("this is no valid YAML: {message}")]
    Syntax {
        /// What the parser says.
        message: String,
    },
    /// A text that is no duration.
    #[error("{place}: {error}")]
    Duration {
        /// Where.
        place: Place,
        /// What is wrong with it.
        error: DurationError,
    },
    /// YAML of the right shape that describes an impossible fleet.
    #[error(transparent)]
    Fleet(#[from] FleetError),
}

/// Reads a fleet file's text; `file` is its name for messages.
///
/// A manifest that the file names in place of the built-in one is not read here: its path or URL is
/// in [`MetalLb::manifest_from`](super::fleet::MetalLb::manifest_from). Nor are the files of the mesh; see
/// [`MeshSpec::resolve`](super::mesh::MeshSpec::resolve).
///
/// # Errors
/// [`FleetFileError`] for the first thing that is wrong, with its place.
pub fn parse(text: &str, file: &str) -> Result<Fleet, FleetFileError> {
    parse_as(text, file, false)
}

/// As [`parse`], with a mesh: that of the file, even if it is switched off there, or else one with
/// nothing but defaults.
///
/// # Errors
/// As [`parse`].
pub fn parse_with_mesh(text: &str, file: &str) -> Result<Fleet, FleetFileError> {
    parse_as(text, file, true)
}

fn parse_as(text: &str, file: &str, with_mesh: bool) -> Result<Fleet, FleetFileError> {
    let located = |(line, column): (u64, u64), fault| FleetFileError { file: file.to_owned(), line, column, fault: Box::new(fault) };
    let read = convert::read(text, with_mesh).map_err(|(place, fault)| located(place, fault))?;
    let built = read.builder.build();
    built.map_err(|error| located(read.places.find(error.place), error.into()))
}

/// The fleet that stands for no file: this many clusters, named by number.
///
/// # Errors
/// [`FleetError`] when there are no clusters, or more than there are default subnets.
pub fn plain(name: Option<FleetName>, clusters: u32) -> Result<Fleet, FleetError> {
    let name = name.map_or_else(|| DEFAULT_FLEET.to_owned(), |name| name.to_string());
    Fleet::builder(name).clusters(clusters).build()
}

/// JSON schema of a fleet file, for editors.
pub fn schema() -> serde_json::Value {
    shape::schema()
}

fn advice(meant: &Option<&'static str>, known: &[&'static str]) -> String {
    match meant {
        Some(meant) => format!(", did you mean \"{meant}\"?"),
        None => format!("; here may stand {}", known.join(", ")),
    }
}

// === impl Fault ===

impl Fault {
    /// In the words of a fleet file what the YAML reader says.
    fn from_yaml(error: &serde_saphyr::Error) -> Self {
        use serde_saphyr::Error;
        match error.without_snippet() {
            Error::SerdeUnknownField { field, expected, .. } => {
                Fault::UnknownField { field: field.clone(), meant: closest(field, expected.iter().copied()), known: expected.clone() }
            }
            Error::SerdeUnknownVariant { variant, expected, .. } => {
                let hint =
                    closest(variant, expected.iter().copied()).map_or_else(String::new, |meant| format!(", did you mean \"{meant}\"?"));
                Fault::Value { message: format!("\"{variant}\" is none of {}{hint}", expected.join(", ")) }
            }
            Error::DuplicateMappingKey { key, .. } => Fault::DuplicateField { field: key.clone().unwrap_or_default() },
            Error::SerdeMissingField { field, .. } => Fault::Value { message: format!("the field \"{field}\" is missing") },
            Error::SerdeInvalidType { unexpected, expected, .. } | Error::SerdeInvalidValue { unexpected, expected, .. } => {
                Fault::Value { message: format!("here is {unexpected} where {expected} is expected") }
            }
            Error::InvalidScalar { ty, .. } => Fault::Value { message: format!("{} is expected here", in_words(ty)) },
            Error::Unexpected { expected, .. } => Fault::Value { message: format!("{} is expected here", in_words(expected)) },
            Error::InvalidBooleanStrict { .. } => Fault::Value { message: "true or false is expected here".to_owned() },
            other => Fault::Syntax { message: plain_message(other) },
        }
    }
}

/// The reader's names for types and tokens, for somebody who knows YAML and not Rust.
fn in_words(expected: &str) -> &str {
    match expected {
        "u32" => "a whole number",
        "u16" => "a whole number up to 65535",
        "string scalar" => "a text",
        "mapping start" => "a mapping",
        "sequence start" => "a list",
        other => other,
    }
}

/// The reader's message without the place, which stands before it already.
fn plain_message(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::MessageFormatter;
    serde_saphyr::UserMessageFormatter.format_message(error).lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
