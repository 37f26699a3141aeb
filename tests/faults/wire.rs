//! Docker's JSON for the plain types of an engine, as far as kindmesh reads and writes it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use kindmesh::domain::container::{ContainerSpec, PortMapping, Protocol};
use kindmesh::domain::facts::HostFacts;
use kindmesh::domain::net::{NetworkInfo, NetworkSpec};
use kindmesh::engine::{ContainerInfo, ContainerState, ImageInfo};
use serde_json::{Map, Value, json};

pub fn version(facts: &HostFacts) -> Value {
    json!({
        "ApiVersion": facts.api_version.to_string(), "MinAPIVersion": "1.24", "Version": "1", "Os": facts.os, "Arch": facts.arch,
        "Platform": {"Name": "Fake"}, "GitCommit": "", "GoVersion": "", "KernelVersion": "", "BuildTime": "",
    })
}

pub fn info(facts: &HostFacts) -> Value {
    json!({
        "ID": facts.id, "OSType": facts.os, "Architecture": facts.arch, "CgroupVersion": facts.cgroup_version.to_string(),
        "CgroupDriver": facts.cgroup_driver, "Driver": facts.storage_driver, "NCPU": facts.cpus, "MemTotal": facts.memory_bytes,
        "SystemTime": jiff::Timestamp::now().to_string(),
    })
}

/// A container as an inspect tells it.
pub fn container(info: &ContainerInfo) -> Value {
    let mut ports = Map::new();
    for port in &info.ports {
        let key = format!("{}/{}", port.container_port, port.protocol.as_str());
        ports.insert(key, json!([{"HostIp": port.host_ip.to_string(), "HostPort": port.host_port.to_string()}]));
    }
    let time = |seconds: Option<i64>| {
        seconds.and_then(|at| jiff::Timestamp::from_second(at).ok()).map_or("0001-01-01T00:00:00Z".to_owned(), |at| at.to_string())
    };
    json!({
        "Id": info.id, "Name": format!("/{}", info.name), "Image": "sha256:0", "Created": time(Some(info.created)),
        "Config": {"Image": info.image, "Labels": info.labels},
        "State": {
            "Status": state(info.state), "Running": info.state == ContainerState::Running, "ExitCode": info.exit_code.unwrap_or(0),
            "StartedAt": time(info.started), "Pid": info.pid,
        },
        "NetworkSettings": {"Networks": networks(info), "Ports": ports},
        "Mounts": info.volumes.iter().map(|name| json!({"Type": "volume", "Name": name})).collect::<Vec<_>>(),
    })
}

/// A container as a list tells it.
pub fn summary(info: &ContainerInfo) -> Value {
    let ports = info.ports.iter().map(
        |port| json!({"IP": port.host_ip.to_string(), "PrivatePort": port.container_port, "PublicPort": port.host_port, "Type": port.protocol.as_str()}),
    );
    json!({
        "Id": info.id, "Names": [format!("/{}", info.name)], "Image": info.image, "State": state(info.state), "Status": info.status,
        "Labels": info.labels, "Created": info.created, "Ports": ports.collect::<Vec<_>>(), "NetworkSettings": {"Networks": networks(info)},
    })
}

fn networks(info: &ContainerInfo) -> Map<String, Value> {
    let told = |address: Option<String>| address.unwrap_or_default();
    let place = |place: &kindmesh::engine::ContainerNetwork| {
        json!({
            "NetworkID": place.network_id, "IPAddress": told(place.ipv4.map(|ip| ip.to_string())),
            "GlobalIPv6Address": told(place.ipv6.map(|ip| ip.to_string())),
        })
    };
    info.networks.iter().map(|(name, at)| (name.clone(), place(at))).collect()
}

fn state(state: ContainerState) -> String {
    format!("{state:?}").to_lowercase()
}

