//! Building a node image from beginning to end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::cache::Cache;
use super::files::Files;
use super::golang::{Toolchain, kubernetes_source};
use super::modules::{CONSTANTS, component_names};
use super::plan::{Inputs, Plan, Step, Work};
use super::progress::Telling;
use super::recipe::Recipe;
use super::tools::Tools;
use super::variables::Variables;
use super::workshop::{Workshop, blocking};
use super::{BuildError, Result, debian, schedule};
use crate::domain::version::KubernetesVersion;
use crate::engine::Engine;
use crate::event::Reporter;

/// Label of a node image: hash of everything it was built from.
pub const LABEL_INPUTS: &str = "dev.kindmesh.node.inputs";
/// Label of a node image: its Kubernetes version, `v1.34.4`.
pub const LABEL_VERSION: &str = "dev.kindmesh.node.version";

/// What to build.
#[derive(Debug, Clone)]
pub struct Build {
    /// Version of Kubernetes.
    pub version: KubernetesVersion,
    /// Name of the image, with a tag (`kindmesh/node:v1.34.4`).
    pub tag: String,
    /// Folder in which results of steps are kept; made if it is not there. Grows to about 3 GB per
    /// Kubernetes version.
    pub cache: PathBuf,
    /// Folder of another recipe than the one built in.
    pub recipe: Option<PathBuf>,
    /// Programs it may run.
    pub tools: Tools,
    /// Whether every program (`kubectl`, `kube-apiserver`, …) is wanted in the cache too, even if
    /// the image is there already.
    pub programs: bool,
}

/// An image that was built, or was there.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Built {
    /// Name of the image.
    pub reference: String,
    /// The engine's ID of it.
    pub id: String,
    /// Hash of everything the image follows from; also a label of the image.
    pub inputs: String,
    /// How long it took.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
    /// The steps, in the order of the plan.
    pub steps: Vec<StepReport>,
    /// Compiled programs that are in the cache, by name.
    pub binaries: BTreeMap<String, PathBuf>,
    /// Folder with a link to each of them, the same from build to build.
    pub binary_folder: PathBuf,
    /// The image's list of files; `None` when another machine or cache made the image.
    pub listing: Option<PathBuf>,
}

/// What became of one step.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepReport {
    /// In words a person reads.
    pub name: String,
    /// How long it took; zero when it was cached.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
    /// Whether its result was there, or was not needed.
    pub cached: bool,
}

/// Builds a node image and loads it into the engine, or finds that it is there.
///
/// Steps whose inputs did not change are not repeated. When `cancel` fires, running programs end
/// with their children, the helper container is removed, and what was finished stays in the cache.
///
/// # Errors
///
/// [`BuildError`] names the step, the object and the cause; a missing program comes with how to get it.
pub async fn build(engine: Arc<dyn Engine>, build: &Build, reporter: Arc<dyn Reporter>, cancel: &CancellationToken) -> Result<Built> {
    let begun = Instant::now();
    // A failing step ends the others, not whatever else the caller is doing.
    let (caller, cancel) = (cancel, cancel.child_token());
    let telling = Telling::new(reporter, begun);
    let workshop = prepare(engine, build, cancel.clone()).await?;
    let image_key = workshop.plan.key(&Work::Image).to_owned();
    let present = workshop.inspect().await?.is_some_and(|image| image.labels.get(LABEL_INPUTS) == Some(&image_key));
    let mut goals = vec![Work::Image];
    if build.programs {
        goals.extend((0..workshop.plan.builds.len()).map(Work::Compile));
    }
    let kept = |step: &Step| match (&step.work, &step.key) {
        (Work::Image, _) => present,
        (_, Some(key)) => workshop.cache.has(&step.name, key),
        (_, None) => false,
    };
    let slots = workshop.plan.slots(&goals, kept);
    let took: Mutex<BTreeMap<usize, Duration>> = Mutex::default();
    for (step, slot) in workshop.plan.steps.iter().zip(&slots) {
        if !slot.needed && step.key.is_some() {
            telling.cached(&step.name);
        }
    }
    let ran = schedule::run(&slots, &cancel, |index| {
        let (workshop, telling, took) = (&workshop, &telling, &took);
        async move {
            let step = &workshop.plan.steps[index];
            let told = telling.begin(&step.name);
            let result = workshop.perform(step, &|line| told.line(line)).await;
            let needed = told.end(result)?;
            took.lock().unwrap_or_else(PoisonError::into_inner).insert(index, needed);
            Ok(())
        }
    })
    .await;
    match (ran, workshop.clean_up().await) {
        (Err(first), Err(error)) => return Err(BuildError::Cleanup { first: Box::new(first), left: error.to_string() }),
        // Whatever a step stumbled over when it was told to stop.
        (Err(_), Ok(())) if caller.is_cancelled() => return Err(BuildError::Cancelled),
        (Err(error), Ok(())) | (Ok(()), Err(error)) => return Err(error),
        (Ok(()), Ok(())) => {}
    }
    let took = took.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (cache, used) = (workshop.cache.clone(), workshop.folders());
    blocking(move || cache.tidy(&used)).await?;
    report(&workshop, build, image_key, begun, &took).await
}

