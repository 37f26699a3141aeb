//! Where a remote secret leads.

use std::net::IpAddr;

use super::super::names;
use super::super::view::{ClusterView, FleetView};

/// Whether `server`, the address of a cluster's API server in a remote secret, is one that pods of
/// other clusters reach it by.
///
/// # Errors
/// Why not.
pub fn leads_to(view: &FleetView, cluster: &ClusterView, server: &str) -> Result<(), String> {
    let Some((host, port)) = split(server) else { return Err(format!("{server} is no https address")) };
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback() || address.is_unspecified()) {
        return Err(format!("{server} is the pod itself, wherever it runs"));
    }
    if !cluster.api_hosts.contains(host) {
        let known = cluster.api_hosts.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(match view.others(cluster).find(|other| other.api_hosts.contains(host)) {
            Some(other) => format!("{server} is cluster {}", other.name),
            None => format!("{server} is not where pods of other clusters reach it ({known})"),
        });
    }
    match port == names::API_SERVER_PORT {
        true => Ok(()),
        false => Err(format!("{server} has another port than {}", names::API_SERVER_PORT)),
    }
}

/// Host and port of `https://host[:port][/]`.
fn split(server: &str) -> Option<(&str, u16)> {
    let authority = server.strip_prefix("https://")?.trim_end_matches('/');
    if authority.is_empty() || authority.contains('/') {
        return None;
    }
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let port = if port.is_empty() { 443 } else { port.strip_prefix(':')?.parse().ok()? };
        return Some((host, port));
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host, port.parse().ok()?)),
        None => Some((authority, 443)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_split() {
        assert_eq!(split("https://a:6443"), Some(("a", 6443)));
        assert_eq!(split("https://[fc00::2]:6443/"), Some(("fc00::2", 6443)));
        assert_eq!(split("https://a"), Some(("a", 443)));
        for bad in ["http://a:6443", "https://", "https://a:x", "a:6443", "https://a/b"] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }
}
