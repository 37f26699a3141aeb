//! Text and numbers as they stand in SVG documents.

use super::xml::Escape;

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

/// Text as it stands in elements and attributes.
pub(in crate::domain) fn escape(text: &str) -> String {
    Escape::PICTURE.apply(text)
}
