//! Watching objects until they are as wanted.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tracing::Instrument as _;

use super::deadline::{Deadline, Observer, tell, wait_span};
use super::error::{K8sError, RequestErrorKind, Result, describe_watch};

/// What a look at the objects says.
#[derive(Debug)]
pub(crate) enum Verdict<T> {
    /// It is as wanted.
    Done(T),
    /// Not yet; the state in words.
    NotYet(String),
    /// It never will be; why.
    Never(String),
}

/// Delays between attempts to list or watch: soon at first, for servers that are just starting.
#[derive(Debug, Clone)]
pub(crate) struct Reconnect {
    next: Duration,
}

const FIRST_RECONNECT: Duration = Duration::from_millis(100);
const LONGEST_RECONNECT: Duration = Duration::from_secs(1);

/// Watches the selected objects and asks `judge` about all of them, by `namespace/name` (or `name`
/// alone), at first and after every change. A server that goes away is waited for.
///
/// # Errors
/// `Timeout` with the last state, `Hopeless` when `judge` says so, `Request` when the server
/// refuses the credentials.
pub(crate) async fn until<K, T>(
    api: Api<K>,
    selection: watcher::Config,
    awaited: &str,
    deadline: Deadline,
    observer: Observer<'_>,
    mut judge: impl FnMut(&BTreeMap<String, K>) -> Verdict<T>,
) -> Result<T>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let watched = async {
        let mut stream = pin!(watcher(api, selection).backoff(Reconnect::default()));
        let mut objects = BTreeMap::new();
        let mut listed = BTreeMap::new();
        let mut last = String::from("the API server has not answered yet");
        loop {
            let Some(next) = deadline.limit(stream.next()).await else { return Err(deadline.error(awaited, last)) };
            let state = match next {
                Some(Ok(event)) => match event {
                    Event::Init => {
                        listed.clear();
                        continue;
                    }
                    Event::InitApply(object) => {
                        listed.insert(key(&object), object);
                        continue;
                    }
                    Event::InitDone => {
                        objects = std::mem::take(&mut listed);
                        None
                    }
                    Event::Apply(object) => {
                        objects.insert(key(&object), object);
                        None
                    }
                    Event::Delete(object) => {
                        objects.remove(&key(&object));
                        None
                    }
                },
                Some(Err(error)) => {
                    let (kind, message) = describe_watch(&error);
                    if kind == RequestErrorKind::Untrusted {
                        return Err(K8sError::Request { verb: "watch for", object: awaited.to_owned(), kind, message });
                    }
                    Some(format!("the API server does not answer: {message}"))
                }
                None => {
                    let message = "the watch ended by itself".to_owned();
                    return Err(K8sError::Request {
                        verb: "watch for",
                        object: awaited.to_owned(),
                        kind: RequestErrorKind::Protocol,
                        message,
                    });
                }
            };
            let state = match state {
                Some(state) => state,
                None => match judge(&objects) {
                    Verdict::Done(value) => return Ok(value),
                    Verdict::NotYet(state) => state,
                    Verdict::Never(state) => return Err(K8sError::Hopeless { awaited: awaited.to_owned(), state }),
                },
            };
            if state != last {
                tell(observer, &state);
                last = state;
            }
        }
    };
    watched.instrument(wait_span(awaited)).await
}

/// Watches one object by name; `judge` sees `None` while it does not exist.
pub(crate) async fn until_one<K, T>(
    api: Api<K>,
    name: &str,
    awaited: &str,
    deadline: Deadline,
    observer: Observer<'_>,
    mut judge: impl FnMut(Option<&K>) -> Verdict<T>,
) -> Result<T>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let selection = watcher::Config::default().fields(&format!("metadata.name={name}"));
    until(api, selection, awaited, deadline, observer, |objects| judge(objects.values().find(|object| object.name_any() == name))).await
}

// === impl Reconnect ===

impl Default for Reconnect {
    fn default() -> Self {
        Self { next: FIRST_RECONNECT }
    }
}

impl Iterator for Reconnect {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let delay = self.next;
        self.next = (delay * 2).min(LONGEST_RECONNECT);
        Some(delay)
    }
}

impl Backoff for Reconnect {
    fn reset(&mut self) {
        self.next = FIRST_RECONNECT;
    }
}

fn key<K: Resource>(object: &K) -> String {
    match object.namespace() {
        Some(namespace) => format!("{namespace}/{}", object.name_any()),
        None => object.name_any(),
    }
}
