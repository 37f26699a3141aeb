//! Pools of another size in their place: what a cluster has given out stays valid.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::range::AddrRange;
use super::ranges::AddrRanges;
use super::set::AddrSet;

/// Why a pool cannot be of another size in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResizeError {
    /// The subnet is full.
    #[error("the pool {pool} of {cluster} cannot have {size} addresses: {missing} more are needed, and {free} are free")]
    Full {
        /// Name of the cluster.
        cluster: String,
        /// Its pool.
        pool: AddrRanges,
        /// Addresses asked for.
        size: u32,
        /// Addresses that it lacks.
        missing: u64,
        /// Free addresses of the subnet.
        free: u64,
    },
    /// Services have more addresses.
    #[error("the pool {pool} of {cluster} cannot have {size} addresses: services have {used} of it")]
    InUse {
        /// Name of the cluster.
        cluster: String,
        /// Its pool.
        pool: AddrRanges,
        /// Addresses asked for.
        size: u32,
        /// Number of addresses that services have.
        used: usize,
    },
}

/// The pool with more addresses, which are taken out of the free ones: those right below it, since pools stand at the top
/// of a subnet, then those right above, then the highest blocks there are. One that is large enough stays as it is.
///
/// # Errors
/// [`ResizeError::Full`]; nothing is taken then.
pub fn grown(free: &mut AddrSet, cluster: &str, pool: &AddrRanges, size: u32) -> Result<AddrRanges, ResizeError> {
    let mut missing = u64::from(size).saturating_sub(pool.len());
    if missing > free.len() {
        return Err(ResizeError::Full { cluster: cluster.to_owned(), pool: pool.clone(), size, missing, free: free.len() });
    }
    let mut all: Vec<AddrRange> = pool.ranges().to_vec();
    let mut take = |taken: AddrRange, free: &mut AddrSet, missing: &mut u64| {
        free.remove(&taken);
        *missing -= taken.len();
        all.push(taken);
    };
    for range in pool.ranges() {
        let below = free.run_before(range.first).min(missing);
        if below > 0 {
            let first = Ipv4Addr::from_bits(range.first.to_bits() - narrow(below));
            take(AddrRange { first, last: Ipv4Addr::from_bits(range.first.to_bits() - 1) }, free, &mut missing);
        }
        let above = free.run_after(range.last).min(missing);
        if above > 0 {
            let last = Ipv4Addr::from_bits(range.last.to_bits() + narrow(above));
            take(AddrRange { first: Ipv4Addr::from_bits(range.last.to_bits() + 1), last }, free, &mut missing);
        }
    }
    while missing > 0 {
        let Some(block) = free.take_highest(narrow(missing.min(free.longest()))) else { break };
        missing -= block.len();
        all.push(block);
    }
    Ok(AddrRanges::collect(all).unwrap_or_else(|| pool.clone()))
}

/// The pool with fewer addresses: those in use, and the highest of the others. One that is small enough stays as it is.
///
/// # Errors
/// [`ResizeError::InUse`].
pub fn shrunk(cluster: &str, pool: &AddrRanges, size: u32, used: &[Ipv4Addr]) -> Result<AddrRanges, ResizeError> {
    if pool.len() <= u64::from(size) {
        return Ok(pool.clone());
    }
    let used: BTreeSet<Ipv4Addr> = used.iter().copied().filter(|address| pool.contains(*address)).collect();
    let Some(others) = (size as usize).checked_sub(used.len()) else {
        return Err(ResizeError::InUse { cluster: cluster.to_owned(), pool: pool.clone(), size, used: used.len() });
    };
    let highest = pool.addresses().rev().filter(|address| !used.contains(address)).take(others);
    let kept: Vec<AddrRange> = used.iter().copied().chain(highest).map(AddrRange::single).collect();
    Ok(AddrRanges::collect(kept).unwrap_or_else(|| pool.clone()))
}

