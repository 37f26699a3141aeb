//! The description of a container, in the project's own terms.
//!
//! Operations say what they want with a [`ContainerSpec`]; the engine adapter translates it
//! field by field. `None` and empty mean "not sent", so the engine's own default holds.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// Everything the engine is told when it creates a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ContainerSpec {
    /// Image reference or ID.
    pub image: String,
    /// Host name inside the container; the engine's own choice when empty.
    pub hostname: String,
    /// Environment entries, `KEY=value`.
    pub env: Vec<String>,
    /// Labels; how everything is found again.
    pub labels: BTreeMap<String, String>,
    /// Whether a terminal is allocated (container logs are then raw bytes).
    pub tty: bool,
    /// Replaces the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub cmd: Option<Vec<String>>,
    /// Paths that get an anonymous volume each, removed with the container.
    pub anonymous_volumes: Vec<String>,
    /// Bind mounts, `host:container[:options]`.
    pub binds: Vec<String>,
    /// Files of the engine's host, path to path in the container. Unlike with a bind, the container is refused
    /// when the path is not there, and nothing is made in its place.
    pub mounts: BTreeMap<String, String>,
    /// Published ports.
    pub ports: Vec<PortMapping>,
    /// Whether the container gets every privilege the engine can give.
    pub privileged: bool,
    /// Capabilities to add (`ALL`, `NET_ADMIN`).
    pub cap_add: Vec<String>,
    /// Capabilities to take away.
    pub cap_drop: Vec<String>,
    /// Security options (`seccomp=unconfined`).
    pub security_opt: Vec<String>,
    /// Paths the engine masks; `Some(vec![])` masks nothing.
    pub masked_paths: Option<Vec<String>>,
    /// Paths the engine makes read-only; `Some(vec![])` none.
    pub readonly_paths: Option<Vec<String>>,
    /// tmpfs mounts, path to options.
    pub tmpfs: BTreeMap<String, String>,
    /// Name of the network; the default bridge when empty, `none` and `host` as the engine knows them.
    pub network: String,
    /// Fixed IPv4 address on that network.
    pub ipv4_address: Option<Ipv4Addr>,
    /// Fixed IPv6 address on that network.
    pub ipv6_address: Option<Ipv6Addr>,
    /// When the engine restarts it.
    pub restart: RestartPolicy,
    /// Whether the engine removes the container, with its anonymous volumes, when it has ended.
    pub auto_remove: bool,
    /// Whether the engine puts its own init before the command; `None` inherits the engine's setting.
    pub init: Option<bool>,
    /// Cgroup namespace.
    pub cgroupns: CgroupNamespace,
    /// `host` joins the engine's process namespace.
    pub pid_mode: Option<String>,
    /// Sysctls set in the container's namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// User namespace (`host` opts out of remapping).
    pub userns_mode: Option<String>,
    /// Devices, mapped with `rwm`.
    pub devices: Vec<DeviceMapping>,
    /// Device cgroup rules (`a *:* rwm`).
    pub device_cgroup_rules: Vec<String>,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// Port inside the container, 1 to 65535.
    pub container_port: u16,
    /// Protocol.
    pub protocol: Protocol,
    /// Address listened on, on the engine's host.
    pub host_ip: IpAddr,
    /// Port listened on; 0 lets the engine choose, anew at each start.
    pub host_port: u16,
}

/// Transport protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A device of the engine's host, given to the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceMapping {
    /// Path on the engine's host.
    pub host_path: String,
    /// Path in the container.
    pub container_path: String,
}

/// When the engine restarts a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// After a non-zero exit, at most this many times in a row.
    OnFailure(u32),
}

/// Which cgroup namespace a container lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum CgroupNamespace {
    /// The engine's default.
    #[default]
    Default,
    /// One of its own.
    Private,
}

// === impl Protocol ===

impl Protocol {
    /// Lower-case name, as the engine's API spells it in `6443/tcp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        }
    }
}
