//! What an archive of images holds, read from its documents.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::digest::sha256_digest;
use super::layout::{blob_path, name_of};
use crate::domain::image::ImageRef;

/// Depth to which an index may hold indexes; two is what builders write.
const MAX_DEPTH: usize = 4;

/// Everything seen of an archive: documents whole, of layers only that they were there.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    documents: BTreeMap<String, Bytes>,
    blobs: BTreeMap<String, Blob>,
    links: BTreeMap<String, String>,
}

/// A layer as it lies in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Bytes.
    pub size: u64,
    /// Digest of those bytes (`sha256:…`); empty when they were not looked at.
    pub digest: String,
    /// How it is packed.
    pub packing: Packing,
}

/// How a layer is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all: its digest is its diff ID.
    Plain,
    /// By gzip.
    Gzip,
    /// By Zstandard.
    Zstd,
}

/// An image of an archive.
#[derive(Debug, Clone, PartialEq)]
pub struct ArchiveImage {
    /// What names it in `index.json`: media type, digest, size.
    pub descriptor: Value,
    /// Complete names (`docker.io/library/alpine:3`); may be empty.
    pub names: Vec<String>,
    /// Digest of the configuration.
    pub config: String,
    /// Layers, lowest first.
    pub layers: Vec<ImageLayer>,
    /// Documents that go with it, by digest.
    pub documents: Vec<(String, Bytes)>,
}

/// A layer of an [`ArchiveImage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLayer {
    /// Digest of its content, unpacked.
    pub diff_id: String,
    /// Digest as it lies in the archive; empty when it was not looked at.
    pub digest: String,
    /// Where it lies in the archive.
    pub path: String,
}

/// An archive that holds no images that can be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OciError {
    /// Neither form of list is there.
    #[error("the archive holds neither manifest.json nor index.json: it is no archive of images")]
    NoImages,
    /// A document is missing or not what it should be.
    #[error("the archive's {path} {reason}")]
    Document {
        /// Which.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Not for this platform.
    #[error("{image} is for {found}, the nodes need linux/{wanted}")]
    Platform {
        /// Which image.
        image: String,
        /// Platforms it has.
        found: String,
        /// Architecture of the nodes.
        wanted: String,
    },
}

/// An entry of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEntry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

// === impl Contents ===

impl Contents {
    /// A small file was there.
    pub fn document(&mut self, path: &str, content: Bytes) {
        self.documents.insert(path.to_owned(), content);
    }

    /// A layer was there.
    pub fn blob(&mut self, path: &str, blob: Blob) {
        self.blobs.insert(path.to_owned(), blob);
    }

