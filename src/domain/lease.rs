//! How long a fleet may live: until a moment, or as long as somebody holds it.
//!
//! Labels cannot be changed once a container is there, so a lease is not renewed by writing to it: another end is noted
//! on a volume, marked [`labels::END`]. What can change by itself is whether its owner lives: a fleet with an owner is held as long as a container marked
//! [`HOLDER`] with the same owner runs, and that container ends with the owner's connection to it, however
//! the owner ended and on whatever machine it was. A fleet with an expiry only is given up at that moment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use super::labels;

/// Purpose, in the label [`labels::HELPER`], of the container that stands for a living owner.
pub const HOLDER: &str = "holder";
/// Longest name of an owner.
const MAX_OWNER: usize = 63;

/// Under which conditions a fleet may be removed by somebody else than its user. By default under none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lease {
    /// From this moment on, to the second.
    pub expires: Option<Timestamp>,
    /// When this owner is gone, whatever the expiry says.
    pub owner: Option<Owner>,
}

/// Who holds a fleet: a process, by a name that no other has. Letters, digits, `-`, `_` and `.`, so that it
/// can stand in a label filter as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(String);

/// A name that no owner can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no owner: 1 to {MAX_OWNER} letters, digits, '-', '_' and '.' are")]
pub struct OwnerError(String);

/// Whether a fleet may be removed by somebody else than its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has no end.
    Unlimited,
    /// Its owner lives, or its time has not come.
    Held,
    /// Its time has come.
    Expired,
    /// Its owner is gone.
    Abandoned,
}

// === impl Lease ===

impl Lease {
    /// The labels that say it, for every container and network of the fleet.
    ///
    /// ```
    /// use kindmesh::domain::lease::Lease;
    /// let lease = Lease { expires: Some("2026-11-23T18:30:00Z".parse()?), owner: Some("ci-7".parse()?) };
    /// let labels = lease.labels();
    /// assert_eq!(labels["dev.kindmesh.expires"], "2026-11-23T18:30:00Z");
    /// assert_eq!(Lease::read(&labels), lease);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn labels(&self) -> BTreeMap<String, String> {
        let expires = self.expires.map(|at| (labels::EXPIRES.to_owned(), second(at).to_string()));
        let owner = self.owner.as_ref().map(|owner| (labels::OWNER.to_owned(), owner.to_string()));
        expires.into_iter().chain(owner).collect()
    }

    /// Reads the labels of one object. What cannot be understood is no reason to remove anything: it counts
    /// as not there.
    pub fn read(labels: &BTreeMap<String, String>) -> Self {
        Self {
            expires: labels.get(labels::EXPIRES).and_then(|text| text.parse().ok()),
            owner: labels.get(labels::OWNER).and_then(|text| text.parse().ok()),
        }
    }

    /// The lease of a fleet whose objects have these: the one that lasts longest, since objects may have been
    /// added with another. An object without any makes the fleet unlimited.
    pub fn of_fleet(leases: impl IntoIterator<Item = Self>) -> Self {
        let mut leases = leases.into_iter();
        let Some(first) = leases.next() else { return Self::default() };
        leases.fold(first, |a, b| match (&a.owner, &b.owner) {
            _ if a == Self::default() || b == Self::default() => Self::default(),
            // Two owners: neither may be robbed of what the other gave up.
            (Some(one), Some(other)) if one != other => Self::default(),
            _ => Self {
                expires: match (a.expires, b.expires) {
                    (Some(one), Some(other)) => Some(one.max(other)),
                    _ => None,
                },
                owner: a.owner.or(b.owner),
            },
        })
    }

    /// Whether the fleet may be removed, when these owners live and it is now.
    pub fn standing(&self, living: &BTreeSet<Owner>, now: Timestamp) -> Standing {
        match (&self.owner, self.expires) {
            (Some(owner), _) if living.contains(owner) => Standing::Held,
            (Some(_), _) => Standing::Abandoned,
            (None, Some(expires)) if expires <= now => Standing::Expired,
            (None, Some(_)) => Standing::Held,
            (None, None) => Standing::Unlimited,
        }
    }
}

