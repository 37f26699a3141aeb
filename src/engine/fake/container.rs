//! Containers: states, ports, volumes, files.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::calls::Verb;
use super::engine::refuse;
use super::state::{State, bears};
use crate::domain::container::{ContainerSpec, PortMapping};
use crate::engine::{BoundPort, ContainerInfo, ContainerNetwork, ContainerState, EngineErrorKind as Kind, Result};

/// Lowest port handed out when the engine may choose.
const FIRST_PORT: u16 = 32_768;

/// A container.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub id: String,
    pub name: String,
    pub spec: ContainerSpec,
    pub state: ContainerState,
    pub exit_code: Option<i64>,
    pub created: i64,
    pub ports: Vec<BoundPort>,
    pub volumes: Vec<String>,
    pub log: Vec<u8>,
    /// Files by absolute path: permission bits and content.
    pub files: BTreeMap<String, (u32, Vec<u8>)>,
}

/// Decides whether a container may start, by its name and description: the engine's words when not.
#[derive(Clone, Default)]
pub(super) struct Gate(pub(super) Option<GateRule>);

/// The rule of a [`Gate`].
pub(super) type GateRule = Arc<dyn Fn(&str, &ContainerSpec) -> Result<(), String> + Send + Sync>;

// === impl Gate ===

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Gate(rule)" } else { "Gate(open)" })
    }
}

// === impl Container ===

impl Container {
    pub(super) fn runs(&self) -> bool {
        matches!(self.state, ContainerState::Running | ContainerState::Paused)
    }

    /// Whether a path lies in a tmpfs, where archives do not reach.
    pub(super) fn on_tmpfs(&self, path: &str) -> bool {
        self.spec.tmpfs.keys().any(|mount| path == mount || path.strip_prefix(mount.as_str()).is_some_and(|rest| rest.starts_with('/')))
    }
}

// === impl State ===

impl State {
    /// Position of a container by name or ID.
    pub(super) fn container(&self, key: &str, verb: Verb) -> Result<usize> {
        match self.containers.iter().position(|one| one.name == key || one.id == key) {
            Some(at) => Ok(at),
            None => refuse(verb, key, Kind::NotFound, format!("No such container: {key}")),
        }
    }

    pub(super) fn create_container(&mut self, name: &str, spec: &ContainerSpec) -> Result<String> {
        let verb = Verb::CreateContainer;
        if let Some(holder) = self.containers.iter().find(|one| one.name == name) {
            let text = format!("Conflict. The container name \"/{name}\" is already in use by container \"{}\"", holder.id);
            return refuse(verb, name, Kind::Conflict, text);
        }
        if self.image(&spec.image).is_none() {
            return refuse(verb, name, Kind::NotFound, format!("No such image: {}", spec.image));
        }
        let id = self.id();
        let volumes: Vec<String> = spec.anonymous_volumes.iter().map(|_| self.id()).collect();
        let created = self.now();
        self.volumes.extend(volumes.iter().map(|name| (name.clone(), (BTreeMap::new(), created))));
        self.containers.push(Container {
            id: id.clone(),
            name: name.to_owned(),
            spec: spec.clone(),
            state: ContainerState::Created,
            exit_code: None,
            created,
            ports: Vec::new(),
            volumes,
            log: Vec::new(),
            files: BTreeMap::new(),
        });
        self.tell_of(name, "create", &spec.labels);
        Ok(id)
    }

    pub(super) fn start_container(&mut self, key: &str) -> Result<()> {
        let verb = Verb::StartContainer;
        let at = self.container(key, verb)?;
        if self.containers[at].runs() {
            return Ok(());
        }
        let (id, spec) = (self.containers[at].id.clone(), self.containers[at].spec.clone());
        let ports = self.bind(&spec.ports, key)?;
        if !matches!(spec.network.as_str(), "none" | "host") {
            let name = if spec.network.is_empty() { "bridge" } else { &spec.network };
            // One that ran before goes back to where it was, even if there are several of that name now.
            let home = self.networks.iter().position(|network| network.spec.name == name && network.guests.contains(&id));
            let network = home.map_or_else(|| self.network(name, verb), Ok)?;
            self.networks[network].attach(&id, spec.ipv4_address, verb, key)?;
        }
        let container = &mut self.containers[at];
        container.ports = ports;
        container.state = ContainerState::Running;
        container.exit_code = None;
        let name = container.name.clone();
        self.tell_of(&name, "start", &spec.labels);
        Ok(())
    }

    /// Binds ports, choosing where the caller did not.
    fn bind(&self, wanted: &[PortMapping], key: &str) -> Result<Vec<BoundPort>> {
        let mut bound: Vec<BoundPort> = Vec::new();
        let held: Vec<(u16, bool)> =
            self.containers.iter().flat_map(|one| &one.ports).map(|port| (port.host_port, port.host_ip.is_ipv4())).collect();
        for port in wanted {
            let v4 = port.host_ip.is_ipv4();
            let taken = |number: u16| {
                held.contains(&(number, v4)) || bound.iter().any(|one| one.host_port == number && one.host_ip.is_ipv4() == v4)
            };
            let number =
                if port.host_port == 0 { (FIRST_PORT..=u16::MAX).find(|number| !taken(*number)).unwrap_or(0) } else { port.host_port };
            if taken(number) {
                let text = format!(
                    "driver failed programming external connectivity on endpoint {key}: Bind for {}:{number} failed: port is already allocated",
                    port.host_ip
                );
                return refuse(Verb::StartContainer, key, Kind::Failed, text);
            }
            bound.push(BoundPort {
                container_port: port.container_port,
                protocol: port.protocol,
                host_ip: port.host_ip,
                host_port: number,
            });
        }
        Ok(bound)
    }

