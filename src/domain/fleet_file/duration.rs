//! Durations as Go writes them: `90s`, `5m`, `1h30m`, `500ms`.

use std::time::Duration;

/// The longest that anything waits or lasts, in days: a moment beyond what clocks can count to would be no end at all.
const MAX_DAYS: u64 = 365;
/// The same as it can be written.
const MAX_HOURS: u64 = MAX_DAYS * 24;

/// A text that is no duration, or too long a one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// Something else.
    #[error("'{0}' is no duration; write it like 90s, 5m or 1h30m")]
    Syntax(String),
    /// More than anything here can wait or last.
    #[error("'{0}' is longer than {MAX_DAYS} days; write {MAX_HOURS}h or less")]
    TooLong(String),
}

/// Reads a duration: numbers, each with its unit (`h`, `m`, `s`, `ms`), in any order; 365 days in all at most.
///
/// # Errors
/// [`DurationError`] when it is anything else, a bare number included: its unit would be a guess.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError::Syntax(text.to_owned());
    let mut rest = text.trim();
    let mut total = Some(Duration::ZERO);
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
        // What does not fit is too long; whether the rest of the text is a duration at all is told first.
        let part = Duration::try_from_secs_f64(number * seconds).ok();
        total = total.zip(part).and_then(|(total, part)| total.checked_add(part));
        rest = &behind[unit.len()..];
    }
    let most = Duration::from_secs(MAX_HOURS * 60 * 60);
    total.filter(|total| *total <= most).ok_or_else(|| DurationError::TooLong(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (text, milliseconds) in [("90s", 90_000), ("5m", 300_000), ("1h30m", 5_400_000), ("1.5s", 1_500), ("500ms", 500), ("0s", 0)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "90", "s", "5 m", "-5s", "1d", "1.2.3s", "5sx", "99999999999999999999hx"] {
            assert_eq!(parse(text), Err(DurationError::Syntax(text.to_owned())), "{text}");
        }
        assert_eq!(parse("90").unwrap_err().to_string(), "'90' is no duration; write it like 90s, 5m or 1h30m");
    }

    #[test]
    fn nothing_lasts_longer_than_a_year() {
        assert_eq!(parse("8760h"), Ok(Duration::from_secs(365 * 86_400)));
        let digits = format!("{}s", "9".repeat(400));
        for text in
            ["8760h1ms", "8760.1h", "4380h4381h", "99999999999999999999h", "18446744073709551615s", "18446744073709551615s1s", &digits]
        {
            assert_eq!(parse(text), Err(DurationError::TooLong(text.to_owned())), "{text}");
        }
        assert_eq!(parse("9000h").unwrap_err().to_string(), "'9000h' is longer than 365 days; write 8760h or less");
    }
}
