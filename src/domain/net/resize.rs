//! Pools of another size in their place: what a cluster has given out stays valid.

use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

use super::pool::{Reserved, Span};
use super::range::AddrRange;
use super::set::AddrSet;
use crate::domain::fleet::MIN_POOL_SIZE;

/// Why a pool cannot be of another size in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResizeError {
    /// Fewer addresses than a cluster needs.
    #[error("the pool of {cluster} would have {size} addresses; at least {MIN_POOL_SIZE} are needed")]
    TooSmall {
        /// Name of the cluster.
        cluster: String,
        /// Addresses asked for.
        size: u32,
    },
    /// Something is in the way on both sides.
    #[error(
        "the pool {range} of {cluster} cannot have {size} addresses: {below} are free below it and {above} above it{}",
        .next_to.as_ref().map(|owner| format!("; next to it is the {owner}")).unwrap_or_default()
    )]
    NoRoom {
        /// Name of the cluster.
        cluster: String,
        /// Its pool.
        range: AddrRange,
        /// Addresses asked for.
        size: u32,
        /// Free addresses that end where the pool begins.
        below: u64,
        /// Free addresses that begin where the pool ends.
        above: u64,
        /// Whose the address below the free ones is, when somebody's.
        next_to: Option<String>,
    },
    /// Services have addresses that are too far apart.
    #[error("the pool {range} of {cluster} cannot have {size} addresses: services have {}, which {needed} addresses would hold", Span(*.used))]
    InUse {
        /// Name of the cluster.
        cluster: String,
        /// Its pool.
        range: AddrRange,
        /// Addresses asked for.
        size: u32,
        /// First and last address that a service has.
        used: AddrRange,
        /// Number of addresses from the first to the last.
        needed: u64,
    },
}

/// The pool with more addresses: those free below it first, since pools stand at the top of a subnet, and then those
/// above it. One that is large enough stays as it is.
///
/// # Errors
/// [`ResizeError::NoRoom`] when both sides together have too few.
pub fn grown(subnet: Ipv4Network, reserved: &[Reserved], cluster: &str, range: AddrRange, size: u32) -> Result<AddrRange, ResizeError> {
    let mut free = AddrSet::hosts_of(subnet);
    for taken in reserved {
        free.remove(&taken.range);
    }
    let missing = u64::from(size).saturating_sub(range.len());
    let (below, above) = (free.run_before(range.first), free.run_after(range.last));
    let down = missing.min(below);
    let up = missing - down;
    if up > above {
        let edge =
            u64::from(range.first.to_bits()).checked_sub(below + 1).and_then(|bits| u32::try_from(bits).ok()).map(Ipv4Addr::from_bits);
        let next_to = reserved.iter().find(|taken| edge.is_some_and(|edge| taken.range.contains(edge))).map(|taken| taken.owner.clone());
        return Err(ResizeError::NoRoom { cluster: cluster.to_owned(), range, size, below, above, next_to });
    }
    // Both runs lie in the address space.
    let moved =
        |address: Ipv4Addr, by: i64| Ipv4Addr::from_bits(u32::try_from(i64::from(address.to_bits()) + by).unwrap_or(address.to_bits()));
    let signed = |count: u64| i64::try_from(count).unwrap_or_default();
    Ok(AddrRange { first: moved(range.first, -signed(down)), last: moved(range.last, signed(up)) })
}

