//! The order of things: who needs what, one pump for all, and containerd's own way where ours failed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::Mutex;
use tokio_util::task::AbortOnDropHandle;

use crate::domain::oci::Packing;
use crate::engine::{ByteStream, EngineError, EngineErrorKind};
use crate::ops::Kindmesh;
use crate::ops::context::{Outcome, Scope};
use crate::ops::error::{Error, ErrorKind, Result};
use crate::ops::inventory::Inventory;

use super::archive::Archive;
use super::job::{Ended, Job, Place};
use super::node::{self, Presence};
use super::plan::{LayerName, Places, Plan};
use super::pump::{Pump, PumpError};
use super::report::{LoadOutcome, LoadReport, LoadRequest, LoadSource, NodeLoad};
use super::sink::Sink;
use super::taker::Taker;
use super::targets::choose;
use super::wanted::{self, Wanted};

/// The step that sends, as it is told.
pub(super) const STEP: &str = "load images";
/// Questions to engine and nodes take well under a second each.
const ASK_DEADLINE: Duration = Duration::from_secs(120);
/// Gigabytes over a slow line take long; what is stuck shows no progress, which the message tells.
const LOAD_DEADLINE: Duration = Duration::from_secs(3600);
/// What is left to do when every node has got everything is done in milliseconds.
const END_GRACE: Duration = Duration::from_secs(5);

/// Everything a pass needs.
struct Work<'a> {
    km: &'a Kindmesh,
    source: Source,
    wanted: Vec<Wanted>,
    /// Whether `wanted` is all there is; else everything that comes is loaded.
    known: bool,
    /// Of the nodes, when it had to be asked for beforehand.
    architecture: String,
}

enum Source {
    Engine,
    Archive(Archive),
}

impl Kindmesh {
    /// Loads images into the nodes of clusters: from the engine or from an archive, read once, for all nodes
    /// at once, without the layers that a node has. Nothing is read when no node needs anything.
    ///
    /// A node that fails does not stop the others; it is named in the report, whose
    /// [`failure`](LoadReport::failure) is the error to show. When cancelled, what runs in the nodes is ended.
    ///
    /// # Errors
    /// When there is no such cluster, node, image or archive, the engine fails, or the source is damaged.
    pub async fn load(&self, request: &LoadRequest) -> Result<LoadReport> {
        let km = self.begin();
        let scope = km.fleet_scope();
        let (mut nodes, work) = scope.step("find images and nodes", ASK_DEADLINE, look(&km, request)).await?;
        work.tag(&mut nodes).await;
        let read = work.send(&mut nodes, &scope).await?;
        if km.cancel.is_cancelled() {
            return Err(Error::cancelled(STEP));
        }
        Ok(work.report(&nodes, read))
    }
}

/// Finds out what is wanted, where, and what is there.
async fn look<'a>(km: &'a Kindmesh, request: &LoadRequest) -> Result<Outcome<(Vec<Taker>, Work<'a>)>> {
    let engine = km.engine.as_ref();
    let images = async {
        match &request.source {
            LoadSource::Images(references) => Ok((wanted::on_engine(engine, references).await?, Source::Engine)),
            LoadSource::Archive(path) => Ok::<_, Error>((Vec::new(), Source::Archive(Archive::open(path).await?))),
        }
    };
    let targets = async { choose(&Inventory::read(engine).await?, request) };
    let ((mut wanted, source), targets) = tokio::try_join!(images, targets)?;
    let mut nodes: Vec<Taker> = targets.into_iter().map(Taker::new).collect();
    let mut known = true;
    if let Source::Archive(archive) = &source {
        // What suits a node is known by its machine only.
        survey(km, &mut nodes).await;
        match &archive.contents {
            Some(contents) => {
                let read = |error: crate::domain::oci::OciError| Error::new(ErrorKind::Config, "read the archive").because(error);
                wanted = wanted::in_archive(&contents.images(architecture(&nodes)).map_err(read)?, contents)?;
            }
            None => known = false,
        }
    }
    let architecture = architecture(&nodes).to_owned();
    let work = Work { km, source, wanted, known, architecture };
    let answers = join_all(nodes.iter().map(|node| work.presence(node))).await;
    for (node, answer) in nodes.iter_mut().zip(answers) {
        match answer {
            Ok(presence) => {
                node.lacks = !known || presence.contains(&Presence::Missing);
                node.presence = presence;
            }
            Err(reason) => node.fail(reason),
        }
    }
    Ok(Outcome::unchanged((nodes, work)))
}