    /// A symbolic link was there: engines before 25 write a layer once.
    pub fn link(&mut self, path: &str, target: &str) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
        for part in target.split('/') {
            match part {
                ".." => drop(parts.pop()),
                "." | "" => {}
                part => parts.push(part),
            }
        }
        self.links.insert(path.to_owned(), parts.join("/"));
    }

    /// How the layer at a path is packed.
    pub fn packing(&self, path: &str) -> Option<Packing> {
        self.blobs.get(path).map(|blob| blob.packing)
    }

    /// The images, each with everything that is needed to name it in an OCI layout, for nodes of an
    /// architecture (Go's spelling).
    ///
    /// # Errors
    /// When the archive holds none, is not complete, or has nothing for that architecture.
    pub fn images(&self, architecture: &str) -> Result<Vec<ArchiveImage>, OciError> {
        match (self.documents.get("index.json"), self.documents.get("manifest.json")) {
            (Some(index), _) if self.documents.contains_key("oci-layout") => self.oci_images(index, architecture),
            (_, Some(list)) => self.docker_images(list),
            _ => Err(OciError::NoImages),
        }
    }

    fn docker_images(&self, list: &Bytes) -> Result<Vec<ArchiveImage>, OciError> {
        let entries: Vec<DockerEntry> = parse("manifest.json", list)?;
        entries.iter().map(|entry| self.docker_image(entry)).collect()
    }

    fn docker_image(&self, entry: &DockerEntry) -> Result<ArchiveImage, OciError> {
        let config = self.documents.get(&entry.config).ok_or_else(|| missing(&entry.config))?;
        let diff_ids = parse::<Config>(&entry.config, config)?.rootfs.diff_ids;
        if diff_ids.len() != entry.layers.len() {
            return Err(document(&entry.config, "names another number of layers than manifest.json"));
        }
        let mut layers = Vec::new();
        let mut descriptors = Vec::new();
        for (path, diff_id) in entry.layers.iter().zip(diff_ids) {
            let path = self.links.get(path).unwrap_or(path);
            let blob = self.blobs.get(path).ok_or_else(|| missing(path))?;
            let kind = match blob.packing {
                Packing::Plain => "application/vnd.docker.image.rootfs.diff.tar",
                Packing::Gzip => "application/vnd.docker.image.rootfs.diff.tar.gzip",
                Packing::Zstd => "application/vnd.docker.image.rootfs.diff.tar.zstd",
            };
            let digest = match blob.packing {
                Packing::Plain if blob.digest.is_empty() => &diff_id,
                _ => &blob.digest,
            };
            if blob.packing == Packing::Plain && *digest != diff_id {
                return Err(document(path, "is not the layer that the image's configuration names: the archive is damaged"));
            }
            descriptors.push(json!({ "mediaType": kind, "size": blob.size, "digest": digest }));
            layers.push(ImageLayer { digest: digest.clone(), diff_id, path: path.clone() });
        }
        let digest = sha256_digest(config);
        let kind = "application/vnd.docker.distribution.manifest.v2+json";
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": kind,
            "config": { "mediaType": "application/vnd.docker.container.image.v1+json", "size": config.len(), "digest": digest },
            "layers": descriptors,
        });
        let manifest = Bytes::from(manifest.to_string());
        let manifest_digest = sha256_digest(&manifest);
        Ok(ArchiveImage {
            descriptor: json!({ "mediaType": kind, "digest": manifest_digest, "size": manifest.len() }),
            names: complete(entry.repo_tags.iter().flatten()),
            config: digest.clone(),
            layers,
            documents: vec![(manifest_digest, manifest), (digest, config.clone())],
        })
    }

    fn oci_images(&self, index: &Bytes, architecture: &str) -> Result<Vec<ArchiveImage>, OciError> {
        let index: Value = parse("index.json", index)?;
        let mut images: Vec<ArchiveImage> = Vec::new();
        for entry in index["manifests"].as_array().into_iter().flatten() {
            let digest = entry["digest"].as_str().unwrap_or_default();
            let names = complete(name_of(entry));
            // One entry for each name of an image.
            match images.iter_mut().find(|image| image.descriptor["digest"] == digest) {
                Some(image) => image.names.extend(names),
                None => images.push(self.oci_image(entry, names, architecture)?),
            }
        }
        // Engines name their images in the older list, too.
        let list: Vec<DockerEntry> = self.documents.get("manifest.json").map_or(Ok(Vec::new()), |list| parse("manifest.json", list))?;
        for image in images.iter_mut().filter(|image| image.names.is_empty()) {
            let config = blob_path(&image.config);
            image.names = complete(list.iter().filter(|entry| entry.config == config).flat_map(|entry| entry.repo_tags.iter().flatten()));
        }
        if images.is_empty() { Err(OciError::NoImages) } else { Ok(images) }
    }

    fn oci_image(&self, entry: &Value, names: Vec<String>, architecture: &str) -> Result<ArchiveImage, OciError> {
        let title = names.first().map_or_else(|| entry["digest"].as_str().unwrap_or_default().to_owned(), Clone::clone);
        let (mut documents, mut found) = (BTreeMap::new(), BTreeSet::new());
        let image = self.choose(entry, architecture, MAX_DEPTH, &mut documents, &mut found)?;
        let Some((config, layers)) = image else {
            let found = if found.is_empty() { "no platform at all".to_owned() } else { found.into_iter().collect::<Vec<_>>().join(", ") };
            return Err(OciError::Platform { image: title, found, wanted: architecture.to_owned() });
        };
        let mut descriptor = entry.clone();
        // They belong to the list it came from.
        if let Some(fields) = descriptor.as_object_mut() {
            fields.remove("annotations");
        }
        Ok(ArchiveImage { descriptor, names, config, layers, documents: documents.into_iter().collect() })
    }

    /// Configuration and layers of the image for an architecture; documents on the way are collected, and
    /// platforms that are there.
    fn choose(
        &self,
        descriptor: &Value,
        architecture: &str,
        depth: usize,
        documents: &mut BTreeMap<String, Bytes>,
        found: &mut BTreeSet<String>,
    ) -> Result<Option<(String, Vec<ImageLayer>)>, OciError> {
        let digest = descriptor["digest"].as_str().unwrap_or_default();
        let path = blob_path(digest);
        // An engine's store names platforms that it does not hold.
        let Some(bytes) = self.documents.get(&path) else { return Ok(None) };
        let content: Value = parse(&path, bytes)?;
        if let Some(entries) = content["manifests"].as_array() {
            documents.insert(digest.to_owned(), bytes.clone());
            let mut chosen = None;
            for entry in entries.iter().filter(|_| depth > 0) {
                let image = self.choose(entry, architecture, depth - 1, documents, found)?;
                chosen = chosen.or(image);
            }
            return Ok(chosen);
        }
        let config = content["config"]["digest"].as_str().unwrap_or_default();
        let config_path = blob_path(config);
        let Some(config_bytes) = self.documents.get(&config_path) else { return Ok(None) };
        let described: Value = parse(&config_path, config_bytes)?;
        let (os, own) = (described["os"].as_str().unwrap_or("linux"), described["architecture"].as_str().unwrap_or(architecture));
        // Statements about an image lie beside it, as an image of no platform.
        if os == "unknown" || described["rootfs"]["diff_ids"].as_array().is_none() {
            return Ok(None);
        }
        found.insert(format!("{os}/{own}"));
        if os != "linux" || own != architecture {
            return Ok(None);
        }
        let diff_ids = described["rootfs"]["diff_ids"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let digests = content["layers"].as_array().into_iter().flatten().filter_map(|layer| layer["digest"].as_str());
        let layer = |(digest, diff_id): (&str, &str)| ImageLayer {
            diff_id: diff_id.to_owned(),
            digest: digest.to_owned(),
            path: blob_path(digest),
        };
        let layers: Vec<ImageLayer> = digests.zip(diff_ids).map(layer).collect();
        documents.insert(digest.to_owned(), bytes.clone());
        documents.insert(config.to_owned(), config_bytes.clone());
        Ok(Some((config.to_owned(), layers)))
    }
}

/// Complete names, as a kubelet asks for them; what is no name is left out.
fn complete<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Vec<String> {
    names.into_iter().filter_map(|name| name.as_ref().parse::<ImageRef>().ok()).map(|name| name.pull_name()).collect()
}

fn parse<T: serde::de::DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T, OciError> {
    serde_json::from_slice(bytes).map_err(|error| document(path, &format!("could not be read: {error}")))
}

fn missing(path: &str) -> OciError {
    document(path, "is missing")
}

fn document(path: &str, reason: &str) -> OciError {
    OciError::Document { path: path.to_owned(), reason: reason.to_owned() }
}
