//! Values as Go's `fmt` prints them.

use std::fmt::Write as _;

use super::value::Value;

/// As `%v` prints it.
pub(super) fn plain(value: &Value) -> String {
    let mut out = String::new();
    put(&mut out, value);
    out
}

/// As `print` prints several: with a space between two of which neither is a text.
pub(super) fn joined(values: &[Value]) -> String {
    let mut out = String::new();
    for (at, value) in values.iter().enumerate() {
        if at > 0 && !matches!(value, Value::Str(_)) && !matches!(values[at - 1], Value::Str(_)) {
            out.push(' ');
        }
        put(&mut out, value);
    }
    out
}

/// As `%q` prints a text.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if c.is_control() || c == '\u{feff}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// As `printf` prints: the verbs that charts use (`%s %v %d %q %t %f %%`), without widths.
pub(super) fn formatted(format: &str, values: &[Value]) -> Result<String, String> {
    let mut out = String::with_capacity(format.len());
    let mut values = values.iter();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let verb = rest.next().ok_or("the format ends in %")?;
        if verb == '%' {
            out.push('%');
            continue;
        }
        let value = values.next().ok_or_else(|| format!("%{verb} has no argument"))?;
        match (verb, value) {
            ('v', value) => put(&mut out, value),
            ('s', Value::Str(_) | Value::List(_) | Value::Map(_)) => put(&mut out, value),
            ('d', Value::Int(_)) | ('t', Value::Bool(_)) => put(&mut out, value),
            ('q', Value::Str(text)) => out.push_str(&quoted(text)),
            ('f', Value::Float(number)) => out.push_str(&format!("{number:.6}")),
            (verb, other) => return Err(format!("%{verb} for a {} is not known here", other.kind())),
        }
    }
    match values.next() {
        None => Ok(out),
        Some(_) => Err("more arguments than the format has verbs".to_owned()),
    }
}

/// A floating number as `%v` prints it: the shortest text that reads back the same, with an exponent from the seventh
/// place before the point on (`1e+06`).
pub(super) fn float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if number == 0.0 {
        return if number.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let (sign, digits, exponent) = shortest(number);
    if (-4..6).contains(&exponent) { positional(sign, &digits, exponent) } else { scientific(sign, &digits, exponent) }
}

/// Sign, significant digits and decimal exponent of the shortest text that reads back the same.
pub(super) fn shortest(number: f64) -> (&'static str, String, i32) {
    let text = format!("{:e}", number.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let sign = if number.is_sign_negative() { "-" } else { "" };
    (sign, mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

/// `d.ddde+XX`.
pub(super) fn scientific(sign: &str, digits: &str, exponent: i32) -> String {
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let direction = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest}e{direction}{:02}", exponent.abs())
}

/// `ddd.ddd`.
pub(super) fn positional(sign: &str, digits: &str, exponent: i32) -> String {
    if exponent < 0 {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0));
        return format!("{sign}0.{zeros}{digits}");
    }
    let whole = usize::try_from(exponent + 1).unwrap_or(0);
    if digits.len() <= whole {
        return format!("{sign}{digits}{}", "0".repeat(whole - digits.len()));
    }
    let (before, after) = digits.split_at(whole);
    format!("{sign}{before}.{after}")
}

fn put(out: &mut String, value: &Value) {
    match value {
        Value::Nil => out.push_str("<nil>"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Int(number) => drop(write!(out, "{number}")),
        Value::Float(number) => out.push_str(&float(*number)),
        Value::Str(text) => out.push_str(text),
        Value::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                put(out, item);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push_str("map[");
            for (at, (key, value)) in entries.borrow().iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                out.push_str(key);
                out.push(':');
                put(out, value);
            }
            out.push(']');
        }
        Value::Record(record) => out.push_str(record.name),
        Value::Files => out.push_str("files"),
    }
}