/// Reads the recipe, asks the tools for their versions and plans.
async fn prepare(engine: Arc<dyn Engine>, build: &Build, cancel: CancellationToken) -> Result<Workshop> {
    let (folder, root) = (build.recipe.clone(), build.cache.clone());
    let (files, cache) = blocking(move || {
        let files = folder.map_or_else(|| Ok(Files::built_in()), |folder| Files::read(&folder))?;
        Ok((files, Cache::open(&root)?))
    })
    .await?;
    let recipe = Recipe::read(&files)?;
    let toolchain = Toolchain::ask(&build.tools, &cancel).await?;
    let mmdebstrap = debian::version(&build.tools, &cancel).await?;
    let own = match recipe.kubernetes.versions.get(&build.version.bare()) {
        Some(names) => names.clone(),
        None => upstream_names(&build.tools, &build.version, &cancel).await?,
    };
    let variables = Variables::new(&recipe, &build.version, &own);
    let inputs = Inputs { recipe, files, variables, toolchain, mmdebstrap };
    let plan = Plan::new(&inputs);
    let scratch_image = Mutex::default();
    Ok(Workshop { engine, inputs, plan, cache, tools: build.tools.clone(), tag: build.tag.clone(), cancel, scratch_image })
}

/// What a version that the recipe does not list calls its companions.
async fn upstream_names(tools: &Tools, version: &KubernetesVersion, cancel: &CancellationToken) -> Result<BTreeMap<String, String>> {
    let path = kubernetes_source(tools, &version.bare(), &|_| {}, cancel).await?.join(CONSTANTS);
    let source = std::fs::read_to_string(&path).map_err(BuildError::io("read", &path))?;
    let what = format!("read the component versions of Kubernetes {version}");
    component_names(&source).map_err(|message| BuildError::Answer { what, message })
}

async fn report(workshop: &Workshop, build: &Build, inputs: String, begun: Instant, took: &BTreeMap<usize, Duration>) -> Result<Built> {
    let lost = || BuildError::Answer {
        what: format!("look for {}", build.tag),
        message: "the engine lost it right after it was loaded".to_owned(),
    };
    let image = workshop.inspect().await?.ok_or_else(lost)?;
    let programs = workshop.plan.builds.iter().flat_map(|build| &build.binaries).map(|binary| binary.name.clone());
    let binaries: BTreeMap<String, PathBuf> =
        programs.map(|name| (name.clone(), workshop.program(&name))).filter(|(_, path)| path.is_file()).collect();
    let binary_folder = workshop.cache.link_programs(&build.version.to_string(), binaries.values().cloned())?;
    let steps = workshop.plan.steps.iter().enumerate().filter(|(index, step)| step.key.is_some() || took.contains_key(index));
    let steps = steps.map(|(index, step)| StepReport {
        name: step.name.clone(),
        took: took.get(&index).copied().unwrap_or_default(),
        cached: !took.contains_key(&index),
    });
    Ok(Built {
        reference: build.tag.clone(),
        id: image.id,
        took: begun.elapsed(),
        steps: steps.collect(),
        binaries,
        binary_folder,
        listing: Some(workshop.cache.listing(&inputs)).filter(|path| path.is_file()),
        inputs,
    })
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1000.0).round() / 1000.0)
}
