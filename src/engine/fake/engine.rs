//! The handle tests hold: what is there, what happens, what was asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, broadcast};

use super::calls::{Call, Verb};
use super::container::Gate;
use super::faults::{Fault, Faults, When};
use super::image::Image;
use super::script::{ExecCall, ExecReply, Script};
use super::state::State;
use crate::domain::container::ContainerSpec;
use crate::domain::facts::HostFacts;
use crate::domain::net::NetworkInfo;
use crate::engine::{ContainerInfo, EngineError, EngineErrorKind as Kind, EngineEvent, ImageInfo, RegistryCredentials, Result};

/// An engine in memory. Cheap to clone; clones are the same engine.
#[derive(Debug, Clone)]
pub struct FakeEngine {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    changed: Notify,
    events: broadcast::Sender<EngineEvent>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    calls: Vec<Call>,
    faults: Faults,
    script: Script,
    create_gate: Gate,
    start_gate: Gate,
}

// === impl FakeEngine ===

impl Default for FakeEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeEngine {
    /// An engine with nothing on it: a new API, the second cgroup hierarchy, every privilege.
    pub fn new() -> Self {
        let inner = Inner {
            state: State::new(),
            calls: Vec::new(),
            faults: Faults::default(),
            script: Script::default(),
            create_gate: Gate::default(),
            start_gate: Gate::default(),
        };
        let shared = Shared { inner: Mutex::new(inner), changed: Notify::new(), events: broadcast::channel(1024).0 };
        Self { shared: Arc::new(shared) }
    }

    // --- what is there ---

    /// Changes what the engine tells of itself and its host.
    pub fn edit_facts(&self, edit: impl FnOnce(&mut HostFacts)) {
        edit(&mut self.lock().state.facts);
    }

    /// Whether networks may share a name, as they can on engines below API 1.44.
    pub fn allow_duplicate_networks(&self, allowed: bool) {
        self.lock().state.duplicates = allowed;
    }

    /// Adds an image with labels.
    pub fn add_image(&self, reference: &str, labels: &[(&str, &str)]) {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.lock().state.add_image(Image::new(reference, reference.as_bytes(), labels));
    }

    /// Adds an image as an inspect tells it, with what a save of it gives.
    pub fn add_saved_image(&self, info: ImageInfo, archive: Vec<u8>) {
        self.lock().state.add_image(Image { info, archive: Some(archive) });
    }

    /// Adds an image that can be pulled, with the credentials it wants, if any.
    pub fn add_to_registry(&self, reference: &str, credentials: Option<RegistryCredentials>) {
        self.lock().state.registry.insert(reference.to_owned(), credentials);
    }

    /// Every container, as an inspect tells it.
    pub fn containers(&self) -> Vec<ContainerInfo> {
        let inner = self.lock();
        inner.state.containers.iter().map(|one| inner.state.container_info(one)).collect()
    }

    /// The description a container was made from.
    pub fn container_spec(&self, name: &str) -> Option<ContainerSpec> {
        self.lock().state.containers.iter().find(|one| one.name == name).map(|one| one.spec.clone())
    }

    /// Every network but the default one.
    pub fn networks(&self) -> Vec<NetworkInfo> {
        self.lock().state.networks(|spec| spec.name != "bridge")
    }

    /// Every image.
    pub fn images(&self) -> Vec<ImageInfo> {
        self.lock().state.images.iter().map(|image| image.info.clone()).collect()
    }

    /// Names of every volume.
    pub fn volumes(&self) -> Vec<String> {
        self.lock().state.volumes.keys().cloned().collect()
    }

    /// A file of a container: permission bits and content.
    pub fn file(&self, container: &str, path: &str) -> Option<(u32, Vec<u8>)> {
        self.lock().state.containers.iter().find(|one| one.name == container)?.files.get(path).cloned()
    }

    /// Puts a file into a container.
    pub fn add_file(&self, container: &str, path: &str, content: impl Into<Vec<u8>>) {
        if let Some(one) = self.lock().state.containers.iter_mut().find(|one| one.name == container) {
            one.files.insert(path.to_owned(), (0o644, content.into()));
        }
    }

    // --- what happens ---

    /// Lets a rule answer commands in containers. The youngest rule that answers wins; without one,
    /// a command succeeds in silence.
    pub fn on_exec(&self, rule: impl Fn(&ExecCall) -> Option<ExecReply> + Send + Sync + 'static) {
        self.lock().script.add(rule);
    }

    /// Lets a rule refuse containers when they are created, with the engine's words (status 400).
    pub fn on_create(&self, rule: impl Fn(&str, &ContainerSpec) -> Result<(), String> + Send + Sync + 'static) {
        self.lock().create_gate = Gate(Some(Arc::new(rule)));
    }

    /// Lets a rule refuse containers when they are started, with the engine's words (status 500).
    pub fn on_start(&self, rule: impl Fn(&str, &ContainerSpec) -> Result<(), String> + Send + Sync + 'static) {
        self.lock().start_gate = Gate(Some(Arc::new(rule)));
    }

