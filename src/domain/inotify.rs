//! How many inotify instances clusters take of the few that a host has.
//!
//! Linux gives every user 128 by default, and all node containers share those of the engine's user.
//! Whoever comes too late fails in odd ways: a node that does not boot, a kubelet that is never
//! healthy, a proxy that does not start, each with "too many open files" in its log.

use super::fleet::Fleet;

/// Where the kernel tells the limit; also readable in any container.
pub const LIMIT_FILE: &str = "/proc/sys/fs/inotify/max_user_instances";
/// What to set it to: room for more clusters than a machine has memory for.
pub const ADVISED: u32 = 1024;

/// systemd, D-Bus, containerd, kubelet and kube-proxy: counted on running nodes.
const PER_NODE: u32 = 14;
/// API server, controller manager and scheduler, on top of that.
const PER_CONTROL_PLANE: u32 = 15;
/// istiod, gateways and the sample's proxies of one cluster, on top of that.
const PER_MESH_MEMBER: u32 = 12;
/// For everything else on the host.
const RESERVE: u32 = 8;

/// About how many instances the host must have, once the fleet is up, with that many nodes of
/// other fleets beside it.
pub fn needed(fleet: &Fleet, other_nodes: usize) -> u32 {
    let ours: u32 = fleet
        .clusters
        .iter()
        .map(|cluster| {
            let mesh = if fleet.mesh.is_some() { PER_MESH_MEMBER } else { 0 };
            cluster.nodes() * PER_NODE + cluster.control_planes * PER_CONTROL_PLANE + mesh
        })
        .sum();
    // What the others are is not known: most nodes are the only one of their cluster.
    let theirs = u32::try_from(other_nodes).unwrap_or(u32::MAX).saturating_mul(PER_NODE + PER_CONTROL_PLANE);
    ours.saturating_add(theirs).saturating_add(RESERVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fleet::tests_support::fleet;

    #[test]
    fn grows_with_nodes_and_neighbours() {
        assert_eq!(needed(&fleet(1), 0), 37);
        assert_eq!(needed(&fleet(3), 1), 8 + 4 * 29);
        assert!(needed(&fleet(4), 0) < 128, "four plain clusters fit into what Linux gives by default");
        assert_eq!(needed(&fleet(1), usize::MAX), u32::MAX);
    }
}
