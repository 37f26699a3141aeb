//! Ranges of IPv4 addresses.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnetwork::Ipv4Network;
use serde::{Deserialize, Serialize};

/// A range of IPv4 addresses, both ends included; written `first-last`, as MetalLB does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddrRange {
    /// First address.
    pub first: Ipv4Addr,
    /// Last address, not before the first.
    pub last: Ipv4Addr,
}

/// A text that is no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// Neither an address, nor `first-last`, nor CIDR.
    #[error("'{text}' is no IPv4 address, range (10.0.0.1-10.0.0.9) or subnet (10.0.0.0/24)")]
    Syntax {
        /// The text.
        text: String,
    },
    /// The ends are the wrong way round.
    #[error("the range {first}-{last} ends before it begins")]
    Backwards {
        /// The end written first.
        first: Ipv4Addr,
        /// The end written last.
        last: Ipv4Addr,
    },
}

// === impl AddrRange ===

impl AddrRange {
    /// From `first` to `last`, both included.
    ///
    /// # Errors
    /// [`RangeError::Backwards`] when `last` is before `first`.
    pub fn new(first: Ipv4Addr, last: Ipv4Addr) -> Result<Self, RangeError> {
        if first > last {
            return Err(RangeError::Backwards { first, last });
        }
        Ok(Self { first, last })
    }

    /// One address.
    pub const fn single(address: Ipv4Addr) -> Self {
        Self { first: address, last: address }
    }

    /// Number of addresses, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a range has two ends, so it is never empty")]
    pub fn len(&self) -> u64 {
        u64::from(self.last.to_bits()) - u64::from(self.first.to_bits()) + 1
    }

    /// Whether an address lies inside.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        self.first <= address && address <= self.last
    }

    /// Whether another range lies inside entirely.
    pub fn covers(&self, other: &AddrRange) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// Whether two ranges share an address.
    pub fn overlaps(&self, other: &AddrRange) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// The addresses, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Ipv4Addr> + use<> {
        (self.first.to_bits()..=self.last.to_bits()).map(Ipv4Addr::from_bits)
    }
}

impl From<Ipv4Network> for AddrRange {
    /// The whole subnet, network and broadcast address included.
    fn from(network: Ipv4Network) -> Self {
        Self { first: network.network(), last: network.broadcast() }
    }
}

impl FromStr for AddrRange {
    type Err = RangeError;

    /// Reads `first-last`, CIDR or one address, as MetalLB's address pools do.
    fn from_str(text: &str) -> Result<Self, RangeError> {
        let syntax = || RangeError::Syntax { text: text.to_owned() };
        let trimmed = text.trim();
        if let Some((first, last)) = trimmed.split_once('-') {
            let first = first.trim().parse().map_err(|_| syntax())?;
            let last = last.trim().parse().map_err(|_| syntax())?;
            return Self::new(first, last);
        }
        if trimmed.contains('/') {
            return trimmed.parse::<Ipv4Network>().map(Self::from).map_err(|_| syntax());
        }
        trimmed.parse().map(Self::single).map_err(|_| syntax())
    }
}

impl TryFrom<String> for AddrRange {
    type Error = RangeError;
    fn try_from(text: String) -> Result<Self, RangeError> {
        text.parse()
    }
}

impl From<AddrRange> for String {
    fn from(range: AddrRange) -> String {
        range.to_string()
    }
}

impl fmt::Display for AddrRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> AddrRange {
        text.parse().unwrap()
    }

    #[test]
    fn reads_all_three_forms() {
        assert_eq!(range("10.0.0.1-10.0.0.9").len(), 9);
        assert_eq!(range(" 10.0.0.1 - 10.0.0.9 ").to_string(), "10.0.0.1-10.0.0.9");
        assert_eq!(range("10.0.0.77/28").to_string(), "10.0.0.64-10.0.0.79", "host bits are cleared");
        assert_eq!(range("10.0.0.5").to_string(), "10.0.0.5-10.0.0.5");
    }

    #[test]
    fn refuses_what_is_no_range() {
        for text in ["", "-", "10.0.0.1-", "10.0.0", "10.0.0.0/33", "fc00::1", "10.0.0.1-10.0.0.2-10.0.0.3", "ten"] {
            assert!(matches!(text.parse::<AddrRange>(), Err(RangeError::Syntax { .. })), "{text}");
        }
        let error = "10.0.0.9-10.0.0.1".parse::<AddrRange>().unwrap_err();
        assert_eq!(error.to_string(), "the range 10.0.0.9-10.0.0.1 ends before it begins");
    }

    #[test]
    fn knows_what_it_holds() {
        let ten = range("10.0.0.10-10.0.0.19");
        assert!(ten.contains(Ipv4Addr::new(10, 0, 0, 10)) && ten.contains(Ipv4Addr::new(10, 0, 0, 19)));
        assert!(!ten.contains(Ipv4Addr::new(10, 0, 0, 20)));
        assert!(ten.overlaps(&range("10.0.0.19-10.0.0.30")) && !ten.overlaps(&range("10.0.0.20-10.0.0.30")));
        assert!(ten.covers(&range("10.0.0.12")) && !ten.covers(&range("10.0.0.0/27")));
        assert_eq!(ten.iter().count(), 10);
    }

    #[test]
    fn the_whole_address_space_has_a_length() {
        assert_eq!(range("0.0.0.0/0").len(), 1 << 32);
        assert_eq!(range("255.255.255.255").iter().count(), 1);
    }

    #[test]
    fn travels_as_text() {
        let json = serde_json::to_string(&range("10.0.0.0/30")).unwrap();
        assert_eq!(json, r#""10.0.0.0-10.0.0.3""#);
        assert_eq!(serde_json::from_str::<AddrRange>(&json).unwrap(), range("10.0.0.0/30"));
    }
}
