//! Texts, numbers and the like of the fast reader's subset.

use std::borrow::Cow;

use super::Make;
pub(super) use super::text::Text;
use super::text::colon;

/// Reads a key and its colon.
pub(super) fn key<'t>(text: &mut Text<'t>) -> Option<Cow<'t, str>> {
    let key = match text.first()? {
        b'"' => double_quoted_on_line(text)?,
        b'\'' => single_quoted_on_line(text)?,
        _ => {
            let line = text.line();
            let key = line[..colon(line.as_bytes())?].trim_end();
            text.skip(key.len());
            text.skip_blanks();
            bare_key(key)?
        }
    };
    text.skip(1);
    Some(key)
}

/// Reads a key in braces, and its colon.
pub(super) fn flow_key<'t>(text: &mut Text<'t>) -> Option<Cow<'t, str>> {
    let key = match text.first()? {
        b'"' => double_quoted_on_line(text)?,
        b'\'' => single_quoted_on_line(text)?,
        _ => {
            let line = text.line();
            let key = &line[..line.find([':', ',', '{', '}', '[', ']', '#'])?];
            text.skip(key.len());
            bare_key(key.trim_end())?
        }
    };
    (text.rest().starts_with(": ")).then(|| text.skip(1))?;
    Some(key)
}

/// A merge, a nothing or a map cannot be a key here.
fn bare_key(key: &str) -> Option<Cow<'_, str>> {
    let odd = key.is_empty() || key == "<<" || key.contains('\t') || is_null(key);
    (!odd).then_some(Cow::Borrowed(key))
}

/// Reads a bare text, over several lines when they are indented deeper than `indent`.
pub(super) fn bare<'t>(text: &mut Text<'t>, indent: usize) -> Option<Cow<'t, str>> {
    let line = text.line();
    let indicator =
        matches!(line.as_bytes().first()?, b'&' | b'*' | b'!' | b'>' | b'%' | b'@' | b'`' | b',' | b']' | b'}' | b'?' | b':' | b'#');
    if indicator || line == "-" || line.starts_with("- ") || line.contains('\t') || colon(line.as_bytes()).is_some() {
        return None;
    }
    let (first, commented) = without_comment(line);
    text.skip_line();
    if commented {
        return Some(Cow::Borrowed(first));
    }
    let mut whole = Cow::Borrowed(first);
    while let Some((blank_lines, more)) = continuation(text, indent) {
        if more.contains('\t') || colon(more.as_bytes()).is_some() || more.starts_with('#') || without_comment(more).1 {
            return None;
        }
        fold(whole.to_mut(), blank_lines, more);
    }
    Some(whole)
}

/// The next line of a text that goes on: how many empty lines there were, and what it says. Goes behind it.
fn continuation<'t>(text: &mut Text<'t>, indent: usize) -> Option<(usize, &'t str)> {
    let rest = text.rest();
    let (mut at, mut blank_lines) = (0, 0);
    for line in rest.split_inclusive('\n') {
        let content = line.trim_end();
        if content.is_empty() {
            blank_lines += 1;
            at += line.len();
            continue;
        }
        let blanks = content.bytes().take_while(|byte| *byte == b' ').count();
        if blanks <= indent {
            return None;
        }
        text.skip(at + line.len());
        return Some((blank_lines, &content[blanks..]));
    }
    None
}

/// Line ends within a text are blanks, unless empty lines stand between.
fn fold(whole: &mut String, blank_lines: usize, more: &str) {
    if blank_lines == 0 {
        whole.push(' ');
    }
    whole.extend(std::iter::repeat_n('\n', blank_lines));
    whole.push_str(more);
}

/// A line without the comment at its end, and whether there was one.
fn without_comment(line: &str) -> (&str, bool) {
    match line.find(" #") {
        Some(at) => (line[..at].trim_end(), true),
        None => (line.trim_end(), false),
    }
}

/// Reads a bare text in brackets.
pub(super) fn flow_bare<'t>(text: &mut Text<'t>) -> Option<&'t str> {
    let line = text.line();
    let bare = &line[..line.find([',', '[', ']', '{', '}'])?];
    let odd = bare.contains([':', '#', '\t', '"', '\'']) || bare.starts_with(['&', '*', '!', '|', '>', '%', '@', '`', '?', '-']);
    if odd || bare.trim().is_empty() {
        return None;
    }
    text.skip(bare.len());
    Some(bare.trim_end())
}