pub fn network(info: &NetworkInfo) -> Value {
    let config = info.ipam.iter().map(|entry| {
        let mut value = json!({"Subnet": entry.subnet.to_string()});
        if let Some(range) = entry.ip_range {
            value["IPRange"] = json!(range.to_string());
        }
        if let Some(gateway) = entry.gateway {
            value["Gateway"] = json!(gateway.to_string());
        }
        value
    });
    let attached = info.attached.iter().map(|one| {
        let v4 = one.ipv4.map(|address| format!("{address}/16")).unwrap_or_default();
        (one.id.clone(), json!({"Name": one.name, "IPv4Address": v4, "IPv6Address": ""}))
    });
    json!({
        "Id": info.id, "Name": info.name, "Driver": "bridge", "EnableIPv6": info.ipv6, "Options": info.options, "Labels": info.labels,
        "IPAM": {"Driver": "default", "Config": config.collect::<Vec<_>>()}, "Containers": attached.collect::<Map<_, _>>(),
    })
}

pub fn volume(name: &str, labels: &BTreeMap<String, String>) -> Value {
    json!({"Name": name, "Driver": "local", "Mountpoint": "", "Labels": labels, "Options": {}, "Scope": "local"})
}

pub fn image(info: &ImageInfo) -> Value {
    json!({
        "Id": info.id, "RepoTags": info.tags, "RepoDigests": info.digests, "Size": info.size, "Architecture": info.architecture,
        "Config": {"Labels": info.labels}, "RootFS": {"Type": "layers", "Layers": info.layers},
    })
}

/// What a registry tells of an image.
pub fn distribution() -> Value {
    let digest = format!("sha256:{}", "0".repeat(64));
    json!({
        "Descriptor": {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest, "size": 1024},
        "Platforms": [{"architecture": "amd64", "os": "linux"}],
    })
}

/// What is asked for when a container is created.
pub fn container_spec(body: &Value) -> ContainerSpec {
    let host = &body["HostConfig"];
    let ports = host["PortBindings"].as_object().into_iter().flatten().flat_map(|(key, bindings)| {
        let number = key.split('/').next().and_then(|text| text.parse().ok()).unwrap_or(0);
        bindings.as_array().into_iter().flatten().map(move |binding| PortMapping {
            container_port: number,
            protocol: Protocol::Tcp,
            host_ip: text(&binding["HostIp"]).parse().unwrap_or(IpAddr::from([0, 0, 0, 0])),
            host_port: text(&binding["HostPort"]).parse().unwrap_or(0),
        })
    });
    let network = text(&host["NetworkMode"]);
    ContainerSpec {
        image: text(&body["Image"]),
        hostname: text(&body["Hostname"]),
        env: list(&body["Env"]),
        labels: map(&body["Labels"]),
        tty: body["Tty"] == json!(true),
        entrypoint: body["Entrypoint"].is_array().then(|| list(&body["Entrypoint"])),
        anonymous_volumes: list(&body["Volumes"]),
        binds: list(&host["Binds"]),
        ports: ports.collect(),
        privileged: host["Privileged"] == json!(true),
        tmpfs: map(&host["Tmpfs"]),
        ipv4_address: text(&body["NetworkingConfig"]["EndpointsConfig"][&network]["IPAMConfig"]["IPv4Address"]).parse().ok(),
        network,
        ..ContainerSpec::default()
    }
}

/// What is asked for when a network is created.
pub fn network_spec(body: &Value) -> NetworkSpec {
    let subnets = || body["IPAM"]["Config"].as_array().into_iter().flatten();
    NetworkSpec {
        name: text(&body["Name"]),
        enable_ipv6: body["EnableIPv6"] == json!(true),
        ipv4_subnet: subnets().find_map(|config| text(&config["Subnet"]).parse().ok()),
        ip_range: subnets().find_map(|config| text(&config["IPRange"]).parse().ok()),
        gateway: subnets().find_map(|config| text(&config["Gateway"]).parse().ok()),
        ipv6_subnet: subnets().find_map(|config| text(&config["Subnet"]).parse().ok()),
        options: map(&body["Options"]),
        labels: map(&body["Labels"]),
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A list, or the keys of a mapping.
pub fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields.keys().cloned().collect(),
        other => other.as_array().into_iter().flatten().map(text).collect(),
    }
}

pub fn map(value: &Value) -> BTreeMap<String, String> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
}
