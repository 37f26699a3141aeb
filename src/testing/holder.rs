//! The holder: a container that stands for this process on the engine, as long as it lives.
//!
//! The process keeps a command in it attached. When the connection ends, however the process ended, the
//! container takes away everything with the process's label, and itself. Where it cannot, because it was not
//! given the engine's socket, its end tells the next who looks that the owner is gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::background;
use super::names;
use super::source::Source;
use crate::domain::container::ContainerSpec;
use crate::domain::labels;
use crate::domain::lease::{HOLDER, Lease, Owner};
use crate::engine::{Engine, EngineError, ExecRequest, Stdin};
use crate::ops::{Error, ErrorKind, Result};

/// Waits for the owner's lines, and reaps.
const HOLD: &str = include_str!("holder.sh");
/// Hands the owner's lines on.
const ATTACH: &str = include_str!("attach.sh");
/// What the attached command says when it is there.
const HELD: &str = "held";
/// Where the engine's socket is in the container.
const SOCKET: &str = "/run/kindmesh-engine.sock";
/// Node images keep `/var` on a volume, which an engine makes and fills, unless something else is mounted there;
/// this every node has.
const NO_VOLUME: &str = "/lib/modules:/var:ro";
/// Between two signs of life: a small part of the silence after which the holder gives its owner up.
const BEAT: Duration = Duration::from_secs(20);
/// Longest time for a holder to be there. Its image is.
const ARRIVAL: Duration = Duration::from_secs(60);
/// Longest time for it to go when everything is removed already.
const DEPARTURE: Duration = Duration::from_secs(60);
/// Before a lost holder is made anew.
const AGAIN: Duration = Duration::from_millis(500);

/// Holders of this process by what they are of: fleets that live at the same time share one.
static HOLDERS: Mutex<BTreeMap<String, Weak<Holder>>> = Mutex::const_new(BTreeMap::new());

/// This process on an engine. With the last clone's end the container goes.
pub(super) struct Holder {
    owner: Owner,
    // Dropped to let the holder go.
    release: Option<watch::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

// === impl Holder ===

impl Holder {
    /// The holder of this process on an engine, made from a node image. `reach` is the path of the engine's
    /// socket on the engine's host, with which it can remove things.
    pub(super) async fn of_process(source: &Source, image: &str, reach: Option<String>) -> Result<Arc<Self>> {
        let key = format!("{} {reach:?}", source.engine().await?.endpoint());
        let mut holders = HOLDERS.lock().await;
        if let Some(living) = holders.get(&key).and_then(Weak::upgrade) {
            return Ok(living);
        }
        let holder = Arc::new(Self::start(source.clone(), image.to_owned(), reach).await?);
        holders.insert(key, Arc::downgrade(&holder));
        Ok(holder)
    }

    /// Makes one, and returns when it holds.
    pub(super) async fn start(source: Source, image: String, reach: Option<String>) -> Result<Self> {
        let owner: Owner = format!("p{}-{}", std::process::id(), names::suffix())
            .parse()
            .map_err(|error| Error::new(ErrorKind::Config, "a holder's name").because(error))?;
        let (release, released) = watch::channel(());
        let (tell, told) = oneshot::channel();
        let spec = describe(&owner, &image, reach);
        let name = container_name(&owner);
        let thread = background::spawn(move || hold(source, name, spec, released, tell));
        let holder = Self { owner, release: Some(release), thread };
        match tokio::time::timeout(ARRIVAL, told).await {
            Ok(Ok(Ok(()))) => Ok(holder),
            Ok(Ok(Err(error))) => Err(error),
            Ok(Err(_)) => Err(Error::new(ErrorKind::Engine, "the thread of the holder ended")),
            Err(_) => Err(Error::new(
                ErrorKind::Timeout,
                format!("container {} did not answer within {ARRIVAL:?}", container_name(&holder.owner)),
            )),
        }
    }

    /// The owner that it stands for.
    pub(super) fn owner(&self) -> &Owner {
        &self.owner
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.release.take());
        if let Some(thread) = self.thread.take() {
            // Nothing depends on it any more; a failure was logged there.
            background::run(move || async move { drop(thread.join()) });
        }
    }
}

/// The path of the engine's socket on its own host, where this machine is that host.
pub(super) fn reach_of(engine: &dyn Engine) -> Option<String> {
    engine.endpoint().strip_prefix("unix://").map(str::to_owned)
}

fn container_name(owner: &Owner) -> String {
    format!("kindmesh-{HOLDER}-{owner}")
}

