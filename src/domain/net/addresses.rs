//! Fixed addresses of nodes on a network of the fleet's own.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

use super::range::AddrRange;
use super::set::AddrSet;

/// A subnet without room for the nodes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the subnet {subnet} has no address left for the node {node}: {nodes} nodes need one each, and {free} were free; \
     use a larger subnet, smaller pools or fewer nodes"
)]
pub struct AddressError {
    /// The subnet.
    pub subnet: Ipv4Network,
    /// The first node that got none.
    pub node: String,
    /// Number of nodes that needed an address.
    pub nodes: usize,
    /// Addresses that were free for them.
    pub free: u64,
}

/// Gives every node in `nodes` an address and returns all of them by node name.
///
/// A node in `existing` keeps its address. The others get the lowest free ones, in order, outside
/// `ip_range`: what lies there the engine may hand to somebody else while a node is stopped. Only when
/// nothing is left outside are addresses of `ip_range` used. Never given: an address of `reserved`
/// (the gateway, other containers, pools) or of any entry of `existing`, asked for or not.
///
/// # Errors
/// [`AddressError`] when the subnet is full.
pub fn node_addresses(
    subnet: Ipv4Network,
    ip_range: Option<Ipv4Network>,
    reserved: &[AddrRange],
    existing: &BTreeMap<String, Ipv4Addr>,
    nodes: &[String],
) -> Result<BTreeMap<String, Ipv4Addr>, AddressError> {
    let mut outside = AddrSet::hosts_of(subnet);
    for range in reserved.iter().copied().chain(existing.values().copied().map(AddrRange::single)) {
        outside.remove(&range);
    }
    let mut inside = AddrSet::default();
    if let Some(range) = ip_range.map(AddrRange::from) {
        inside = outside.clone();
        inside.keep(&range);
        outside.remove(&range);
    }
    let free = outside.len() + inside.len();
    let mut addresses = BTreeMap::new();
    for node in nodes {
        let address = match existing.get(node) {
            Some(address) => *address,
            None => outside.take_lowest().or_else(|| inside.take_lowest()).ok_or_else(|| AddressError {
                subnet,
                node: node.clone(),
                nodes: nodes.iter().filter(|node| !existing.contains_key(*node)).count(),
                free,
            })?,
        };
        addresses.insert(node.clone(), address);
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn subnet() -> Ipv4Network {
        "10.9.0.0/28".parse().unwrap()
    }

    fn gateway() -> Vec<AddrRange> {
        vec!["10.9.0.1".parse().unwrap()]
    }

    fn show(addresses: &BTreeMap<String, Ipv4Addr>) -> String {
        addresses.iter().map(|(node, address)| format!("{node}={}", address.octets()[3])).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_lowest_after_the_gateway() {
        let given = node_addresses(subnet(), None, &gateway(), &BTreeMap::new(), &names(&["a", "b"])).unwrap();
        assert_eq!(show(&given), "a=2 b=3");
    }

    #[test]
    fn outside_the_engines_range_while_there_is_room() {
        let range = Some("10.9.0.0/29".parse().unwrap());
        let given = node_addresses(subnet(), range, &gateway(), &BTreeMap::new(), &names(&["a", "b"])).unwrap();
        assert_eq!(show(&given), "a=8 b=9");
        let mut reserved = gateway();
        reserved.push("10.9.0.9-10.9.0.14".parse().unwrap());
        let given = node_addresses(subnet(), range, &reserved, &BTreeMap::new(), &names(&["a", "b"])).unwrap();
        assert_eq!(show(&given), "a=8 b=2");
    }

    #[test]
    fn stable_when_nodes_come_and_go() {
        let first = node_addresses(subnet(), None, &gateway(), &BTreeMap::new(), &names(&["a", "b", "c"])).unwrap();
        let mut left = first.clone();
        left.remove("a");
        let second = node_addresses(subnet(), None, &gateway(), &left, &names(&["c", "d", "b"])).unwrap();
        assert_eq!(show(&second), "b=3 c=4 d=2");
        let third = node_addresses(subnet(), None, &gateway(), &second, &names(&["e"])).unwrap();
        assert_eq!(show(&third), "e=5", "addresses of nodes that were not asked for are not given away");
    }

    #[test]
    fn a_full_subnet_is_refused_with_the_numbers() {
        let mut reserved = gateway();
        reserved.push("10.9.0.3-10.9.0.14".parse().unwrap());
        let error = node_addresses(subnet(), None, &reserved, &BTreeMap::new(), &names(&["a", "b"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the subnet 10.9.0.0/28 has no address left for the node b: 2 nodes need one each, and 1 were free; \
             use a larger subnet, smaller pools or fewer nodes"
        );
    }
}
