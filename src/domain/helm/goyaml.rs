//! YAML as Helm's `toYaml` prints it: charts put such text into config maps, so its very letters count.

use std::cmp::Ordering;
use std::rc::Rc;

use super::value::Value;
use super::{format, gojson};

mod scalar;

/// Prints a value; no line end at the end.
pub(super) fn emit(value: &Value) -> String {
    let mut out = String::new();
    put(&mut out, value, 0, Place::Root);
    if out.ends_with('\n') {
        out.pop();
    }
    out
}

/// What stands on the line before the value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing: the value is the document.
    Root,
    /// `key:`.
    Key,
    /// `-`.
    Item,
}

/// Prints a value and a line end. `indent` is that of the map or list the value stands in.
fn put(out: &mut String, value: &Value, indent: usize, place: Place) {
    match value {
        Value::Map(entries) if !entries.borrow().is_empty() => {
            let entries = entries.borrow();
            let mut keys: Vec<(&Rc<str>, &Value)> = entries.iter().collect();
            if keys.iter().any(|(key, _)| key.bytes().any(|b| !b.is_ascii_lowercase())) {
                keys.sort_by(|(a, _), (b, _)| natural(a, b));
            }
            let inner = if place == Place::Root { 0 } else { indent + 2 };
            for (at, (key, value)) in keys.into_iter().enumerate() {
                match (place, at) {
                    (Place::Root, 0) => {}
                    (Place::Item, 0) => out.push(' '),
                    (Place::Key, 0) => new_line(out, inner),
                    _ => pad(out, inner),
                }
                scalar::put_key(out, key);
                out.push(':');
                put(out, value, inner, Place::Key);
            }
        }
        Value::List(items) if !items.is_empty() => {
            // A list in a map stands below its key without further indent.
            let inner = match place {
                Place::Root => 0,
                Place::Key => indent,
                Place::Item => indent + 2,
            };
            for (at, item) in items.iter().enumerate() {
                match (place, at) {
                    (Place::Root, 0) => {}
                    (Place::Item, 0) => out.push(' '),
                    (Place::Key, 0) => new_line(out, inner),
                    _ => pad(out, inner),
                }
                out.push('-');
                put(out, item, inner, Place::Item);
            }
        }
        other => {
            if place != Place::Root {
                out.push(' ');
            }
            match other {
                Value::Nil | Value::Files | Value::Record(_) => out.push_str("null"),
                Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
                Value::Int(number) => out.push_str(&number.to_string()),
                Value::Float(value) => out.push_str(&number(*value)),
                Value::Str(text) => scalar::put(out, text, if place == Place::Root { 0 } else { indent + 2 }),
                Value::List(_) => out.push_str("[]"),
                Value::Map(_) => out.push_str("{}"),
            }
            out.push('\n');
        }
    }
}

/// Whole numbers as such, as far as YAML's own whole numbers go; others as `%g`.
fn number(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 18_446_744_073_709_551_615.0 { gojson::number(number) } else { format::float(number) }
}

fn new_line(out: &mut String, indent: usize) {
    out.push('\n');
    pad(out, indent);
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// The order of keys: letters after everything else, and numbers by their value.
fn natural(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) else { return a.len().cmp(&b.len()) };
    let (left, right) = (a[at], b[at]);
    match (left.is_alphabetic(), right.is_alphabetic()) {
        (true, true) => return left.cmp(&right),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // A zero inside a number has weight only after another digit: `10` against `1x`.
    let inside = (left == '0' || right == '0') && a[..at].iter().rev().take_while(|c| c.is_ascii_digit()).any(|c| *c != '0');
    let value = |text: &[char]| {
        let digits: Vec<u64> = text[at..].iter().map_while(|c| c.to_digit(10)).map(u64::from).collect();
        (digits.iter().fold(u64::from(inside), |value, digit| value.wrapping_mul(10).wrapping_add(*digit)), digits.len())
    };
    value(&a).cmp(&value(&b)).then(left.cmp(&right))
}
