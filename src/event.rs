//! What operations tell the world while they run.
//!
//! Workers emit typed [`Event`]s to a [`Reporter`]; terminals, pipes, JSON streams and tests are
//! subscribers. Events never carry secrets: messages are made of names, states and durations.

use std::sync::Mutex;
use std::time::Duration;

use serde::Serialize;

/// Target of the `tracing` span around everything done for one cluster; field `cluster`. All spans of
/// the library are at level `TRACE`: nobody pays for them who does not listen.
pub const CLUSTER_SPAN: &str = "kindmesh::cluster";
/// Target of the span of a step; fields `step` and, in a cluster, `cluster`.
pub const STEP_SPAN: &str = "kindmesh::step";
/// Target of the span of a wait; fields `awaited` and, recorded whenever it changes, `last`: the state seen last.
pub const WAIT_SPAN: &str = "kindmesh::wait";
/// Target of the span of a call of the engine; fields `verb` and `object`, which hold no secrets.
pub const ENGINE_SPAN: &str = "kindmesh::engine";

/// One thing that happened, at one place.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Seconds since the operation began.
    #[serde(serialize_with = "seconds")]
    pub elapsed: Duration,
    /// The cluster it happened to; `None` when it concerns the whole fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The step it belongs to, in words a person reads (`start nodes`, `install MetalLB`).
    pub step: String,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened to a step.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum EventKind {
    /// The step began.
    Started,
    /// The step goes on; the newest message replaces the last (`2 of 5 layers`, `waiting: node is NotReady`).
    Progress {
        /// State seen last, in words.
        message: String,
    },
    /// The step is done.
    Finished {
        /// How long it took.
        #[serde(serialize_with = "seconds")]
        took: Duration,
        /// False when everything was there already.
        changed: bool,
    },
    /// The step failed.
    Failed {
        /// The error in one line, without secrets.
        error: String,
    },
    /// Something the user should know, told once.
    Note {
        /// The message.
        message: String,
    },
    /// Something the user should act on or be wary of, told once.
    Warning {
        /// The message.
        message: String,
    },
}

/// Receives events; called from several tasks at once and must not block.
pub trait Reporter: Send + Sync {
    /// Takes one event.
    fn report(&self, event: &Event);
}

/// Throws events away.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

/// Keeps every event, for tests and for closing summaries.
#[derive(Debug, Default)]
pub struct Recorder {
    events: Mutex<Vec<Event>>,
}

// === impl Silent ===

impl Reporter for Silent {
    fn report(&self, _event: &Event) {}
}

// === impl Recorder ===

impl Recorder {
    /// Everything reported so far, in order.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

impl Reporter for Recorder {
    fn report(&self, event: &Event) {
        self.events.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(event.clone());
    }
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Milliseconds are enough for a person and keep the JSON short.
    serializer.serialize_f64((duration.as_secs_f64() * 1000.0).round() / 1000.0)
}
