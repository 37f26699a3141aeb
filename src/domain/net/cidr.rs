//! Thin helpers over subnets.

use std::net::Ipv4Addr;

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};

/// A subnet with its host bits cleared: `172.18.5.9/16` is `172.18.0.0/16`. The parser keeps them,
/// and two spellings of one subnet would then not compare equal.
pub fn normalise(subnet: Ipv4Network) -> Ipv4Network {
    // A prefix that came out of a network is valid, so there is nothing to fall back to.
    Ipv4Network::new(subnet.network(), subnet.prefix()).unwrap_or(subnet)
}

/// As [`normalise`], for IPv6.
pub fn normalise_v6(subnet: Ipv6Network) -> Ipv6Network {
    Ipv6Network::new(subnet.network(), subnet.prefix()).unwrap_or(subnet)
}

/// As [`normalise`], for either family.
pub fn normalise_any(subnet: IpNetwork) -> IpNetwork {
    match subnet {
        IpNetwork::V4(v4) => IpNetwork::V4(normalise(v4)),
        IpNetwork::V6(v6) => IpNetwork::V6(normalise_v6(v6)),
    }
}

/// Number of addresses, network and broadcast address included.
pub fn size(subnet: Ipv4Network) -> u64 {
    1 << (32 - u32::from(subnet.prefix()))
}

/// The address an engine takes for the gateway unless told otherwise: the first one. `None` for a
/// /31 and a /32, which have no room for one.
pub fn default_gateway(subnet: Ipv4Network) -> Option<Ipv4Addr> {
    (subnet.prefix() <= 30).then(|| Ipv4Addr::from_bits(subnet.network().to_bits() + 1))
}

/// The `index`-th block of a finer prefix; `None` when there is no such block.
pub fn block(subnet: Ipv4Network, prefix: u8, index: u32) -> Option<Ipv4Network> {
    let finer = prefix.checked_sub(subnet.prefix()).filter(|_| prefix <= 32)?;
    if u64::from(index) >= 1 << finer {
        return None;
    }
    let offset = u64::from(index) << (32 - u32::from(prefix));
    let first = u64::from(subnet.network().to_bits()) + offset;
    Ipv4Network::new(Ipv4Addr::from_bits(u32::try_from(first).ok()?), prefix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Network {
        text.parse().unwrap()
    }

    #[test]
    fn host_bits_do_not_count() {
        assert_ne!(net("172.18.5.9/16"), net("172.18.0.0/16"));
        assert_eq!(normalise(net("172.18.5.9/16")), net("172.18.0.0/16"));
        assert_eq!(normalise_v6("fc00::7/64".parse().unwrap()), "fc00::/64".parse::<Ipv6Network>().unwrap());
        assert_eq!(normalise_any("10.1.2.3/8".parse().unwrap()).to_string(), "10.0.0.0/8");
    }

    #[test]
    fn gateways_need_room() {
        assert_eq!(default_gateway(net("172.18.0.0/16")), Some(Ipv4Addr::new(172, 18, 0, 1)));
        assert_eq!(default_gateway(net("172.18.0.0/30")), Some(Ipv4Addr::new(172, 18, 0, 1)));
        assert_eq!(default_gateway(net("172.18.0.0/31")), None);
    }

    #[test]
    fn blocks_are_counted_from_the_bottom() {
        assert_eq!(block(net("10.0.0.0/8"), 16, 255), Some(net("10.255.0.0/16")));
        assert_eq!(block(net("10.0.0.0/8"), 16, 256), None);
        assert_eq!(block(net("10.0.0.0/24"), 24, 0), Some(net("10.0.0.0/24")));
        assert_eq!(block(net("10.0.0.0/24"), 16, 0), None);
        assert_eq!(block(net("0.0.0.0/0"), 32, u32::MAX), Some(net("255.255.255.255/32")));
        assert_eq!(size(net("0.0.0.0/0")), 1 << 32);
    }
}
