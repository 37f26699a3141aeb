//! Node images: found on the engine, or pulled, or refused with both ways out.

use std::path::Path;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};

use crate::domain::fleet::ClusterSpec;
use crate::domain::image::{ImageRef, OFFLINE_REPOSITORY, candidates};
use crate::domain::labels;
use crate::domain::version::KubernetesVersion;
use crate::engine::registry::{CredentialsError, credentials_for};
use crate::engine::{Engine, EngineError, EngineErrorKind, ImageInfo, PullProgress, RegistryCredentials};

use super::context::{Kindmesh, Outcome, Scope};
use super::error::{Error, ErrorKind, Result};

/// A pull over a slow line takes long; what is stuck shows no progress, which the message tells.
const PULL_DEADLINE: Duration = Duration::from_secs(1800);
/// As many pulls as kind tries.
const PULL_TRIES: usize = 4;

/// The image a cluster's nodes are made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeImage {
    /// The reference nodes are created with.
    pub(super) reference: String,
    /// Version of the Istio that it carries; `None` when it carries none.
    pub(super) istio: Option<String>,
}

impl Kindmesh {
    /// The node image that a cluster of this description gets, as the engine knows it; pulled when it is not
    /// there and can be had. [`Kindmesh::up`] does it by itself.
    ///
    /// # Errors
    /// When there is none.
    pub async fn node_image(&self, cluster: &ClusterSpec) -> Result<String> {
        let km = self.begin();
        let image = ensure(km.engine.as_ref(), cluster, km.registry_config.as_deref(), &km.cluster_scope(cluster.name.as_str())).await?;
        Ok(image.reference)
    }
}

/// Finds or pulls the image for a cluster.
pub(super) async fn ensure(engine: &dyn Engine, cluster: &ClusterSpec, registry_config: Option<&Path>, scope: &Scope) -> Result<NodeImage> {
    let wanted = wanted(cluster)?;
    let step = "find node image";
    scope
        .step(step, PULL_DEADLINE, async {
            for image in &wanted {
                if let Some(info) = engine.inspect_image(&image.to_string()).await? {
                    return Ok(Outcome::unchanged(NodeImage::new(image, &info)));
                }
            }
            let mut refusals = Vec::new();
            for image in wanted.iter().filter(|image| image.repository() != OFFLINE_REPOSITORY) {
                match pull(engine, image, registry_config, scope, step).await {
                    Ok(info) => return Ok(Outcome::changed(NodeImage::new(image, &info))),
                    Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                    Err(error) => refusals.push(error.one_line()),
                }
            }
            Err(missing(&wanted, &refusals, cluster.kubernetes_version.as_ref()))
        })
        .await
}

/// The reference that the nodes of a cluster would be made from, without pulling it.
pub(super) async fn look_up(engine: &dyn Engine, cluster: &ClusterSpec) -> Result<String> {
    let wanted = wanted(cluster)?;
    match (present(engine, &wanted).await?, wanted.first()) {
        (Some(reference), _) => Ok(reference),
        (None, Some(first)) => Ok(first.to_string()),
        (None, None) => Err(missing(&wanted, &[], cluster.kubernetes_version.as_ref())),
    }
}

/// The first of these that the engine has.
async fn present(engine: &dyn Engine, wanted: &[ImageRef]) -> Result<Option<String>> {
    for image in wanted {
        if engine.inspect_image(&image.to_string()).await?.is_some() {
            return Ok(Some(image.to_string()));
        }
    }
    Ok(None)
}

/// Where a cluster's image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// On the engine.
    Present(String),
    /// In a registry that the engine reaches.
    Pullable(String),
}

/// Finds the image for a cluster without pulling it.
pub(super) async fn find(engine: &dyn Engine, cluster: &ClusterSpec, registry_config: Option<&Path>) -> Result<Found> {
    let wanted = wanted(cluster)?;
    if let Some(reference) = present(engine, &wanted).await? {
        return Ok(Found::Present(reference));
    }
    let mut refusals = Vec::new();
    for image in wanted.iter().filter(|image| image.repository() != OFFLINE_REPOSITORY) {
        let credentials = registry_config.and_then(|path| credentials_for(path, image.registry()).ok().flatten());
        match engine.find_in_registry(&image.to_string(), credentials.as_ref()).await {
            Ok(true) => return Ok(Found::Pullable(image.to_string())),
            Ok(false) => refusals.push(format!("no {image} in its registry")),
            Err(error) => refusals.push(error.to_string()),
        }
    }
    Err(missing(&wanted, &refusals, cluster.kubernetes_version.as_ref()))
}

