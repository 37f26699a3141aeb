//! Recorded answers of both engines: a network made as kind makes it, one container with a published
//! port and an anonymous volume on it.

use serde::de::DeserializeOwned;

use super::*;

const OLD: &str = include_str!("../recorded/api-1.41.json");
const NEW: &str = include_str!("../recorded/api-1.51.json");

fn part<T: DeserializeOwned>(recorded: &str, name: &str) -> T {
    let mut all: serde_json::Value = serde_json::from_str(recorded).unwrap();
    serde_json::from_value(all[name].take()).unwrap()
}

#[test]
fn both_engines_describe_the_same_network() {
    for (recorded, subnet, gateway6) in [(OLD, "172.28.0.0/16", None), (NEW, "172.18.0.0/16", None)] {
        let network = network(part(recorded, "network")).unwrap();
        let v4 = network.ipv4().unwrap();
        assert_eq!(v4.subnet.to_string(), subnet);
        assert_eq!(v4.gateway.map(|gateway| gateway.is_ipv4()), Some(true));
        let v6 = network.ipv6_entry().unwrap();
        assert_eq!(v6.subnet.to_string(), "fc00:aaaa:bbbb:cccc::/64");
        assert_eq!(v6.gateway, gateway6);
        assert_eq!((network.name.as_str(), network.driver.as_str(), network.ipv6), ("kmrec", "bridge", true));
        assert_eq!(network.labels["dev.kindmesh.fleet"], "demo");
        assert_eq!(network.options["com.docker.network.bridge.enable_ip_masquerade"], "true");
        let [attached] = &network.attached[..] else { panic!("{network:?}") };
        assert_eq!(attached.name, "kmrec-node");
        assert!(v4.subnet.contains(attached.ipv4.unwrap().into()));
        assert!(v6.subnet.contains(attached.ipv6.unwrap().into()));
    }
    // The trap this guards against: the engines list the families in opposite order.
    let first_is_v4 = |recorded| network(part(recorded, "network")).unwrap().ipam[0].subnet.is_ipv4();
    assert!(first_is_v4(OLD));
    assert!(!first_is_v4(NEW));
}

#[test]
fn a_list_and_an_inspect_agree() {
    for recorded in [OLD, NEW] {
        let mut listed: Vec<ContainerSummary> = part(recorded, "list");
        let listed = summary(listed.remove(0));
        let inspected = container(part(recorded, "inspect"));
        assert_eq!((&listed.id, &listed.name, &listed.image), (&inspected.id, &inspected.name, &inspected.image));
        assert_eq!(listed.name, "kmrec-node");
        assert_eq!((listed.state, inspected.state), (ContainerState::Running, ContainerState::Running));
        assert_eq!(listed.labels, inspected.labels);
        assert_eq!(listed.created, inspected.created);
        assert_eq!(listed.networks, inspected.networks);
        assert_eq!(listed.ports, inspected.ports);
        assert_eq!((inspected.ports[0].container_port, inspected.ports[0].host_ip), (6443, "127.0.0.1".parse::<IpAddr>().unwrap()));
        assert_eq!(inspected.volumes.len(), 1);
        assert!(inspected.pid > 0);
        assert_eq!(inspected.exit_code, None, "a running container has none, though the engine tells 0");
    }
}

