//! Past events, and those that come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::cluster;
use super::event::FleetEvent;
use super::order::Reorder;
use crate::domain::labels;
use crate::domain::name::FleetName;
use crate::engine::Engine;
use crate::ops::context::Kindmesh;
use crate::ops::error::Result;
use crate::ops::inventory::Inventory;
use crate::ops::selection;

/// Events that wait for a slow reader.
const BUFFER: usize = 256;
/// Clusters that appear are found by what the engine tells, and after this time at the latest.
const LOOK: Duration = Duration::from_secs(10);
/// Pause before the engine is asked again after it closed its stream.
const AGAIN: Duration = Duration::from_secs(1);

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventOptions {
    /// Of this fleet; of the only fleet there is when this and `clusters` say nothing.
    pub fleet: Option<FleetName>,
    /// Of these clusters, whoever made them.
    pub clusters: Vec<String>,
    /// Those of this time before now, as far as they are remembered: by Kubernetes for an hour, by
    /// Docker the last 256 of everything. `None`: all that are remembered.
    pub since: Option<Duration>,
}

/// Events as they come. Dropping it ends what feeds it.
#[derive(Debug)]
pub struct FleetEvents {
    receiver: Receiver<FleetEvent>,
    reorder: Reorder,
    over: bool,
    _sources: JoinSet<()>,
}

/// What is listened to.
#[derive(Clone)]
struct Subject {
    engine: Arc<dyn Engine>,
    /// Label that all its containers have.
    label: String,
    /// Clusters by name; with a fleet, all it has or will have.
    clusters: Option<Vec<String>>,
}

impl Kindmesh {
    /// The events that are remembered, in the order of their time.
    ///
    /// # Errors
    /// When the engine fails, or there is no such fleet or cluster. A cluster that does not answer is told by an
    /// event of its own.
    pub async fn past_events(&self, options: &EventOptions) -> Result<Vec<FleetEvent>> {
        let inventory = Inventory::read(self.engine.as_ref()).await?;
        let clusters = selection::clusters(&inventory, options.fleet.as_ref(), &options.clusters)?;
        let since = begin(options.since);
        let subject = Subject::of(self, options, &inventory, &clusters);
        let labels = [subject.label.clone()];
        let told = self.engine.past_events(&labels, since);
        let (told, past) = tokio::join!(told, join_all(clusters.iter().map(|name| cluster::past(&self.engine, name, since))));
        let mut events: Vec<FleetEvent> = past.into_iter().flatten().collect();
        events.extend(told?.iter().filter_map(FleetEvent::of_engine).filter(|event| subject.concerns(event)));
        events.sort_by_key(|event| event.time);
        Ok(events)
    }

    /// Events from now on, and before them those of `options.since` (none by default), in about the order of
    /// their time. Clusters that are restarted are heard again by themselves, also those that join a fleet later.
    /// It goes on until it is dropped, and has an end only with the last of named clusters.
    ///
    /// # Errors
    /// When the engine fails, or there is no such fleet or cluster.
    pub async fn events(&self, options: &EventOptions) -> Result<FleetEvents> {
        let inventory = Inventory::read(self.engine.as_ref()).await?;
        let clusters = selection::clusters(&inventory, options.fleet.as_ref(), &options.clusters)?;
        let since = begin(Some(options.since.unwrap_or_default()));
        let subject = Subject::of(self, options, &inventory, &clusters);
        let (out, receiver) = mpsc::channel(BUFFER);
        let mut sources = JoinSet::new();
        sources.spawn(subject.feed(since, out));
        Ok(FleetEvents { receiver, reorder: Reorder::default(), over: false, _sources: sources })
    }
}

impl Kindmesh {
    /// Waits until the engine does something with a cluster, or for this time at most; some events that belong
    /// together are one change.
    pub fn next_change(&self, most: Duration) -> impl Future<Output = ()> + Send + use<> {
        /// Starting a node is several events.
        const TOGETHER: Duration = Duration::from_millis(300);
        let engine = self.engine.clone();
        // Subscribed at once, not when it is first awaited.
        let happened = tokio::spawn(async move {
            let Ok(mut events) = engine.events(&[labels::CLUSTER.to_owned()]).await else { return std::future::pending().await };
            while let Some(Ok(event)) = events.next().await {
                if FleetEvent::of_engine(&event).is_some() {
                    return;
                }
            }
            std::future::pending().await
        });
        let happened = AbortOnDrop(happened);
        let end = Instant::now() + most;
        async move {
            let mut happened = happened;
            if tokio::time::timeout_at(end, &mut happened.0).await.is_ok() {
                tokio::time::sleep(TOGETHER).await;
            }
        }
    }
}

/// A task that ends with its owner.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

/// A time before now.
fn begin(since: Option<Duration>) -> SystemTime {
    since.and_then(|since| SystemTime::now().checked_sub(since)).unwrap_or(SystemTime::UNIX_EPOCH)
}

