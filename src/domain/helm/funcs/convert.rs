//! Between texts, numbers, YAML and JSON.

use super::super::error::Fault;
use super::super::eval::Engine;
use super::super::value::Value;
use super::super::{format, gojson, goyaml};
use super::args::Args;
use super::table::Table;

pub(super) const TABLE: Table = &[
    ("toString", |_, args| Ok(Value::text(format::plain(args.value(0)?)))),
    ("int", |_, args| Ok(Value::Int(as_int(args.value(0)?)))),
    ("int64", |_, args| Ok(Value::Int(as_int(args.value(0)?)))),
    ("float64", |_, args| Ok(Value::Float(as_float(args.value(0)?)))),
    ("add", |_, args| fold(args, i64::checked_add)),
    ("sub", |_, args| fold(args, i64::checked_sub)),
    ("mul", |_, args| fold(args, i64::checked_mul)),
    ("div", |_, args| fold(args, i64::checked_div)),
    ("mod", |_, args| fold(args, i64::checked_rem)),
    ("add1", |_, args| as_int(args.value(0)?).checked_add(1).map(Value::Int).ok_or_else(|| args.fault("the number is too large"))),
    ("kindOf", |_, args| Ok(Value::text(kind_of(args.value(0)?)))),
    ("kindIs", |_, args| Ok(Value::Bool(args.text(0)?.as_ref() == kind_of(args.value(1)?)))),
    ("toYaml", to_yaml),
    ("mustToYaml", to_yaml),
    ("fromYaml", from_yaml),
    ("fromYamlArray", |engine, args| match parse_yaml(engine, args)? {
        list @ Value::List(_) => Ok(list),
        Value::Nil => Ok(Value::list(Vec::new())),
        other => Err(args.fault(format!("the text is a {}, not a list", other.kind()))),
    }),
    ("toJson", |_, args| json(args, gojson::compact)),
    ("mustToJson", |_, args| json(args, gojson::compact)),
    ("toPrettyJson", |_, args| json(args, gojson::pretty)),
    ("mustToPrettyJson", |_, args| json(args, gojson::pretty)),
    ("fromJson", |_, args| {
        let value: serde_json::Value =
            serde_json::from_str(args.text(0)?).map_err(|error| args.fault(format!("the text is no JSON: {error}")))?;
        Ok(Value::from_json(&value))
    }),
];

fn to_yaml(_: &mut Engine<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let value = args.value(0)?;
    value.check_depth().map_err(|_| args.fault("a value contains itself"))?;
    Ok(Value::text(goyaml::emit(value)))
}

/// Helm hands back a map with an `Error` in it when the text is no YAML, and goes on; here that ends the rendering.
fn from_yaml(engine: &mut Engine<'_>, args: Args<'_>) -> Result<Value, Fault> {
    match parse_yaml(engine, args)? {
        map @ Value::Map(_) => Ok(map),
        Value::Nil => Ok(Value::map(Default::default())),
        other => Err(args.fault(format!("the text is a {}, not a map", other.kind()))),
    }
}

fn parse_yaml(engine: &mut Engine<'_>, args: Args<'_>) -> Result<Value, Fault> {
    engine.yaml.value(args.text(0)?).map_err(|error| args.fault(format!("the text is no valid YAML: {error}")))
}

fn json(args: Args<'_>, print: fn(&Value) -> String) -> Result<Value, Fault> {
    let value = args.value(0)?;
    value.check_depth().map_err(|_| args.fault("a value contains itself"))?;
    Ok(Value::text(print(value)))
}

/// What Go's reflection calls it, with nothing being invalid.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Nil => "invalid",
        Value::Record(_) | Value::Files => "struct",
        other => other.kind(),
    }
}

/// Whatever cannot be read as a number is 0, as in Helm.
fn as_int(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        Value::Float(number) => *number as i64,
        Value::Bool(flag) => i64::from(*flag),
        Value::Str(text) => text.parse().unwrap_or(0),
        _ => 0,
    }
}

fn as_float(value: &Value) -> f64 {
    match value {
        Value::Float(number) => *number,
        Value::Str(text) => text.parse().unwrap_or(0.0),
        other => as_int(other) as f64,
    }
}

fn fold(args: Args<'_>, step: fn(i64, i64) -> Option<i64>) -> Result<Value, Fault> {
    let first = as_int(args.value(0)?);
    let folded = args.values[1..].iter().map(as_int).try_fold(first, step);
    folded.map(Value::Int).ok_or_else(|| args.fault("the result is no number"))
}