/// Asks the nodes that are to be sent something, or may be, what they hold.
async fn survey(km: &Kindmesh, nodes: &mut [Taker]) {
    let asked = nodes.iter_mut().filter(|node| node.error.is_none() && (node.lacks || node.presence.is_empty()));
    join_all(asked.map(|node| async {
        match node::survey(km.engine.as_ref(), &node.target.node, &km.cancel).await {
            Ok(survey) => node.survey = survey,
            Err(reason) => node.fail(reason),
        }
    }))
    .await;
}

/// What the nodes are; those of one engine are all alike.
fn architecture(nodes: &[Taker]) -> &str {
    nodes.iter().map(|node| node.survey.architecture.as_str()).find(|known| !known.is_empty()).unwrap_or("amd64")
}

/// Waits for the pump and for the nodes' commands. When those have ended, nobody reads any more: then a source that
/// says nothing is left.
async fn both<T, E>(pumping: impl Future<Output = Result<T, PumpError>>, running: impl Future<Output = E>) -> (Result<T, PumpError>, E) {
    let (mut pumping, mut running) = (std::pin::pin!(pumping), std::pin::pin!(running));
    tokio::select! {
        pumped = &mut pumping => (pumped, running.await),
        // It may be about to end, too: what it learned is worth a moment.
        ended = &mut running => (tokio::time::timeout(END_GRACE, pumping).await.unwrap_or(Err(PumpError::Nobody)), ended),
    }
}

// === impl Work ===

