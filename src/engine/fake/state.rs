//! What the engine knows. Pure and synchronous: the adapter locks it, asks, and unlocks.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::container::Container;
use super::image::Image;
use super::network::Network;
use crate::domain::facts::HostFacts;
use crate::domain::version::EngineApiVersion;
use crate::engine::{EngineEvent, RegistryCredentials};

/// Everything there is.
#[derive(Debug)]
pub(super) struct State {
    pub facts: HostFacts,
    pub networks: Vec<Network>,
    pub containers: Vec<Container>,
    pub images: Vec<Image>,
    /// Labels by name, and when each was created.
    pub volumes: BTreeMap<String, (BTreeMap<String, String>, i64)>,
    /// Images that can be pulled, by reference, with the credentials they want.
    pub registry: BTreeMap<String, Option<RegistryCredentials>>,
    /// Whether two networks may have one name, as two racing requests can bring about on old engines.
    pub duplicates: bool,
    /// Events nobody has been told yet.
    pub news: Vec<EngineEvent>,
    /// Every event so far.
    pub past: Vec<EngineEvent>,
    ticks: u64,
}

// === impl State ===

impl State {
    pub(super) fn new() -> Self {
        Self {
            facts: HostFacts {
                id: "FAKE:0001".to_owned(),
                api_version: EngineApiVersion::new(1, 47),
                product: "Fake 1".to_owned(),
                os: "linux".to_owned(),
                arch: "amd64".to_owned(),
                cgroup_version: 2,
                cgroup_driver: "systemd".to_owned(),
                rootless: false,
                userns_remap: false,
                storage_driver: "overlay2".to_owned(),
                backing_filesystem: Some("extfs".to_owned()),
                cpus: 4,
                memory_bytes: 8 << 30,
                system_time: None,
            },
            networks: vec![Network::default_bridge()],
            containers: Vec::new(),
            images: Vec::new(),
            volumes: BTreeMap::new(),
            registry: BTreeMap::new(),
            duplicates: false,
            news: Vec::new(),
            past: Vec::new(),
            ticks: 0,
        }
    }

    /// A new ID, as long as a real one; IDs grow.
    pub(super) fn id(&mut self) -> String {
        self.ticks += 1;
        format!("{:064x}", self.ticks)
    }

    /// Seconds since 1970 by the engine's own clock, which only moves when something happens.
    pub(super) fn now(&self) -> i64 {
        1_700_000_000 + i64::try_from(self.ticks).unwrap_or(0)
    }

    /// Something happened.
    pub(super) fn tell(&mut self, object: &str, action: &str, name: &str, attributes: BTreeMap<String, String>) {
        self.ticks += 1;
        let seconds = u64::try_from(self.now()).unwrap_or(0);
        let event = EngineEvent {
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            object: object.to_owned(),
            action: action.to_owned(),
            name: name.to_owned(),
            attributes,
        };
        self.past.push(event.clone());
        self.news.push(event);
    }
}

/// Whether these labels include all of the wanted (`key` or `key=value`).
pub(super) fn bears(held: &BTreeMap<String, String>, wanted: &[String]) -> bool {
    wanted.iter().all(|label| match label.split_once('=') {
        Some((key, value)) => held.get(key).is_some_and(|held| held == value),
        None => held.contains_key(label),
    })
}