/// The pool with fewer addresses: the highest that hold all those in use. One that is small enough stays as it is.
///
/// # Errors
/// [`ResizeError::InUse`] when those in use lie too far apart, [`ResizeError::TooSmall`].
pub fn shrunk(cluster: &str, range: AddrRange, size: u32, used: &[Ipv4Addr]) -> Result<AddrRange, ResizeError> {
    if size < MIN_POOL_SIZE {
        return Err(ResizeError::TooSmall { cluster: cluster.to_owned(), size });
    }
    if range.len() <= u64::from(size) {
        return Ok(range);
    }
    let inside = || used.iter().copied().filter(|address| range.contains(*address));
    let Some((lowest, highest)) = inside().min().zip(inside().max()) else {
        return Ok(AddrRange { first: Ipv4Addr::from_bits(range.last.to_bits() - (size - 1)), last: range.last });
    };
    let used = AddrRange { first: lowest, last: highest };
    if used.len() > u64::from(size) {
        return Err(ResizeError::InUse { cluster: cluster.to_owned(), range, size, used, needed: used.len() });
    }
    let first = lowest.to_bits().min(range.last.to_bits() - (size - 1));
    Ok(AddrRange { first: Ipv4Addr::from_bits(first), last: Ipv4Addr::from_bits(first + (size - 1)) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(text: &str) -> AddrRange {
        text.parse().unwrap()
    }

    fn taken(text: &str) -> Reserved {
        Reserved { range: range(text), owner: "pool of cluster b".to_owned() }
    }

    fn subnet() -> Ipv4Network {
        "10.0.0.0/24".parse().unwrap()
    }

    #[test]
    fn it_grows_downward_and_then_upward() {
        let pool = range("10.0.0.100-10.0.0.109");
        let grow = |reserved: &[Reserved], size| grown(subnet(), reserved, "a", pool, size).map(|range| range.to_string());
        assert_eq!(grow(&[], 20).unwrap(), "10.0.0.90-10.0.0.109");
        assert_eq!(grow(&[], 5).unwrap(), "10.0.0.100-10.0.0.109");
        assert_eq!(grow(&[taken("10.0.0.80-10.0.0.95")], 20).unwrap(), "10.0.0.96-10.0.0.115");
        let error = grow(&[taken("10.0.0.80-10.0.0.95"), taken("10.0.0.111")], 20).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the pool 10.0.0.100-10.0.0.109 of a cannot have 20 addresses: 4 are free below it and 1 above it; next to it is the pool of cluster b"
        );
    }

    #[test]
    fn it_keeps_what_services_have() {
        let pool = range("10.0.0.100-10.0.0.109");
        let shrink = |size, used: &[&str]| {
            let used: Vec<Ipv4Addr> = used.iter().map(|text| text.parse().unwrap()).collect();
            shrunk("a", pool, size, &used).map(|range| range.to_string())
        };
        assert_eq!(shrink(4, &[]).unwrap(), "10.0.0.106-10.0.0.109");
        assert_eq!(shrink(4, &["10.0.0.100"]).unwrap(), "10.0.0.100-10.0.0.103");
        assert_eq!(shrink(4, &["10.0.0.101", "10.0.0.104", "10.9.9.9"]).unwrap(), "10.0.0.101-10.0.0.104");
        assert_eq!(shrink(12, &[]).unwrap(), "10.0.0.100-10.0.0.109");
        assert_eq!(
            shrink(4, &["10.0.0.100", "10.0.0.104"]).unwrap_err().to_string(),
            "the pool 10.0.0.100-10.0.0.109 of a cannot have 4 addresses: services have 10.0.0.100-10.0.0.104, which 5 addresses would hold"
        );
        assert!(matches!(shrink(3, &[]), Err(ResizeError::TooSmall { .. })));
    }

    proptest! {
        #[test]
        fn grown_pools_hold_the_old_one_and_nothing_else(
            first in 60u8..180, len in 4u8..20, size in 4u32..120, cuts in prop::collection::vec((1u8..254, 1u8..10), 0..5),
        ) {
            let pool = AddrRange { first: Ipv4Addr::new(10, 0, 0, first), last: Ipv4Addr::new(10, 0, 0, first + len - 1) };
            let reserved: Vec<Reserved> = cuts
                .into_iter()
                .map(|(at, len)| AddrRange { first: Ipv4Addr::new(10, 0, 0, at), last: Ipv4Addr::new(10, 0, 0, at.saturating_add(len)) })
                .filter(|cut| !cut.overlaps(&pool))
                .map(|range| Reserved { range, owner: "other".to_owned() })
                .collect();
            let hosts = range("10.0.0.1-10.0.0.254");
            let free = |address: Ipv4Addr| hosts.contains(address) && reserved.iter().all(|taken| !taken.range.contains(address));
            match grown(subnet(), &reserved, "a", pool, size) {
                Ok(grown) => {
                    prop_assert!(grown.covers(&pool));
                    prop_assert_eq!(grown.len(), u64::from(size).max(pool.len()));
                    prop_assert!(grown.iter().all(free));
                }
                Err(_) => {
                    // The longest block around the pool, counted one by one.
                    let (mut low, mut high) = (pool.first.to_bits(), pool.last.to_bits());
                    while free(Ipv4Addr::from_bits(low - 1)) { low -= 1; }
                    while free(Ipv4Addr::from_bits(high + 1)) { high += 1; }
                    prop_assert!(high - low + 1 < size);
                }
            }
        }

        #[test]
        fn shrunk_pools_hold_what_is_used(
            first in 1u8..100, len in 4u8..100, size in 4u32..120, used in prop::collection::vec(1u8..254, 0..4),
        ) {
            let pool = AddrRange { first: Ipv4Addr::new(10, 0, 0, first), last: Ipv4Addr::new(10, 0, 0, first + len - 1) };
            let used: Vec<Ipv4Addr> = used.into_iter().map(|last| Ipv4Addr::new(10, 0, 0, last)).collect();
            if let Ok(shrunk) = shrunk("a", pool, size, &used) {
                prop_assert!(pool.covers(&shrunk));
                prop_assert_eq!(shrunk.len(), u64::from(size).min(pool.len()));
                prop_assert!(used.iter().all(|address| !pool.contains(*address) || shrunk.contains(*address)));
            }
        }
    }
}
