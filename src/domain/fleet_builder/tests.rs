use ipnetwork::Ipv4Network;

use super::*;
use crate::domain::digest::Digest;

fn error(builder: FleetBuilder) -> String {
    builder.build().unwrap_err().to_string()
}

fn one(cluster: ClusterBuilder) -> FleetBuilder {
    Fleet::builder("test").cluster(cluster)
}

fn own(network: NetworkBuilder) -> FleetBuilder {
    Fleet::builder("test").clusters(1).network(network)
}

#[test]
fn two_clusters_unless_told_otherwise() {
    let fleet = Fleet::builder("demo").build().unwrap();
    let shown: Vec<String> = fleet
        .clusters
        .iter()
        .map(|c| format!("{} {} {} {}+{}", c.name, c.pod_subnet, c.service_subnet, c.control_planes, c.workers))
        .collect();
    assert_eq!(shown, ["cluster1 10.128.0.0/16 10.240.0.0/20 1+0", "cluster2 10.129.0.0/16 10.240.16.0/20 1+0"]);
    assert_eq!((fleet.network.name.as_str(), fleet.network.ipv4_subnet), ("kind", None));
    assert!(fleet.addons.metallb.is_some() && !fleet.addons.sample);
    assert_eq!(fleet.clusters[0].pool_size, 25);
}

#[test]
fn a_cluster_overrides_the_fleet() {
    let fleet = Fleet::builder("demo")
        .clusters(1)
        .cluster_prefix("c")
        .nodes(3)
        .pool_size(10)
        .kubernetes_version("1.33.1")
        .image("a:1")
        .cluster(ClusterBuilder::new("east").nodes(1).pool_size(4).kubernetes_version("v1.34.0").image("b:2").api_server_address("0.0.0.0"))
        .build()
        .unwrap();
    let [c1, east] = &fleet.clusters[..] else { panic!("two clusters") };
    assert_eq!((c1.workers, c1.pool_size, c1.image.as_deref()), (2, 10, Some("a:1")));
    assert_eq!(c1.kubernetes_version.as_ref().unwrap().to_string(), "v1.33.1");
    assert_eq!((east.workers, east.pool_size, east.image.as_deref()), (0, 4, Some("b:2")));
    assert_eq!(east.kubernetes_version.as_ref().unwrap().to_string(), "v1.34.0");
}

#[test]
fn sixty_four_clusters_have_subnets_of_their_own() {
    let fleet = Fleet::builder("many").clusters(64).build().unwrap();
    let mut subnets: Vec<Ipv4Network> = fleet.clusters.iter().flat_map(|c| [c.pod_subnet, c.service_subnet]).collect();
    subnets.sort();
    assert!(subnets.windows(2).all(|pair| !pair[0].overlaps(pair[1])));
    assert!(Fleet::builder("many").clusters(112).build().is_ok());
    assert_eq!(error(Fleet::builder("many").clusters(113)), "clusters[112].podSubnet: no default subnet is left for it; name one");
}