/// Reads a quoted text that ends on its line.
pub(super) fn single_quoted_on_line<'t>(text: &mut Text<'t>) -> Option<Cow<'t, str>> {
    let inside = &text.line()[1..];
    let mut at = 0;
    loop {
        at += inside[at..].find('\'')?;
        if inside[at + 1..].starts_with('\'') {
            at += 2;
            continue;
        }
        text.skip(at + 2);
        let inside = &inside[..at];
        return Some(if inside.contains('\'') { Cow::Owned(inside.replace("''", "'")) } else { Cow::Borrowed(inside) });
    }
}

/// Reads a quoted text, over several lines when they are indented deeper than `indent`.
pub(super) fn single_quoted<'t>(text: &mut Text<'t>, indent: usize) -> Option<Cow<'t, str>> {
    if let Some(whole) = single_quoted_on_line(text) {
        return Some(whole);
    }
    let mut whole = text.line()[1..].trim_end_matches(' ').to_owned();
    text.skip_line();
    loop {
        let (blank_lines, more) = continuation_with_place(text, indent)?;
        let mut end = 0;
        let close = loop {
            match more[end..].find('\'') {
                Some(at) if more[end + at + 1..].starts_with('\'') => end += at + 2,
                Some(at) => break Some(end + at),
                None => break None,
            }
        };
        match close {
            Some(close) => {
                fold(&mut whole, blank_lines, &more[..close]);
                text.skip(close + 1);
                return Some(Cow::Owned(whole.replace("''", "'")));
            }
            None => {
                fold(&mut whole, blank_lines, more.trim_end());
                text.skip_line();
            }
        }
    }
}

/// As [`continuation`], but stays at the line's first letter.
fn continuation_with_place<'t>(text: &mut Text<'t>, indent: usize) -> Option<(usize, &'t str)> {
    let mut blank_lines = 0;
    while !text.rest().is_empty() {
        if text.line().trim_matches(' ').is_empty() {
            blank_lines += 1;
            text.skip_line();
            continue;
        }
        let blanks = text.skip_blanks();
        return (blanks > indent && !text.line().contains('\t')).then(|| (blank_lines, text.line()));
    }
    None
}

/// Reads a text in double quotes that ends on its line.
pub(super) fn double_quoted_on_line<'t>(text: &mut Text<'t>) -> Option<Cow<'t, str>> {
    let inside = &text.line()[1..];
    let close = closing_quote(inside)?;
    text.skip(close + 2);
    let inside = &inside[..close];
    if inside.contains('\\') { unescape(inside).map(Cow::Owned) } else { Some(Cow::Borrowed(inside)) }
}

/// Reads a text in double quotes, over several lines when they are indented deeper than `indent`.
pub(super) fn double_quoted<'t>(text: &mut Text<'t>, indent: usize) -> Option<Cow<'t, str>> {
    if closing_quote(&text.line()[1..]).is_some() {
        return double_quoted_on_line(text);
    }
    let mut whole = text.line()[1..].to_owned();
    text.skip_line();
    loop {
        // A line end that is escaped joins without a blank.
        let joined = whole.ends_with('\\') && !whole.ends_with("\\\\");
        if joined {
            whole.pop();
        } else if whole.ends_with('\\') {
            return None;
        } else {
            whole.truncate(whole.trim_end_matches(' ').len());
        }
        let (blank_lines, more) = continuation_with_place(text, indent)?;
        let close = closing_quote(more);
        let part = &more[..close.unwrap_or(more.len())];
        match (joined, blank_lines) {
            (true, 0) => whole.push_str(part),
            (true, _) => return None,
            (false, _) => fold(&mut whole, blank_lines, part),
        }
        match close {
            Some(close) => {
                text.skip(close + 1);
                return unescape(&whole).map(Cow::Owned);
            }
            None => text.skip_line(),
        }
    }
}

