//! What every operation may touch: one engine, a reporter, a token, files named by the caller.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::error::{Error, ErrorKind, Result};
use crate::domain::lease::Owner;
use crate::domain::proxy::ProxySettings;
use crate::engine::Engine;
use crate::event::{CLUSTER_SPAN, Event, EventKind, Reporter, STEP_SPAN, Silent};

/// A mesh of several clusters on a busy machine is up within this.
const PATIENCE: Duration = Duration::from_secs(600);

/// A handle on one engine: makes, shows and removes fleets there. Cheap to clone; several handles
/// on several engines live side by side.
#[derive(Clone)]
pub struct Kindmesh {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) reporter: Arc<dyn Reporter>,
    pub(super) cancel: CancellationToken,
    pub(super) kubeconfig: Option<KubeconfigTarget>,
    pub(super) proxy: ProxySettings,
    pub(super) registry_config: Option<PathBuf>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) cache_dir: Option<PathBuf>,
    pub(super) owner: Option<Owner>,
    pub(super) patience: Duration,
    begun: Instant,
}

/// Which kubeconfig files an operation edits. The library looks for none by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeconfigTarget {
    /// New entries are written here.
    pub write: PathBuf,
    /// Entries of removed clusters are taken out of each of these.
    pub all: Vec<PathBuf>,
}

/// A place events are told from: the fleet, or one cluster of it.
#[derive(Clone)]
pub(super) struct Scope {
    reporter: Arc<dyn Reporter>,
    begun: Instant,
    cluster: Option<String>,
    pub(super) cancel: CancellationToken,
    // What each step told last, so that a passed deadline can say it.
    last_seen: Arc<Mutex<BTreeMap<String, String>>>,
}

/// Something a step produced, and whether it had to change anything for it.
pub(super) struct Outcome<T> {
    pub(super) value: T,
    pub(super) changed: bool,
}

// === impl Kindmesh ===

impl Kindmesh {
    /// A handle that reports to nobody, cannot be cancelled and edits no kubeconfig file.
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self {
            engine,
            reporter: Arc::new(Silent),
            cancel: CancellationToken::new(),
            kubeconfig: None,
            proxy: ProxySettings::default(),
            registry_config: None,
            state_dir: None,
            cache_dir: None,
            owner: None,
            patience: PATIENCE,
            begun: Instant::now(),
        }
    }

    /// Sends events to this reporter.
    #[must_use]
    pub fn reporter(mut self, reporter: Arc<dyn Reporter>) -> Self {
        self.reporter = reporter;
        self
    }

    /// Stops cleanly when this token is cancelled: running commands in nodes are ended, what exists
    /// stays and can be finished by another `up`.
    #[must_use]
    pub fn cancellation(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Keeps these kubeconfig files up to date.
    #[must_use]
    pub fn kubeconfig_files(mut self, target: KubeconfigTarget) -> Self {
        self.kubeconfig = Some(target);
        self
    }

    /// Hands these proxy settings on to nodes.
    #[must_use]
    pub fn proxy(mut self, proxy: ProxySettings) -> Self {
        self.proxy = proxy;
        self
    }

    /// Reads registry credentials from this Docker configuration file.
    #[must_use]
    pub fn registry_config(mut self, path: PathBuf) -> Self {
        self.registry_config = Some(path);
        self
    }

    /// Keeps what was downloaded (charts) in this folder. Without one nothing is downloaded.
    #[must_use]
    pub fn cache_dir(mut self, folder: PathBuf) -> Self {
        self.cache_dir = Some(folder);
        self
    }

    /// Keeps what must outlive a fleet's clusters below this folder, a sub-folder for each engine: the roots of meshes,
    /// and warm pools with their logs and the kubeconfigs of leases. Without it there are neither meshes nor pools. An
    /// absolute path, for places in it are noted down in labels.
    #[must_use]
    pub fn state_dir(mut self, folder: PathBuf) -> Self {
        self.state_dir = Some(folder);
        self
    }

    /// Waits so long, ten minutes by default, when another process works on the same fleet: only one at a time
    /// changes a fleet. With zero it is an error at once.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Works for this owner: what is made only while it works goes with the owner, as a fleet does that has it in
    /// its [`Lease`](crate::domain::lease::Lease).
    #[must_use]
    pub fn owned_by(mut self, owner: Owner) -> Self {
        self.owner = Some(owner);
        self
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// Starts the clock of an operation.
    pub(super) fn begin(&self) -> Self {
        Self { begun: Instant::now(), ..self.clone() }
    }

    /// Time since the operation began.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Scope of the whole fleet.
    pub(super) fn fleet_scope(&self) -> Scope {
        Scope { reporter: self.reporter.clone(), begun: self.begun, cluster: None, cancel: self.cancel.clone(), last_seen: Arc::default() }
    }

    /// Scope of one cluster.
    pub(super) fn cluster_scope(&self, cluster: &str) -> Scope {
        Scope { cluster: Some(cluster.to_owned()), ..self.fleet_scope() }
    }
}

impl fmt::Debug for Kindmesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kindmesh").field("engine", &self.engine.endpoint()).finish_non_exhaustive()
    }
}

