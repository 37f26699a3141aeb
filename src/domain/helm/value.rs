//! Values that templates work on: Go's maps, which are shared, and everything else, which is not.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value as Json;

/// How deep a value may be: deeper ones are made by templates that put a map into itself.
const MAX_DEPTH: usize = 200;

/// A map that is shared by all who hold it, as Go's maps are. Ordered by key, as Go's templates walk maps.
pub(super) type Map = Rc<RefCell<BTreeMap<Rc<str>, Value>>>;

/// What a template expression can be.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// `nil`, and everything that is not there.
    Nil,
    /// A boolean.
    Bool(bool),
    /// A whole number: a literal, or what a function counted.
    Int(i64),
    /// A number out of YAML or JSON: Helm reads all of them so.
    Float(f64),
    /// A text.
    Str(Rc<str>),
    /// A list; no function changes one in place.
    List(Rc<Vec<Value>>),
    /// A map.
    Map(Map),
    /// Something with fixed fields (`.Release`): asking for another one is an error.
    Record(Rc<Record>),
    /// The chart's other files (`.Files`).
    Files,
}

/// A Go struct: its name and its fields.
#[derive(Debug)]
pub(super) struct Record {
    /// What it is called in errors.
    pub(super) name: &'static str,
    /// Its fields.
    pub(super) fields: BTreeMap<&'static str, Value>,
}

/// A value that is deeper than any real one.
#[derive(Debug)]
pub(super) struct TooDeep;

// === impl Value ===

impl Value {
    /// A text.
    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Str(text.into())
    }

    /// A list.
    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::new(items))
    }

    /// A map of its own.
    pub(super) fn map(entries: BTreeMap<Rc<str>, Self>) -> Self {
        Self::Map(Rc::new(RefCell::new(entries)))
    }

    /// From JSON; every number becomes a floating one.
    pub(super) fn from_json(json: &Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(flag) => Self::Bool(*flag),
            Json::Number(number) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Self::text(text.as_str()),
            Json::Array(items) => Self::list(items.iter().map(Self::from_json).collect()),
            Json::Object(entries) => {
                Self::map(entries.iter().map(|(key, value)| (Rc::from(key.as_str()), Self::from_json(value))).collect())
            }
        }
    }

    /// What Go's templates take for true: neither zero nor empty.
    pub(super) fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(flag) => *flag,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(entries) => !entries.borrow().is_empty(),
            Self::Record(_) | Self::Files => true,
        }
    }

    /// What it is, in the words of Go's templates.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Record(record) => record.name,
            Self::Files => "files",
        }
    }

    /// A copy that shares no map with this one.
    pub(super) fn deep_copy(&self) -> Result<Self, TooDeep> {
        self.copy_at(0)
    }

    fn copy_at(&self, depth: usize) -> Result<Self, TooDeep> {
        if depth > MAX_DEPTH {
            return Err(TooDeep);
        }
        Ok(match self {
            Self::List(items) => Self::list(items.iter().map(|item| item.copy_at(depth + 1)).collect::<Result<_, _>>()?),
            Self::Map(entries) => {
                let copy = entries
                    .borrow()
                    .iter()
                    .map(|(key, value)| Ok((Rc::clone(key), value.copy_at(depth + 1)?)))
                    .collect::<Result<_, TooDeep>>()?;
                Self::map(copy)
            }
            other => other.clone(),
        })
    }

    /// Whether two values are the same all the way down, as `reflect.DeepEqual` sees it.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nil, Self::Nil) | (Self::Files, Self::Files) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::List(a), Self::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.same(b)),
            (Self::Map(a), Self::Map(b)) => {
                let (a, b) = (a.borrow(), b.borrow());
                a.len() == b.len() && a.iter().zip(b.iter()).all(|((a_key, a), (b_key, b))| a_key == b_key && a.same(b))
            }
            _ => false,
        }
    }

    /// Fails when the value is too deep to be printed: before every walk that has no depth of its own.
    pub(super) fn check_depth(&self) -> Result<(), TooDeep> {
        self.depth_at(0)
    }

    fn depth_at(&self, depth: usize) -> Result<(), TooDeep> {
        if depth > MAX_DEPTH {
            return Err(TooDeep);
        }
        match self {
            Self::List(items) => items.iter().try_for_each(|item| item.depth_at(depth + 1)),
            Self::Map(entries) => entries.borrow().values().try_for_each(|value| value.depth_at(depth + 1)),
            _ => Ok(()),
        }
    }
}
