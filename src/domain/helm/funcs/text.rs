//! Texts: cut, joined, indented, quoted.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::super::error::Fault;
use super::super::eval::Engine;
use super::super::format;
use super::super::value::Value;
use super::args::Args;
use super::table::Table;

pub(super) const TABLE: Table = &[
    ("print", |_, args| Ok(Value::text(format::joined(args.values)))),
    ("println", |_, args| Ok(Value::text(args.values.iter().map(format::plain).collect::<Vec<_>>().join(" ") + "\n"))),
    ("printf", |_, args| format::formatted(args.text(0)?, &args.values[1..]).map(Value::text).map_err(|message| args.fault(message))),
    ("quote", |_, args| Ok(Value::text(each(args, format::quoted)))),
    ("squote", |_, args| Ok(Value::text(each(args, |text| format!("'{text}'"))))),
    ("cat", |_, args| Ok(Value::text(each(args, str::to_owned)))),
    ("indent", |_, args| Ok(Value::text(indented(args.size(0)?, args.text(1)?)))),
    ("nindent", |_, args| Ok(Value::text(format!("\n{}", indented(args.size(0)?, args.text(1)?))))),
    ("trim", |_, args| Ok(Value::text(args.text(0)?.trim()))),
    ("trimAll", |_, args| trimmed(args, |text, cut| text.trim_matches(cut))),
    ("trimPrefix", |_, args| cut(args, |text, part| text.strip_prefix(part))),
    ("trimSuffix", |_, args| cut(args, |text, part| text.strip_suffix(part))),
    ("upper", |_, args| Ok(Value::text(args.text(0)?.to_uppercase()))),
    ("lower", |_, args| Ok(Value::text(args.text(0)?.to_lowercase()))),
    ("replace", |_, args| {
        args.exactly(3)?;
        Ok(Value::text(args.text(2)?.replace(args.text(0)?.as_ref(), args.text(1)?)))
    }),
    ("contains", |_, args| Ok(Value::Bool(args.text(1)?.contains(args.text(0)?.as_ref())))),
    ("hasPrefix", |_, args| Ok(Value::Bool(args.text(1)?.starts_with(args.text(0)?.as_ref())))),
    ("hasSuffix", |_, args| Ok(Value::Bool(args.text(1)?.ends_with(args.text(0)?.as_ref())))),
    ("repeat", |_, args| {
        let (count, text) = (args.size(0)?, args.text(1)?);
        if count * text.len() > 1 << 24 {
            return Err(args.fault("the result would be too long"));
        }
        Ok(Value::text(text.repeat(count)))
    }),
    ("trunc", trunc),
    ("split", |_, args| {
        let parts = args.text(1)?.split(args.text(0)?.as_ref());
        let entries: BTreeMap<Rc<str>, Value> =
            parts.enumerate().map(|(at, part)| (Rc::from(format!("_{at}")), Value::text(part))).collect();
        Ok(Value::map(entries))
    }),
    ("splitList", |_, args| Ok(Value::list(args.text(1)?.split(args.text(0)?.as_ref()).map(Value::text).collect()))),
    ("join", |_, args| {
        let parts: Vec<String> = match args.value(1)? {
            Value::List(items) => items.iter().filter(|item| !matches!(item, Value::Nil)).map(format::plain).collect(),
            other => vec![format::plain(other)],
        };
        Ok(Value::text(parts.join(args.text(0)?)))
    }),
    ("regexMatch", regex_match),
    ("mustRegexMatch", regex_match),
];

/// All arguments that are something, each made a text, with spaces between.
fn each(args: Args<'_>, make: impl Fn(&str) -> String) -> String {
    let parts = args.values.iter().filter(|value| !matches!(value, Value::Nil)).map(|value| make(&format::plain(value)));
    parts.collect::<Vec<_>>().join(" ")
}

fn indented(width: usize, text: &str) -> String {
    let pad = " ".repeat(width);
    let mut out = String::with_capacity(text.len() + width * 8);
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        out.push_str(&pad);
        out.push_str(line);
    }
    out
}

fn trimmed(args: Args<'_>, trim: for<'t> fn(&'t str, &[char]) -> &'t str) -> Result<Value, Fault> {
    let cut: Vec<char> = args.text(0)?.chars().collect();
    Ok(Value::text(trim(args.text(1)?, &cut)))
}

fn cut(args: Args<'_>, strip: for<'t> fn(&'t str, &str) -> Option<&'t str>) -> Result<Value, Fault> {
    let text = args.text(1)?;
    Ok(strip(text, args.text(0)?).map_or_else(|| Value::Str(Rc::clone(text)), Value::text))
}

/// The first so many bytes, or with a negative number the last.
fn trunc(_: &mut Engine<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let (count, text) = (args.int(0)?, args.text(1)?);
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if wanted >= text.len() {
        return Ok(Value::Str(Rc::clone(text)));
    }
    let at = if count < 0 { text.len() - wanted } else { wanted };
    let (head, tail) = text.split_at_checked(at).ok_or_else(|| args.fault("would cut a character in two"))?;
    Ok(Value::text(if count < 0 { tail } else { head }))
}

/// The dialect is that of Go in all that charts use: neither knows look-around or back references.
fn regex_match(_: &mut Engine<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let regex = regex::Regex::new(args.text(0)?).map_err(|error| args.fault(error.to_string()))?;
    Ok(Value::Bool(regex.is_match(args.text(1)?)))
}
