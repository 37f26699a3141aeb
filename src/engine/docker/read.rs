//! The engine's answers as plain data. Every field is optional on some engine.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use bollard::models::{
    ContainerInspectResponse, ContainerSummary, EndpointSettings, ImageInspect, IpamConfig, NetworkInspect, PortMap, PortSummary,
    SystemInfo, SystemVersion, Volume,
};
use ipnetwork::IpNetwork;

use crate::domain::container::Protocol;
use crate::domain::facts::HostFacts;
use crate::domain::net::{AttachedContainer, IpamEntry, NetworkInfo};
use crate::domain::version::EngineApiVersion;
use crate::engine::{BoundPort, ContainerInfo, ContainerNetwork, ContainerState, ImageInfo, VolumeInfo};

/// Version and host as facts.
pub(super) fn facts(api_version: EngineApiVersion, version: SystemVersion, info: SystemInfo) -> HostFacts {
    let name = version
        .components
        .iter()
        .flatten()
        .map(|component| component.name.clone())
        .find(|name| !name.is_empty())
        .or(version.platform.map(|platform| platform.name))
        .unwrap_or_default();
    let security = info.security_options.unwrap_or_default();
    let has = |wanted: &str| security.iter().any(|option| option.split(',').any(|token| token == wanted));
    let backing = info.driver_status.into_iter().flatten().find_map(|pair| match &pair[..] {
        [key, value] if key == "Backing Filesystem" => Some(value.clone()),
        _ => None,
    });
    HostFacts {
        id: info.id.clone().unwrap_or_default(),
        api_version,
        product: format!("{name} {}", version.version.unwrap_or_default()).trim().to_owned(),
        os: version.os.or(info.os_type).unwrap_or_else(|| "linux".to_owned()),
        arch: version.arch.or(info.architecture).unwrap_or_default(),
        // Engines too old to tell know only the first hierarchy.
        cgroup_version: if info.cgroup_version.is_some_and(|version| version.to_string() == "2") { 2 } else { 1 },
        cgroup_driver: info.cgroup_driver.map(|driver| driver.to_string()).unwrap_or_default(),
        rootless: has("name=rootless"),
        userns_remap: has("name=userns"),
        storage_driver: info.driver.unwrap_or_default(),
        backing_filesystem: backing,
        cpus: info.ncpu.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        memory_bytes: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
        system_time: info.system_time.and_then(|time| time.parse::<jiff::Timestamp>().ok()).map(Into::into),
    }
}

/// A network; the error says which subnet could not be read.
pub(super) fn network(answer: NetworkInspect) -> Result<NetworkInfo, String> {
    let configs = answer.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    let ipam = configs.into_iter().filter_map(|config| ipam_entry(config).transpose()).collect::<Result<_, _>>()?;
    let mut attached: Vec<AttachedContainer> = answer
        .containers
        .unwrap_or_default()
        .into_iter()
        .map(|(id, endpoint)| AttachedContainer {
            id,
            name: endpoint.name.unwrap_or_default(),
            ipv4: v4(endpoint.ipv4_address.as_deref()),
            ipv6: v6(endpoint.ipv6_address.as_deref()),
        })
        .collect();
    attached.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(NetworkInfo {
        id: answer.id.unwrap_or_default(),
        name: answer.name.unwrap_or_default(),
        driver: answer.driver.unwrap_or_default(),
        ipv6: answer.enable_ipv6.unwrap_or(false),
        ipam,
        options: sorted(answer.options),
        labels: sorted(answer.labels),
        created: seconds(answer.created.as_deref()),
        attached,
    })
}

