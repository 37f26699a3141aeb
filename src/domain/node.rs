//! The container of a node: cluster and host facts in, description out.
//!
//! In the privileged profile it is what kind asks of an engine, field by field, so that both make the
//! same nodes. The reduced profile is for engines and hosts that refuse it: everything the privileged
//! one brings is asked for by name, and what cannot be asked for is put right before the image's own
//! entrypoint runs.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Serialize;

use super::container::{CgroupNamespace, ContainerSpec, DeviceMapping, PortMapping, Protocol, RestartPolicy};
use super::facts::HostFacts;
use super::fleet::ClusterSpec;
use super::labels;
use super::name::Role;
use super::version::EngineApiVersion;

/// Port of the API server, in every node.
pub const API_SERVER_PORT: u16 = 6443;
/// Times an engine may start a node again after it ended in failure; kind's choice, so that a node
/// comes back after a restart of the host and not otherwise.
const RESTARTS: u32 = 1;
/// First engine API that can be told which cgroup namespace a container lives in.
const API_WITH_CGROUP_NAMESPACES: EngineApiVersion = EngineApiVersion::new(1, 41);
/// What a node image starts, by the contract of kind's images.
const IMAGE_COMMAND: [&str; 2] = ["/usr/local/bin/entrypoint", "/sbin/init"];
/// Prepares a container without privileges, then becomes the image's own command.
const PREPARE: &str = include_str!("node/prepare.sh");

/// How a node is allowed to do its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Profile {
    /// Privileged, as kind runs its nodes.
    Privileged,
    /// Every capability, but nothing else that `privileged` means.
    Reduced {
        /// Capabilities that the host lacks (`SYS_RESOURCE`) and an old engine would fail to give.
        /// Empty on engines that cut "all" to their own: they refuse to drop what they do not have.
        cap_drop: Vec<String>,
    },
}

/// All that decides how a node's container looks.
#[derive(Debug, Clone)]
pub struct NodeRequest<'a> {
    /// Its cluster.
    pub cluster: &'a ClusterSpec,
    /// Control plane or worker.
    pub role: Role,
    /// Which of its role, counted from 1.
    pub index: usize,
    /// Image as the engine knows it: a reference or an ID.
    pub image: &'a str,
    /// Name or ID of the network.
    pub network: &'a str,
    /// Fixed address, on a network of the fleet's own.
    pub address: Option<Ipv4Addr>,
    /// Port on the engine's host for the API server: chosen before, because one that the engine
    /// chooses changes at each start. Ignored for workers.
    pub api_port: u16,
    /// Labels beside cluster and role.
    pub labels: BTreeMap<String, String>,
    /// Environment entries, `KEY=value`, such as [`proxy_environment`](super::proxy::proxy_environment)
    /// makes.
    pub env: Vec<String>,
    /// How it is allowed to do its work.
    pub profile: &'a Profile,
    /// The engine and its host.
    pub facts: &'a HostFacts,
}

