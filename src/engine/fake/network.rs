//! Networks: names, pools and addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};

use super::state::{State, bears};
use crate::domain::net::{IpamEntry, NetworkInfo, NetworkSpec};
use crate::engine::{EngineErrorKind as Kind, Result};

use super::calls::Verb;
use super::engine::refuse;

/// A network, and which of its addresses are taken.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub id: String,
    pub spec: NetworkSpec,
    pub v4: Ipv4Network,
    pub gateway: Ipv4Addr,
    /// Whether the subnet was asked for: only then may addresses be fixed.
    chosen: bool,
    created: i64,
    /// Address of each attached container by its ID.
    pub taken: BTreeMap<String, (Ipv4Addr, Option<Ipv6Addr>)>,
    /// IDs of the attached containers, and of those that would be if they ran.
    pub guests: BTreeSet<String>,
}

// === impl Network ===

impl Network {
    /// The network every engine has.
    #[expect(clippy::expect_used, reason = "a constant of this file, read by every test")]
    pub(super) fn default_bridge() -> Self {
        let spec = NetworkSpec { name: "bridge".to_owned(), ..NetworkSpec::default() };
        let v4: Ipv4Network = "172.17.0.0/16".parse().expect("the default bridge's subnet");
        Self {
            id: "b".repeat(64),
            spec,
            v4,
            gateway: first(v4),
            chosen: false,
            created: 0,
            taken: BTreeMap::new(),
            guests: BTreeSet::new(),
        }
    }

    fn entries(&self) -> Vec<IpamEntry> {
        let v4 = IpamEntry {
            subnet: IpNetwork::V4(self.v4),
            ip_range: self.spec.ip_range.map(IpNetwork::V4),
            gateway: Some(IpAddr::V4(self.gateway)),
            auxiliary: Vec::new(),
        };
        // Like a new engine: IPv6 first, and without a gateway.
        let v6 = self.spec.ipv6_subnet.map(|subnet| IpamEntry {
            subnet: IpNetwork::V6(subnet),
            ip_range: None,
            gateway: None,
            auxiliary: Vec::new(),
        });
        v6.into_iter().chain([v4]).collect()
    }

    /// Takes an address for a container: the wanted one, or the lowest that is free.
    pub(super) fn attach(&mut self, container: &str, wanted: Option<Ipv4Addr>, verb: Verb, object: &str) -> Result<()> {
        let used: Vec<Ipv4Addr> = self.taken.values().map(|(v4, _)| *v4).collect();
        let v4 = match wanted {
            Some(_) if !self.chosen => {
                let text = "user specified IP address is supported only when connecting to networks with user configured subnets";
                return refuse(verb, object, Kind::Refused, text);
            }
            Some(address) if used.contains(&address) || address == self.gateway => {
                return refuse(verb, object, Kind::Refused, "Address already in use");
            }
            Some(address) if !self.v4.contains(address) => {
                return refuse(verb, object, Kind::Refused, format!("no configured subnet contains IP address {address}"));
            }
            Some(address) => address,
            None => {
                let ends = [self.v4.network(), self.v4.broadcast(), self.gateway];
                let mut range = self.spec.ip_range.unwrap_or(self.v4).iter();
                match range.find(|address| !ends.contains(address) && !used.contains(address)) {
                    Some(address) => address,
                    None => return refuse(verb, object, Kind::Failed, "no available IPv4 addresses on this network's address pools"),
                }
            }
        };
        let v6 = self.spec.ipv6_subnet.map(|subnet| sixth(subnet, v4));
        self.taken.insert(container.to_owned(), (v4, v6));
        self.guests.insert(container.to_owned());
        Ok(())
    }
}

// === impl State ===

impl State {
    /// Position of a network by ID, unique part of one, or name.
    pub(super) fn network(&self, key: &str, verb: Verb) -> Result<usize> {
        if let Some(found) = self.networks.iter().position(|network| network.id == key) {
            return Ok(found);
        }
        let named: Vec<usize> = (0..self.networks.len()).filter(|at| self.networks[*at].spec.name == key).collect();
        match named[..] {
            [one] => Ok(one),
            [] => refuse(verb, key, Kind::NotFound, format!("network {key} not found")),
            _ => refuse(verb, key, Kind::Refused, format!("network {key} is ambiguous ({} matches found on name)", named.len())),
        }
    }

