//! Networks as plain data: wanted and found.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use serde::Serialize;

/// A network to be created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NetworkSpec {
    /// Name.
    pub name: String,
    /// IPv4 subnet; the engine picks one from its own pools when `None`.
    pub ipv4_subnet: Option<Ipv4Network>,
    /// Part of the IPv4 subnet the engine may hand out by itself.
    pub ip_range: Option<Ipv4Network>,
    /// IPv4 gateway.
    pub gateway: Option<Ipv4Addr>,
    /// Whether IPv6 is enabled.
    pub enable_ipv6: bool,
    /// IPv6 subnet.
    pub ipv6_subnet: Option<Ipv6Network>,
    /// Driver options (`com.docker.network.driver.mtu`).
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A network as the engine describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NetworkInfo {
    /// Engine's ID.
    pub id: String,
    /// Name; not unique on old engines.
    pub name: String,
    /// Driver (`bridge`).
    pub driver: String,
    /// Whether IPv6 is on.
    pub ipv6: bool,
    /// IPAM entries in the engine's order, which differs between engines: select by family.
    pub ipam: Vec<IpamEntry>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// When it was created, seconds since 1970; 0 when the engine does not tell.
    pub created: i64,
    /// Running containers attached, with their addresses.
    pub attached: Vec<AttachedContainer>,
}

/// One subnet of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IpamEntry {
    /// Subnet, host bits cleared.
    pub subnet: IpNetwork,
    /// Part the engine hands out by itself, when limited.
    pub ip_range: Option<IpNetwork>,
    /// Gateway, when told.
    pub gateway: Option<IpAddr>,
    /// Addresses reserved by name.
    pub auxiliary: Vec<IpAddr>,
}

/// A container attached to a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttachedContainer {
    /// Engine's ID.
    pub id: String,
    /// Name.
    pub name: String,
    /// IPv4 address, when it has one.
    pub ipv4: Option<Ipv4Addr>,
    /// IPv6 address, when it has one.
    pub ipv6: Option<std::net::Ipv6Addr>,
}

// === impl NetworkInfo ===

impl NetworkInfo {
    /// The first IPv4 entry, wherever the engine lists it.
    pub fn ipv4(&self) -> Option<&IpamEntry> {
        self.ipam.iter().find(|entry| entry.subnet.is_ipv4())
    }

    /// The first IPv6 entry, wherever the engine lists it.
    pub fn ipv6_entry(&self) -> Option<&IpamEntry> {
        self.ipam.iter().find(|entry| entry.subnet.is_ipv6())
    }
}