fn closing_quote(inside: &str) -> Option<usize> {
    let bytes = inside.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let code = |digits: usize, chars: &mut std::str::Chars<'_>| {
            let hex = chars.as_str().get(..digits)?;
            *chars = chars.as_str()[digits..].chars();
            char::from_u32(u32::from_str_radix(hex, 16).ok()?)
        };
        out.push(match chars.next()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            '0' => '\0',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'e' => '\u{1b}',
            'N' => '\u{85}',
            '_' => '\u{a0}',
            'L' => '\u{2028}',
            'P' => '\u{2029}',
            same @ (' ' | '"' | '/' | '\\') => same,
            'x' => code(2, &mut chars)?,
            'u' => code(4, &mut chars)?,
            'U' => code(8, &mut chars)?,
            _ => return None,
        });
    }
    Some(out)
}

/// Reads a literal block (`|`); `indent` is that of its key or dash.
pub(super) fn literal(text: &mut Text<'_>, indent: usize) -> Option<String> {
    let (mut keep, mut strip, mut width) = (false, false, None);
    for byte in without_comment(text.line()).0.bytes().skip(1) {
        match byte {
            b'+' if !keep && !strip => keep = true,
            b'-' if !keep && !strip => strip = true,
            b'1'..=b'9' if width.is_none() => width = Some(indent + usize::from(byte - b'0')),
            _ => return None,
        }
    }
    text.skip_line();
    let mut out = String::new();
    let mut blank_lines = 0;
    while !text.rest().is_empty() {
        let line = text.line();
        let blanks = line.bytes().take_while(|byte| *byte == b' ').count();
        if blanks == line.len() {
            // Blanks beyond the block's own indent would be content.
            if width.is_none_or(|width| blanks > width) && blanks > 0 {
                return None;
            }
            blank_lines += 1;
            text.skip_line();
            continue;
        }
        let width = *width.get_or_insert(blanks);
        if blanks < width || width <= indent {
            break;
        }
        out.extend(std::iter::repeat_n('\n', blank_lines));
        blank_lines = 0;
        out.push_str(&line[width..]);
        out.push('\n');
        text.skip_line();
    }
    match (keep, strip) {
        (true, _) => out.extend(std::iter::repeat_n('\n', blank_lines)),
        (_, true) => drop(out.pop()),
        _ => {}
    }
    Some(out)
}

/// What a bare text means. `None` when only the full parser knows.
pub(super) fn resolve<M: Make>(text: Cow<'_, str>) -> Option<M> {
    let first = *text.as_bytes().first()?;
    if first.is_ascii_digit() || b"+-.".contains(&first) {
        return number(text);
    }
    Some(match &*text {
        null if is_null(null) => M::null(),
        "true" | "True" | "TRUE" => M::flag(true),
        "false" | "False" | "FALSE" => M::flag(false),
        // YAML 1.1 has more names for them.
        word if word.len() <= 5 && b"yYnNoOtTfF".contains(&first) && is_old_boolean(word) => return None,
        _ => M::text(text),
    })
}

fn is_null(text: &str) -> bool {
    matches!(text, "~" | "null" | "Null" | "NULL")
}

fn is_old_boolean(word: &str) -> bool {
    ["y", "n", "yes", "no", "on", "off", "true", "false"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

fn number<M: Make>(text: Cow<'_, str>) -> Option<M> {
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let whole = !digits.is_empty() && digits.len() <= 18 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole {
        // Leading zeros are octal, or not.
        return if digits.len() == 1 || !digits.starts_with('0') { text.parse().ok().map(M::int) } else { None };
    }
    let decimal = digits.split_once('.').is_some_and(|(whole, part)| {
        let all = |text: &str| !text.is_empty() && text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit());
        all(whole) && all(part) && (whole.len() == 1 || !whole.starts_with('0'))
    });
    if decimal {
        return text.parse().ok().map(M::float);
    }
    // Dots, letters and the like that no number has.
    let never =
        digits.bytes().any(|byte| !byte.is_ascii_hexdigit() && !b"_.+-xXoOinfINFaAnN:".contains(&byte)) || digits.matches('.').count() > 1;
    if never { Some(M::text(text)) } else { None }
}
