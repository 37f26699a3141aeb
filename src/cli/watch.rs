//! Something that is shown again whenever it changes: redrawn on a terminal, told as changes in a pipe.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::errors::CliError;
use super::output::Printer;

/// Moves to the upper left corner and clears what is below, without losing what scrolled away.
const REDRAW: &str = "\x1b[H\x1b[J";

/// What was shown last.
#[derive(Debug, Default)]
pub struct Watched {
    shown: Option<Value>,
}

// === impl Watched ===

impl Watched {
    /// Whether nothing was shown yet.
    pub fn is_new(&self) -> bool {
        self.shown.is_none()
    }

    /// Shows the document if it is not what was shown last: as a line of JSON, as a screen, or as lines that say what
    /// is new, what is gone and what is other than before.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn show(&mut self, printer: &Printer, document: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), CliError> {
        // A document of ours always serializes; one that does not is no change.
        let Ok(value) = serde_json::to_value(document) else { return Ok(()) };
        if self.shown.as_ref() == Some(&value) {
            return Ok(());
        }
        if printer.is_json() {
            printer.result(document, String::new)?;
        } else if printer.draws_results() {
            printer.data(&format!("{REDRAW}{}", text()))?;
        } else {
            match &self.shown {
                None => printer.data(&text())?,
                Some(before) => printer.data(&changes(before, &value))?,
            }
        }
        self.shown = Some(value);
        Ok(())
    }
}

/// A line for every value that is not as it was: `fleets/duo/clusters/a/nodes/a-worker/state: running -> exited`.
fn changes(before: &Value, after: &Value) -> String {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    flatten(String::new(), before, &mut old);
    flatten(String::new(), after, &mut new);
    let mut lines = String::new();
    for (path, value) in &new {
        match old.get(path) {
            None => lines.push_str(&format!("{path}: {value}\n")),
            Some(was) if was != value => lines.push_str(&format!("{path}: {was} -> {value}\n")),
            Some(_) => {}
        }
    }
    for (path, was) in old.iter().filter(|(path, _)| !new.contains_key(*path)) {
        lines.push_str(&format!("{path}: {was} -> gone\n"));
    }
    lines
}

/// Every value by its path; things in lists by their names, so that they are the same wherever they stand.
fn flatten(path: String, value: &Value, into: &mut BTreeMap<String, String>) {
    let below = |part: &str| if path.is_empty() { part.to_owned() } else { format!("{path}/{part}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| flatten(below(name), value, into)),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                let name = item.get("name").and_then(Value::as_str).map_or_else(|| at.to_string(), str::to_owned);
                flatten(below(&name), item, into);
            }
        }
        Value::String(text) => drop(into.insert(path, text.clone())),
        Value::Null => {}
        other => drop(into.insert(path, other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_other_than_before_is_told() {
        let node = |name: &str, state: &str| json!({"name": name, "state": state, "ready": null});
        let before = json!({"nodes": [node("a", "running"), node("b", "running"), node("c", "running")], "ports": ["80/TCP"]});
        let after = json!({"nodes": [node("c", "running"), node("b", "exited"), node("d", "running")], "ports": ["80/TCP"]});
        assert_eq!(
            changes(&before, &after),
            "nodes/b/state: running -> exited\nnodes/d/name: d\nnodes/d/state: running\nnodes/a/name: a -> gone\nnodes/a/state: running -> gone\n"
        );
        assert_eq!(changes(&after, &after), "");
    }
}
