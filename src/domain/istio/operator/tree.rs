//! A YAML file whose every value knows where it stands.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use serde_saphyr::{Location, Spanned};

use super::{Fault, Result};
use crate::domain::suggest;

/// A value of the file.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Spanned<Tree>>),
    Map(Vec<(Spanned<String>, Spanned<Tree>)>),
}

/// A value, its path and its place.
#[derive(Debug, Clone)]
pub(super) struct Field<'t> {
    path: String,
    name: &'t str,
    at: (u64, u64),
    tree: &'t Tree,
}

/// How deep values may be nested. Those of Istio go to 15 or so; 64, the reader's own limit, need more than 2 MiB of
/// stack in a build without optimization.
const DEEPEST: usize = 40;

/// Reads all documents of a file; empty ones are skipped.
pub(super) fn read(text: &str) -> Result<Vec<Spanned<Tree>>> {
    let options = serde_saphyr::options! {
        legacy_octal_numbers: true,
        with_snippet: false,
        // Each level is some calls deeper, and a thread has 2 MiB for them.
        budget: serde_saphyr::budget! { max_depth: DEEPEST },
    };
    let documents: Vec<Spanned<Tree>> = serde_saphyr::from_multiple_with_options(text, options).map_err(|error| Fault {
        at: error.location().map_or((1, 1), place),
        path: "the file".to_owned(),
        message: format!("is no valid YAML: {}", error.without_snippet().to_string().lines().next().unwrap_or_default()),
    })?;
    let documents: Vec<_> = documents.into_iter().filter(|document| !matches!(document.value, Tree::Null)).collect();
    match documents.is_empty() {
        true => Err(Fault { at: (1, 1), path: "the file".to_owned(), message: "is empty".to_owned() }),
        false => Ok(documents),
    }
}

fn place(location: Location) -> (u64, u64) {
    (location.line().max(1), location.column().max(1))
}

// === impl Field ===

impl<'t> Field<'t> {
    pub(super) fn root(tree: &'t Spanned<Tree>) -> Self {
        Self { path: String::new(), name: "", at: place(tree.referenced), tree: &tree.value }
    }

    /// The last part of its path.
    pub(super) fn name(&self) -> &'t str {
        self.name
    }

    /// Its path.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.tree, Tree::Null)
    }

    /// A fault at this place.
    pub(super) fn fault(&self, message: impl Into<String>) -> Fault {
        let path = if self.path.is_empty() { "the file".to_owned() } else { self.path.clone() };
        Fault { at: self.at, path, message: message.into() }
    }

    /// That nobody knows this field among those that may stand here.
    pub(super) fn unknown(&self, known: &[&str]) -> Fault {
        let hint = match suggest::closest(self.name, known.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("supported here are {}", known.join(", ")),
        };
        self.fault(format!("is not supported; {hint}"))
    }

    /// The fields of a map; none of a null.
    pub(super) fn entries(&self) -> Result<Vec<Field<'t>>> {
        match self.tree {
            Tree::Map(entries) => {
                Ok(entries.iter().map(|(key, value)| self.below(&key.value, place(key.referenced), &value.value)).collect())
            }
            Tree::Null => Ok(Vec::new()),
            _ => Err(self.fault("has to be a map")),
        }
    }

    /// A field of a map.
    pub(super) fn get(&self, name: &str) -> Option<Field<'t>> {
        let Tree::Map(entries) = self.tree else { return None };
        let (key, value) = entries.iter().find(|(key, _)| key.value == name)?;
        Some(self.below(&key.value, place(key.referenced), &value.value))
    }

    /// The items of a list; none of a null.
    pub(super) fn items(&self) -> Result<Vec<Field<'t>>> {
        match self.tree {
            Tree::List(items) => {
                let item = |(at, item): (usize, &'t Spanned<Tree>)| Field {
                    path: format!("{}[{at}]", self.path),
                    name: self.name,
                    at: place(item.referenced),
                    tree: &item.value,
                };
                Ok(items.iter().enumerate().map(item).collect())
            }
            Tree::Null => Ok(Vec::new()),
            _ => Err(self.fault("has to be a list")),
        }
    }

    /// A text.
    pub(super) fn text(&self) -> Result<String> {
        match self.tree {
            Tree::Text(text) => Ok(text.clone()),
            _ => Err(self.fault("has to be a text")),
        }
    }

    /// A text, which may have been written like a number.
    pub(super) fn scalar_text(&self) -> Result<String> {
        match self.tree {
            Tree::Text(text) => Ok(text.clone()),
            Tree::Number(number) => Ok(number.to_string()),
            Tree::Bool(flag) => Ok(flag.to_string()),
            _ => Err(self.fault("has to be a text")),
        }
    }

    /// True or false, in quotes or not, as istioctl takes it.
    pub(super) fn flag(&self) -> Result<bool> {
        match self.tree {
            Tree::Bool(flag) => Ok(*flag),
            Tree::Text(text) if text == "true" || text == "false" => Ok(text == "true"),
            _ => Err(self.fault("has to be true or false")),
        }
    }

    /// A whole number, not below zero.
    pub(super) fn count(&self) -> Result<u64> {
        match self.tree {
            Tree::Number(number) => number.as_u64().ok_or_else(|| self.fault("has to be a whole number")),
            _ => Err(self.fault("has to be a whole number")),
        }
    }

    /// As JSON.
    pub(super) fn json(&self) -> Value {
        self.tree.json()
    }

    fn below(&self, name: &'t str, at: (u64, u64), tree: &'t Tree) -> Field<'t> {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Field { path, name, at, tree }
    }
}

// === impl Tree ===

impl Tree {
    fn json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.clone()),
            Self::List(items) => items.iter().map(|item| item.value.json()).collect(),
            Self::Map(entries) => entries.iter().map(|(key, value)| (key.value.clone(), value.value.json())).collect(),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(AnyTree)
    }
}

struct AnyTree;

impl<'de> Visitor<'de> for AnyTree {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> std::result::Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_bool<E>(self, flag: bool) -> std::result::Result<Tree, E> {
        Ok(Tree::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> std::result::Result<Tree, E> {
        Ok(Tree::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> std::result::Result<Tree, E> {
        Ok(Tree::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> std::result::Result<Tree, E> {
        Ok(Number::from_f64(number).map_or(Tree::Null, Tree::Number))
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Tree::Map(map))
    }
}
