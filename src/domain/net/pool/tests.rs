use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::domain::net::{AttachedContainer, IpamEntry};

fn net(text: &str) -> Ipv4Network {
    text.parse().unwrap()
}

fn range(text: &str) -> AddrRange {
    text.parse().unwrap()
}

fn request(cluster: &str, size: u32) -> PoolRequest {
    PoolRequest { cluster: cluster.to_owned(), size, existing: None }
}

fn reserve(text: &str) -> Reserved {
    Reserved { range: range(text), owner: "container web".to_owned() }
}

fn show(pools: &[Pool]) -> Vec<String> {
    pools.iter().map(|pool| format!("{} {}", pool.cluster, pool.range)).collect()
}

#[test]
fn from_the_top_downward() {
    let pools = carve(net("172.18.0.0/16"), &[reserve("172.18.0.1")], &[request("a", 25), request("b", 25)]).unwrap();
    assert_eq!(show(&pools), ["a 172.18.255.230-172.18.255.254", "b 172.18.255.205-172.18.255.229"]);
}

#[test]
fn around_what_is_reserved() {
    let reserved = [reserve("10.0.0.1"), reserve("10.0.0.250"), reserve("10.0.0.200-10.0.0.230")];
    let pools = carve(net("10.0.0.0/24"), &reserved, &[request("a", 20), request("b", 4), request("c", 10)]).unwrap();
    assert_eq!(
        show(&pools),
        ["a 10.0.0.180-10.0.0.199", "b 10.0.0.251-10.0.0.254", "c 10.0.0.240-10.0.0.249"],
        "gaps are used by what fits"
    );
}

