//! Reading YAML as Helm reads it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::Value as Json;

use super::value::Value;

mod plain;
mod scalar;
mod text;

/// What has been read before: charts read the same large text again and again.
#[derive(Default)]
pub(super) struct Memory {
    known: HashMap<Rc<str>, Value>,
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

/// What a reader makes.
trait Make: Sized {
    fn null() -> Self;
    fn flag(flag: bool) -> Self;
    fn int(number: i64) -> Self;
    fn float(number: f64) -> Self;
    fn text(text: Cow<'_, str>) -> Self;
    fn list(items: Vec<Self>) -> Self;
    fn map(entries: Vec<(Cow<'_, str>, Self)>) -> Self;
}

/// Texts shorter than this are read again.
const WORTH_KEEPING: usize = 4 << 10;

/// Reads one document; none is a null. The last of equal keys counts.
pub(super) fn parse(text: &str) -> Result<Json, YamlError> {
    plain::parse(text).map_or_else(|| parse_fully(text), Ok)
}

fn parse_value(text: &str) -> Result<Value, YamlError> {
    plain::parse(text).map_or_else(|| parse_fully(text).map(|json| Value::from_json(&json)), Ok)
}

fn parse_fully(text: &str) -> Result<Json, YamlError> {
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

// === impl Memory ===

impl Memory {
    /// A text as a value of its own.
    pub(super) fn value(&mut self, text: &Rc<str>) -> Result<Value, String> {
        if text.len() < WORTH_KEEPING {
            return parse_value(text).map_err(|error| error.to_string());
        }
        if let Some(known) = self.known.get(text) {
            return known.deep_copy().map_err(|_| "too deep".to_owned());
        }
        let value = parse_value(text).map_err(|error| error.to_string())?;
        let copy = value.deep_copy().map_err(|_| "too deep".to_owned())?;
        self.known.insert(Rc::clone(text), value);
        Ok(copy)
    }
}

// === impl Make ===

impl Make for Json {
    fn null() -> Self {
        Self::Null
    }

    fn flag(flag: bool) -> Self {
        Self::Bool(flag)
    }

    fn int(number: i64) -> Self {
        Self::from(number)
    }

    fn float(number: f64) -> Self {
        Self::from(number)
    }

    fn text(text: Cow<'_, str>) -> Self {
        Self::String(text.into_owned())
    }

    fn list(items: Vec<Self>) -> Self {
        Self::Array(items)
    }

    fn map(entries: Vec<(Cow<'_, str>, Self)>) -> Self {
        Self::Object(entries.into_iter().map(|(key, value)| (key.into_owned(), value)).collect())
    }
}

impl Make for Value {
    fn null() -> Self {
        Self::Nil
    }

    fn flag(flag: bool) -> Self {
        Self::Bool(flag)
    }

    fn int(number: i64) -> Self {
        Self::Float(number as f64)
    }

    fn float(number: f64) -> Self {
        Self::Float(number)
    }

    fn text(text: Cow<'_, str>) -> Self {
        Self::Str(Rc::from(text))
    }

    fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::new(items))
    }

    fn map(entries: Vec<(Cow<'_, str>, Self)>) -> Self {
        Value::map(entries.into_iter().map(|(key, value)| (Rc::from(key), value)).collect())
    }
}

#[cfg(test)]
mod tests;
