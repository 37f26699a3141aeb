//! A subnet that nobody uses yet, for networks that are made and removed by the dozen.

use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

use crate::domain::fleet::ClusterSpec;

/// Where such networks are: the addresses set aside for tests between networks (RFC 2544), which no machine
/// on the internet has, engines do not hand out by themselves, and few VPNs route.
pub const TEST_SPACE: (Ipv4Addr, u8) = (Ipv4Addr::new(198, 18, 0, 0), 15);
/// Smallest subnet that is made: small enough for 512 networks at once.
const SMALLEST: u8 = 24;
/// Addresses beside those of nodes and pools: network, broadcast, gateway, helpers.
const SPARE: u64 = 8;

/// Length of the prefix of a subnet in which these clusters have room, the part that the engine keeps to
/// itself included.
pub fn prefix_for(clusters: &[ClusterSpec]) -> u8 {
    let addresses: u64 = clusters.iter().map(|cluster| u64::from(cluster.nodes()) + u64::from(cluster.pool_size)).sum();
    (1..=SMALLEST).rev().find(|prefix| 1_u64 << (32 - prefix) >= 2 * (addresses + SPARE)).unwrap_or(1)
}

/// The first subnet of this size that overlaps nothing `taken`, looked for in the whole space from the
/// `start`-th on: who starts elsewhere than others seldom meets them. `None` when the space is full or too
/// small.
pub fn free_subnet(space: Ipv4Network, prefix: u8, start: u32, taken: &[Ipv4Network]) -> Option<Ipv4Network> {
    let count = 1_u64.checked_shl(u32::from(prefix.checked_sub(space.prefix())?))?;
    let size = 1_u64 << (32 - prefix.min(32));
    (0..count).map(|step| (u64::from(start) + step) % count).find_map(|index| {
        let first = u64::from(u32::from(space.network())) + index * size;
        let subnet = Ipv4Network::new(Ipv4Addr::from(u32::try_from(first).ok()?), prefix).ok()?;
        (!taken.iter().any(|other| other.overlaps(subnet))).then_some(subnet)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::fleet::tests_support::fleet;

    fn net(text: &str) -> Ipv4Network {
        text.parse().unwrap()
    }

    fn space() -> Ipv4Network {
        Ipv4Network::new(TEST_SPACE.0, TEST_SPACE.1).unwrap()
    }

    #[test]
    fn small_fleets_get_small_subnets_and_large_ones_have_room() {
        assert_eq!(prefix_for(&fleet(1).clusters), 24);
        assert_eq!(prefix_for(&fleet(4).clusters), 24);
        assert_eq!(prefix_for(&fleet(8).clusters), 23);
    }

    #[test]
    fn what_is_taken_is_passed_over_and_the_search_goes_round() {
        let small = net("10.0.0.0/22");
        assert_eq!(free_subnet(small, 24, 3, &[]), Some(net("10.0.3.0/24")));
        assert_eq!(free_subnet(small, 24, 3, &[net("10.0.3.128/25")]), Some(net("10.0.0.0/24")));
        assert_eq!(free_subnet(small, 24, 3, &[net("10.0.0.0/23"), net("10.0.3.0/24")]), Some(net("10.0.2.0/24")));
        assert_eq!(free_subnet(small, 24, 0, &[net("10.0.0.0/8")]), None);
        assert_eq!(free_subnet(small, 21, 0, &[]), None, "larger than the space");
    }

    proptest! {
        #[test]
        fn whatever_is_taken_nothing_overlaps(start in any::<u32>(), taken in proptest::collection::vec((0_u32..512, 20_u8..28), 0..40)) {
            let taken: Vec<Ipv4Network> = taken
                .iter()
                .map(|(index, prefix)| Ipv4Network::new(Ipv4Addr::from(u32::from(space().network()) + index * 256), *prefix).unwrap())
                .collect();
            if let Some(found) = free_subnet(space(), 24, start, &taken) {
                prop_assert!(space().overlaps(found) && taken.iter().all(|other| !other.overlaps(found)));
            }
        }
    }
}