/// The owner that a container stands for, if it is a holder. It lives while the container runs.
pub fn holder(labels: &BTreeMap<String, String>) -> Option<Owner> {
    let holds = labels.get(labels::HELPER).is_some_and(|purpose| purpose == HOLDER);
    holds.then(|| Lease::read(labels).owner).flatten()
}

/// Labels have no room for more, and users no use for it.
fn second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

// === impl Owner ===

impl Owner {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Owner {
    type Err = OwnerError;

    fn from_str(text: &str) -> Result<Self, OwnerError> {
        let fits = (1..=MAX_OWNER).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if fits { Ok(Self(text.to_owned())) } else { Err(OwnerError(text.to_owned())) }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Standing ===

impl Standing {
    /// Whether anybody may remove it.
    pub fn is_over(self) -> bool {
        matches!(self, Standing::Expired | Standing::Abandoned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn lease(expires: Option<i64>, owner: Option<&str>) -> Lease {
        Lease { expires: expires.map(at), owner: owner.map(|owner| owner.parse().unwrap()) }
    }

    #[test]
    fn what_a_lease_says_is_read_again() {
        for one in [lease(None, None), lease(Some(7), None), lease(None, Some("a.b-C_9")), lease(Some(1_795_362_000), Some("a"))] {
            assert_eq!(Lease::read(&one.labels()), one);
        }
        let exact = Lease { expires: Some("2026-11-23T18:30:00.75Z".parse().unwrap()), owner: None };
        assert_eq!(exact.labels()[labels::EXPIRES], "2026-11-23T18:30:00Z");
    }

    #[test]
    fn what_is_not_understood_removes_nothing() {
        let labels = [(labels::EXPIRES, "tomorrow"), (labels::OWNER, "a b")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let read = Lease::read(&labels.into());
        assert_eq!(read.standing(&BTreeSet::new(), at(i64::from(u32::MAX))), Standing::Unlimited);
    }

    #[test]
    fn owners_fit_into_filters() {
        for bad in ["", "a b", "a=b", "\"", "ä", &"x".repeat(64)] {
            assert_eq!(bad.parse::<Owner>(), Err(OwnerError(bad.to_owned())));
        }
        assert!("x".repeat(63).parse::<Owner>().is_ok());
    }

    #[test]
    fn an_owner_that_lives_outlasts_the_expiry_and_one_that_is_gone_does_not() {
        let living = BTreeSet::from(["a".parse().unwrap()]);
        let standing = |expires, owner| lease(expires, owner).standing(&living, at(100));
        assert_eq!(standing(Some(50), Some("a")), Standing::Held);
        assert_eq!(standing(Some(150), Some("b")), Standing::Abandoned);
        assert_eq!((standing(Some(100), None), standing(Some(101), None)), (Standing::Expired, Standing::Held));
        assert_eq!(standing(None, None), Standing::Unlimited);
    }

    #[test]
    fn a_fleet_lasts_as_long_as_what_lasts_longest() {
        let of = |leases: &[Lease]| Lease::of_fleet(leases.iter().cloned());
        assert_eq!(of(&[]), lease(None, None));
        assert_eq!(of(&[lease(Some(1), None), lease(Some(3), None), lease(Some(2), None)]), lease(Some(3), None));
        assert_eq!(of(&[lease(Some(1), None), lease(None, None), lease(Some(2), None)]), lease(None, None));
        assert_eq!(of(&[lease(None, Some("a")), lease(Some(2), Some("a"))]), lease(None, Some("a")));
        assert_eq!(of(&[lease(None, Some("a")), lease(None, Some("b"))]), lease(None, None));
    }

    #[test]
    fn only_a_holder_stands_for_an_owner() {
        let mut labels = lease(None, Some("a")).labels();
        assert_eq!(holder(&labels), None);
        labels.insert(labels::HELPER.to_owned(), HOLDER.to_owned());
        assert_eq!(holder(&labels), Some("a".parse().unwrap()));
    }
}
