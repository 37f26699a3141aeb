//! Images that are here already, or arrive as archives.

use bollard::query_parameters::{CreateImageOptionsBuilder, ImportImageOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder};
use futures_util::StreamExt;

use super::client::DockerEngine;
use super::pull::split_reference;
use super::{body, fault, read};
use crate::engine::{ByteStream, EngineError, EngineErrorKind as Kind, ImageInfo, Result};

// === impl DockerEngine ===

impl DockerEngine {
    /// An image, when it is there.
    pub(super) async fn inspect_image(&self, reference: &str) -> Result<Option<ImageInfo>> {
        const VERB: &str = "inspect image";
        match self.call(VERB, reference, self.docker.inspect_image(reference)).await {
            Ok(answer) if answer.id.as_deref().unwrap_or_default().is_empty() => {
                Err(EngineError::new(VERB, reference, Kind::Protocol, "the engine's answer names no image"))
            }
            Ok(answer) => Ok(Some(read::image(answer))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Loads an archive of images.
    pub(super) async fn load_images(&self, tar: ByteStream) -> Result<Vec<String>> {
        const VERB: &str = "load images";
        let (upload, source) = body::upload(tar);
        let options = ImportImageOptionsBuilder::default().quiet(true).build();
        let mut answers = self.docker.import_image(options, upload, None).boxed();
        let loading = async {
            let mut loaded = Vec::new();
            while let Some(answer) = answers.next().await {
                let answer = answer.map_err(|error| source.or(fault::map(VERB, "", error)))?;
                loaded.extend(answer.stream.as_deref().and_then(loaded_reference));
            }
            if loaded.is_empty() {
                return Err(EngineError::new(VERB, "", Kind::Refused, "the archive holds no image"));
            }
            Ok(loaded)
        };
        self.within(self.deadlines.transfer, VERB, "", loading).await
    }

    /// Saves images as one archive.
    pub(super) async fn save_images(&self, references: &[String]) -> Result<ByteStream> {
        const VERB: &str = "save images";
        let object = references.join(", ");
        let names: Vec<&str> = references.iter().map(String::as_str).collect();
        let stream = self.docker.export_images(&names);
        self.within(self.deadlines.transfer, VERB, &object, body::download(VERB, &object, stream)).await
    }

    /// Makes an image of a root filesystem.
    pub(super) async fn import_image(&self, reference: &str, changes: &[String], rootfs: ByteStream) -> Result<String> {
        const VERB: &str = "import image";
        let (repo, tag) = split_reference(reference);
        let options = CreateImageOptionsBuilder::default().from_src("-").repo(repo).tag(tag).changes(changes.to_vec()).build();
        let (upload, source) = body::upload(rootfs);
        let mut answers = self.docker.create_image(Some(options), Some(upload), None).boxed();
        let importing = async {
            let mut last = String::new();
            while let Some(answer) = answers.next().await {
                let answer = answer.map_err(|error| source.or(fault::map(VERB, reference, error)))?;
                last = answer.status.unwrap_or(last);
            }
            if last.starts_with("sha256:") {
                return Ok(last);
            }
            Err(source.or(EngineError::new(VERB, reference, Kind::Interrupted, "the engine's answer ended without an image ID")))
        };
        self.within(self.deadlines.transfer, VERB, reference, importing).await
    }

    /// Gives an image another reference.
    pub(super) async fn tag_image(&self, source: &str, reference: &str) -> Result<()> {
        let (repo, tag) = split_reference(reference);
        let options = TagImageOptionsBuilder::default().repo(repo).tag(tag).build();
        self.call("tag image", source, self.docker.tag_image(source, Some(options))).await
    }

    /// Removes a reference.
    pub(super) async fn remove_image(&self, reference: &str) -> Result<()> {
        self.call("remove image", reference, self.docker.remove_image(reference, None::<RemoveImageOptions>, None)).await.map(drop)
    }
}

/// What a line of a load says it loaded: `Loaded image: kindest/node:v1`, `Loaded image ID: sha256:…`.
fn loaded_reference(line: &str) -> Option<String> {
    let rest = line.trim().strip_prefix("Loaded image")?;
    let (_, reference) = rest.split_once(": ")?;
    Some(reference.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaded_lines_name_a_reference_or_an_id() {
        assert_eq!(loaded_reference("Loaded image: a.example:5000/x/y:v1\n").as_deref(), Some("a.example:5000/x/y:v1"));
        assert_eq!(loaded_reference("Loaded image ID: sha256:0123\n").as_deref(), Some("sha256:0123"));
        assert_eq!(loaded_reference("Loading layer"), None);
    }
}
