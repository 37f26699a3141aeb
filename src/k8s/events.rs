//! Events of a cluster: what its parts tell people.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::time::SystemTime;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event as Watched, watcher};

use super::client::ApiServer;
use super::error::{K8sError, RequestErrorKind, Result, describe_watch};
use super::watch::Reconnect;

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

/// Which events were told already: by the version of the object that holds each.
#[derive(Debug, Clone)]
pub struct Told {
    since: SystemTime,
    versions: BTreeMap<String, String>,
    listed: BTreeMap<String, String>,
}

/// Tells the events since a time, and those that come, until `hear` or `heard` says that nobody listens. A server that
/// goes away is connected to again; `heard` hears why it does not answer, and `None` when it answers again.
///
/// # Errors
/// `Untrusted` when the server refuses the credentials: it is another one now.
pub async fn follow<H: Future<Output = bool>, P: Future<Output = bool>>(
    server: &ApiServer,
    told: &mut Told,
    mut hear: impl FnMut(ClusterEvent) -> H,
    mut heard: impl FnMut(Option<String>) -> P,
) -> Result<()> {
    let api: Api<Event> = Api::all(server.client());
    let mut stream = pin!(watcher(api, watcher::Config::default()).backoff(Reconnect::default()));
    while let Some(next) = stream.next().await {
        // A listing that begins has no answer yet; everything else is one.
        let answered = matches!(next, Ok(Watched::InitApply(_) | Watched::InitDone | Watched::Apply(_) | Watched::Delete(_)));
        if answered && !heard(None).await {
            return Ok(());
        }
        let go_on = match next {
            Ok(Watched::Init) => {
                told.listed.clear();
                true
            }
            Ok(Watched::InitApply(event)) => match told.is_new(&event, true) {
                Some(event) => hear(event).await,
                None => true,
            },
            Ok(Watched::InitDone) => {
                told.versions = std::mem::take(&mut told.listed);
                true
            }
            Ok(Watched::Apply(event)) => match told.is_new(&event, false) {
                Some(event) => hear(event).await,
                None => true,
            },
            Ok(Watched::Delete(event)) => {
                told.versions.remove(&key(&event));
                true
            }
            Err(error) => {
                let (kind, message) = describe_watch(&error);
                if kind == RequestErrorKind::Untrusted {
                    return Err(K8sError::Request { verb: "watch", object: "events".to_owned(), kind, message });
                }
                heard(Some(message)).await
            }
        };
        if !go_on {
            return Ok(());
        }
    }
    Ok(())
}

fn key(event: &Event) -> String {
    format!("{}/{}", event.namespace().unwrap_or_default(), event.name_any())
}

// === impl Told ===

impl Told {
    /// Nothing yet; what is older than this is of no interest.
    pub fn since(since: SystemTime) -> Self {
        Self { since, versions: BTreeMap::new(), listed: BTreeMap::new() }
    }

    /// The event, unless it was told already or is too old.
    fn is_new(&mut self, event: &Event, listing: bool) -> Option<ClusterEvent> {
        let (key, read) = (key(event), ClusterEvent::of(event));
        let known = self.versions.get(&key) == Some(&read.version);
        let into = if listing { &mut self.listed } else { &mut self.versions };
        into.insert(key, read.version.clone());
        // Times of events are whole seconds.
        let since = self.since.checked_sub(std::time::Duration::from_secs(1)).unwrap_or(self.since);
        (!known && read.time.is_none_or(|time| time >= since)).then_some(read)
    }
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

    #[test]
    fn an_event_is_told_once_and_again_when_it_happens_again() {
        let event = |version: &str, time: &str| -> Event {
            serde_json::from_value(json!({"metadata": {"name": "e", "namespace": "n", "resourceVersion": version}, "lastTimestamp": time,
                "involvedObject": {"kind": "Pod", "namespace": "n", "name": "p"}}))
            .unwrap()
        };
        let since = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_767_225_605);
        let mut told = Told::since(since);
        assert_eq!(told.is_new(&event("1", "2026-01-01T00:00:01Z"), true), None, "too old");
        assert!(told.is_new(&event("2", "2026-01-01T00:00:09Z"), true).is_some());
        told.versions = std::mem::take(&mut told.listed);
        assert_eq!(told.is_new(&event("2", "2026-01-01T00:00:09Z"), true), None, "listed again after a reconnect");
        assert!(told.is_new(&event("3", "2026-01-01T00:00:19Z"), false).is_some());
    }

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
