//! Sets of IPv4 addresses as intervals, so that a /8 costs no more than a /28.

use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

use super::range::AddrRange;

/// A set of addresses: ranges, ascending and disjoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddrSet {
    ranges: Vec<AddrRange>,
}

// === impl AddrSet ===

impl AddrSet {
    /// The addresses of a subnet that a host may have: all but the network and broadcast address.
    /// Empty for a /31 and a /32.
    pub fn hosts_of(subnet: Ipv4Network) -> Self {
        if subnet.prefix() > 30 {
            return Self::default();
        }
        let first = Ipv4Addr::from_bits(subnet.network().to_bits() + 1);
        let last = Ipv4Addr::from_bits(subnet.broadcast().to_bits() - 1);
        Self { ranges: vec![AddrRange { first, last }] }
    }

    /// Takes every address of `range` out.
    pub fn remove(&mut self, range: &AddrRange) {
        let mut left = Vec::with_capacity(self.ranges.len() + 1);
        for piece in self.ranges.drain(..) {
            if !piece.overlaps(range) {
                left.push(piece);
                continue;
            }
            if piece.first < range.first {
                left.push(AddrRange { first: piece.first, last: Ipv4Addr::from_bits(range.first.to_bits() - 1) });
            }
            if range.last < piece.last {
                left.push(AddrRange { first: Ipv4Addr::from_bits(range.last.to_bits() + 1), last: piece.last });
            }
        }
        self.ranges = left;
    }

    /// Keeps only the addresses inside `range`.
    pub fn keep(&mut self, range: &AddrRange) {
        self.ranges = self
            .ranges
            .drain(..)
            .filter(|piece| piece.overlaps(range))
            .map(|piece| AddrRange { first: piece.first.max(range.first), last: piece.last.min(range.last) })
            .collect();
    }

    /// Whether every address of `range` is in the set.
    pub fn covers(&self, range: &AddrRange) -> bool {
        self.ranges.iter().any(|piece| piece.covers(range))
    }

    /// Number of addresses.
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(AddrRange::len).sum()
    }

    /// Whether there is no address.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Length of the longest block without a hole.
    pub fn longest(&self) -> u64 {
        self.ranges.iter().map(AddrRange::len).max().unwrap_or(0)
    }

    /// Number of addresses of the set that end right before an address.
    pub fn run_before(&self, address: Ipv4Addr) -> u64 {
        let Some(before) = address.to_bits().checked_sub(1).map(Ipv4Addr::from_bits) else { return 0 };
        let piece = self.ranges.iter().find(|piece| piece.contains(before));
        piece.map_or(0, |piece| AddrRange { first: piece.first, last: before }.len())
    }

    /// Number of addresses of the set that begin right after an address.
    pub fn run_after(&self, address: Ipv4Addr) -> u64 {
        let Some(after) = address.to_bits().checked_add(1).map(Ipv4Addr::from_bits) else { return 0 };
        let piece = self.ranges.iter().find(|piece| piece.contains(after));
        piece.map_or(0, |piece| AddrRange { first: after, last: piece.last }.len())
    }

    /// Takes the highest block of exactly `size` addresses out, and returns it. `None`, and nothing
    /// taken, when no block is long enough or `size` is 0.
    pub fn take_highest(&mut self, size: u32) -> Option<AddrRange> {
        let piece = self.ranges.iter().rev().find(|piece| size > 0 && piece.len() >= u64::from(size))?;
        let taken = AddrRange { first: Ipv4Addr::from_bits(piece.last.to_bits() - (size - 1)), last: piece.last };
        self.remove(&taken);
        Some(taken)
    }

    /// Takes the lowest address out, and returns it.
    pub fn take_lowest(&mut self) -> Option<Ipv4Addr> {
        let lowest = self.ranges.first()?.first;
        self.remove(&AddrRange::single(lowest));
        Some(lowest)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn plain(set: &AddrSet) -> BTreeSet<u32> {
        set.ranges.iter().flat_map(AddrRange::iter).map(Ipv4Addr::to_bits).collect()
    }

    #[test]
    fn tiny_subnets_have_no_hosts() {
        assert!(AddrSet::hosts_of("10.0.0.0/31".parse().unwrap()).is_empty());
        assert!(AddrSet::hosts_of("10.0.0.1/32".parse().unwrap()).is_empty());
        assert_eq!(AddrSet::hosts_of("10.0.0.0/30".parse().unwrap()).len(), 2);
        assert_eq!(AddrSet::hosts_of("10.0.0.0/8".parse().unwrap()).len(), (1 << 24) - 2);
    }

    #[test]
    fn the_ends_of_the_address_space_do_not_overflow() {
        let mut all = AddrSet::hosts_of("0.0.0.0/0".parse().unwrap());
        all.remove(&"255.255.255.0/24".parse().unwrap());
        all.remove(&"0.0.0.0/8".parse().unwrap());
        assert_eq!(all.len(), (1 << 32) - (1 << 24) - 256);
        assert_eq!(all.take_highest(0), None);
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(cuts in prop::collection::vec((0u32..256, 0u32..40), 0..12), keep in (0u32..256, 0u32..256), size in 1u32..60) {
            let base = 0x0a00_0000u32;
            let mut set = AddrSet::hosts_of("10.0.0.0/24".parse().unwrap());
            let mut model: BTreeSet<u32> = (base + 1..base + 255).collect();
            for (at, len) in cuts {
                let range = AddrRange { first: Ipv4Addr::from_bits(base + at), last: Ipv4Addr::from_bits(base + at + len) };
                set.remove(&range);
                model.retain(|address| !range.contains(Ipv4Addr::from_bits(*address)));
            }
            let kept = AddrRange { first: Ipv4Addr::from_bits(base + keep.0.min(keep.1)), last: Ipv4Addr::from_bits(base + keep.0.max(keep.1)) };
            set.keep(&kept);
            model.retain(|address| kept.contains(Ipv4Addr::from_bits(*address)));
            prop_assert_eq!(plain(&set), model.clone());
            prop_assert_eq!(set.len(), model.len() as u64);
            prop_assert!(set.ranges.windows(2).all(|pair| pair[0].last < pair[1].first));

            let highest = model.iter().rev().find(|last| (0..size).all(|n| model.contains(&(**last).wrapping_sub(n)))).copied();
            prop_assert_eq!(set.take_highest(size).map(|range| range.last.to_bits()), highest);
            if let Some(last) = highest {
                model.retain(|address| !(last - (size - 1)..=last).contains(address));
            }
            prop_assert_eq!(plain(&set), model.clone());
            prop_assert_eq!(set.take_lowest().map(Ipv4Addr::to_bits), model.pop_first());
        }
    }
}
