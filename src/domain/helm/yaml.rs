//! Reading YAML as Helm reads it.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::Value as Json;

use super::value::Value;

/// What has been read before: charts read the same large text again and again.
#[derive(Default)]
pub(super) struct Memory {
    known: HashMap<Rc<str>, Value>,
}

/// Texts shorter than this are read again.
const WORTH_KEEPING: usize = 4 << 10;

// === impl Memory ===

impl Memory {
    /// A text as a value of its own.
    pub(super) fn value(&mut self, text: &Rc<str>) -> Result<Value, String> {
        if text.len() < WORTH_KEEPING {
            return parse(text).map(|json| Value::from_json(&json)).map_err(|error| error.to_string());
        }
        if let Some(known) = self.known.get(text) {
            return known.deep_copy().map_err(|_| "too deep".to_owned());
        }
        let value = parse(text).map(|json| Value::from_json(&json)).map_err(|error| error.to_string())?;
        let copy = value.deep_copy().map_err(|_| "too deep".to_owned())?;
        self.known.insert(Rc::clone(text), value);
        Ok(copy)
    }
}

/// Why a text is no YAML, and on which line of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", if *line > 0 { format!(" at line {line}, column {column}") } else { String::new() })]
pub(super) struct YamlError {
    /// Line, from 1; 0 when unknown.
    pub(super) line: usize,
    /// Column, from 1.
    pub(super) column: usize,
    /// What is wrong.
    pub(super) message: String,
}

/// Reads one document; none is a null. The last of equal keys counts.
pub(super) fn parse(text: &str) -> Result<Json, YamlError> {
    let options = serde_saphyr::options! {
        legacy_octal_numbers: true,
        with_snippet: false,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |at| (at.line() as usize, at.column() as usize));
        let message = error.without_snippet().to_string();
        let message = message.lines().next().unwrap_or_default();
        // The place is said once.
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        YamlError { line, column, message }
    })
}
