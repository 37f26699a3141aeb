//! What a host must have for a fleet, judged from figures: memory, disk, processors, clock, routes.
//!
//! Needs are what was measured on running clusters; hosts and images differ, so a need that is just not met is a
//! warning, and only what cannot work is a failure.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnetwork::Ipv4Network;
use serde::Serialize;

use super::fleet::Fleet;

const MIB: u64 = 1 << 20;
/// A control plane with everything that is installed beside it, measured: 550 to 700 MiB.
const CONTROL_PLANE_MEMORY: u64 = 650 * MIB;
/// A worker: containerd, kubelet, kube-proxy, the network.
const WORKER_MEMORY: u64 = 300 * MIB;
/// What istiod, gateways and the sample's proxies add to a cluster; with it, 945 MiB were measured.
const MESH_MEMORY: u64 = 300 * MIB;
/// What a node writes in its first minutes: its volume, its layer, databases, logs.
const NODE_DISK: u64 = 400 * MIB;
/// A disk with less than this is full.
const FULL: u64 = 512 * MIB;
/// Control planes that start at the same time on one processor without passing deadlines.
const CLUSTERS_PER_CPU: u32 = 6;
/// Certificates of a node are valid from the moment it makes them: a clock that is behind sees them too early.
const CLOCK_FINE: Duration = Duration::from_secs(5);
const CLOCK_BAD: Duration = Duration::from_secs(60);

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It may go wrong, or could not be looked at.
    Warn,
    /// It will go wrong.
    Fail,
}

/// What a look came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// Why, in one line.
    pub why: String,
    /// What to do about it, in one line; nothing when all is well.
    pub fix: Option<String>,
}

/// What a fleet will need that is not there yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// Clusters that are to be made.
    pub clusters: u32,
    /// Nodes that are to be made.
    pub nodes: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes on the disk of the engine.
    pub disk: u64,
}

/// A route of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub to: Ipv4Network,
    /// Through which interface.
    pub interface: String,
}

// === impl Needs ===

impl Needs {
    /// Of the nodes of a fleet for which `missing` says so, by the name of the node.
    pub fn of(fleet: &Fleet, missing: impl Fn(&str) -> bool) -> Self {
        use super::name::Role::{ControlPlane, Worker};
        let mut needs = Self::default();
        for cluster in &fleet.clusters {
            let count = |role, count: u32| (1..=count as usize).filter(|index| missing(&cluster.name.node(role, *index))).count() as u64;
            let (control_planes, workers) = (count(ControlPlane, cluster.control_planes), count(Worker, cluster.workers));
            let begun = u64::from(control_planes > 0);
            needs.clusters += u32::from(control_planes > 0);
            needs.nodes += u32::try_from(control_planes + workers).unwrap_or(u32::MAX);
            let mesh = if fleet.mesh.is_some() { begun * MESH_MEMORY } else { 0 };
            needs.memory += control_planes * CONTROL_PLANE_MEMORY + workers * WORKER_MEMORY + mesh;
        }
        needs.disk = u64::from(needs.nodes) * NODE_DISK;
        needs
    }
}

/// Whether there is memory for it: `available` of `total` bytes, as far as known.
pub fn memory(needs: Needs, available: Option<u64>, total: u64) -> Finding {
    let need = format!("about {} for {}", size(needs.memory), nodes(needs.nodes));
    let fix = || "give the engine's host more memory, or make fewer clusters or workers, or put other fleets to rest (`kindmesh stop`)";
    let has = available.unwrap_or(total);
    let seen = if available.is_some() { "available" } else { "there in all" };
    if total < needs.memory {
        return Finding::fail(format!("{need} are needed, and the host has {} in all", size(total)), fix());
    }
    match has < needs.memory {
        true => Finding::warn(format!("{need} are needed, and {} are {seen}", size(has)), fix()),
        false => Finding::ok(format!("{need} of {} {seen}", size(has))),
    }
}

/// Whether there is room on the disk of the engine.
pub fn disk(needs: Needs, free: u64) -> Finding {
    let need = format!("about {} for {}", size(needs.disk), nodes(needs.nodes));
    let fix =
        "make room on the engine's disk: remove containers, volumes and images that nobody uses (`docker system df` tells what there is)";
    match free {
        free if free < FULL => Finding::fail(format!("only {} are free on the engine's disk", size(free)), fix),
        free if free < needs.disk + FULL => {
            Finding::warn(format!("{need} are needed, and {} are free on the engine's disk", size(free)), fix)
        }
        free => Finding::ok(format!("{need} of {} free", size(free))),
    }
}

/// Whether so many clusters can start at the same time.
pub fn processors(needs: Needs, cpus: u32) -> Finding {
    let counted = |count: u32, noun: &str| if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") };
    match cpus {
        0 => Finding::warn("the engine does not tell how many processors it has".to_owned(), "nothing to do unless clusters start slowly"),
        cpus if needs.clusters > cpus.saturating_mul(CLUSTERS_PER_CPU) => Finding::warn(
            format!("{} will start at once on {}: deadlines may pass", counted(needs.clusters, "cluster"), counted(cpus, "processor")),
            "make them in several fleets one after the other, or set longer `timeouts` in the fleet file",
        ),
        cpus => Finding::ok(format!("{} for {}", counted(cpus, "processor"), counted(needs.clusters, "new cluster"))),
    }
}