/// One subnet with its host bits cleared; `None` when the entry names none.
fn ipam_entry(config: IpamConfig) -> Result<Option<IpamEntry>, String> {
    let Some(text) = told(config.subnet.as_deref()) else { return Ok(None) };
    let subnet = cleared(text).ok_or_else(|| format!("the engine told a subnet that cannot be read: '{text}'"))?;
    Ok(Some(IpamEntry {
        subnet,
        ip_range: told(config.ip_range.as_deref()).and_then(cleared),
        gateway: told(config.gateway.as_deref()).and_then(address),
        auxiliary: config.auxiliary_addresses.unwrap_or_default().values().filter_map(|text| address(text)).collect(),
    }))
}

/// A container of a list.
pub(super) fn summary(answer: ContainerSummary) -> ContainerInfo {
    let state = answer.state.map(|state| state.to_string()).map_or(ContainerState::Created, |text| state(&text));
    let mode = answer.host_config.and_then(|config| config.network_mode);
    ContainerInfo {
        id: answer.id.unwrap_or_default(),
        name: answer.names.unwrap_or_default().into_iter().map(|name| bare(&name)).find(|name| !name.contains('/')).unwrap_or_default(),
        image: answer.image.unwrap_or_default(),
        state,
        status: answer.status.unwrap_or_default(),
        labels: sorted(answer.labels),
        created: answer.created.unwrap_or(0),
        started: None,
        exit_code: None,
        networks: networks(answer.network_settings.and_then(|settings| settings.networks), state, mode),
        ports: answer.ports.unwrap_or_default().into_iter().filter_map(listed_port).collect(),
        volumes: Vec::new(),
        pid: 0,
    }
}

/// An inspected container.
pub(super) fn container(answer: ContainerInspectResponse) -> ContainerInfo {
    let config = answer.config.unwrap_or_default();
    let running = answer.state.unwrap_or_default();
    let settings = answer.network_settings.unwrap_or_default();
    let current = running.status.map(|status| status.to_string()).map_or(ContainerState::Created, |text| state(&text));
    let ended = matches!(current, ContainerState::Exited | ContainerState::Dead);
    ContainerInfo {
        id: answer.id.unwrap_or_default(),
        name: bare(answer.name.as_deref().unwrap_or_default()),
        image: config.image.or(answer.image).unwrap_or_default(),
        state: current,
        status: running.error.unwrap_or_default(),
        labels: sorted(config.labels),
        created: seconds(answer.created.as_deref()),
        // Engines say the year 1 for "never".
        started: running
            .started_at
            .and_then(|text| text.parse::<jiff::Timestamp>().ok())
            .map(jiff::Timestamp::as_second)
            .filter(|at| *at > 0),
        exit_code: running.exit_code.filter(|_| ended),
        networks: networks(settings.networks, current, answer.host_config.and_then(|config| config.network_mode)),
        ports: settings.ports.map(bound_ports).unwrap_or_default(),
        volumes: answer
            .mounts
            .unwrap_or_default()
            .into_iter()
            .filter(|mount| mount.typ.as_deref() == Some("volume"))
            .filter_map(|mount| mount.name)
            .collect(),
        pid: running.pid.unwrap_or(0),
    }
}

/// An inspected image.
pub(super) fn image(answer: ImageInspect) -> ImageInfo {
    ImageInfo {
        id: answer.id.unwrap_or_default(),
        tags: answer.repo_tags.unwrap_or_default(),
        digests: answer.repo_digests.unwrap_or_default(),
        size: answer.size.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
        labels: sorted(answer.config.and_then(|config| config.labels)),
        architecture: answer.architecture.unwrap_or_default(),
        layers: answer.root_fs.and_then(|root| root.layers).unwrap_or_default(),
        // Only such a store can tell it.
        packed: answer.descriptor.is_some(),
    }
}