    /// Ends a container's first process by itself.
    pub fn end_container(&self, name: &str, code: i64) {
        // A container that is gone has ended too.
        self.lock().state.end_container(name, code, Verb::KillContainer).ok();
        self.announce();
    }

    /// Adds to a container's log.
    pub fn log(&self, container: &str, text: &str) {
        if let Some(one) = self.lock().state.containers.iter_mut().find(|one| one.name == container) {
            one.log.extend_from_slice(text.as_bytes());
        }
        self.announce();
    }

    /// Orders misbehaviour. Several faults may meet in one call: delays come first.
    pub fn fault(&self, when: When, fault: Fault) {
        self.lock().faults.add(when, fault);
    }

    // --- what was asked ---

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// How often a verb was called.
    pub fn count(&self, verb: Verb) -> usize {
        self.lock().calls.iter().filter(|call| call.verb == verb).count()
    }

    /// The calls that change something.
    pub fn changes(&self) -> Vec<Call> {
        self.lock().calls.iter().filter(|call| call.verb.changes()).cloned().collect()
    }

    /// Forgets the calls so far; counting begins anew.
    pub fn clear_calls(&self) {
        self.lock().calls.clear();
    }

    // --- for the adapter ---

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a call, waits out its delays and returns its other faults.
    pub(super) async fn enter(&self, verb: Verb, object: &str) -> Vec<Fault> {
        let faults = {
            let mut inner = self.lock();
            inner.calls.push(Call { verb, object: object.to_owned() });
            inner.faults.of(&inner.calls)
        };
        for fault in &faults {
            if let Fault::Delay(time) = fault {
                tokio::time::sleep(*time).await;
            }
        }
        // Every real call yields at least once.
        tokio::task::yield_now().await;
        faults
    }

    /// Performs a call whose faults are known. `lie` is what a lying engine answers.
    pub(super) fn perform<T>(
        &self,
        verb: Verb,
        object: &str,
        faults: &[Fault],
        lie: impl FnOnce() -> Result<T>,
        act: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        for fault in faults {
            match fault {
                Fault::Fail(kind, message) => return refuse(verb, object, *kind, message.clone()),
                Fault::Lie => return lie(),
                Fault::LoseAnswer | Fault::Delay(_) | Fault::Cut(_) => {}
            }
        }
        let done = act(&mut self.lock().state);
        self.announce();
        if faults.contains(&Fault::LoseAnswer) {
            return refuse(verb, object, Kind::Interrupted, "the connection broke before the answer came");
        }
        done
    }

    /// A call from beginning to end.
    pub(super) async fn call<T>(
        &self,
        verb: Verb,
        object: &str,
        lie: impl FnOnce() -> Result<T>,
        act: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        let faults = self.enter(verb, object).await;
        self.perform(verb, object, &faults, lie, act)
    }

    /// Waits until a look at the state finds something.
    pub(super) async fn until<T>(&self, look: impl Fn(&State) -> Option<T>) -> T {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that no change falls between.
            changed.as_mut().enable();
            if let Some(found) = look(&self.lock().state) {
                return found;
            }
            changed.await;
        }
    }

    /// Looks at the state.
    pub(super) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock().state)
    }

    /// Changes the state.
    pub(super) fn edit<T>(&self, edit: impl FnOnce(&mut State) -> T) -> T {
        edit(&mut self.lock().state)
    }

    /// What the rules say of a command.
    pub(super) fn scripted(&self, call: &ExecCall) -> Option<ExecReply> {
        // The rule may look at the engine: not under its lock.
        let script = self.lock().script.clone();
        script.answer(call)
    }

    /// Asks a gate.
    pub(super) fn gate(&self, verb: Verb, name: &str, spec: &ContainerSpec) -> Result<()> {
        let (gate, kind) = {
            let inner = self.lock();
            match verb {
                Verb::CreateContainer => (inner.create_gate.clone(), Kind::Refused),
                _ => (inner.start_gate.clone(), Kind::Failed),
            }
        };
        match gate.0.map_or(Ok(()), |rule| rule(name, spec)) {
            Ok(()) => Ok(()),
            Err(words) => refuse(verb, name, kind, words),
        }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<EngineEvent> {
        self.shared.events.subscribe()
    }

    /// Tells waiters and subscribers of what has changed.
    fn announce(&self) {
        for event in std::mem::take(&mut self.lock().state.news) {
            // Without a subscriber the news is nobody's.
            self.shared.events.send(event).ok();
        }
        self.shared.changed.notify_waiters();
    }
}

/// An error in the real adapter's form.
pub(super) fn refuse<T>(verb: Verb, object: &str, kind: Kind, message: impl Into<String>) -> Result<T> {
    Err(EngineError::new(verb.words(), object, kind, message))
}

/// An ID that means nothing, for lies.
pub(super) fn false_id() -> String {
    "f".repeat(64)
}
