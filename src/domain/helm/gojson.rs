//! JSON as Go's `encoding/json` prints it.

use super::format;
use super::value::Value;

/// On one line.
pub(super) fn compact(value: &Value) -> String {
    let mut out = String::new();
    put(&mut out, value, None);
    out
}

/// With two blanks per level.
pub(super) fn pretty(value: &Value) -> String {
    let mut out = String::new();
    put(&mut out, value, Some(0));
    out
}

/// A number: without an exponent where that is readable.
pub(super) fn number(number: f64) -> String {
    if number == 0.0 {
        return if number.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let (sign, digits, exponent) = format::shortest(number);
    if (-6..21).contains(&exponent) {
        return format::positional(sign, &digits, exponent);
    }
    // Go writes at least two digits of an exponent, and JSON has the first of them off when it is a zero below one.
    let text = format::scientific(sign, &digits, exponent);
    text.replace("e-0", "e-")
}

fn put(out: &mut String, value: &Value, level: Option<usize>) {
    match value {
        Value::Nil | Value::Files | Value::Record(_) => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Float(value) => out.push_str(&number(*value)),
        Value::Str(text) => put_text(out, text),
        Value::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                begin(out, at, level);
                put(out, item, level.map(|level| level + 1));
            }
            end(out, items.is_empty(), level);
            out.push(']');
        }
        Value::Map(entries) => {
            let entries = entries.borrow();
            out.push('{');
            for (at, (key, value)) in entries.iter().enumerate() {
                begin(out, at, level);
                put_text(out, key);
                out.push_str(if level.is_some() { ": " } else { ":" });
                put(out, value, level.map(|level| level + 1));
            }
            end(out, entries.is_empty(), level);
            out.push('}');
        }
    }
}

fn begin(out: &mut String, at: usize, level: Option<usize>) {
    if at > 0 {
        out.push(',');
    }
    if let Some(level) = level {
        new_line(out, level + 1);
    }
}

fn end(out: &mut String, empty: bool, level: Option<usize>) {
    if let (Some(level), false) = (level, empty) {
        new_line(out, level);
    }
}

fn new_line(out: &mut String, level: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", level));
}

/// Go also escapes what would end a script in a web page.
fn put_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}