/// Whether the clocks agree. `ahead`: the engine's is ahead of ours, else behind.
pub fn clock(skew: Duration, ahead: bool) -> Finding {
    let why = format!(
        "the clock of the engine's host is {:.1} s {} this machine's",
        skew.as_secs_f64(),
        if ahead { "ahead of" } else { "behind" }
    );
    let fix = "set both clocks by a time server (`timedatectl set-ntp true`); a virtual machine that slept may need a restart";
    match skew {
        skew if skew <= CLOCK_FINE => Finding::ok(format!("the clocks agree ({:.1} s apart)", skew.as_secs_f64())),
        skew if skew <= CLOCK_BAD => Finding::warn(why, fix),
        _ => Finding::fail(format!("{why}: certificates would not be valid yet, or no more"), fix),
    }
}

/// Routes that addresses of a subnet would be taken from, or take from: everything but the default route and the
/// subnet's own.
pub fn in_the_way(subnet: Ipv4Network, routes: &[Route], own: bool) -> Vec<&Route> {
    let overlaps = |route: &&Route| {
        let narrower = route.to.prefix() > 0;
        narrower && (route.to.contains(subnet.network()) || subnet.contains(route.to.network())) && !(own && route.to == subnet)
    };
    routes.iter().filter(overlaps).collect()
}

/// Reads `/proc/net/route`; lines that are none are skipped.
pub fn parse_routes(text: &str) -> Vec<Route> {
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Interface, destination, gateway, flags, …, mask; addresses in the byte order of the host, and bit 0 of the flags: usable.
        let (interface, flags) = (fields.first()?, u32::from_str_radix(fields.get(3)?, 16).ok()?);
        let address = |at: usize| Some(Ipv4Addr::from(u32::from_str_radix(fields.get(at)?, 16).ok()?.swap_bytes()));
        let prefix = u8::try_from(u32::from(address(7)?).leading_ones()).ok()?;
        (flags & 1 == 1).then_some(())?;
        Some(Route { to: Ipv4Network::new(address(1)?, prefix).ok()?, interface: (*interface).to_owned() })
    };
    text.lines().skip(1).filter_map(route).collect()
}

/// `1.3 GiB`
#[expect(clippy::cast_precision_loss, reason = "sizes for people")]
pub fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes < 1024 * MIB => format!("{} MiB", bytes / MIB),
        bytes => format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64),
    }
}

fn nodes(count: u32) -> String {
    match count {
        0 => "no new node".to_owned(),
        1 => "1 new node".to_owned(),
        count => format!("{count} new nodes"),
    }
}

// === impl Finding ===

impl Finding {
    /// As it should be.
    pub fn ok(why: impl Into<String>) -> Self {
        Self { level: Level::Ok, why: why.into(), fix: None }
    }

    /// It may go wrong.
    pub fn warn(why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Warn, why: why.into(), fix: Some(fix.into()) }
    }

    /// It will go wrong.
    pub fn fail(why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Fail, why: why.into(), fix: Some(fix.into()) }
    }
}

// === impl Level ===

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        })
    }
}

// === impl Route ===

impl Route {
    /// Whether its interface is one that VPNs use.
    pub fn is_tunnel(&self) -> bool {
        ["tun", "tap", "wg", "ppp", "utun", "tailscale", "ipsec", "cscotun", "zt"].iter().any(|prefix| self.interface.starts_with(prefix))
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}{}", self.to, self.interface, if self.is_tunnel() { ", a VPN" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fleet::tests_support::fleet;

    const ROUTES: &str = "\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010011AC	0003	0	0	0	00000000	0	0	0
docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
tun0	0000000A	0101A8C0	0003	0	0	0	000000FF	0	0	0
eth0	broken
";

    #[test]
    fn routes_are_read_and_overlaps_found() {
        let routes = parse_routes(ROUTES);
        let told: Vec<String> = routes.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["0.0.0.0/0 on eth0", "172.17.0.0/16 on docker0", "10.0.0.0/8 on tun0, a VPN"]);
        let found = |subnet: &str, own| in_the_way(subnet.parse().unwrap(), &routes, own).len();
        assert_eq!((found("172.18.0.0/16", false), found("172.17.4.0/24", false), found("10.244.0.0/16", false)), (0, 1, 1));
        assert_eq!((found("172.17.0.0/16", false), found("172.17.0.0/16", true)), (1, 0), "its own route is not in the way");
        assert_eq!(found("0.0.0.0/1", false), 1);
    }

    #[test]
    fn needs_grow_with_what_is_missing() {
        let all = Needs::of(&fleet(2), |_| true);
        assert_eq!((all.clusters, all.nodes, all.memory), (2, 2, 2 * CONTROL_PLANE_MEMORY));
        assert_eq!(Needs::of(&fleet(2), |_| false), Needs::default());
    }

    #[test]
    fn a_host_is_judged_by_what_it_has() {
        let needs = Needs::of(&fleet(4), |_| true);
        let level = |finding: Finding| {
            assert_eq!(finding.fix.is_none(), finding.level == Level::Ok, "{finding:?}");
            finding.level
        };
        assert_eq!(level(memory(needs, Some(8 << 30), 16 << 30)), Level::Ok);
        assert_eq!(level(memory(needs, Some(1 << 30), 16 << 30)), Level::Warn);
        assert_eq!(level(memory(needs, None, 1 << 30)), Level::Fail);
        assert_eq!(
            [level(disk(needs, 9 << 30)), level(disk(needs, 1 << 30)), level(disk(needs, 1 << 20))],
            [Level::Ok, Level::Warn, Level::Fail]
        );
        assert_eq!(
            [level(processors(needs, 1)), level(processors(Needs { clusters: 7, ..needs }, 1)), level(processors(needs, 0))],
            [Level::Ok, Level::Warn, Level::Warn]
        );
        let skew = |seconds| level(clock(Duration::from_secs(seconds), true));
        assert_eq!([skew(1), skew(30), skew(300)], [Level::Ok, Level::Warn, Level::Fail]);
    }
}