pub(super) fn describe(owner: &Owner, image: &str, reach: Option<String>) -> ContainerSpec {
    let mut labels = Lease { expires: None, owner: Some(owner.clone()) }.labels();
    labels.insert(labels::HELPER.to_owned(), HOLDER.to_owned());
    ContainerSpec {
        image: image.to_owned(),
        labels,
        entrypoint: Some(["/bin/bash", "-c", HOLD, "holder", owner.as_str()].map(str::to_owned).to_vec()),
        cmd: Some(Vec::new()),
        network: "none".to_owned(),
        binds: vec![NO_VOLUME.to_owned()],
        // A process that has the engine's socket is kept from nothing by labels; with them it could not use it.
        security_opt: if reach.is_some() { vec!["label=disable".to_owned()] } else { Vec::new() },
        mounts: reach.into_iter().map(|path| (path, SOCKET.to_owned())).collect(),
        init: Some(false),
        auto_remove: true,
        ..ContainerSpec::default()
    }
}

/// Keeps the container and the connection to it, until it is released.
async fn hold(source: Source, name: String, spec: ContainerSpec, released: watch::Receiver<()>, tell: oneshot::Sender<Result<()>>) {
    let engine = match source.engine().await {
        Ok(engine) => engine,
        // Who waits for it has gone away, then.
        Err(error) => return drop(tell.send(Err(error))),
    };
    let mut tell = Some(tell);
    loop {
        let ended = attend(engine.as_ref(), &name, &spec, released.clone(), &mut tell).await;
        if released.has_changed().is_err() {
            break;
        }
        match (ended, tell.take()) {
            (Err(error), Some(tell)) => return drop(tell.send(Err(error.into()))),
            (ended, waiting) => {
                tell = waiting;
                tracing::warn!(container = name, ?ended, "the holder of this process was lost; making it again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
    leave(engine.as_ref(), &name).await;
}

/// Makes sure the container runs, and stays attached to it.
async fn attend(
    engine: &dyn Engine,
    name: &str,
    spec: &ContainerSpec,
    released: watch::Receiver<()>,
    tell: &mut Option<oneshot::Sender<Result<()>>>,
) -> Result<(), EngineError> {
    match engine.create_container(name, spec).await {
        // One whose connection was lost may still wait.
        Err(error) if !error.is_conflict() => return Err(error),
        _ => engine.start_container(name).await?,
    }
    let (held, mut holds) = mpsc::unbounded_channel();
    let mut request = ExecRequest::new(["bash", "-c", ATTACH]);
    request.stdin = Some(Stdin::Stream(Arc::new(Mutex::new(lines(released).boxed()))));
    request.on_line = Some(Arc::new(move |line: &str| {
        if line == HELD {
            // Nobody listens any more only when the command is given up.
            let _ = held.send(());
        }
    }));
    let cancel = CancellationToken::new();
    let mut running = std::pin::pin!(engine.exec(name, request, &cancel));
    loop {
        tokio::select! {
            ended = &mut running => return ended.map(drop),
            Some(()) = holds.recv() => {
                if let Some(tell) = tell.take() {
                    let _ = tell.send(Ok(()));
                }
            }
        }
    }
}

/// Signs of life, from now on until the release, then the end.
fn lines(released: watch::Receiver<()>) -> impl futures_util::Stream<Item = Result<Bytes, EngineError>> + Send + 'static {
    enum Next {
        Alive,
        Wait,
        End,
    }
    futures_util::stream::unfold((Next::Alive, released), |(next, mut released)| async move {
        match next {
            Next::Alive => Some((Ok(Bytes::from_static(b"alive\n")), (Next::Wait, released))),
            Next::Wait => match tokio::time::timeout(BEAT, released.changed()).await {
                Err(_) => Some((Ok(Bytes::from_static(b"alive\n")), (Next::Wait, released))),
                Ok(_) => Some((Ok(Bytes::from_static(b"done\n")), (Next::End, released))),
            },
            Next::End => None,
        }
    })
}

/// Waits until the container has gone, and removes it when it does not.
async fn leave(engine: &dyn Engine, name: &str) {
    let gone = async {
        while engine.inspect_container(name).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if tokio::time::timeout(DEPARTURE, gone).await.is_err() {
        tracing::warn!(container = name, "the holder of this process does not end; removing it");
        if let Err(error) = engine.remove_container(name).await {
            tracing::warn!(container = name, %error, "the holder of this process stays");
        }
    }
}

#[cfg(test)]
mod tests;
