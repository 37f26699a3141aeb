//! Several ranges as one: the addresses of a pool that has grown where its neighbours left room.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::range::{AddrRange, RangeError};

/// Ranges of IPv4 addresses, ascending, apart from each other and at least one; written `first-last,first-last`.
///
/// ```
/// use kindmesh::domain::net::ranges::AddrRanges;
/// let pool: AddrRanges = "10.0.0.9-10.0.0.12, 10.0.0.1-10.0.0.8".parse()?;
/// assert_eq!((pool.to_string().as_str(), pool.len()), ("10.0.0.1-10.0.0.12", 12));
/// # Ok::<(), kindmesh::domain::net::range::RangeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddrRanges(Vec<AddrRange>);

// === impl AddrRanges ===

impl AddrRanges {
    /// Puts ranges together, in any order, also those that touch or overlap. `None` when there is none.
    pub fn collect(ranges: impl IntoIterator<Item = AddrRange>) -> Option<Self> {
        let mut sorted: Vec<AddrRange> = ranges.into_iter().collect();
        sorted.sort();
        let mut joined: Vec<AddrRange> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match joined.last_mut() {
                Some(last) if range.first.to_bits() <= last.last.to_bits().saturating_add(1) => last.last = last.last.max(range.last),
                _ => joined.push(range),
            }
        }
        (!joined.is_empty()).then_some(Self(joined))
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[AddrRange] {
        &self.0
    }

    /// Number of addresses, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "there is at least one range, so it is never empty")]
    pub fn len(&self) -> u64 {
        self.0.iter().map(AddrRange::len).sum()
    }

    /// Whether an address lies inside.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        self.0.iter().any(|range| range.contains(address))
    }

    /// Whether others share an address with these.
    pub fn overlaps(&self, other: &AddrRanges) -> bool {
        self.0.iter().any(|range| other.0.iter().any(|theirs| range.overlaps(theirs)))
    }

    /// The addresses, ascending.
    pub fn addresses(&self) -> impl DoubleEndedIterator<Item = Ipv4Addr> + '_ {
        self.0.iter().flat_map(|range| (range.first.to_bits()..=range.last.to_bits()).map(Ipv4Addr::from_bits))
    }
}

impl From<AddrRange> for AddrRanges {
    fn from(range: AddrRange) -> Self {
        Self(vec![range])
    }
}

impl FromStr for AddrRanges {
    type Err = RangeError;

    /// Reads ranges with commas between them, each as [`AddrRange`] is read.
    fn from_str(text: &str) -> Result<Self, RangeError> {
        let ranges = text.split(',').map(str::parse).collect::<Result<Vec<AddrRange>, RangeError>>()?;
        Self::collect(ranges).ok_or_else(|| RangeError::Syntax { text: text.to_owned() })
    }
}

impl TryFrom<String> for AddrRanges {
    type Error = RangeError;
    fn try_from(text: String) -> Result<Self, RangeError> {
        text.parse()
    }
}

impl From<AddrRanges> for String {
    fn from(ranges: AddrRanges) -> String {
        ranges.to_string()
    }
}

impl fmt::Display for AddrRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            write!(f, "{}{range}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(text: &str) -> AddrRanges {
        text.parse().unwrap()
    }

    #[test]
    fn what_touches_is_one_range() {
        assert_eq!(ranges("10.0.0.5-10.0.0.9,10.0.0.1-10.0.0.4").to_string(), "10.0.0.1-10.0.0.9");
        assert_eq!(ranges("10.0.0.1-10.0.0.9,10.0.0.3-10.0.0.4").to_string(), "10.0.0.1-10.0.0.9");
        assert_eq!(ranges("255.255.255.255,0.0.0.0").to_string(), "0.0.0.0-0.0.0.0,255.255.255.255-255.255.255.255");
        assert!("".parse::<AddrRanges>().is_err() && "10.0.0.1,".parse::<AddrRanges>().is_err());
        assert_eq!(AddrRanges::collect([]), None);
    }

    #[test]
    fn asked_for_its_addresses_it_knows_the_gap() {
        let pool = ranges("10.0.0.1-10.0.0.2,10.0.0.5");
        assert_eq!(pool.len(), 3);
        let addresses: Vec<String> = pool.addresses().map(|address| address.to_string()).collect();
        assert_eq!(addresses, ["10.0.0.1", "10.0.0.2", "10.0.0.5"]);
        assert!(!pool.contains("10.0.0.3".parse().unwrap()) && pool.contains("10.0.0.5".parse().unwrap()));
        assert!(!pool.overlaps(&ranges("10.0.0.3-10.0.0.4")) && pool.overlaps(&ranges("10.0.0.4-10.0.0.5")));
    }

    #[test]
    fn one_range_is_written_as_ever() {
        let pool = AddrRanges::from("10.0.0.1-10.0.0.2".parse::<AddrRange>().unwrap());
        assert_eq!(serde_json::to_string(&pool).unwrap(), r#""10.0.0.1-10.0.0.2""#);
        assert_eq!(serde_json::from_str::<AddrRanges>(r#""10.0.0.1-10.0.0.2""#).unwrap(), pool);
    }
}