impl Work<'_> {
    async fn presence(&self, node: &Taker) -> Result<Vec<Presence>, String> {
        match &node.error {
            Some(reason) => Err(reason.clone()),
            None if !self.known => Ok(Vec::new()),
            None => node::presence(self.km.engine.as_ref(), &node.target.node, &self.wanted, &self.km.cancel).await,
        }
    }

    /// Names what is there under other names only.
    async fn tag(&self, nodes: &mut [Taker]) {
        let engine = self.km.engine.as_ref();
        join_all(nodes.iter_mut().map(|node| async {
            for at in 0..node.presence.len() {
                if node.presence[at] == Presence::Unnamed
                    && let Err(reason) = node::tag(engine, &node.target.node, &self.wanted[at], &self.km.cancel).await
                {
                    node.fail(reason);
                }
            }
        }))
        .await;
    }

    /// Sends to all nodes that lack something; once more, everything and in containerd's own way, to those
    /// that could do nothing with their share. Returns the bytes read.
    async fn send(&self, nodes: &mut [Taker], scope: &Scope) -> Result<u64> {
        let due: Vec<usize> = (0..nodes.len()).filter(|at| nodes[*at].lacks).collect();
        if due.is_empty() {
            return Ok(0);
        }
        let (mut read, again) = self.pass(nodes, &due, true).await?;
        if !again.is_empty() && !self.km.cancel.is_cancelled() {
            for at in &again {
                let reason = nodes[*at].error.take().unwrap_or_default();
                tracing::debug!(node = nodes[*at].target.node, reason, "another way is tried");
                scope.note(STEP, format!("{} gets everything, by containerd's own import", nodes[*at].target.node));
            }
            read += self.pass(nodes, &again, false).await?.0;
        }
        Ok(read)
    }

    /// One read of the source for these nodes. Returns the bytes read, and the nodes to try another way.
    async fn pass(&self, nodes: &mut [Taker], due: &[usize], thrifty: bool) -> Result<(u64, Vec<usize>)> {
        let lacking = |at: &usize| due.iter().any(|node| !self.known || nodes[*node].presence[*at] == Presence::Missing);
        let references = (0..self.wanted.len()).filter(lacking).map(|at| self.wanted[at].reference.clone()).collect();
        // The engine prepares its archive while nodes are asked what they hold and commands start in them.
        let source = self.stream(references)?;
        if thrifty && matches!(self.source, Source::Engine) {
            survey(self.km, nodes).await;
        }
        let due: Vec<usize> = due.iter().copied().filter(|at| nodes[*at].error.is_none()).collect();
        let mut clusters: BTreeMap<String, (Scope, Vec<Job>)> = BTreeMap::new();
        let (mut shares, mut work) = (Vec::new(), Vec::new());
        for at in due {
            let (plan, target) = (self.plan(&nodes[at], thrifty), &nodes[at].target);
            if plan != self.plan(&nodes[at], false) {
                shares.push(at);
            }
            // One for the step and for what is told of it, so that a passed deadline can say what was seen last.
            let fresh = || self.km.cluster_scope(&target.cluster);
            let scope = clusters.entry(target.cluster.clone()).or_insert_with(|| (fresh(), Vec::new())).0.clone();
            let place = Place::new();
            let (sink, stream) = Sink::new(plan.clone(), self.km.engine.clone(), &target.node, &place.folder, scope);
            work.push((sink, Job::new(at, &target.node, &plan, &place, stream)));
        }
        let ready = work.iter_mut().map(|(_, job)| job.prepare(self.km.engine.as_ref(), ASK_DEADLINE, &self.km.cancel));
        let ready = join_all(ready).await;
        let (mut sinks, mut due) = (Vec::new(), Vec::new());
        for ((sink, job), ready) in work.into_iter().zip(ready) {
            match ready {
                Ok(()) => {
                    due.push(job.at);
                    sinks.push(sink);
                    clusters.entry(nodes[job.at].target.cluster.clone()).and_modify(|(_, jobs)| jobs.push(job));
                }
                Err(reason) => nodes[job.at].fail(reason),
            }
        }
        clusters.retain(|_, (_, jobs)| !jobs.is_empty());
        let architecture = architecture(nodes).to_owned();
        let mut pump = Pump::new(&self.wanted, self.places(), &mut sinks);
        let running = join_all(clusters.into_iter().map(|(cluster, (scope, jobs))| self.cluster(cluster, scope, jobs)));
        let pumping = async {
            match self.km.cancel.run_until_cancelled(pump.run(source, &architecture)).await {
                Some(result) => result,
                None => {
                    pump.give_up("cancelled").await;
                    Err(PumpError::Nobody)
                }
            }
        };
        let (pumped, ended) = both(pumping, running).await;
        let read = pump.read;
        for (at, sink) in due.iter().zip(&sinks) {
            nodes[*at].sent += sink.sent();
        }
        for (at, result) in ended.into_iter().flatten() {
            match result {
                Ok(()) => nodes[at].lacks = false,
                Err(reason) => nodes[at].fail(reason),
            }
        }
        match pumped {
            Ok(images) if !self.known => {
                let names: Vec<String> = images.into_iter().flat_map(|image| image.names).collect();
                due.iter().for_each(|at| nodes[*at].names.clone_from(&names));
            }
            Ok(_) | Err(PumpError::Nobody) => {}
            Err(_) if self.km.cancel.is_cancelled() => return Err(Error::cancelled(STEP)),
            Err(PumpError::Source(reason)) => return Err(self.broken(&reason)),
        }
        Ok((read, shares.into_iter().filter(|at| nodes[*at].error.is_some()).collect()))
    }

    fn plan(&self, node: &Taker, thrifty: bool) -> Plan {
        if !self.known {
            return Plan::everything(&node.survey);
        }
        let lacking: Vec<usize> = (0..node.presence.len()).filter(|at| node.presence[*at] == Presence::Missing).collect();
        let way = if thrifty { Plan::thrifty } else { Plan::whole };
        way(&self.wanted, &lacking, &node.survey)
    }

    /// Runs the commands of a cluster's nodes; none stops another.
    async fn cluster(&self, cluster: String, scope: Scope, jobs: Vec<Job>) -> Vec<Ended> {
        let positions: Vec<usize> = jobs.iter().map(|job| job.at).collect();
        let ended = Mutex::new(Vec::new());
        let begun = Instant::now();
        let step = scope.step(STEP, LOAD_DEADLINE, async {
            join_all(jobs.into_iter().map(|job| async {
                let at = job.at;
                let result = job.run(self.km.engine.as_ref(), &self.km.cancel).await;
                ended.lock().await.push((at, result));
            }))
            .await;
            match ended.lock().await.iter().find_map(|(_, result)| result.as_ref().err()) {
                None => Ok(Outcome::changed(())),
                Some(reason) => Err(Error::new(ErrorKind::Cluster, reason.clone())),
            }
        });
        let outcome = step.await;
        tracing::debug!(cluster, took = ?begun.elapsed(), "images sent");
        let mut ended = ended.into_inner();
        // A deadline ends commands that tell nothing themselves.
        if let Err(error) = outcome {
            let silent: Vec<usize> = positions.into_iter().filter(|at| ended.iter().all(|(known, _)| known != at)).collect();
            ended.extend(silent.into_iter().map(|at| (at, Err(error.one_line()))));
        }
        ended
    }

    /// The archive's bytes. The engine begins at once; whatever goes wrong there comes as the stream's error.
    fn stream(&self, references: Vec<String>) -> Result<ByteStream> {
        match &self.source {
            Source::Archive(archive) => archive.stream(),
            Source::Engine => {
                let engine = self.km.engine.clone();
                let export = AbortOnDropHandle::new(tokio::spawn(async move { engine.save_images(&references).await }));
                let opened = async move {
                    let crashed =
                        |error: tokio::task::JoinError| EngineError::new("save images", "", EngineErrorKind::Failed, error.to_string());
                    let result = export.await.unwrap_or_else(|error| Err(crashed(error)));
                    result.unwrap_or_else(|error| stream::once(async { Err(error) }).boxed())
                };
                Ok(stream::once(opened).flatten().boxed())
            }
        }
    }

    /// Layers by their place in an archive that has been looked at.
    fn places(&self) -> Places {
        let Source::Archive(Archive { contents: Some(contents), .. }) = &self.source else { return Places::new() };
        let plain = |path: &str| contents.packing(path) == Some(Packing::Plain);
        let images = contents.images(&self.architecture).unwrap_or_default();
        let layers = images.into_iter().flat_map(|image| image.layers);
        layers
            .map(|layer| {
                let diff_id = plain(&layer.path).then_some(layer.diff_id);
                let digest = Some(layer.digest).filter(|digest| !digest.is_empty());
                (layer.path, LayerName { diff_id, digest })
            })
            .collect()
    }

    fn broken(&self, reason: &str) -> Error {
        let (kind, what) = match &self.source {
            Source::Engine => (ErrorKind::Engine, "the engine's archive of the images"),
            Source::Archive(_) => (ErrorKind::File, "the archive"),
        };
        Error::new(kind, format!("{what} could not be read: {reason}")).hint("nothing of it was taken over; run the command again")
    }

    fn report(&self, nodes: &[Taker], read: u64) -> LoadReport {
        let nodes: Vec<NodeLoad> = nodes.iter().map(|node| node.report(&self.wanted)).collect();
        let changed = nodes.iter().flat_map(|node| &node.images).any(|image| image.outcome != LoadOutcome::Present);
        LoadReport { nodes, read_bytes: read, changed, took: self.km.elapsed() }
    }
}
