//! Finding a function by its name.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::super::error::{Fault, RenderProblem};
use super::super::eval::Engine;
use super::super::value::Value;
use super::args::Args;
use super::{convert, flow, lists, logic, maps, text};

/// What a function is: arguments in, a value out. Some change a map among their arguments.
pub(in super::super) type Function = fn(&mut Engine<'_>, Args<'_>) -> Result<Value, Fault>;

/// Some functions by their names.
pub(super) type Table = &'static [(&'static str, Function)];

static FUNCTIONS: LazyLock<BTreeMap<&'static str, Function>> = LazyLock::new(|| {
    let tables: [Table; 6] = [logic::TABLE, text::TABLE, convert::TABLE, lists::TABLE, maps::TABLE, flow::TABLE];
    tables.into_iter().flatten().copied().collect()
});

/// Whether a template may call it.
pub(in super::super) fn is_known(name: &str) -> bool {
    // These two are part of the language: they do not evaluate what they do not need.
    matches!(name, "and" | "or") || FUNCTIONS.contains_key(name)
}

/// Calls a function.
pub(in super::super) fn call(engine: &mut Engine<'_>, name: &str, values: &[Value]) -> Result<Value, Fault> {
    let Some((name, function)) = FUNCTIONS.get_key_value(name) else {
        return Err(Fault { at: None, problem: RenderProblem::UnknownFunction(name.to_owned()) });
    };
    function(engine, Args { function: name, values })
}