#[test]
fn a_full_pool_is_refused_with_the_numbers() {
    let reserved = [reserve("10.0.0.1"), reserve("10.0.0.8")];
    let error = carve(net("10.0.0.0/28"), &reserved, &[request("a", 6), request("b", 7)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the subnet 10.0.0.0/28 is too full: 2 new pools need 13 addresses in all, 12 of its 14 host addresses were free, \
         and for b the longest free block has 6 of the 7 it needs; use a larger subnet, smaller pools or fewer clusters"
    );
}

#[test]
fn a_pool_too_small_is_refused() {
    let error = carve(net("10.0.0.0/24"), &[], &[request("a", 3)]).unwrap_err();
    assert_eq!(error.to_string(), "the pool of a would have 3 addresses; at least 4 are needed");
}

#[test]
fn a_foreign_container_inside_a_pool_is_named() {
    let existing = PoolRequest { existing: Some(range("10.0.0.100-10.0.0.110")), ..request("a", 11) };
    let error = carve(net("10.0.0.0/24"), &[reserve("10.0.0.105")], std::slice::from_ref(&existing)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the pool 10.0.0.100-10.0.0.110 of a holds 10.0.0.105, which belongs to the container web; free that address or remove the cluster"
    );
    let other = PoolRequest { existing: Some(range("10.0.0.110-10.0.0.120")), ..request("b", 11) };
    let error = carve(net("10.0.0.0/24"), &[], &[existing.clone(), other]).unwrap_err();
    assert!(error.to_string().contains("10.0.0.110, which belongs to the pool of a"), "{error}");
    assert!(matches!(carve(net("10.1.0.0/24"), &[], &[existing]), Err(PoolError::Outside { .. })));
}

#[test]
fn a_large_subnet_costs_nothing() {
    let requests: Vec<PoolRequest> = (0..64).map(|n| request(&format!("c{n}"), 100_000)).collect();
    let pools = carve(net("10.0.0.0/8"), &[reserve("10.0.0.1")], &requests).unwrap();
    assert_eq!(pools[0].range, range("10.254.121.95-10.255.255.254"));
}

#[test]
fn reserved_is_read_by_family() {
    let v6 = IpamEntry { subnet: "fc00::/64".parse().unwrap(), ip_range: None, gateway: None, auxiliary: vec!["fc00::9".parse().unwrap()] };
    let v4 = IpamEntry {
        subnet: "10.0.0.0/24".parse().unwrap(),
        ip_range: Some("10.0.0.64/26".parse().unwrap()),
        gateway: Some("10.0.0.254".parse().unwrap()),
        auxiliary: vec!["10.0.0.5".parse().unwrap()],
    };
    let web = AttachedContainer { id: "1".into(), name: "web".into(), ipv4: Some("10.0.0.70".parse().unwrap()), ipv6: None };
    for ipam in [vec![v4.clone(), v6.clone()], vec![v6, v4.clone()]] {
        let info = NetworkInfo { ipam, attached: vec![web.clone()], ..NetworkInfo::default() };
        let shown: Vec<String> = reserved_of(&info).iter().map(|taken| format!("{}: {}", taken.owner, Span(taken.range))).collect();
        assert_eq!(
            shown,
            [
                "gateway: 10.0.0.254",
                "auxiliary addresses: 10.0.0.5",
                "range the engine hands out: 10.0.0.64-10.0.0.127",
                "container web: 10.0.0.70"
            ]
        );
    }
    let untold = IpamEntry { gateway: None, ip_range: Some("10.0.0.0/24".parse().unwrap()), auxiliary: vec![], ..v4 };
    let info = NetworkInfo { ipam: vec![untold], ..NetworkInfo::default() };
    let reserved = reserved_of(&info);
    assert_eq!(reserved.len(), 1, "a range as wide as the subnet reserves nothing");
    assert_eq!(reserved[0].range, range("10.0.0.1"), "the gateway is there though untold");
}

#[test]
fn the_calculator_speaks_json() {
    let plan = plan_pools(net("172.18.0.9/24"), 2, 25, None, &[range("172.18.0.250")]).unwrap();
    assert_eq!(
        serde_json::to_value(&plan).unwrap(),
        serde_json::json!({"pools": [
            {"cluster": "cluster1", "range": "172.18.0.225-172.18.0.249", "size": 25},
            {"cluster": "cluster2", "range": "172.18.0.200-172.18.0.224", "size": 25},
        ]})
    );
}

#[test]
fn the_calculator_keeps_the_gateway_out() {
    let plan = plan_pools(net("10.0.0.0/28"), 1, 13, None, &[]).unwrap();
    assert_eq!(plan.pools[0].range, range("10.0.0.2-10.0.0.14"));
    assert!(plan_pools(net("10.0.0.0/28"), 1, 14, None, &[]).is_err());
    let plan = plan_pools(net("10.0.0.0/28"), 1, 13, Some(Ipv4Addr::new(10, 0, 0, 14)), &[]).unwrap();
    assert_eq!(plan.pools[0].range, range("10.0.0.1-10.0.0.13"));
    let error = plan_pools(net("10.0.0.0/28"), 1, 4, Some(Ipv4Addr::new(10, 0, 0, 15)), &[]).unwrap_err();
    assert_eq!(error.to_string(), "the gateway 10.0.0.15 is no host address of the subnet 10.0.0.0/28");
}

/// The rule again, address by address: from the top, the first window that is free.
fn brute_force(subnet: Ipv4Network, reserved: &BTreeSet<u32>, requests: &[PoolRequest]) -> Option<Vec<AddrRange>> {
    let hosts = subnet.network().to_bits() + 1..subnet.broadcast().to_bits();
    let mut taken = reserved.clone();
    for existing in requests.iter().filter_map(|request| request.existing) {
        taken.extend(existing.iter().map(Ipv4Addr::to_bits));
    }
    let mut ranges = Vec::new();
    for request in requests {
        if let Some(existing) = request.existing {
            ranges.push(existing);
            continue;
        }
        let last = hosts.clone().rev().find(|last| {
            (0..request.size).all(|n| last.checked_sub(n).is_some_and(|address| hosts.contains(&address) && !taken.contains(&address)))
        })?;
        let range = AddrRange { first: Ipv4Addr::from_bits(last - (request.size - 1)), last: Ipv4Addr::from_bits(last) };
        taken.extend(range.iter().map(Ipv4Addr::to_bits));
        ranges.push(range);
    }
    Some(ranges)
}

prop_compose! {
    fn situation(prefixes: std::ops::RangeInclusive<u8>)(prefix in prefixes)(
        prefix in Just(prefix),
        reserved in prop::collection::vec((0u32..1 << (32 - prefix), 0u32..12), 0..6),
        sizes in prop::collection::vec(MIN_POOL_SIZE..40, 0..8),
    ) -> (Ipv4Network, Vec<Reserved>, Vec<PoolRequest>) {
        let inside = Ipv4Network::new(Ipv4Addr::new(10, 77, 3, 0), prefix).unwrap();
        let subnet = Ipv4Network::new(inside.network(), prefix).unwrap();
        // At both ends, where pools and the engine's addresses are, and anywhere between.
        let base = subnet.network().to_bits();
        let reserved = reserved
            .into_iter()
            .map(|(at, len)| AddrRange { first: Ipv4Addr::from_bits(base + at), last: Ipv4Addr::from_bits(base + at + len) })
            .map(|range| Reserved { range, owner: "test".to_owned() })
            .collect();
        let requests = sizes.into_iter().enumerate().map(|(n, size)| request(&format!("c{n}"), size)).collect();
        (subnet, reserved, requests)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn agrees_with_brute_force((subnet, reserved, requests) in situation(24..=28)) {
        let plain: BTreeSet<u32> = reserved.iter().flat_map(|taken| taken.range.iter()).map(Ipv4Addr::to_bits).collect();
        let expected = brute_force(subnet, &plain, &requests);
        let actual = carve(subnet, &reserved, &requests).ok().map(|pools| pools.iter().map(|pool| pool.range).collect::<Vec<_>>());
        prop_assert_eq!(actual, expected);
    }

    #[test]
    fn disjoint_inside_exact_and_reserved_untouched((subnet, reserved, requests) in situation(8..=28)) {
        let Ok(pools) = carve(subnet, &reserved, &requests) else { return Ok(()) };
        prop_assert_eq!(pools.len(), requests.len());
        for (index, pool) in pools.iter().enumerate() {
            prop_assert_eq!(&pool.cluster, &requests[index].cluster);
            prop_assert_eq!(pool.range.len(), u64::from(requests[index].size));
            prop_assert!(pool.range.first > subnet.network() && pool.range.last < subnet.broadcast());
            prop_assert!(reserved.iter().all(|taken| !taken.range.overlaps(&pool.range)));
            prop_assert!(pools[index + 1..].iter().all(|other| !other.range.overlaps(&pool.range)));
        }
    }

    #[test]
    fn stable_when_clusters_come_and_go(
        (subnet, reserved, requests) in situation(8..=28),
        gone in prop::collection::vec(any::<bool>(), 8),
        added in prop::collection::vec(MIN_POOL_SIZE..20, 0..3),
        turn in any::<prop::sample::Index>(),
    ) {
        let Ok(pools) = carve(subnet, &reserved, &requests) else { return Ok(()) };
        let mut again: Vec<PoolRequest> = requests
            .iter()
            .zip(&pools)
            .zip(&gone)
            .filter(|(_, gone)| !**gone)
            .map(|((request, pool), _)| PoolRequest { existing: Some(pool.range), ..request.clone() })
            .collect();
        let kept: Vec<(String, AddrRange)> = again.iter().filter_map(|request| Some((request.cluster.clone(), request.existing?))).collect();
        again.extend(added.iter().enumerate().map(|(n, size)| request(&format!("new{n}"), *size)));
        if !again.is_empty() {
            let by = turn.index(again.len());
            again.rotate_left(by);
        }
        let plain: BTreeSet<u32> = reserved.iter().flat_map(|taken| taken.range.iter()).map(Ipv4Addr::to_bits).collect();
        match carve(subnet, &reserved, &again) {
            Ok(second) => {
                for (cluster, range) in kept {
                    prop_assert!(second.iter().any(|pool| pool.cluster == cluster && pool.range == range));
                }
                prop_assert_eq!(Some(second.iter().map(|pool| pool.range).collect::<Vec<_>>()), brute_force(subnet, &plain, &again));
            }
            Err(error) => {
                let full = matches!(error, PoolError::Full { .. });
                prop_assert!(full, "{}", error);
                prop_assert!(brute_force(subnet, &plain, &again).is_none());
            }
        }
    }
}
