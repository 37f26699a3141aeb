//! What a node image carries of a mesh: charts, values that fit its images, names of the sample's images.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use serde::Deserialize;
use serde_json::Value;

use crate::domain::fleet::Fleet;
use crate::domain::mesh::objects::SampleImages;
use crate::engine::{Engine, EngineError};
use crate::ops::charts::PerChart;
use crate::ops::error::{Error, ErrorKind, Result};
use crate::ops::privileges::{PROBE, helper};

/// Folder in the image.
const FOLDER: &str = "/kind/mesh";
const INDEX: &str = "mesh.json";
const VALUES: &str = "values.yaml";
/// Charts compress to 140 KiB; a folder that is far larger is not what it should be.
const MOST: usize = 64 << 20;

/// Charts, values and images out of a node image.
#[derive(Debug, Clone)]
pub(super) struct Offline {
    /// Where its images are, as far as the nodes are concerned.
    pub(super) hub: String,
    pub(super) tag: String,
    /// Values without which these images do not work.
    pub(super) values: Value,
    pub(super) images: SampleImages,
    /// Archives of the charts.
    pub(super) charts: PerChart<Vec<u8>>,
}

#[derive(Deserialize)]
struct Index {
    hub: String,
    tag: String,
    helloworld: BTreeMap<String, String>,
    curl: String,
}

// === impl Offline ===

impl Offline {
    /// Reads it out of an image, through a container that is made for it and never started.
    ///
    /// A task of its own: a caller that gives up must not leave the container behind.
    pub(super) async fn read(engine: &Arc<dyn Engine>, image: &str, fleet: &Fleet) -> Result<Self> {
        let (engine, image, spec) = (engine.clone(), image.to_owned(), helper(image, fleet, PROBE));
        let work = tokio::spawn(async move {
            // Without a name the engine picks one: two runs at once do not meet.
            let container = engine.create_container("", &spec).await?;
            let archive = folder(engine.as_ref(), &container).await;
            let removed = engine.remove_container(&container).await;
            let archive = archive?;
            removed?;
            let reason = match archive {
                Some(archive) => match Self::from_archive(&archive) {
                    Ok(offline) => return Ok(offline),
                    Err(reason) => reason,
                },
                None => format!("it is larger than {MOST} bytes"),
            };
            Err(Error::new(ErrorKind::Image, format!("{FOLDER} in the node image {image} cannot be used: {reason}"))
                .hint("build the image anew: `kindmesh build node-image`"))
        });
        work.await.unwrap_or_else(|_| Err(Error::cancelled("read the node image")))
    }

    fn from_archive(archive: &[u8]) -> Result<Self, String> {
        let mut files = BTreeMap::new();
        let mut tar = tar::Archive::new(archive);
        for entry in tar.entries().map_err(|error| error.to_string())? {
            let mut entry = entry.map_err(|error| error.to_string())?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = entry.path().map_err(|error| error.to_string())?.into_owned();
            let name = path.iter().skip(1).collect::<std::path::PathBuf>();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(|error| error.to_string())?;
            files.insert(name, content);
        }
        let file = |name: &str| files.get(Path::new(name)).ok_or_else(|| format!("it has no {name}"));
        let index: Index = serde_json::from_slice(file(INDEX)?).map_err(|error| format!("{INDEX}: {error}"))?;
        let values = std::str::from_utf8(file(VALUES)?).map_err(|error| format!("{VALUES}: {error}"))?;
        let values: Value = serde_saphyr::from_str(values).map_err(|error| format!("{VALUES}: {}", error.without_snippet()))?;
        let image = |version: &str| index.helloworld.get(version).cloned().ok_or_else(|| format!("{INDEX} names no helloworld {version}"));
        let images = SampleImages { v1: image("v1")?, v2: image("v2")?, client: index.curl.clone() };
        let chart = |name: &str| file(&format!("charts/{name}.tgz")).cloned();
        let charts = PerChart { base: chart("base")?, istiod: chart("istiod")?, gateway: chart("gateway")? };
        Ok(Self { hub: index.hub, tag: index.tag, values, images, charts })
    }
}

/// The folder as an archive; `None` when it is too large.
async fn folder(engine: &dyn Engine, container: &str) -> Result<Option<Vec<u8>>, EngineError> {
    let mut stream = engine.get_archive(container, FOLDER).await?;
    let mut archive = Vec::new();
    while let Some(piece) = stream.try_next().await? {
        archive.extend_from_slice(&piece);
        if archive.len() > MOST {
            return Ok(None);
        }
    }
    Ok(Some(archive))
}
