use super::*;
use crate::domain::fleet::tests_support::fleet;
use crate::domain::net::IpamEntry;

fn own(subnet: &str) -> NetworkSettings {
    NetworkSettings { name: "own".to_owned(), ipv4_subnet: Some(subnet.parse().unwrap()), ..NetworkSettings::default() }
}

#[test]
fn the_shared_network_is_kinds() {
    let spec = network_spec(&fleet(2), Some(1500), 0);
    insta::assert_snapshot!(serde_json::to_string_pretty(&spec).unwrap(), @r#"
    {
      "name": "kind",
      "ipv4_subnet": null,
      "ip_range": null,
      "gateway": null,
      "enable_ipv6": true,
      "ipv6_subnet": "fc00:f853:ccd:e793::/64",
      "options": {
        "com.docker.network.bridge.enable_ip_masquerade": "true",
        "com.docker.network.driver.mtu": "1500"
      },
      "labels": {
        "dev.kindmesh.fleet": "test"
      }
    }
    "#);
    assert_eq!(network_spec(&fleet(2), None, 3).ipv6_subnet.unwrap().to_string(), "fc00:aa7c:42e1:abd3::/64");
    assert!(!network_spec(&fleet(2), Some(0), 0).options.contains_key(OPTION_MTU), "an MTU of 0 is none");
}

#[test]
fn an_own_network_is_laid_out_for_nodes_and_pools() {
    let mut fleet = fleet(2);
    fleet.network = own("10.77.0.9/24");
    let spec = network_spec(&fleet, Some(1400), 0);
    assert_eq!(spec.ipv4_subnet.unwrap().to_string(), "10.77.0.0/24");
    assert_eq!(spec.gateway.unwrap().to_string(), "10.77.0.1");
    assert_eq!(spec.ip_range.unwrap().to_string(), "10.77.0.64/26", "nodes below, pools above");
    assert_eq!(spec.options[OPTION_MTU], "1400");
    fleet.network.mtu = Some(9000);
    assert_eq!(network_spec(&fleet, Some(1400), 0).options[OPTION_MTU], "9000");
    let plain = without_ipv6(spec);
    assert!(!plain.enable_ipv6 && plain.ipv6_subnet.is_none());
}

#[test]
fn the_engines_range_makes_way() {
    let range = |subnet: &str, nodes, pools: &[u32]| choose_ip_range(&own(subnet), Room { nodes, pools }).map(|range| range.to_string());
    assert_eq!(range("10.0.0.0/16", 2, &[25, 25]).as_deref(), Some("10.0.64.0/18"));
    assert_eq!(range("10.0.0.0/24", 2, &[90, 90]).as_deref(), Some("10.0.0.32/27"), "large pools");
    assert_eq!(range("10.0.0.0/24", 40, &[25, 100]).as_deref(), Some("10.0.0.64/26"), "many nodes");
    assert_eq!(range("10.0.0.0/28", 2, &[4]).as_deref(), Some("10.0.0.4/30"));
    assert_eq!(range("10.0.0.0/28", 2, &[4, 4]).as_deref(), Some("10.0.0.2/31"));
    assert_eq!(range("10.0.0.0/28", 2, &[5, 5]).as_deref(), Some("10.0.0.2/32"), "not one address is wasted");
    assert_eq!(range("10.0.0.0/28", 3, &[5, 5]), None);
    assert_eq!(range("10.0.0.0/8", 200, &[1000; 64]).as_deref(), Some("10.64.0.0/10"));
}

#[test]
fn a_users_range_may_hold_nodes_when_nothing_else_is_left() {
    let settings = NetworkSettings { ip_range: Some("10.0.0.0/29".parse().unwrap()), ..own("10.0.0.0/28") };
    assert!(fits(&settings, settings.ip_range, Room { nodes: 1, pools: &[6] }));
    assert!(fits(&settings, settings.ip_range, Room { nodes: 9, pools: &[] }));
    assert!(!fits(&settings, settings.ip_range, Room { nodes: 1, pools: &[8] }));
}

#[test]
fn differences_are_named() {
    let entry =
        IpamEntry { subnet: "10.0.0.0/24".parse().unwrap(), ip_range: None, gateway: Some("10.0.0.1".parse().unwrap()), auxiliary: vec![] };
    let mut info = NetworkInfo { name: "own".into(), driver: "bridge".into(), ipam: vec![entry], ..NetworkInfo::default() };
    assert_eq!(mismatches(&info, &own("10.0.0.0/24")), Vec::<String>::new());
    info.driver = "macvlan".into();
    let settings = NetworkSettings {
        ip_range: Some("10.1.0.0/25".parse().unwrap()),
        gateway: Some("10.1.0.3".parse().unwrap()),
        ipv6_subnet: Some("fc00:1::/64".parse().unwrap()),
        mtu: Some(1400),
        ..own("10.1.0.0/24")
    };
    insta::assert_snapshot!(mismatches(&info, &settings).join("\n"), @r"
    its driver is macvlan, wanted is bridge
    its IPv4 subnet is 10.0.0.0/24, wanted is 10.1.0.0/24
    its range for the engine is not set, wanted is 10.1.0.0/25
    its gateway is 10.0.0.1, wanted is 10.1.0.3
    its IPv6 subnet is not set, wanted is fc00:1::/64
    its MTU is not set, wanted is 1400
    ");
    let shared = NetworkSettings::default();
    assert!(mismatches(&info, &shared).is_empty(), "a shared network is taken as it is");
}

#[test]
fn engine_messages_are_told_apart() {
    assert!(ipv6_unusable("Cannot read IPv6 setup for bridge br-1: no such file"));
    assert!(!ipv6_unusable("Pool overlaps with other one on this address space"));
    assert!(subnet_taken("Pool overlaps with other one on this address space"));
    assert!(subnet_taken("invalid pool request: Pool overlaps with other one on this address space"));
    assert!(subnet_taken("invalid pool request: networks have overlapping IPv6"));
    assert!(!subnet_taken("network with name kind already exists"));
    let exhausted = [
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
        "all predefined address pools have been fully subnetted",
    ];
    assert!(exhausted.iter().all(|message| no_subnet_left(message) && !subnet_taken(message)));
    assert!(!no_subnet_left("invalid pool request: Pool overlaps with other one on this address space"));
}