// === impl NodeImage ===

impl NodeImage {
    fn new(image: &ImageRef, info: &ImageInfo) -> Self {
        Self { reference: image.to_string(), istio: info.labels.get(labels::ISTIO).cloned() }
    }
}

/// References that would do, the first being the one to prefer.
fn wanted(cluster: &ClusterSpec) -> Result<Vec<ImageRef>> {
    match &cluster.image {
        Some(image) => {
            let image = image.parse::<ImageRef>().map_err(|error| Error::new(ErrorKind::Config, error.to_string()))?;
            Ok(vec![image])
        }
        None => Ok(candidates(cluster.kubernetes_version.as_ref())),
    }
}

async fn pull(engine: &dyn Engine, image: &ImageRef, config: Option<&Path>, scope: &Scope, step: &str) -> Result<ImageInfo> {
    let credentials = match config {
        // Some repositories need no login, so a helper program that cannot be run is no end yet.
        Some(path) => match credentials_for(path, image.registry()) {
            Ok(credentials) => credentials,
            Err(error @ CredentialsError::Helper { .. }) => {
                scope.warn(step, error.to_string());
                None
            }
            Err(error) => {
                return Err(Error::new(ErrorKind::Image, format!("credentials for {}", image.registry())).because(error));
            }
        },
        None => None,
    };
    let reference = image.to_string();
    let progress = |progress: PullProgress| scope.progress(step, pull_message(image, &progress));
    scope
        .cancel
        .run_until_cancelled(again_and_again(engine, &reference, credentials.as_ref(), &progress, scope, step))
        .await
        .ok_or_else(|| Error::cancelled("pull the node image"))?
        .map_err(|error| Error::new(ErrorKind::Image, format!("cannot pull {image}")).because(error))?;
    engine
        .inspect_image(&reference)
        .await?
        .ok_or_else(|| Error::new(ErrorKind::Image, format!("{image} was pulled and is not there: the engine lost it")))
}

/// Pulls, and again after what may pass. A loop and not a retried closure, whose future borrows so much that the
/// compiler cannot tell whether it may be spawned.
async fn again_and_again(
    engine: &dyn Engine,
    reference: &str,
    credentials: Option<&RegistryCredentials>,
    progress: &(dyn Fn(PullProgress) + Send + Sync),
    scope: &Scope,
    step: &str,
) -> Result<(), EngineError> {
    let tries = ExponentialBuilder::default().with_min_delay(Duration::from_secs(1)).with_max_times(PULL_TRIES).with_jitter();
    let mut pauses = tries.build();
    loop {
        let error = match engine.pull_image(reference, credentials, progress).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        // Wrong credentials and unknown images stay wrong.
        let passes = matches!(error.kind, EngineErrorKind::Interrupted | EngineErrorKind::Failed | EngineErrorKind::Timeout);
        let Some(pause) = pauses.next().filter(|_| passes) else { return Err(error) };
        scope.warn(step, format!("{error}; again in {:.0} s", pause.as_secs_f64()));
        tokio::time::sleep(pause).await;
    }
}

fn pull_message(image: &ImageRef, progress: &PullProgress) -> String {
    #[expect(clippy::cast_precision_loss, reason = "megabytes for people")]
    let megabytes = progress.bytes as f64 / 1e6;
    format!("pulling {image}: {} of {} layers, {megabytes:.0} MB", progress.layers_done, progress.layers)
}

fn missing(wanted: &[ImageRef], refusals: &[String], version: Option<&KubernetesVersion>) -> Error {
    let names: Vec<String> = wanted.iter().map(ImageRef::short).collect();
    let why = if refusals.is_empty() { String::new() } else { format!(" ({})", refusals.join("; ")) };
    let build = match version {
        Some(version) => format!("kindmesh build node-image --kubernetes-version {version}"),
        None => "kindmesh build node-image".to_owned(),
    };
    Error::new(ErrorKind::Image, format!("no node image: {} is neither on the engine nor to be pulled{why}", names.join(" nor ")))
        .hint(format!("build one here from packages and modules: `{build}`"))
        .hint("or name one that is there or can be pulled: `--image REFERENCE`")
}
