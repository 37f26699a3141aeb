//! Comparing and choosing.

use std::cmp::Ordering;

use super::super::error::Fault;
use super::super::eval::Engine;
use super::super::value::Value;
use super::args::Args;
use super::table::Table;

pub(super) const TABLE: Table = &[
    ("eq", |_, args| equal(args).map(Value::Bool)),
    ("ne", |_, args| {
        args.exactly(2)?;
        equal(args).map(|equal| Value::Bool(!equal))
    }),
    ("lt", |_, args| order(args).map(|order| Value::Bool(order == Ordering::Less))),
    ("le", |_, args| order(args).map(|order| Value::Bool(order != Ordering::Greater))),
    ("gt", |_, args| order(args).map(|order| Value::Bool(order == Ordering::Greater))),
    ("ge", |_, args| order(args).map(|order| Value::Bool(order != Ordering::Less))),
    ("not", |_, args| {
        args.exactly(1)?;
        Ok(Value::Bool(!args.value(0)?.truth()))
    }),
    ("default", default),
    ("empty", |_, args| Ok(Value::Bool(!args.value(0)?.truth()))),
    ("coalesce", |_, args| Ok(args.values.iter().find(|value| value.truth()).cloned().unwrap_or(Value::Nil))),
    ("ternary", |_, args| {
        args.exactly(3)?;
        let Value::Bool(choice) = args.value(2)? else { return Err(args.fault("the last argument has to be a bool")) };
        args.value(if *choice { 0 } else { 1 }).cloned()
    }),
];

/// Whether the first equals any of the others.
fn equal(args: Args<'_>) -> Result<bool, Fault> {
    let first = args.value(0)?;
    args.value(1)?;
    for other in &args.values[1..] {
        let same = match (first, other) {
            (Value::Nil, Value::Nil) => true,
            // Nothing equals nothing else, and may be compared with everything.
            (Value::Nil, _) | (_, Value::Nil) => false,
            (Value::Bool(_), Value::Bool(_)) | (Value::Int(_), Value::Int(_)) | (Value::Float(_), Value::Float(_)) => first.same(other),
            (Value::Str(a), Value::Str(b)) => a == b,
            _ => return Err(args.fault(format!("a {} and a {} can't be compared", first.kind(), other.kind()))),
        };
        if same {
            return Ok(true);
        }
    }
    Ok(false)
}

fn order(args: Args<'_>) -> Result<Ordering, Fault> {
    args.exactly(2)?;
    let order = match (args.value(0)?, args.value(1)?) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Str(a), Value::Str(b)) => Some(a.cmp(b)),
        _ => None,
    };
    let kinds = || args.values.iter().map(Value::kind).collect::<Vec<_>>().join(" and ");
    order.ok_or_else(|| args.fault(format!("{} have no order", kinds())))
}

fn default(_: &mut Engine<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let given = args.values.get(1).filter(|value| value.truth());
    given.map_or_else(|| args.value(0).cloned(), |value| Ok(value.clone()))
}
