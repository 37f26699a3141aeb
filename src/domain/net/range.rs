//! Ranges of IPv4 addresses.

use std::fmt;
use std::net::Ipv4Addr;

/// A range of IPv4 addresses, both ends included; written `first-last`, as MetalLB does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddrRange {
    /// First address.
    pub first: Ipv4Addr,
    /// Last address, not before the first.
    pub last: Ipv4Addr,
}

// === impl AddrRange ===

impl fmt::Display for AddrRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}
