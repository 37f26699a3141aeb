//! Events of a cluster: what its parts tell people.

use std::fmt;
use std::time::SystemTime;

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ListParams};

use super::client::ApiServer;
use super::error::Result;

/// Events that are read of one cluster at most; the server forgets them after an hour.
const MOST: u32 = 5000;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterEvent {
    /// When it happened last.
    pub time: Option<SystemTime>,
    /// Whether somebody should look at it.
    pub warning: bool,
    /// One word (`FailedScheduling`).
    pub reason: String,
    /// Kind, namespace and name of what it happened to (`Pod default/web`).
    pub object: String,
    /// What happened, in words.
    pub message: String,
    /// How often.
    pub count: i32,
    /// The version of the object that holds it: changes when it happens again.
    pub version: String,
}

/// The events of all namespaces, oldest first.
///
/// # Errors
/// The request's.
pub async fn list(server: &ApiServer) -> Result<Vec<ClusterEvent>> {
    let api: Api<Event> = Api::all(server.client());
    let listed = api.list(&ListParams::default().limit(MOST)).await.map_err(|error| server.error("list", "events", &error))?;
    let mut events: Vec<ClusterEvent> = listed.items.iter().map(ClusterEvent::of).collect();
    events.sort_by_key(|event| event.time);
    Ok(events)
}

// === impl ClusterEvent ===

impl ClusterEvent {
    pub(crate) fn of(event: &Event) -> Self {
        let involved = &event.involved_object;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let object = match &involved.namespace {
            Some(namespace) => format!("{} {namespace}/{}", text(&involved.kind), text(&involved.name)),
            None => format!("{} {}", text(&involved.kind), text(&involved.name)),
        };
        let series = event.series.as_ref();
        let time = [
            series.and_then(|series| series.last_observed_time.as_ref().map(|time| time.0)),
            event.last_timestamp.as_ref().map(|time| time.0),
            event.event_time.as_ref().map(|time| time.0),
            event.first_timestamp.as_ref().map(|time| time.0),
            event.metadata.creation_timestamp.as_ref().map(|time| time.0),
        ];
        Self {
            time: time.into_iter().flatten().next().map(|time: Timestamp| time.into()),
            warning: event.type_.as_deref() == Some("Warning"),
            reason: text(&event.reason),
            object,
            message: text(&event.message).trim().to_owned(),
            count: series.and_then(|series| series.count).or(event.count).unwrap_or(1),
            version: text(&event.metadata.resource_version),
        }
    }
}

impl fmt::Display for ClusterEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.time.and_then(|time| jiff::Timestamp::try_from(time).ok()) {
            Some(time) => write!(f, "{:.0}", time)?,
            None => f.write_str("-")?,
        }
        let kind = if self.warning { "Warning" } else { "Normal" };
        write!(f, " {kind} {} {}: {}", self.reason, self.object, self.message.replace('\n', " "))?;
        if self.count > 1 {
            write!(f, " ({} times)", self.count)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::mock;
    use super::*;

    #[tokio::test]
    async fn events_come_in_the_order_of_their_time() {
        let event = |name: &str, time: &str, kind: &str| {
            json!({"metadata": {"name": name, "namespace": "default", "resourceVersion": "7"}, "type": kind, "reason": "Pulled", "message": "line\nline",
                "involvedObject": {"kind": "Pod", "namespace": "default", "name": name}, "lastTimestamp": time, "count": 3})
        };
        let (server, _) = mock::server(move |_, _, _| {
            let items = [event("late", "2026-01-01T00:00:09Z", "Warning"), event("early", "2026-01-01T00:00:01Z", "Normal")];
            (200, json!({"kind": "EventList", "apiVersion": "v1", "metadata": {}, "items": items}))
        });
        let lines: Vec<String> = list(&server).await.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "2026-01-01T00:00:01Z Normal Pulled Pod default/early: line line (3 times)",
                "2026-01-01T00:00:09Z Warning Pulled Pod default/late: line line (3 times)"
            ]
        );
    }
}