/// The description of a control-plane or worker node's container.
pub fn node(request: &NodeRequest<'_>) -> ContainerSpec {
    let facts = request.facts;
    let name = request.cluster.name.node(request.role, request.index);
    let mut spec = ContainerSpec {
        image: request.image.to_owned(),
        hostname: name,
        env: request.env.clone(),
        labels: request.labels.clone(),
        // systemd writes its progress to the terminal, and that is what tells that it is up.
        tty: true,
        anonymous_volumes: vec!["/var".to_owned()],
        binds: vec!["/lib/modules:/lib/modules:ro".to_owned()],
        tmpfs: BTreeMap::from([("/tmp".to_owned(), String::new()), ("/run".to_owned(), String::new())]),
        network: request.network.to_owned(),
        ipv4_address: request.address,
        restart: RestartPolicy::OnFailure(RESTARTS),
        // Said outright: an engine configured to add an init would take systemd's place as first process.
        init: Some(false),
        cgroupns: match facts.api_version >= API_WITH_CGROUP_NAMESPACES {
            true => CgroupNamespace::Private,
            false => CgroupNamespace::Default,
        },
        userns_mode: facts.userns_remap.then(|| "host".to_owned()),
        ..ContainerSpec::default()
    };
    spec.labels.insert(labels::CLUSTER.to_owned(), request.cluster.name.to_string());
    spec.labels.insert(labels::ROLE.to_owned(), request.role.as_str().to_owned());
    if let Some(address) = request.address {
        spec.labels.insert(labels::ADDRESS.to_owned(), address.to_string());
    }
    if needs_device_mapper(facts) {
        spec.binds.push("/dev/mapper:/dev/mapper".to_owned());
    }
    if facts.rootless {
        spec.devices.push(DeviceMapping { host_path: "/dev/fuse".to_owned(), container_path: "/dev/fuse".to_owned() });
    }
    if request.role == Role::ControlPlane {
        spec.env.push("KUBECONFIG=/etc/kubernetes/admin.conf".to_owned());
        spec.ports.push(PortMapping {
            container_port: API_SERVER_PORT,
            protocol: Protocol::Tcp,
            host_ip: request.cluster.api_server_address,
            host_port: request.api_port,
        });
    }
    request.profile.grant(&mut spec);
    if matches!(request.profile, Profile::Reduced { .. }) {
        let command = ["/bin/bash", "-c", PREPARE, "prepare"];
        spec.entrypoint = Some(command.map(str::to_owned).to_vec());
        spec.cmd = Some(IMAGE_COMMAND.map(str::to_owned).to_vec());
    }
    spec
}

/// Labels on every container of a fleet.
pub fn fleet_labels(fleet: &super::name::FleetName) -> BTreeMap<String, String> {
    BTreeMap::from([(labels::FLEET.to_owned(), fleet.to_string()), (labels::VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned())])
}

/// The kubelet asks for the root file system's device, which these kinds of storage hide behind the
/// device mapper. A rootless engine cannot give it.
fn needs_device_mapper(facts: &HostFacts) -> bool {
    let driver = matches!(facts.storage_driver.as_str(), "btrfs" | "zfs" | "devicemapper");
    let below = matches!(facts.backing_filesystem.as_deref(), Some("btrfs" | "zfs" | "xfs"));
    !facts.rootless && (driver || below)
}

// === impl Profile ===

impl Profile {
    /// `privileged` or `reduced`.
    pub fn name(&self) -> &'static str {
        match self {
            Profile::Privileged => "privileged",
            Profile::Reduced { .. } => "reduced",
        }
    }

    /// The profile as a label's value: `privileged`, `reduced`, `reduced:SYS_RESOURCE,…`.
    pub fn to_label(&self) -> String {
        match self {
            Profile::Reduced { cap_drop } if !cap_drop.is_empty() => format!("reduced:{}", cap_drop.join(",")),
            profile => profile.name().to_owned(),
        }
    }

    /// Reads a label's value; `None` when it is none of ours.
    pub fn from_label(value: &str) -> Option<Self> {
        match value.split_once(':') {
            Some(("reduced", dropped)) => Some(Profile::Reduced { cap_drop: dropped.split(',').map(str::to_owned).collect() }),
            None if value == "privileged" => Some(Profile::Privileged),
            None if value == "reduced" => Some(Profile::Reduced { cap_drop: Vec::new() }),
            _ => None,
        }
    }

    /// Gives a container what the profile allows.
    pub fn grant(&self, spec: &mut ContainerSpec) {
        spec.security_opt = vec!["seccomp=unconfined".to_owned(), "apparmor=unconfined".to_owned()];
        match self {
            Profile::Privileged => spec.privileged = true,
            Profile::Reduced { cap_drop } => {
                spec.cap_add = vec!["ALL".to_owned()];
                spec.cap_drop.clone_from(cap_drop);
                spec.masked_paths = Some(Vec::new());
                spec.readonly_paths = Some(Vec::new());
                spec.device_cgroup_rules = vec!["a *:* rwm".to_owned()];
            }
        }
    }
}

#[cfg(test)]
mod tests;
