//! Digests of released charts that are known beforehand.

use crate::domain::digest::Digest;

/// Chart, version, SHA-256 of the archive as Istio's repositories serve it.
///
/// Only those stand here that are published in more than one place independent of the repositories. A chart without a
/// pin is used only with a digest from the user: see [`Download`](super::Download).
const PINS: [(&str, &str, &str); 2] = [
    ("base", "1.31.1", "6a5f3a628e31ea03994f5c8ff44804fcec54ac1b13893f1a3f3c26340c8f2015"),
    ("istiod", "1.31.1", "d49e3ac3100e9c24efbd3a7c26e8e6dd707431f8c06f203182ba54a2e8651a74"),
];

/// The digest a chart must have, when it is known.
pub(super) fn pinned(chart: &str, version: &str) -> Option<Digest> {
    let (_, _, digits) = PINS.iter().find(|(name, known, _)| *name == chart && *known == version)?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pin_is_a_digest() {
        for (chart, version, _) in PINS {
            assert!(pinned(chart, version).is_some(), "{chart} {version}");
        }
        assert_eq!(pinned("base", "1.0.0"), None);
    }
}
