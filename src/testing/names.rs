//! Names that no other test has, in this process or another, on this machine or another.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Letters of a suffix: those that DNS labels may have.
const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// Their number. Of a thousand fleets at once, two get the same suffix once in four million times.
const LENGTH: u32 = 8;

/// Chance. The hasher's keys are random per process and differ per instance.
pub(super) fn random() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}

/// A suffix that no other name has.
pub(super) fn suffix() -> String {
    spell(random())
}

/// Letters for a number: the same ones for the same number.
pub(super) fn spell(number: u64) -> String {
    let digits = std::iter::successors(Some(number), |rest| Some(rest / 36)).take(LENGTH as usize);
    digits.map(|rest| char::from(LETTERS[usize::try_from(rest % 36).unwrap_or_default()])).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn suffixes_differ_and_fit_into_names() {
        let all: BTreeSet<String> = (0..1000).map(|_| suffix()).collect();
        assert_eq!(all.len(), 1000);
        assert!(all.iter().all(|suffix| format!("x-{suffix}").parse::<crate::domain::name::ClusterName>().is_ok()));
    }

    #[test]
    fn a_number_is_always_spelt_alike() {
        assert_eq!((spell(0), spell(35), spell(36)), ("aaaaaaaa".to_owned(), "9aaaaaaa".to_owned(), "abaaaaaa".to_owned()));
    }
}
