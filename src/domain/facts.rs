//! What is known of the engine and its host, as plain data.

use std::time::SystemTime;

use serde::Serialize;

use super::version::EngineApiVersion;

/// Facts read from the engine once, before anything is planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostFacts {
    /// What the engine calls itself, the same as long as its data is; empty when it tells nothing.
    pub id: String,
    /// API version agreed with the engine.
    pub api_version: EngineApiVersion,
    /// Product and version, for people; nothing branches on it.
    pub product: String,
    /// Operating system of the engine's host (`linux`).
    pub os: String,
    /// Architecture of the engine's host in Go's spelling (`amd64`, `arm64`).
    pub arch: String,
    /// Cgroup hierarchy version: 1 or 2.
    pub cgroup_version: u8,
    /// The engine's cgroup driver (`cgroupfs`, `systemd`, `none`).
    pub cgroup_driver: String,
    /// Whether the engine runs without root.
    pub rootless: bool,
    /// Whether the engine remaps user IDs.
    pub userns_remap: bool,
    /// Storage driver (`overlay2`, `btrfs`).
    pub storage_driver: String,
    /// File system below the storage driver (`extfs`, `xfs`), when told.
    pub backing_filesystem: Option<String>,
    /// Number of CPUs the engine sees.
    pub cpus: u32,
    /// Memory the engine sees, in bytes.
    pub memory_bytes: u64,
    /// Its clock, when the facts were read; old engines may not tell.
    #[serde(skip)]
    pub system_time: Option<SystemTime>,
}

// === impl HostFacts ===

impl HostFacts {
    /// A name for the engine that files can have, the beginning of what it calls itself: enough to tell the few
    /// engines of a user apart. `None` when it tells nothing.
    pub fn short_id(&self) -> Option<String> {
        short_id(&self.id)
    }
}

/// [`HostFacts::short_id`] of what an engine calls itself: `IQ5U:MZ2H:…` from old ones, a UUID from newer ones.
pub fn short_id(id: &str) -> Option<String> {
    let short: String = id.chars().filter(char::is_ascii_alphanumeric).take(12).map(|letter| letter.to_ascii_lowercase()).collect();
    (!short.is_empty()).then_some(short)
}
