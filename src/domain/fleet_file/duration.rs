//! Durations as Go writes them: `90s`, `5m`, `1h30m`, `500ms`.

use std::time::Duration;

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no duration; write it like 90s, 5m or 1h30m")]
pub struct DurationError {
    text: String,
}

/// Reads a duration: numbers, each with its unit (`h`, `m`, `s`, `ms`), in any order.
///
/// # Errors
/// [`DurationError`] when it is anything else, a bare number included: its unit would be a guess.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError { text: text.to_owned() };
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(error());
    }
    while !rest.is_empty() {
        let number = &rest[..rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(error)?];
        let behind = &rest[number.len()..];
        let unit = &behind[..behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len())];
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return Err(error()),
        };
        let number: f64 = number.parse().map_err(|_| error())?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| error())?;
        total = total.checked_add(part).ok_or_else(error)?;
        rest = &behind[unit.len()..];
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (text, milliseconds) in [("90s", 90_000), ("5m", 300_000), ("1h30m", 5_400_000), ("1.5s", 1_500), ("500ms", 500), ("0s", 0)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "90", "s", "5 m", "-5s", "1d", "1.2.3s", "5sx", "99999999999999999999h"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("90").unwrap_err().to_string(), "'90' is no duration; write it like 90s, 5m or 1h30m");
    }
}