/// A number of addresses that is known to fit.
fn narrow(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pool(text: &str) -> AddrRanges {
        text.parse().unwrap()
    }

    /// Free are the hosts of 10.0.0.0/24, but for the pool and these.
    fn free(pool: &AddrRanges, taken: &[AddrRanges]) -> AddrSet {
        let mut free = AddrSet::hosts_of("10.0.0.0/24".parse().unwrap());
        pool.ranges().iter().chain(taken.iter().flat_map(AddrRanges::ranges)).for_each(|range| free.remove(range));
        free
    }

    #[test]
    fn it_grows_downward_then_upward_then_elsewhere() {
        let mine = pool("10.0.0.100-10.0.0.109");
        let grow = |taken: &[&str], size| {
            let taken: Vec<AddrRanges> = taken.iter().map(|text| pool(text)).collect();
            grown(&mut free(&mine, &taken), "a", &mine, size).map(|grown| grown.to_string())
        };
        assert_eq!(grow(&[], 20).unwrap(), "10.0.0.90-10.0.0.109");
        assert_eq!(grow(&[], 5).unwrap(), "10.0.0.100-10.0.0.109");
        assert_eq!(grow(&["10.0.0.80-10.0.0.95"], 20).unwrap(), "10.0.0.96-10.0.0.115");
        // Neighbours on both sides, as pools of one fleet have.
        assert_eq!(grow(&["10.0.0.90-10.0.0.99", "10.0.0.110-10.0.0.254"], 20).unwrap(), "10.0.0.80-10.0.0.89,10.0.0.100-10.0.0.109");
        assert_eq!(
            grow(&["10.0.0.1-10.0.0.98", "10.0.0.110-10.0.0.254"], 20).unwrap_err().to_string(),
            "the pool 10.0.0.100-10.0.0.109 of a cannot have 20 addresses: 10 more are needed, and 1 are free"
        );
    }

    #[test]
    fn it_keeps_what_services_have() {
        let mine = pool("10.0.0.100-10.0.0.109");
        let shrink = |size, used: &[&str]| {
            let used: Vec<Ipv4Addr> = used.iter().map(|text| text.parse().unwrap()).collect();
            shrunk("a", &mine, size, &used).map(|range| range.to_string())
        };
        assert_eq!(shrink(4, &[]).unwrap(), "10.0.0.106-10.0.0.109");
        assert_eq!(shrink(4, &["10.0.0.100", "10.9.9.9"]).unwrap(), "10.0.0.100-10.0.0.100,10.0.0.107-10.0.0.109");
        assert_eq!(shrink(12, &[]).unwrap(), "10.0.0.100-10.0.0.109");
        let five = ["10.0.0.100", "10.0.0.102", "10.0.0.103", "10.0.0.105", "10.0.0.109"];
        assert_eq!(
            shrink(4, &five).unwrap_err().to_string(),
            "the pool 10.0.0.100-10.0.0.109 of a cannot have 4 addresses: services have 5 of it"
        );
    }

    fn within(first: u8, len: u8) -> AddrRanges {
        let last = Ipv4Addr::new(10, 0, 0, first.saturating_add(len - 1).min(254));
        AddrRange { first: Ipv4Addr::new(10, 0, 0, first), last }.into()
    }

    proptest! {
        #[test]
        fn grown_pools_hold_the_old_one_and_only_what_was_free(
            first in 1u8..240, len in 4u8..20, size in 4u32..260, cuts in prop::collection::vec((1u8..254, 1u8..30), 0..8),
        ) {
            let mine = within(first, len);
            let taken: Vec<AddrRanges> = cuts.into_iter().map(|(at, len)| within(at, len)).filter(|cut| !cut.overlaps(&mine)).collect();
            let before = free(&mine, &taken);
            let mut left = before.clone();
            match grown(&mut left, "a", &mine, size) {
                Ok(grown) => {
                    prop_assert_eq!(grown.len(), u64::from(size).max(mine.len()));
                    prop_assert!(mine.addresses().all(|address| grown.contains(address)));
                    let added: Vec<Ipv4Addr> = grown.addresses().filter(|address| !mine.contains(*address)).collect();
                    prop_assert!(added.iter().all(|address| before.covers(&AddrRange::single(*address))));
                    prop_assert!(added.iter().all(|address| !left.covers(&AddrRange::single(*address))));
                    prop_assert_eq!(left.len() + added.len() as u64, before.len());
                }
                Err(_) => prop_assert!(mine.len() + before.len() < u64::from(size) && left == before),
            }
        }

        #[test]
        fn shrunk_pools_hold_what_is_used(
            first in 1u8..100, len in 4u8..100, size in 4u32..120, used in prop::collection::vec(1u8..254, 0..9),
        ) {
            let mine = within(first, len);
            let used: Vec<Ipv4Addr> = used.into_iter().map(|last| Ipv4Addr::new(10, 0, 0, last)).collect();
            if let Ok(shrunk) = shrunk("a", &mine, size, &used) {
                prop_assert!(shrunk.addresses().all(|address| mine.contains(address)));
                prop_assert_eq!(shrunk.len(), u64::from(size).min(mine.len()));
                prop_assert!(used.iter().all(|address| !mine.contains(*address) || shrunk.contains(*address)));
            }
        }
    }
}