    /// The end of a container's first process.
    pub(super) fn end_container(&mut self, key: &str, code: i64, verb: Verb) -> Result<()> {
        let at = self.container(key, verb)?;
        let container = &mut self.containers[at];
        if !container.runs() {
            return refuse(verb, key, Kind::Conflict, format!("Container {} is not running", container.id));
        }
        container.state = ContainerState::Exited;
        container.exit_code = Some(code);
        container.ports.clear();
        let (id, name, labels) = (container.id.clone(), container.name.clone(), container.spec.labels.clone());
        for network in &mut self.networks {
            network.taken.remove(&id);
        }
        self.tell_of(&name, "die", &labels);
        if self.containers[at].spec.auto_remove && verb != Verb::RemoveContainer {
            self.remove_container(key)?;
        }
        Ok(())
    }

    pub(super) fn remove_container(&mut self, key: &str) -> Result<()> {
        let at = self.container(key, Verb::RemoveContainer)?;
        if self.containers[at].runs() {
            self.end_container(key, 137, Verb::RemoveContainer)?;
        }
        let gone = self.containers.remove(at);
        for volume in &gone.volumes {
            self.volumes.remove(volume);
        }
        self.tell_of(&gone.name, "destroy", &gone.spec.labels);
        Ok(())
    }

    pub(super) fn set_paused(&mut self, key: &str, paused: bool, verb: Verb) -> Result<()> {
        let at = self.container(key, verb)?;
        let (from, to) =
            if paused { (ContainerState::Running, ContainerState::Paused) } else { (ContainerState::Paused, ContainerState::Running) };
        let container = &mut self.containers[at];
        if container.state != from {
            return refuse(
                verb,
                key,
                Kind::Conflict,
                format!("Container {} is not {}", container.id, if paused { "running" } else { "paused" }),
            );
        }
        container.state = to;
        let (name, labels) = (container.name.clone(), container.spec.labels.clone());
        self.tell_of(&name, if paused { "pause" } else { "unpause" }, &labels);
        Ok(())
    }

    pub(super) fn connect(&mut self, network: &str, container: &str, ipv4: Option<Ipv4Addr>) -> Result<()> {
        let verb = Verb::ConnectNetwork;
        let network = self.network(network, verb)?;
        let at = self.container(container, verb)?;
        let id = self.containers[at].id.clone();
        if self.networks[network].taken.contains_key(&id) {
            return refuse(verb, container, Kind::Refused, format!("endpoint with name {container} already exists in network"));
        }
        self.networks[network].attach(&id, ipv4, verb, container)
    }

    pub(super) fn disconnect(&mut self, network: &str, container: &str) -> Result<()> {
        let verb = Verb::DisconnectNetwork;
        let network = self.network(network, verb)?;
        let at = self.container(container, verb)?;
        let id = &self.containers[at].id;
        self.networks[network].guests.remove(id);
        match self.networks[network].taken.remove(id) {
            Some(_) => Ok(()),
            None => refuse(verb, container, Kind::Refused, format!("container {container} is not connected to the network")),
        }
    }

    pub(super) fn list_containers(&self, labels: &[String]) -> Vec<ContainerInfo> {
        let listed = self.containers.iter().filter(|one| bears(&one.spec.labels, labels)).map(|one| {
            // As a real list: these come from an inspect only.
            ContainerInfo { started: None, exit_code: None, volumes: Vec::new(), pid: 0, ..self.container_info(one) }
        });
        listed.collect()
    }

    pub(super) fn container_info(&self, container: &Container) -> ContainerInfo {
        // A container that rests belongs to its networks without an address.
        let place = |network: &super::network::Network| {
            network.guests.contains(&container.id).then_some(())?;
            let (ipv4, ipv6) = network.taken.get(&container.id).map_or((None, None), |(v4, v6)| (Some(*v4), *v6));
            Some((network.spec.name.clone(), ContainerNetwork { network_id: network.id.clone(), ipv4, ipv6 }))
        };
        let mut networks: BTreeMap<String, ContainerNetwork> = self.networks.iter().filter_map(place).collect();
        if !container.spec.network.is_empty() {
            // One that never ran knows its network by name.
            networks.entry(container.spec.network.clone()).or_default();
        }
        let state = container.state;
        ContainerInfo {
            id: container.id.clone(),
            name: container.name.clone(),
            image: container.spec.image.clone(),
            state,
            status: match (state, container.exit_code) {
                (ContainerState::Exited, Some(code)) => format!("Exited ({code})"),
                (ContainerState::Running, _) => "Up".to_owned(),
                _ => format!("{state:?}"),
            },
            labels: container.spec.labels.clone(),
            created: container.created,
            started: container.runs().then_some(container.created),
            exit_code: container.exit_code,
            networks,
            ports: container.ports.clone(),
            volumes: container.volumes.clone(),
            pid: if container.runs() { 4_242 } else { 0 },
        }
    }

    fn tell_of(&mut self, name: &str, action: &str, labels: &BTreeMap<String, String>) {
        let mut attributes = labels.clone();
        attributes.insert("name".to_owned(), name.to_owned());
        self.tell("container", action, name, attributes);
    }
}
