//! Durations as people read them.

use std::time::Duration;

/// `0.3s`, `24.1s`, `2m05s`, `1h02m`: tenths below a minute, whole seconds below an hour.
pub fn short(duration: Duration) -> String {
    let tenths = (duration.as_secs_f64() * 10.0).round() / 10.0;
    if tenths < 60.0 {
        return format!("{tenths:.1}s");
    }
    let seconds = duration.as_secs_f64().round() as u64;
    match seconds {
        0..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_follow_the_size() {
        let cases =
            [(0, "0.0s"), (340, "0.3s"), (24_080, "24.1s"), (59_949, "59.9s"), (59_960, "1m00s"), (125_000, "2m05s"), (3_725_000, "1h02m")];
        for (millis, text) in cases {
            assert_eq!(short(Duration::from_millis(millis)), text, "{millis} ms");
        }
    }
}