// === impl AbortOnDrop ===

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

// === impl FleetEvents ===

impl FleetEvents {
    /// The next event; `None` when there will be none.
    pub async fn next(&mut self) -> Option<FleetEvent> {
        loop {
            if let Some(event) = self.reorder.pop(Instant::now()) {
                return Some(event);
            }
            let due = match (self.reorder.due(), self.over) {
                (None, true) => return None,
                (due, _) => due,
            };
            tokio::select! {
                event = self.receiver.recv(), if !self.over => match event {
                    Some(event) => self.reorder.push(event, Instant::now()),
                    None => self.over = true,
                },
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
    }
}

// === impl Subject ===

impl Subject {
    fn of(km: &Kindmesh, options: &EventOptions, inventory: &Inventory, clusters: &[String]) -> Self {
        let fleet = clusters.first().and_then(|name| inventory.fleet_of_cluster(name));
        let (label, clusters) = match (&options.clusters[..], fleet) {
            ([], Some(fleet)) => (format!("{}={fleet}", labels::FLEET), None),
            ([one], _) => (format!("{}={one}", labels::CLUSTER), Some(clusters.to_vec())),
            _ => (labels::CLUSTER.to_owned(), Some(clusters.to_vec())),
        };
        Self { engine: km.engine.clone(), label, clusters }
    }

    fn concerns(&self, event: &FleetEvent) -> bool {
        match (&self.clusters, &event.cluster) {
            (Some(clusters), Some(cluster)) => clusters.contains(cluster),
            // Networks of a fleet are told by its label.
            (Some(_), None) => false,
            (None, _) => true,
        }
    }

    /// Feeds everything into one channel, until nobody listens or everything named is gone.
    async fn feed(self, since: SystemTime, out: Sender<FleetEvent>) {
        let mut clusters: BTreeMap<String, AbortHandle> = BTreeMap::new();
        let mut tasks = JoinSet::new();
        let mut begin = since;
        loop {
            // Subscribed before the past is read: what comes between is in both, and told once.
            let live = self.engine.events(std::slice::from_ref(&self.label)).await;
            let remembered = self.engine.past_events(std::slice::from_ref(&self.label), begin).await.unwrap_or_default();
            let mut newest = SystemTime::UNIX_EPOCH;
            for event in &remembered {
                newest = newest.max(event.time);
                if !self.send(event, &out).await {
                    return;
                }
            }
            self.listen(&mut clusters, &mut tasks, since, &out).await;
            if let Ok(mut live) = live {
                let mut look = Instant::now() + LOOK;
                loop {
                    tokio::select! {
                        event = live.next() => match event {
                            Some(Ok(event)) => {
                                if event.time > newest && !self.send(&event, &out).await {
                                    return;
                                }
                                begin = begin.max(event.time + Duration::from_nanos(1));
                                if event.action == "start" {
                                    self.listen(&mut clusters, &mut tasks, since, &out).await;
                                }
                            }
                            Some(Err(_)) | None => break,
                        },
                        () = tokio::time::sleep_until(look) => {
                            look = Instant::now() + LOOK;
                            self.listen(&mut clusters, &mut tasks, since, &out).await;
                            // Named clusters that are all gone will tell nothing more.
                            if self.clusters.is_some() && clusters.values().all(AbortHandle::is_finished) {
                                return;
                            }
                        }
                        () = out.closed() => return,
                    }
                }
            }
            if out.is_closed() {
                return;
            }
            begin = begin.max(newest + Duration::from_nanos(1));
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn send(&self, event: &crate::engine::EngineEvent, out: &Sender<FleetEvent>) -> bool {
        match FleetEvent::of_engine(event).filter(|event| self.concerns(event)) {
            Some(event) => out.send(event).await.is_ok(),
            None => true,
        }
    }

    /// Listens to the clusters that are there and not listened to.
    async fn listen(
        &self,
        known: &mut BTreeMap<String, AbortHandle>,
        tasks: &mut JoinSet<()>,
        since: SystemTime,
        out: &Sender<FleetEvent>,
    ) {
        let Ok(inventory) = Inventory::read(self.engine.as_ref()).await else { return };
        let (key, value) = self.label.split_once('=').unwrap_or((&self.label, ""));
        for (name, nodes) in inventory.clusters() {
            let wanted = match &self.clusters {
                Some(clusters) => clusters.iter().any(|cluster| cluster == name),
                None => nodes.iter().any(|node| node.labels.get(key).is_some_and(|held| held == value)),
            };
            if wanted && known.get(name).is_none_or(AbortHandle::is_finished) {
                // One that comes later is heard from its beginning.
                let task = cluster::follow(self.engine.clone(), name.to_owned(), since, out.clone());
                known.insert(name.to_owned(), tasks.spawn(task));
            }
        }
    }
}
