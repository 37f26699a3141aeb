//! Texts in YAML: bare, quoted or as blocks, as go-yaml chooses, and folded where it folds.

use std::sync::LazyLock;

use regex::Regex;

/// Column after which a text is continued on the next line, at the next blank.
const WIDTH: usize = 80;

/// What is in a text that decides how it may be written.
struct Shape {
    /// Bare in a block.
    plain: bool,
    /// Between single quotes.
    single: bool,
    /// As a literal block.
    block: bool,
}

/// Bare texts that YAML 1.1 reads as something else than a text.
static NOT_A_TEXT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let forms = [
        // Nothing, booleans, not-quite numbers, the merge key.
        r"~|null|Null|NULL|y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF|<<",
        r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        // Numbers, with the separators that are dropped.
        r"[-+]?(0b_*[01][01_]*|0o_*[0-7][0-7_]*|0x_*[0-9a-fA-F][0-9a-fA-F_]*|[0-9][0-9_]*)",
        r"[-+]?(\.[0-9_]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9_]+)?",
        // Numbers to the base 60.
        r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?",
        // Dates and times.
        r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?[ \t]*(Z|[-+][0-9]{1,2}(:[0-9]{2})?)?)?",
    ];
    Regex::new(&format!("^({})$", forms.join("|"))).ok()
});

/// Writes a key.
pub(super) fn put_key(out: &mut String, key: &str) {
    let shape = Shape::of(key);
    if needs_quotes(key) || key.contains('\n') {
        double_quoted(out, key, None);
    } else if shape.plain && !key.is_empty() {
        out.push_str(key);
    } else if shape.single {
        out.push('\'');
        out.push_str(&key.replace('\'', "''"));
        out.push('\'');
    } else {
        double_quoted(out, key, None);
    }
}

/// Writes a text; what does not fit on its line is continued with that indent.
pub(super) fn put(out: &mut String, text: &str, indent: usize) {
    let shape = Shape::of(text);
    if text.contains('\n') {
        if shape.block { literal(out, text, indent) } else { double_quoted(out, text, Some(indent)) }
    } else if needs_quotes(text) {
        double_quoted(out, text, Some(indent));
    } else if shape.plain {
        folded(out, text, indent);
    } else if shape.single {
        out.push('\'');
        folded(out, &text.replace('\'', "''"), indent);
        out.push('\'');
    } else {
        double_quoted(out, text, Some(indent));
    }
}

/// Whether a bare text would be read as something else than a text.
fn needs_quotes(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return true };
    // Only these begin something else.
    let suspect = first.is_ascii_digit() || "+-.~<yYnNtTfFoO".contains(first);
    suspect && NOT_A_TEXT.as_ref().is_none_or(|regex| regex.is_match(text))
}

fn column(out: &str) -> usize {
    let line = &out[out.rfind('\n').map_or(0, |at| at + 1)..];
    if line.is_ascii() { line.len() } else { line.chars().count() }
}

/// A text with its single blanks turned into line ends where the line has become too long.
fn folded(out: &mut String, text: &str, indent: usize) {
    let mut column = column(out);
    if column + text.len() <= WIDTH {
        out.push_str(text);
        return;
    }
    let chars: Vec<char> = text.chars().collect();
    let mut blanks = false;
    for (at, &c) in chars.iter().enumerate() {
        let inside = at > 0 && at + 1 < chars.len();
        if c == ' ' && !blanks && column > WIDTH && inside && chars[at + 1] != ' ' {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else {
            out.push(c);
            column += 1;
        }
        blanks = c == ' ';
    }
}

fn double_quoted(out: &mut String, text: &str, indent: Option<usize>) {
    out.push('"');
    let mut column = column(out);
    let chars: Vec<char> = text.chars().collect();
    let mut blanks = false;
    for (at, &c) in chars.iter().enumerate() {
        let begun = out.len();
        match c {
            ' ' => {
                let inside = at > 0 && at + 1 < chars.len();
                if let (Some(indent), true) = (indent, !blanks && column > WIDTH && inside) {
                    out.push('\n');
                    out.extend(std::iter::repeat_n(' ', indent));
                    column = indent;
                    if chars[at + 1] == ' ' {
                        out.push('\\');
                        column += 1;
                    }
                    blanks = true;
                    continue;
                }
                out.push(' ');
                blanks = true;
                column += 1;
                continue;
            }
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{a0}' => out.push_str("\\_"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            c if is_printable(c) => out.push(c),
            c if (c as u32) <= 0xff => out.push_str(&format!("\\x{:02X}", c as u32)),
            c if (c as u32) <= 0xffff => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push_str(&format!("\\U{:08X}", c as u32)),
        }
        column += out[begun..].chars().count();
        blanks = false;
    }
    out.push('"');
}

fn literal(out: &mut String, text: &str, indent: usize) {
    out.push('|');
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    match (text.ends_with('\n'), text.ends_with("\n\n") || text == "\n") {
        (false, _) => out.push('-'),
        (true, true) => out.push('+'),
        (true, false) => {}
    }
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            // At the root a block is indented all the same.
            out.extend(std::iter::repeat_n(' ', indent.max(2)));
            out.push_str(line);
        }
    }
}

fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\n' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

// === impl Shape ===

impl Shape {
    fn of(text: &str) -> Self {
        // Nearly all texts are words.
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Self { plain: true, single: true, block: true };
        }
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut breaks, mut special, mut break_space, mut space_break) = (false, false, false, false);
        let mut before = '\n';
        let mut chars = text.chars().peekable();
        let mut first = true;
        while let Some(c) = chars.next() {
            let blank_follows = chars.peek().is_none_or(|next| is_blank(*next));
            indicators |= match c {
                '#' => first || is_blank(before),
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => first,
                '?' | '-' => first && blank_follows,
                ':' => blank_follows,
                _ => false,
            };
            special |= !is_printable(c) && !is_break(c);
            breaks |= is_break(c);
            if !first {
                break_space |= c == ' ' && is_break(before);
                space_break |= is_break(c) && before == ' ';
            }
            before = c;
            first = false;
        }
        let edge = |c: Option<char>| c.is_some_and(|c| c == ' ' || is_break(c));
        let edges = edge(text.chars().next()) || edge(text.chars().next_back());
        Self {
            plain: !(indicators || breaks || special || break_space || space_break || edges),
            single: !(special || break_space || space_break),
            block: !(special || space_break || text.ends_with(' ')),
        }
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t' || is_break(c)
}