#[test]
fn a_container_in_the_making_is_on_the_network_it_was_asked_for() {
    let read = |state: &str, networks: serde_json::Value| {
        let listed = serde_json::json!({
            "Id": "1", "Names": ["/n"], "State": state, "HostConfig": {"NetworkMode": "kind"}, "NetworkSettings": {"Networks": networks},
        });
        summary(serde_json::from_value(listed).unwrap()).networks.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(read("created", serde_json::json!({})), ["kind"]);
    assert_eq!(read("created", serde_json::json!({"other": {}})), ["other"]);
    assert_eq!(read("running", serde_json::json!({})), Vec::<String>::new(), "cut off");
}

#[test]
fn facts_come_from_version_and_info() {
    for (recorded, api, product) in
        [(OLD, EngineApiVersion::new(1, 41), "Engine 20.10.24+dfsg1"), (NEW, EngineApiVersion::new(1, 51), "Engine 28.5.2+dfsg4")]
    {
        let facts = facts(api, part(recorded, "version"), part(recorded, "info"));
        assert_eq!((facts.api_version, facts.product.as_str()), (api, product));
        assert_eq!((facts.os.as_str(), facts.arch.as_str()), ("linux", "amd64"));
        assert_eq!((facts.cgroup_version, facts.cgroup_driver.as_str()), (1, "cgroupfs"));
        assert_eq!((facts.storage_driver.as_str(), facts.backing_filesystem.as_deref()), ("overlay2", Some("extfs")));
        assert_eq!((facts.rootless, facts.userns_remap, facts.cpus), (false, false, 2));
        assert!(facts.memory_bytes > 1 << 30);
    }
}

#[test]
fn rootless_remapped_and_second_hierarchy_are_recognised() {
    let info = serde_json::json!({
        "CgroupVersion": "2",
        "CgroupDriver": "systemd",
        "SecurityOptions": ["name=seccomp,profile=default", "name=rootless", "name=userns"],
    });
    let facts = facts(EngineApiVersion::new(1, 43), SystemVersion::default(), serde_json::from_value(info).unwrap());
    assert_eq!((facts.cgroup_version, facts.cgroup_driver.as_str(), facts.rootless, facts.userns_remap), (2, "systemd", true, true));
    assert_eq!((facts.os.as_str(), facts.product.as_str(), facts.backing_filesystem), ("linux", "", None));
}

#[test]
fn images_are_read_from_both() {
    for recorded in [OLD, NEW] {
        let image = image(part(recorded, "image"));
        assert!(image.id.starts_with("sha256:"));
        assert!(image.tags[0].starts_with("kindmesh-test/busybox:"));
        assert_eq!(image.labels["dev.kindmesh.test"], "image");
        assert_eq!(image.architecture, "amd64");
        assert!(image.size > 1_000_000);
    }
}

#[test]
fn odd_ipam_entries() {
    let read = |config: serde_json::Value| {
        let text = serde_json::json!({ "Name": "n", "Id": "i", "IPAM": { "Driver": "default", "Config": config } });
        network(serde_json::from_value(text).unwrap()).map(|network| network.ipam)
    };
    let entries = read(serde_json::json!([
        { "Subnet": "10.1.2.3/16", "IPRange": "10.1.200.7/24", "Gateway": "10.1.0.1/16", "AuxiliaryAddresses": { "router": "10.1.0.9" } },
        { "Subnet": "", "Gateway": "" },
    ]))
    .unwrap();
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!(entry.subnet.to_string(), "10.1.0.0/16", "host bits cleared");
    assert_eq!(entry.ip_range.unwrap().to_string(), "10.1.200.0/24");
    assert_eq!(entry.gateway, Some("10.1.0.1".parse().unwrap()));
    assert_eq!(entry.auxiliary, ["10.1.0.9".parse::<IpAddr>().unwrap()]);
    assert!(read(serde_json::Value::Null).unwrap().is_empty());
    assert!(read(serde_json::json!([{ "Subnet": "x" }])).unwrap_err().contains("'x'"));
}

#[test]
fn states_by_name() {
    for (text, expected) in [
        ("created", ContainerState::Created),
        ("configured", ContainerState::Created),
        ("running", ContainerState::Running),
        ("paused", ContainerState::Paused),
        ("restarting", ContainerState::Restarting),
        ("removing", ContainerState::Removing),
        ("exited", ContainerState::Exited),
        ("stopped", ContainerState::Exited),
        ("dead", ContainerState::Dead),
        ("stopping", ContainerState::Running),
    ] {
        assert_eq!(state(text), expected, "{text}");
    }
}

#[test]
fn an_ended_container_has_a_code_and_no_ports() {
    let text = serde_json::json!({ "Id": "1", "Name": "/n", "State": { "Status": "exited", "ExitCode": 137, "Pid": 0 }, "NetworkSettings": { "Ports": { "6443/tcp": null } } });
    let read = container(serde_json::from_value(text).unwrap());
    assert_eq!((read.name.as_str(), read.exit_code, read.ports.len()), ("n", Some(137), 0));
}
