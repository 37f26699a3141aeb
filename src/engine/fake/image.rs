//! Images: references, archives, a registry.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::calls::Verb;
use super::engine::refuse;
use super::state::State;
use crate::engine::{EngineErrorKind as Kind, ImageInfo, RegistryCredentials, Result};

/// An image.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub info: ImageInfo,
    /// What a save of it alone gives, when a test set it.
    pub archive: Option<Vec<u8>>,
}

// === impl Image ===

impl Image {
    pub(super) fn new(reference: &str, content: &[u8], labels: BTreeMap<String, String>) -> Self {
        let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            info: ImageInfo {
                id: format!("sha256:{hex}"),
                tags: vec![reference.to_owned()],
                digests: Vec::new(),
                size: content.len() as u64,
                labels,
                architecture: "amd64".to_owned(),
                layers: Vec::new(),
                packed: false,
            },
            archive: None,
        }
    }
}

// === impl State ===

impl State {
    pub(super) fn image(&self, reference: &str) -> Option<&Image> {
        let known = |image: &&Image| {
            let info = &image.info;
            info.id == reference || info.tags.iter().chain(&info.digests).any(|name| name == reference)
        };
        self.images.iter().find(known)
    }

    /// Adds an image; its reference moves to it.
    pub(super) fn add_image(&mut self, image: Image) -> String {
        for reference in &image.info.tags {
            self.untag(reference);
        }
        let id = image.info.id.clone();
        match self.images.iter_mut().find(|one| one.info.id == id) {
            Some(same) => same.info.tags.extend(image.info.tags),
            None => self.images.push(image),
        }
        id
    }

    fn untag(&mut self, reference: &str) {
        for image in &mut self.images {
            image.info.tags.retain(|tag| tag != reference);
        }
    }

    pub(super) fn pull(&mut self, reference: &str, credentials: Option<&RegistryCredentials>) -> Result<()> {
        let verb = Verb::PullImage;
        match self.registry.get(reference) {
            None => refuse(verb, reference, Kind::NotFound, format!("manifest for {reference} not found: manifest unknown")),
            Some(Some(_)) if credentials.is_none() => refuse(verb, reference, Kind::Unauthorized, "no basic auth credentials"),
            Some(Some(wanted)) if credentials != Some(wanted) => {
                refuse(verb, reference, Kind::Unauthorized, "unauthorized: authentication required")
            }
            Some(_) => {
                self.add_image(Image::new(reference, reference.as_bytes(), BTreeMap::new()));
                Ok(())
            }
        }
    }

    pub(super) fn tag(&mut self, source: &str, reference: &str) -> Result<()> {
        let Some(id) = self.image(source).map(|image| image.info.id.clone()) else {
            return refuse(Verb::TagImage, source, Kind::NotFound, format!("No such image: {source}"));
        };
        self.untag(reference);
        if let Some(image) = self.images.iter_mut().find(|image| image.info.id == id) {
            image.info.tags.push(reference.to_owned());
        }
        Ok(())
    }

    pub(super) fn remove_image(&mut self, reference: &str) -> Result<()> {
        let verb = Verb::RemoveImage;
        let Some(id) = self.image(reference).map(|image| image.info.id.clone()) else {
            return refuse(verb, reference, Kind::NotFound, format!("No such image: {reference}"));
        };
        let names: Vec<String> = self.images.iter().filter(|image| image.info.id == id).flat_map(|image| image.info.tags.clone()).collect();
        let last = reference == id || names.len() <= 1;
        let used = |name: &String| self.containers.iter().any(|one| one.spec.image == *name || one.spec.image == id);
        if last && (names.iter().any(used) || used(&id)) {
            return refuse(
                verb,
                reference,
                Kind::Conflict,
                format!("unable to remove repository reference \"{reference}\": a container is using it"),
            );
        }
        self.untag(reference);
        if last {
            self.images.retain(|image| image.info.id != id);
        }
        Ok(())
    }

    pub(super) fn save(&self, references: &[String]) -> Result<Vec<u8>> {
        if let [reference] = references
            && let Some(archive) = self.image(reference).and_then(|image| image.archive.clone())
        {
            return Ok(archive);
        }
        let mut entries = Vec::new();
        for reference in references {
            if self.image(reference).is_none() {
                return refuse(Verb::SaveImages, reference, Kind::NotFound, format!("No such image: {reference}"));
            }
            entries.push(serde_json::json!({ "Config": "config.json", "RepoTags": [reference], "Layers": [] }));
        }
        let manifest = serde_json::Value::from(entries).to_string();
        super::files::pack([("manifest.json", 0o644, manifest.as_bytes())])
    }

    pub(super) fn load(&mut self, tar: &[u8]) -> Result<Vec<String>> {
        let verb = Verb::LoadImages;
        let files = super::files::unpack(tar, verb, "")?;
        let manifest = files.iter().find(|(path, _, _)| path == "manifest.json");
        let entries: Vec<serde_json::Value> = match manifest.and_then(|(_, _, text)| serde_json::from_slice(text).ok()) {
            Some(entries) => entries,
            None => return refuse(verb, "", Kind::Refused, "the archive holds no image"),
        };
        let tags = entries.iter().filter_map(|entry| entry["RepoTags"].as_array()).flatten().filter_map(|tag| tag.as_str());
        let tags: Vec<String> = tags.map(str::to_owned).collect();
        for tag in &tags {
            self.add_image(Image::new(tag, tar, BTreeMap::new()));
        }
        Ok(tags)
    }
}

/// Labels among Dockerfile instructions (`LABEL key=value`).
pub(super) fn labels_of(changes: &[String]) -> BTreeMap<String, String> {
    let pairs = changes.iter().filter_map(|change| change.strip_prefix("LABEL ")?.trim().split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned())).collect()
}