#[test]
fn default_subnets_stay_when_clusters_come_and_go() {
    let subnets = |names: &[&str]| {
        let fleet = names.iter().fold(Fleet::builder("test"), |fleet, name| fleet.cluster(ClusterBuilder::new(*name))).build().unwrap();
        fleet
            .clusters
            .into_iter()
            .map(|c| (c.name.to_string(), (c.pod_subnet, c.service_subnet)))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let three = subnets(&["east", "west", "north2"]);
    let other = subnets(&["south", "north2", "east"]);
    assert_eq!(three["east"], other["east"]);
    assert_eq!(three["north2"], other["north2"]);
    assert_eq!(three["north2"].0.to_string(), "10.129.0.0/16");
}

#[test]
fn defaults_step_around_what_is_named() {
    let fleet = Fleet::builder("test")
        .clusters(2)
        .cluster(ClusterBuilder::new("own").pod_subnet("10.128.7.0/16"))
        .network(NetworkBuilder::own("10.129.0.0/24"))
        .build()
        .unwrap();
    let pods: Vec<String> = fleet.clusters.iter().map(|c| c.pod_subnet.to_string()).collect();
    assert_eq!(pods, ["10.130.0.0/16", "10.131.0.0/16", "10.128.0.0/16"]);
    assert_eq!(fleet.network.name, "test", "a network of its own is named after the fleet");
}

#[test]
fn names_are_checked() {
    assert_eq!(error(Fleet::builder("My")), "name: 'My' has the character 'M'; a name is made of lower-case letters, digits and '-'");
    assert_eq!(error(one(ClusterBuilder::new(""))), "clusters[0].name: the name is empty; use lower-case letters, digits and '-'");
    assert_eq!(
        error(one(ClusterBuilder::new("a")).cluster(ClusterBuilder::new("a"))),
        "clusters[1].name: the name 'a' is taken by another cluster of the fleet"
    );
    assert_eq!(
        error(Fleet::builder("t").clusters(1).cluster(ClusterBuilder::new("cluster1"))),
        "clusters[1].name: the name 'cluster1' is taken by another cluster of the fleet"
    );
    assert!(error(Fleet::builder("t").cluster_prefix("-")).starts_with("clusterPrefix: "));
}

#[test]
fn numbers_are_checked() {
    assert_eq!(error(Fleet::builder("t").clusters(0)), "clusters: a fleet has at least one cluster");
    assert_eq!(error(Fleet::builder("t").nodes(0)), "nodes: a cluster has at least one node, its control plane");
    assert_eq!(
        error(one(ClusterBuilder::new("a").nodes(3).control_planes(3))),
        "clusters[0].controlPlanes: 3 control planes are not possible yet: one for now, and any number of workers"
    );
    assert_eq!(
        error(one(ClusterBuilder::new("a").pool_size(3))),
        "clusters[0].poolSize: a pool of 3 addresses is too small; at least 4 are needed"
    );
    assert_eq!(
        error(Fleet::builder("t").kubernetes_version("1.23.0")),
        "kubernetesVersion: Kubernetes v1.23.0 is too old; v1.24.0 and later work"
    );
    assert!(error(Fleet::builder("t").kubernetes_version("1.34")).starts_with("kubernetesVersion: '1.34' is no Kubernetes version"));
    assert!(error(Fleet::builder("t").image("A B")).starts_with("image: 'A B' is no image reference"));
    assert_eq!(error(Fleet::builder("t").metallb(None).sample(true)), "addons: the sample needs MetalLB");
    let manifest = |text: &str| MetalLb { manifest: Some(text.to_owned()), manifest_digest: Some(Digest::of(b"a")), ..MetalLb::default() };
    assert!(Fleet::builder("t").metallb(Some(manifest("a"))).build().is_ok());
    let told = format!("addons.metallb.manifestDigest: the manifest has the digest {}, not {}", Digest::of(b"b"), Digest::of(b"a"));
    assert_eq!(error(Fleet::builder("t").metallb(Some(manifest("b")))), told);
    let timeouts = Timeouts { cluster_ready: Duration::ZERO, ..Timeouts::default() };
    assert_eq!(error(Fleet::builder("t").timeouts(timeouts)), "timeouts.clusterReady: a deadline is longer than nothing");
}

#[test]
fn subnets_are_checked() {
    let pods = |subnet: &str| one(ClusterBuilder::new("a").nodes(3).pod_subnet(subnet));
    assert_eq!(
        error(pods("10.1.0.0/23")),
        "clusters[0].podSubnet: the pod subnet 10.1.0.0/23 is too small: every node takes a /24, of which it has 2 and needs 3"
    );
    assert!(pods("10.1.0.0/22").build().is_ok());
    assert_eq!(error(pods("ten")), "clusters[0].podSubnet: 'ten' is no IPv4 subnet, such as 10.9.0.0/16");
    assert_eq!(
        error(pods("127.1.0.0/16")),
        "clusters[0].podSubnet: the subnet 127.0.0.0/16 is reserved for loopback".replace("127.0", "127.1")
    );
    for (subnet, fine) in [("10.1.0.0/12", true), ("10.0.0.0/11", false), ("10.1.0.0/28", true), ("10.1.0.0/29", false)] {
        assert_eq!(one(ClusterBuilder::new("a").service_subnet(subnet)).build().is_ok(), fine, "{subnet}");
    }
    assert_eq!(
        error(one(ClusterBuilder::new("a").pod_subnet("10.1.0.0/16")).cluster(ClusterBuilder::new("b").service_subnet("10.1.7.0/24"))),
        "clusters[1].serviceSubnet: the service subnet of b 10.1.7.0/24 overlaps the pod subnet of a 10.1.0.0/16"
    );
    assert_eq!(
        error(one(ClusterBuilder::new("a").pod_subnet("10.1.0.0/16")).network(NetworkBuilder::own("10.1.2.0/24"))),
        "clusters[0].podSubnet: the pod subnet of a 10.1.0.0/16 overlaps the network's subnet 10.1.2.0/24"
    );
    let fleet = Fleet::builder("t").build().unwrap();
    assert!(overlap_with_network(&fleet, "172.18.0.0/16".parse().unwrap()).is_ok());
    assert_eq!(
        overlap_with_network(&fleet, "10.129.3.0/24".parse().unwrap()).unwrap_err().to_string(),
        "clusters[1].podSubnet: the pod subnet of cluster2 10.129.0.0/16 overlaps the subnet of the network kind 10.129.3.0/24"
    );
}

#[test]
fn networks_are_checked() {
    for (network, expected) in [
        (
            NetworkBuilder::own("10.0.0.0/29"),
            "network.subnet: the network's subnet 10.0.0.0/29 is out of bounds: at least a /28, at most a /8",
        ),
        (
            NetworkBuilder::own("10.0.0.0/24").ip_range("10.0.1.0/28"),
            "network.ipRange: the engine's range 10.0.1.0/28 is not inside the subnet 10.0.0.0/24",
        ),
        (
            NetworkBuilder::own("10.0.0.0/24").gateway("10.0.1.1"),
            "network.gateway: the gateway 10.0.1.1 is not inside the subnet 10.0.0.0/24",
        ),
        (
            NetworkBuilder::own("10.0.0.0/24").gateway("10.0.0.255"),
            "network.gateway: the gateway 10.0.0.255 is the network or broadcast address of 10.0.0.0/24",
        ),
        (NetworkBuilder::own("10.0.0.0/24").gateway("fc00::1"), "network.gateway: 'fc00::1' is no IPv4 address, such as 10.9.0.1"),
        (
            NetworkBuilder::own("10.0.0.0/24").ipv6_subnet("10.0.0.0/8"),
            "network.ipv6Subnet: '10.0.0.0/8' is no IPv6 subnet, such as fc00:9::/64",
        ),
        (NetworkBuilder::shared().ip_range("10.0.1.0/28"), "network.ipRange: it needs a subnet of the fleet's own beside it"),
        (NetworkBuilder::shared().mtu(100), "network.mtu: 100 is out of bounds: 1280 to 65535"),
        (
            NetworkBuilder::shared().name("host"),
            "network.name: 'host' is no name for a network: letters, digits, '_', '.' and '-', and none of the engine's own networks",
        ),
        (
            NetworkBuilder::own("10.0.0.0/27"),
            "network.subnet: the subnet 10.0.0.0/27 has 30 host addresses: nodes need 5, pools 25 (each in one piece), the gateway 1, \
             and the engine at least 1 to hand out",
        ),
        (
            NetworkBuilder::own("10.0.0.0/26").ip_range("10.0.0.16/28"),
            "network.subnet: the subnet 10.0.0.0/26 has 62 host addresses: nodes need 2, pools 50 (each in one piece), the gateway 1, \
             and the engine at least 1 to hand out, and pools must stay outside 10.0.0.16/28",
        ),
    ] {
        let (clusters, nodes) = if expected.contains("pools 50") { (2, 1) } else { (1, 5) };
        let text = error(own(network).clusters(clusters).nodes(nodes));
        assert_eq!(text, expected);
    }
    assert!(own(NetworkBuilder::own("10.0.0.0/27")).nodes(1).build().is_ok());
}

#[test]
fn a_port_serves_one_cluster() {
    let at = |name: &str, address: &str| ClusterBuilder::new(name).api_server_port(7000).api_server_address(address);
    assert_eq!(
        error(one(at("a", "127.0.0.1")).cluster(at("b", "0.0.0.0"))),
        "clusters[1].apiServerPort: port 7000 is taken by the cluster a"
    );
    assert!(one(at("a", "127.0.0.1")).cluster(at("b", "127.0.0.2")).build().is_ok());
    assert_eq!(error(one(ClusterBuilder::new("a").api_server_port(0))), "clusters[0].apiServerPort: 0 is out of bounds: 1 to 65535");
}

#[test]
fn a_fleet_that_is_read_back_is_checked_again() {
    let fleet = Fleet::builder("demo").clusters(2).build().unwrap();
    let back: Fleet = serde_json::from_value(serde_json::to_value(&fleet).unwrap()).unwrap();
    assert_eq!((recheck(&back), &back), (Ok(()), &fleet));
    let mut twice = back.clone();
    twice.clusters[1].name = twice.clusters[0].name.clone();
    assert_eq!(recheck(&twice).unwrap_err().place, Place::Cluster(1, "name"));
    let mut overlapping = back.clone();
    overlapping.clusters[1].pod_subnet = overlapping.clusters[0].service_subnet;
    assert!(matches!(recheck(&overlapping).unwrap_err().problem, Problem::Overlap { .. }));
    assert!(recheck(&Fleet { clusters: Vec::new(), ..back }).is_err());
}
