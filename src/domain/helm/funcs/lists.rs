//! Lists, and looking into lists and maps.

use std::rc::Rc;

use super::super::error::Fault;
use super::super::eval::Engine;
use super::super::value::Value;
use super::args::Args;
use super::table::Table;

pub(super) const TABLE: Table = &[
    ("list", |_, args| Ok(Value::list(args.values.to_vec()))),
    ("tuple", |_, args| Ok(Value::list(args.values.to_vec()))),
    ("index", index),
    ("slice", slice),
    ("len", len),
    ("has", |_, args| {
        args.exactly(2)?;
        match args.value(1)? {
            Value::Nil => Ok(Value::Bool(false)),
            _ => Ok(Value::Bool(args.list(1)?.iter().any(|item| item.same(&args.values[0])))),
        }
    }),
    ("first", |_, args| Ok(args.list(0)?.first().cloned().unwrap_or(Value::Nil))),
    ("last", |_, args| Ok(args.list(0)?.last().cloned().unwrap_or(Value::Nil))),
    ("rest", |_, args| Ok(Value::list(args.list(0)?.iter().skip(1).cloned().collect()))),
    ("initial", |_, args| {
        let items = args.list(0)?;
        Ok(Value::list(items[..items.len().saturating_sub(1)].to_vec()))
    }),
    ("append", |_, args| {
        let mut items = args.list(0)?.to_vec();
        items.push(args.value(1)?.clone());
        Ok(Value::list(items))
    }),
    ("prepend", |_, args| {
        let mut items = vec![args.value(1)?.clone()];
        items.extend(args.list(0)?.iter().cloned());
        Ok(Value::list(items))
    }),
    ("concat", |_, args| {
        let mut items = Vec::new();
        for at in 0..args.values.len() {
            items.extend(args.list(at)?.iter().cloned());
        }
        Ok(Value::list(items))
    }),
    ("without", |_, args| {
        let kept = args.list(0)?.iter().filter(|item| !args.values[1..].iter().any(|other| other.same(item)));
        Ok(Value::list(kept.cloned().collect()))
    }),
    ("uniq", |_, args| {
        let mut kept: Vec<Value> = Vec::new();
        for item in args.list(0)?.iter() {
            if !kept.iter().any(|known| known.same(item)) {
                kept.push(item.clone());
            }
        }
        Ok(Value::list(kept))
    }),
    ("compact", |_, args| Ok(Value::list(args.list(0)?.iter().filter(|item| item.truth()).cloned().collect()))),
    ("until", |_, args| Ok(Value::list((0..args.size(0)?).map(|number| Value::Int(number as i64)).collect()))),
];

/// Looks into maps by key and into lists by number, one step per further argument.
fn index(_: &mut Engine<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let mut value = args.value(0)?.clone();
    for at in 1..args.values.len() {
        value = match &value {
            Value::Map(entries) => entries.borrow().get(args.text(at)?).cloned().unwrap_or(Value::Nil),
            Value::List(items) => {
                let number = args.int(at)?;
                let item = usize::try_from(number).ok().and_then(|number| items.get(number));
                item.cloned().ok_or_else(|| args.fault(format!("{number} is out of range of {} items", items.len())))?
            }
            other => return Err(args.fault(format!("can't look into a {}", other.kind()))),
        };
    }
    Ok(value)
}

fn slice(_: &mut Engine<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let items = args.list(0)?;
    let from = if args.values.len() > 1 { args.size(1)? } else { 0 };
    let to = if args.values.len() > 2 { args.size(2)? } else { items.len() };
    items
        .get(from..to)
        .map(|part| Value::list(part.to_vec()))
        .ok_or_else(|| args.fault(format!("{from} to {to} is out of range of {} items", items.len())))
}

fn len(_: &mut Engine<'_>, args: Args<'_>) -> Result<Value, Fault> {
    args.exactly(1)?;
    let count = match args.value(0)? {
        Value::Str(text) => text.len(),
        Value::List(items) => Rc::as_ref(items).len(),
        Value::Map(entries) => entries.borrow().len(),
        other => return Err(args.fault(format!("a {} has no length", other.kind()))),
    };
    Ok(Value::Int(count as i64))
}
