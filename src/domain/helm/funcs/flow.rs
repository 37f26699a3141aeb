//! Calling templates, and giving up.

use std::rc::Rc;

use super::super::error::Fault;
use super::super::eval::Engine;
use super::super::value::Value;
use super::args::Args;
use super::table::Table;

/// Name of a text that is run as a template.
const INLINE: &str = "an inline template (tpl)";

pub(super) const TABLE: Table = &[("fail", fail), ("include", include), ("required", required), ("tpl", tpl)];

fn fail(_: &mut Engine<'_>, args: Args<'_>) -> Result<Value, Fault> {
    Err(Fault::refused(args.text(0)?.trim()))
}

fn required(_: &mut Engine<'_>, args: Args<'_>) -> Result<Value, Fault> {
    args.exactly(2)?;
    match args.value(1)? {
        Value::Nil => Err(Fault::refused(args.text(0)?.as_ref())),
        Value::Str(text) if text.is_empty() => Err(Fault::refused(args.text(0)?.as_ref())),
        value => Ok(value.clone()),
    }
}

fn include(engine: &mut Engine<'_>, args: Args<'_>) -> Result<Value, Fault> {
    args.exactly(2)?;
    engine.run(args.text(0)?, args.value(1)?).map(Value::text)
}

/// Runs a text as a template that knows all others. What it defines, only it knows.
fn tpl(engine: &mut Engine<'_>, args: Args<'_>) -> Result<Value, Fault> {
    args.exactly(2)?;
    let text = args.text(0)?;
    if !text.contains("{{") {
        return Ok(Value::Str(Rc::clone(text)));
    }
    let outer = engine.templates.clone();
    let result = engine.templates.add(INLINE, text).and_then(|()| engine.run(INLINE, args.value(1)?));
    engine.templates = outer;
    result.map(|text| Value::text(text.replace("<no value>", "")))
}
