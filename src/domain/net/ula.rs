//! The IPv6 subnet of a network, derived from its name as kind derives it.

use std::net::Ipv6Addr;

use ipnetwork::Ipv6Network;
use sha1::{Digest, Sha1};

/// How many subnets are tried for one name before giving up, as kind does.
pub const ULA_ATTEMPTS: u32 = 5;

/// The unique-local /64 for a network name: `fc00`, then bytes 2 to 7 of the SHA-1 of the name
/// followed by the attempt as a little-endian 32-bit number.
///
/// It depends on nothing but the name, so that two processes that create one network at the same
/// time collide on the subnet and only one of them wins.
pub fn ula(name: &str, attempt: u32) -> Ipv6Network {
    let mut hash = Sha1::new();
    hash.update(name.as_bytes());
    hash.update(attempt.to_le_bytes());
    let digest = hash.finalize();
    let mut octets = [0u8; 16];
    octets[0] = 0xfc;
    octets[2..8].copy_from_slice(&digest[2..8]);
    let address = Ipv6Addr::from(octets);
    // 64 is a valid prefix; the host route stands in for an error that cannot happen.
    Ipv6Network::new(address, 64).unwrap_or(Ipv6Network::from(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_as_kinds() {
        let expected = [
            "fc00:f853:ccd:e793::/64",
            "fc00:8866:27d0:bd7e::/64",
            "fc00:ddd9:fcae:c61c::/64",
            "fc00:aa7c:42e1:abd3::/64",
            "fc00:3131:6ea8:d73a::/64",
        ];
        let derived: Vec<String> = (0..ULA_ATTEMPTS).map(|attempt| ula("kind", attempt).to_string()).collect();
        assert_eq!(derived, expected);
    }

    #[test]
    fn names_differ() {
        assert_ne!(ula("kind", 0), ula("other", 0));
    }
}