/// Networks of a container by name. Of one that is being created Engine 20.10 tells none for some milliseconds, although it is
/// listed; the one that it was asked to be on is known all the same.
fn networks(
    answer: Option<HashMap<String, EndpointSettings>>,
    state: ContainerState,
    mode: Option<String>,
) -> BTreeMap<String, ContainerNetwork> {
    let place = |endpoint: EndpointSettings| ContainerNetwork {
        network_id: endpoint.network_id.unwrap_or_default(),
        ipv4: v4(endpoint.ip_address.as_deref()),
        ipv6: v6(endpoint.global_ipv6_address.as_deref()),
    };
    let told: BTreeMap<String, ContainerNetwork> = answer.unwrap_or_default().into_iter().map(|(name, at)| (name, place(at))).collect();
    match mode {
        Some(name) if told.is_empty() && state == ContainerState::Created => BTreeMap::from([(name, ContainerNetwork::default())]),
        _ => told,
    }
}

/// A port of a list, when it is bound and not merely exposed.
fn listed_port(port: PortSummary) -> Option<BoundPort> {
    Some(BoundPort {
        container_port: port.private_port,
        protocol: protocol(&port.typ.map(|typ| typ.to_string()).unwrap_or_default()),
        host_ip: address(port.ip.as_deref()?)?,
        host_port: port.public_port?,
    })
}

/// Bound ports of an inspect, by container port.
fn bound_ports(answer: PortMap) -> Vec<BoundPort> {
    let mut ports: Vec<BoundPort> = Vec::new();
    for (key, bindings) in answer {
        let (number, typ) = key.split_once('/').unwrap_or((&key, "tcp"));
        let Ok(container_port) = number.parse() else { continue };
        for binding in bindings.unwrap_or_default() {
            let Some(host_port) = binding.host_port.and_then(|text| text.parse().ok()) else { continue };
            // Podman leaves the address empty for "every address".
            let host_ip = binding.host_ip.as_deref().and_then(address).unwrap_or(IpAddr::from([0, 0, 0, 0]));
            ports.push(BoundPort { container_port, protocol: protocol(typ), host_ip, host_port });
        }
    }
    ports.sort_by_key(|port| (port.container_port, port.protocol.as_str(), port.host_ip));
    ports
}

/// A state by its name; what is unknown counts as running, since nothing may be presumed of it.
fn state(text: &str) -> ContainerState {
    match text {
        "created" | "initialized" | "configured" | "" => ContainerState::Created,
        "paused" => ContainerState::Paused,
        "restarting" => ContainerState::Restarting,
        "removing" => ContainerState::Removing,
        "exited" | "stopped" => ContainerState::Exited,
        "dead" => ContainerState::Dead,
        _ => ContainerState::Running,
    }
}

fn protocol(text: &str) -> Protocol {
    match text {
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => Protocol::Tcp,
    }
}

/// A volume.
pub(super) fn volume(answer: Volume) -> VolumeInfo {
    VolumeInfo { name: answer.name, labels: answer.labels.into_iter().collect(), created: seconds(answer.created_at.as_deref()) }
}

/// A time as seconds since 1970; 0 where none is told.
fn seconds(text: Option<&str>) -> i64 {
    text.and_then(|text| text.parse::<jiff::Timestamp>().ok()).map_or(0, jiff::Timestamp::as_second)
}

/// A container's name without its leading slash.
fn bare(name: &str) -> String {
    name.strip_prefix('/').unwrap_or(name).to_owned()
}

fn sorted(map: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    map.unwrap_or_default().into_iter().collect()
}

/// A text that says something.
fn told(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// A subnet with its host bits cleared.
fn cleared(text: &str) -> Option<IpNetwork> {
    let network: IpNetwork = text.parse().ok()?;
    IpNetwork::new(network.network(), network.prefix()).ok()
}

/// An address, with or without a prefix length.
fn address(text: &str) -> Option<IpAddr> {
    text.split('/').next()?.trim().parse().ok()
}

fn v4(text: Option<&str>) -> Option<std::net::Ipv4Addr> {
    match address(told(text)?)? {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

fn v6(text: Option<&str>) -> Option<std::net::Ipv6Addr> {
    match address(told(text)?)? {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    }
}

#[cfg(test)]
mod tests;