// === impl Scope ===

impl Scope {
    /// Runs one step: tells its beginning and end, keeps its deadline, and stops it when the
    /// operation is cancelled.
    ///
    /// Work that must tidy up after itself when cancelled watches [`Scope::cancel`] by itself and
    /// gets a moment for it: the step's future is dropped only after `GRACE`.
    pub(super) fn step<T, F>(&self, name: &str, deadline: Duration, work: F) -> impl Future<Output = Result<T>>
    where
        F: Future<Output = Result<Outcome<T>>>,
    {
        // On the heap: many steps in each other would not fit a thread's stack of 2 MiB in a build without optimization.
        self.run_step(name, deadline, Box::pin(work))
    }

    async fn run_step<T>(&self, name: &str, deadline: Duration, work: impl Future<Output = Result<Outcome<T>>>) -> Result<T> {
        // A command in a node is killed by a second command in it, which takes well under a second.
        const GRACE: Duration = Duration::from_secs(5);
        if self.cancel.is_cancelled() {
            return Err(Error::cancelled(name));
        }
        let begun = Instant::now();
        self.tell(name, EventKind::Started);
        let span = tracing::trace_span!(target: STEP_SPAN, "step", step = name, cluster = self.cluster.as_deref());
        let given_up = async {
            self.cancel.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        let result = tokio::select! {
            biased;
            result = work.instrument(span) => result,
            () = given_up => Err(Error::cancelled(name)),
            () = tokio::time::sleep(deadline) => Err(Error::new(
                ErrorKind::Timeout,
                format!("{name}: not done after {} s{}", deadline.as_secs(), self.seen_last(name)),
            )),
        };
        match result {
            Ok(outcome) => {
                self.tell(name, EventKind::Finished { took: begun.elapsed(), changed: outcome.changed });
                Ok(outcome.value)
            }
            Err(error) => {
                self.tell(name, EventKind::Failed { error: error.one_line() });
                Err(error)
            }
        }
    }

    /// Runs work outside of any step as a part of this scope, for whoever listens to spans.
    pub(super) async fn within<T>(&self, work: impl Future<Output = T>) -> T {
        work.instrument(tracing::trace_span!(target: CLUSTER_SPAN, "cluster", cluster = self.cluster.as_deref())).await
    }

    /// Tells how a step goes on.
    pub(super) fn progress(&self, step: &str, message: impl Into<String>) {
        let message = message.into();
        self.last_seen.lock().unwrap_or_else(PoisonError::into_inner).insert(step.to_owned(), message.clone());
        self.tell(step, EventKind::Progress { message });
    }

    fn seen_last(&self, step: &str) -> String {
        let seen = self.last_seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(step).map(|message| format!("; last seen: {message}")).unwrap_or_default()
    }

    /// Tells the user something once.
    pub(super) fn note(&self, step: &str, message: impl Into<String>) {
        self.tell(step, EventKind::Note { message: message.into() });
    }

    /// Warns the user once.
    pub(super) fn warn(&self, step: &str, message: impl Into<String>) {
        self.tell(step, EventKind::Warning { message: message.into() });
    }

    fn tell(&self, step: &str, kind: EventKind) {
        self.reporter.report(&Event { elapsed: self.begun.elapsed(), cluster: self.cluster.clone(), step: step.to_owned(), kind });
    }
}

// === impl Outcome ===

impl<T> Outcome<T> {
    /// Something was made or changed.
    pub(super) fn changed(value: T) -> Self {
        Self { value, changed: true }
    }

    /// Everything was there already.
    pub(super) fn unchanged(value: T) -> Self {
        Self { value, changed: false }
    }
}