    pub(super) fn create_network(&mut self, spec: &NetworkSpec) -> Result<String> {
        let verb = Verb::CreateNetwork;
        if !self.duplicates && self.networks.iter().any(|network| network.spec.name == spec.name) {
            return refuse(verb, &spec.name, Kind::Conflict, format!("network with name {} already exists", spec.name));
        }
        let overlaps = "invalid pool request: Pool overlaps with other one on this address space";
        let v4 = match spec.ipv4_subnet {
            Some(subnet) if self.networks.iter().any(|network| network.v4.overlaps(subnet)) => {
                return refuse(verb, &spec.name, Kind::Refused, overlaps);
            }
            Some(subnet) => subnet,
            None => match self.free_pool() {
                Some(subnet) => subnet,
                None => return refuse(verb, &spec.name, Kind::Failed, "could not find an available, non-overlapping IPv4 address pool"),
            },
        };
        let taken6 =
            |wanted: Ipv6Network| self.networks.iter().filter_map(|network| network.spec.ipv6_subnet).any(|one| one.overlaps(wanted));
        if spec.ipv6_subnet.is_some_and(taken6) {
            return refuse(verb, &spec.name, Kind::Refused, overlaps);
        }
        let id = self.id();
        let gateway = spec.gateway.unwrap_or_else(|| first(v4));
        self.networks.push(Network {
            id: id.clone(),
            spec: spec.clone(),
            v4,
            gateway,
            chosen: spec.ipv4_subnet.is_some(),
            created: self.now(),
            taken: BTreeMap::new(),
            guests: BTreeSet::new(),
        });
        self.tell("network", "create", &spec.name, spec.labels.clone());
        Ok(id)
    }

    pub(super) fn remove_network(&mut self, key: &str) -> Result<()> {
        let at = self.network(key, Verb::RemoveNetwork)?;
        let network = &self.networks[at];
        if !network.taken.is_empty() {
            let text = format!("error while removing network: network {} has active endpoints", network.spec.name);
            return refuse(Verb::RemoveNetwork, key, Kind::Refused, text);
        }
        if network.spec.name == "bridge" {
            return refuse(Verb::RemoveNetwork, key, Kind::Refused, "bridge is a pre-defined network and cannot be removed");
        }
        let gone = self.networks.remove(at);
        self.tell("network", "destroy", &gone.spec.name, gone.spec.labels);
        Ok(())
    }

    pub(super) fn networks(&self, matches: impl Fn(&NetworkSpec) -> bool) -> Vec<NetworkInfo> {
        self.networks.iter().filter(|network| matches(&network.spec)).map(|network| self.network_info(network)).collect()
    }

    pub(super) fn networks_labelled(&self, labels: &[String]) -> Vec<NetworkInfo> {
        self.networks(|spec| bears(&spec.labels, labels))
    }

    pub(super) fn network_info(&self, network: &Network) -> NetworkInfo {
        let name = |id: &str| self.containers.iter().find(|one| one.id == id).map(|one| one.name.clone()).unwrap_or_default();
        NetworkInfo {
            id: network.id.clone(),
            name: network.spec.name.clone(),
            driver: "bridge".to_owned(),
            ipv6: network.spec.enable_ipv6,
            ipam: network.entries(),
            options: network.spec.options.clone(),
            labels: network.spec.labels.clone(),
            created: network.created,
            attached: network
                .taken
                .iter()
                .map(|(id, (v4, v6))| crate::domain::net::AttachedContainer { id: id.clone(), name: name(id), ipv4: Some(*v4), ipv6: *v6 })
                .collect(),
        }
    }

    /// The first of Docker's default pools that is free.
    fn free_pool(&self) -> Option<Ipv4Network> {
        let pools = (18..32_u8).filter_map(|octet| Ipv4Network::new(Ipv4Addr::new(172, octet, 0, 0), 16).ok());
        pools.into_iter().find(|pool| !self.networks.iter().any(|network| network.v4.overlaps(*pool)))
    }
}

/// The first address of a subnet, where an engine puts the gateway.
fn first(subnet: Ipv4Network) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(subnet.network()) + 1)
}

/// An IPv6 address that goes with an IPv4 one.
fn sixth(subnet: Ipv6Network, v4: Ipv4Addr) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(subnet.network()) | u128::from(u32::from(v4) & 0xffff))
}
