//! Events.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tokio::sync::Mutex;

use super::client::DockerEngine;
use super::fault;
use crate::engine::{EngineError, EngineErrorKind as Kind, EngineEvent, Result};

const VERB: &str = "follow events of";

/// Tells which events concern the labels asked for. Events of containers carry the container's
/// labels; events of networks carry none, so the networks' IDs are remembered.
#[derive(Debug)]
struct Concern {
    engine: DockerEngine,
    labels: Vec<String>,
    networks: Mutex<BTreeSet<String>>,
}

// === impl DockerEngine ===

impl DockerEngine {
    /// Events from now on, by the engine's own clock: nothing is missed between this call and the
    /// first poll of the stream, whatever this machine's clock says.
    pub(super) async fn events(&self, labels: &[String]) -> Result<BoxStream<'static, Result<EngineEvent>>> {
        let object = labels.join(",");
        let now = self.call(VERB, &object, self.docker.info()).await?.system_time;
        let known = self.networks_labelled(labels).await?.into_iter().map(|network| network.id).collect();
        let filters = HashMap::from([("type", vec!["container", "network"])]);
        let mut options = EventsOptionsBuilder::default().filters(&filters);
        if let Some(now) = now.as_deref().and_then(since) {
            options = options.since(&now);
        }
        let concern = Arc::new(Concern { engine: self.clone(), labels: labels.to_vec(), networks: Mutex::new(known) });
        let ended = EngineError::new(VERB, &object, Kind::Interrupted, "the engine closed the stream");
        let events = self.docker.events(Some(options.build())).filter_map(move |message| {
            let (concern, object) = (concern.clone(), object.clone());
            async move {
                match message {
                    Ok(message) => concern.take(message).await.map(Ok),
                    Err(error) => Some(Err(fault::map(VERB, &object, error))),
                }
            }
        });
        Ok(events.chain(stream::once(async { Err(ended) })).boxed())
    }

    /// What the engine remembers from a time up to now, both by its own clock.
    pub(super) async fn past_events(&self, labels: &[String], since: SystemTime) -> Result<Vec<EngineEvent>> {
        let object = labels.join(",");
        let now = self.call(VERB, &object, self.docker.info()).await?.system_time;
        let now = now.as_deref().and_then(self::since).unwrap_or_else(|| instant(SystemTime::now()));
        let known = self.networks_labelled(labels).await?.into_iter().map(|network| network.id).collect();
        let filters = HashMap::from([("type", vec!["container", "network"])]);
        let options = EventsOptionsBuilder::default().filters(&filters).since(&instant(since)).until(&now).build();
        let concern = Concern { engine: self.clone(), labels: labels.to_vec(), networks: Mutex::new(known) };
        let read = async {
            let mut events = Vec::new();
            let mut messages = self.docker.events(Some(options));
            while let Some(message) = messages.next().await {
                let message = message.map_err(|error| fault::map(VERB, &object, error))?;
                events.extend(concern.take(message).await);
            }
            Ok(events)
        };
        self.within(self.deadlines.call, VERB, &object, read).await
    }
}

// === impl Concern ===

impl Concern {
    /// The event, when it concerns us.
    async fn take(&self, message: EventMessage) -> Option<EngineEvent> {
        let actor = message.actor.clone().unwrap_or_default();
        let id = actor.id.unwrap_or_default();
        let event = read(message)?;
        let ours = if event.object == "network" { self.network(&id, &event.action).await } else { bears(&event.attributes, &self.labels) };
        ours.then_some(event)
    }

    async fn network(&self, id: &str, action: &str) -> bool {
        if self.labels.is_empty() {
            return true;
        }
        let mut known = self.networks.lock().await;
        if action == "create"
            && let Ok(network) = self.engine.inspect_network(id).await
            && bears(&network.labels, &self.labels)
        {
            known.insert(id.to_owned());
        }
        known.contains(id)
    }
}

/// The engine's time as the `since` of a request: seconds and nanoseconds. The text form would lose
/// its fraction on some engines.
fn since(time: &str) -> Option<String> {
    let time: jiff::Timestamp = time.parse().ok()?;
    Some(format!("{}.{:09}", time.as_second(), time.subsec_nanosecond()))
}

/// A time in the same form.
fn instant(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:09}", since.as_secs(), since.subsec_nanos())
}

/// Whether the attributes hold every label (`key` or `key=value`).
fn bears(attributes: &BTreeMap<String, String>, labels: &[String]) -> bool {
    labels.iter().all(|label| match label.split_once('=') {
        Some((key, value)) => attributes.get(key).is_some_and(|held| held == value),
        None => attributes.contains_key(label),
    })
}

/// A message about a container or network.
fn read(message: EventMessage) -> Option<EngineEvent> {
    let object = match message.typ? {
        EventMessageTypeEnum::CONTAINER => "container",
        EventMessageTypeEnum::NETWORK => "network",
        _ => return None,
    };
    let attributes: BTreeMap<String, String> = message.actor.and_then(|actor| actor.attributes).unwrap_or_default().into_iter().collect();
    let nanoseconds = message.time_nano.or(message.time.map(|seconds| seconds.saturating_mul(1_000_000_000)));
    Some(EngineEvent {
        time: SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds.and_then(|count| u64::try_from(count).ok()).unwrap_or(0)),
        object: object.to_owned(),
        action: message.action.unwrap_or_default(),
        name: attributes.get("name").cloned().unwrap_or_default(),
        attributes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_label_must_be_there() {
        let held = attributes(&[("a", "1"), ("b", "")]);
        assert!(bears(&held, &["a=1".into(), "b".into()]));
        assert!(!bears(&held, &["a=2".into()]));
        assert!(!bears(&held, &["a".into(), "c".into()]));
        assert!(bears(&held, &[]));
    }

    #[test]
    fn the_engines_time_keeps_its_fraction() {
        assert_eq!(since("2026-11-22T15:40:00.123456789Z").as_deref(), Some("1795362000.123456789"));
        assert_eq!(since("2026-11-22T16:40:00.000000001+01:00").as_deref(), Some("1795362000.000000001"));
        assert_eq!(since("yesterday"), None);
    }

    #[test]
    fn messages_become_events() {
        let text = r#"{"Type":"container","Action":"die","Actor":{"ID":"1f","Attributes":{"name":"n1","exitCode":"137"}},"scope":"local","time":1795362000,"timeNano":1795362000000000005}"#;
        let event = read(serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!((event.object.as_str(), event.action.as_str(), event.name.as_str()), ("container", "die", "n1"));
        assert_eq!(event.time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos(), 1_795_362_000_000_000_005);
        assert!(read(serde_json::from_str(r#"{"Type":"volume","Action":"create"}"#).unwrap()).is_none());
    }
}
