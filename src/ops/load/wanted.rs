//! The images that are asked for, as far as they are known before any byte is read.

use std::collections::BTreeSet;

use crate::domain::image::ImageRef;
use crate::domain::oci::{ArchiveImage, Contents, Packing};
use crate::engine::{Engine, ImageInfo};
use crate::ops::error::{Error, ErrorKind, Result};

/// One image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// What the engine is asked for; empty for an image of an archive.
    pub(super) reference: String,
    /// Names it gets in nodes.
    pub(super) names: Vec<String>,
    /// Digest of its configuration, or of what names it in a containerd store.
    pub(super) id: String,
    /// Layers, lowest first, by digest of their unpacked content; empty when unknown.
    pub(super) layers: Vec<String>,
    /// Whether the layers come unpacked.
    pub(super) plain: bool,
}

/// Asks the engine about its images.
pub(super) async fn on_engine(engine: &dyn Engine, references: &[String]) -> Result<Vec<Wanted>> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for reference in references {
        let info = engine.inspect_image(reference).await?.ok_or_else(|| missing(reference))?;
        let names = names(reference, &info)?;
        match wanted.iter_mut().find(|known| known.id == info.id) {
            Some(same) => same.names.extend(names),
            None => wanted.push(Wanted {
                reference: reference.clone(),
                names,
                plain: !info.packed && !info.layers.is_empty(),
                id: info.id,
                layers: info.layers,
            }),
        }
    }
    for image in &mut wanted {
        image.names = BTreeSet::from_iter(image.names.drain(..)).into_iter().collect();
    }
    Ok(wanted)
}

/// The images of an archive whose documents have been read.
pub(super) fn in_archive(images: &[ArchiveImage], contents: &Contents) -> Result<Vec<Wanted>> {
    images
        .iter()
        .map(|image| {
            let digest = image.descriptor["digest"].as_str().unwrap_or_default();
            if image.names.is_empty() {
                return Err(Error::new(ErrorKind::Config, format!("the image {digest} of the archive has no name"))
                    .hint("save it by its name: `docker save NAME:TAG`"));
            }
            let plain = image.layers.iter().all(|layer| contents.packing(&layer.path) == Some(Packing::Plain));
            Ok(Wanted {
                reference: String::new(),
                names: image.names.clone(),
                id: image.config.clone(),
                layers: image.layers.iter().map(|layer| layer.diff_id.clone()).collect(),
                plain: plain && !image.layers.is_empty(),
            })
        })
        .collect()
}

// === impl Wanted ===

impl Wanted {
    /// Whether an image of an archive is this one.
    pub(super) fn is(&self, image: &ArchiveImage) -> bool {
        image.config == self.id || image.descriptor["digest"] == *self.id || image.names.iter().any(|name| self.names.contains(name))
    }
}

/// What the image is called in nodes: as it was asked for, completed by Docker's rules; or everything that
/// the engine calls it, when it was asked for by its ID.
fn names(reference: &str, info: &ImageInfo) -> Result<Vec<String>> {
    let hex = reference.strip_prefix("sha256:").unwrap_or(reference);
    let is_id = hex.len() >= 12 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) && info.id.contains(hex);
    if !is_id {
        let name: ImageRef = reference.parse().map_err(|error| Error::new(ErrorKind::Config, format!("{error}")))?;
        return Ok(vec![name.pull_name()]);
    }
    let names: Vec<String> = info.tags.iter().filter_map(|tag| tag.parse::<ImageRef>().ok()).map(|name| name.pull_name()).collect();
    if names.is_empty() {
        return Err(Error::new(ErrorKind::Config, format!("image {reference} has no name, so that no pod could ask for it"))
            .hint(format!("give it one: `docker tag {reference} NAME:TAG`")));
    }
    Ok(names)
}

fn missing(reference: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("image {reference} is not on the engine"))
        .hint(format!("pull or build it there first: `docker pull {reference}`"))
        .hint("or load it from a file: `kindmesh load --archive FILE`")
}
