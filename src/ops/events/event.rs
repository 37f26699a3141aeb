//! One thing that happened to a fleet, wherever it was told.

use std::fmt;
use std::time::SystemTime;

use serde::{Serialize, Serializer};

use crate::domain::labels;
use crate::engine::EngineEvent;
use crate::k8s::events::ClusterEvent;

/// Actions of containers that somebody may want to know of; everything else is what commands in nodes cause.
const ACTIONS: [&str; 14] = [
    "create",
    "start",
    "restart",
    "kill",
    "die",
    "stop",
    "oom",
    "pause",
    "unpause",
    "destroy",
    "rename",
    "connect",
    "disconnect",
    "remove",
];

/// Something that happened in a cluster of a fleet, or to its containers and networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetEvent {
    /// When, by the clock of who told it.
    #[serde(serialize_with = "rfc3339")]
    pub time: SystemTime,
    /// Who told it.
    pub source: EventSource,
    /// The cluster; `None` for a network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Whether somebody should look at it.
    pub warning: bool,
    /// One word: `FailedScheduling`, `die`.
    pub reason: String,
    /// Kind and name of what it happened to (`Pod default/web`, `container a-control-plane`).
    pub object: String,
    /// What happened, in words; may be empty.
    pub message: String,
    /// How often it has happened.
    pub count: i32,
}

/// Who tells events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum EventSource {
    /// The container engine.
    Engine,
    /// The API server of a cluster.
    Kubernetes,
    /// This library: a source that fell silent, or speaks again.
    Kindmesh,
}

// === impl FleetEvent ===

impl FleetEvent {
    /// An event of a cluster.
    pub(crate) fn of_cluster(cluster: &str, event: ClusterEvent) -> Self {
        Self {
            time: event.time.unwrap_or(SystemTime::UNIX_EPOCH),
            source: EventSource::Kubernetes,
            cluster: Some(cluster.to_owned()),
            warning: event.warning,
            reason: event.reason,
            object: event.object,
            message: event.message,
            count: event.count,
        }
    }

    /// An event of the engine; `None` when it is of no interest.
    pub(crate) fn of_engine(event: &EngineEvent) -> Option<Self> {
        // What looks at the host for a moment, or stands for a lease, is nothing of the fleet.
        if !ACTIONS.contains(&event.action.as_str()) || event.attributes.contains_key(labels::HELPER) {
            return None;
        }
        let told = |name: &str| event.attributes.get(name).filter(|value| !value.is_empty());
        let code = told("exitCode").map(|code| format!("exit code {code}"));
        let signal = told("signal").map(|signal| format!("signal {signal}"));
        Some(Self {
            time: event.time,
            source: EventSource::Engine,
            cluster: event.attributes.get(labels::CLUSTER).cloned(),
            warning: event.action == "oom" || (event.action == "die" && told("exitCode").is_some_and(|code| code != "0")),
            reason: event.action.clone(),
            object: format!("{} {}", event.object, event.name),
            message: code.or(signal).unwrap_or_default(),
            count: 1,
        })
    }

    /// Something to tell of a source.
    pub(crate) fn notice(cluster: &str, warning: bool, reason: &str, message: String) -> Self {
        Self {
            time: SystemTime::now(),
            source: EventSource::Kindmesh,
            cluster: Some(cluster.to_owned()),
            warning,
            reason: reason.to_owned(),
            object: format!("cluster {cluster}"),
            message,
            count: 1,
        }
    }
}

impl fmt::Display for FleetEvent {
    /// `2026-01-01T00:00:09.120Z a Warning FailedScheduling Pod default/web: no room (3 times)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::try_from(self.time) {
            Ok(time) => write!(f, "{time:.3}")?,
            Err(_) => f.write_str("-")?,
        }
        let kind = if self.warning { "Warning" } else { "Normal" };
        write!(f, " {} {kind} {} {}", self.cluster.as_deref().unwrap_or("-"), self.reason, self.object)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message.replace('\n', " "))?;
        }
        if self.count > 1 {
            write!(f, " ({} times)", self.count)?;
        }
        Ok(())
    }
}

fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    match jiff::Timestamp::try_from(*time) {
        Ok(time) => serializer.serialize_str(&format!("{time:.3}")),
        Err(_) => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    fn engine_event(action: &str, attributes: &[(&str, &str)]) -> EngineEvent {
        EngineEvent {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_120),
            object: "container".into(),
            action: action.into(),
            name: "a-control-plane".into(),
            attributes: attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>(),
        }
    }

    #[test]
    fn an_end_with_a_code_is_a_warning_and_commands_are_no_events() {
        let event = FleetEvent::of_engine(&engine_event("die", &[("exitCode", "137"), (labels::CLUSTER, "a")])).unwrap();
        assert_eq!(event.to_string(), "2023-11-14T22:13:20.120Z a Warning die container a-control-plane: exit code 137");
        assert!(!FleetEvent::of_engine(&engine_event("die", &[("exitCode", "0")])).unwrap().warning);
        assert_eq!(FleetEvent::of_engine(&engine_event("exec_create: cat /etc/kubernetes/admin.conf", &[])), None);
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!((json["time"].as_str(), json["source"].as_str()), (Some("2023-11-14T22:13:20.120Z"), Some("engine")));
    }
}
