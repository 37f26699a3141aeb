//! Maps: made, changed in place, merged, asked.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::super::error::Fault;
use super::super::eval::Engine;
use super::super::format;
use super::super::merge;
use super::super::value::Value;
use super::args::Args;
use super::table::Table;

pub(super) const TABLE: Table = &[
    ("dict", dict),
    ("get", |_, args| Ok(args.map(0)?.borrow().get(args.text(1)?.as_ref()).cloned().unwrap_or(Value::text("")))),
    ("set", |_, args| {
        args.exactly(3)?;
        args.map(0)?.borrow_mut().insert(Rc::clone(args.text(1)?), args.value(2)?.clone());
        args.value(0).cloned()
    }),
    ("unset", |_, args| {
        args.map(0)?.borrow_mut().remove(args.text(1)?.as_ref());
        args.value(0).cloned()
    }),
    ("hasKey", |_, args| Ok(Value::Bool(args.map(0)?.borrow().contains_key(args.text(1)?.as_ref())))),
    ("keys", |_, args| {
        let mut keys = Vec::new();
        for at in 0..args.values.len() {
            keys.extend(args.map(at)?.borrow().keys().map(|key| Value::Str(Rc::clone(key))));
        }
        Ok(Value::list(keys))
    }),
    ("values", |_, args| Ok(Value::list(args.map(0)?.borrow().values().cloned().collect()))),
    ("pick", |_, args| filter(args, true)),
    ("omit", |_, args| filter(args, false)),
    ("dig", dig),
    ("merge", |_, args| merged(args, false)),
    ("mustMerge", |_, args| merged(args, false)),
    ("mergeOverwrite", |_, args| merged(args, true)),
    ("mustMergeOverwrite", |_, args| merged(args, true)),
    ("deepCopy", deep_copy),
    ("mustDeepCopy", deep_copy),
];

fn dict(_: &mut Engine<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let mut entries: BTreeMap<Rc<str>, Value> = BTreeMap::new();
    for pair in args.values.chunks(2) {
        let key = match &pair[0] {
            Value::Str(text) => Rc::clone(text),
            other => Rc::from(format::plain(other)),
        };
        // A key without a value has an empty one.
        entries.insert(key, pair.get(1).cloned().unwrap_or(Value::text("")));
    }
    Ok(Value::map(entries))
}

fn filter(args: Args<'_>, keep: bool) -> Result<Value, Fault> {
    let mut named = Vec::new();
    for at in 1..args.values.len() {
        named.push(args.text(at)?.as_ref());
    }
    let entries = args.map(0)?.borrow();
    Ok(Value::map(
        entries
            .iter()
            .filter(|(key, _)| named.contains(&key.as_ref()) == keep)
            .map(|(key, value)| (Rc::clone(key), value.clone()))
            .collect(),
    ))
}

/// `dig "a" "b" DEFAULT MAP`.
fn dig(_: &mut Engine<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let count = args.values.len();
    if count < 3 {
        return Err(args.fault("wants at least three arguments"));
    }
    let mut value = args.value(count - 1)?.clone();
    for at in 0..count - 2 {
        let key = args.text(at)?;
        let next = match &value {
            Value::Map(entries) => entries.borrow().get(key).cloned(),
            other => return Err(args.fault(format!("can't look for {key} in a {}", other.kind()))),
        };
        match next {
            Some(next) => value = next,
            None => return args.value(count - 2).cloned(),
        }
    }
    Ok(value)
}

/// Merges all others into the first map, in place.
fn merged(args: Args<'_>, overwrite: bool) -> Result<Value, Fault> {
    let into = args.map(0)?;
    for at in 1..args.values.len() {
        // Helm takes a nothing for an empty map.
        if !matches!(args.value(at)?, Value::Nil) {
            merge::merge(into, args.map(at)?, overwrite);
        }
    }
    args.value(0).cloned()
}

fn deep_copy(_: &mut Engine<'_>, args: Args<'_>) -> Result<Value, Fault> {
    args.value(0)?.deep_copy().map_err(|_| args.fault("a value contains itself"))
}
