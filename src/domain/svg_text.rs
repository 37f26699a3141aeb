//! Text and numbers as they stand in SVG documents.

/// As much of a text as fits, with an ellipsis when something is left out.
pub(in crate::domain) fn cut(text: &str, width: f64, letter: f64) -> String {
    let room = (width / letter) as usize;
    match text.chars().count() > room {
        true => text.chars().take(room.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// Tenths of pixels, without a needless `.0`, and zero without a sign.
pub(in crate::domain) fn number(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0 + 0.0;
    format!("{rounded}")
}

/// Text as XML; characters that XML cannot hold become `?`.
pub(in crate::domain) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(letter),
            control if control.is_control() || ['\u{fffe}', '\u{ffff}'].contains(&control) => out.push('?'),
            other => out.push(other),
        }
    }
    out
}
