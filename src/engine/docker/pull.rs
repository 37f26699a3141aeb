//! Pulling images.

use std::collections::BTreeMap;

use bollard::auth::DockerCredentials;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use super::client::DockerEngine;
use super::fault;
use crate::engine::{EngineError, EngineErrorKind as Kind, PullProgress, RegistryCredentials, Result};

/// What is known of each layer of a pull.
#[derive(Debug, Default)]
struct Layers {
    layers: BTreeMap<String, Layer>,
    status: String,
}

#[derive(Debug, Default)]
struct Layer {
    bytes: u64,
    done: bool,
}

// === impl DockerEngine ===

impl DockerEngine {
    /// Whether its registry has an image, and lets us have it.
    pub(super) async fn find_in_registry(&self, reference: &str, credentials: Option<&RegistryCredentials>) -> Result<bool> {
        const VERB: &str = "look in the registry for";
        let asked = self.docker.inspect_registry_image(reference, credentials.map(header));
        match self.call(VERB, reference, asked).await.map_err(refine) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Pulls an image and makes sure that it is there.
    pub(super) async fn pull_image(
        &self,
        reference: &str,
        credentials: Option<&RegistryCredentials>,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<()> {
        const VERB: &str = "pull image";
        let (repo, tag) = pull_target(reference);
        let options = CreateImageOptionsBuilder::default().from_image(repo).tag(tag).build();
        let mut answers = self.docker.create_image(Some(options), None, credentials.map(header)).boxed();
        let pulling = async {
            let mut layers = Layers::default();
            while let Some(answer) = answers.next().await {
                let answer = answer.map_err(|error| refine(fault::map(VERB, reference, error)))?;
                if layers.take(answer) {
                    progress(layers.progress());
                }
            }
            Ok(layers.status)
        };
        let last = self.within(self.deadlines.transfer, VERB, reference, pulling).await?;
        // A connection to the engine that breaks looks like the end of the list.
        match self.inspect_image(reference).await? {
            Some(_) => Ok(()),
            None => Err(EngineError::new(
                VERB,
                reference,
                Kind::Interrupted,
                format!("the engine stopped telling before the image was there; its last word: '{last}'"),
            )),
        }
    }
}

// === impl Layers ===

impl Layers {
    /// Takes one message; whether there is something new to tell.
    fn take(&mut self, message: CreateImageInfo) -> bool {
        let Some(status) = message.status else { return false };
        let detail = message.progress_detail.unwrap_or_default();
        if let Some(id) = message.id.filter(|_| !status.starts_with("Pulling from")) {
            let layer = self.layers.entry(id).or_default();
            // Unpacking begins when everything is received, and counts what it reads: the same bytes.
            let received = match status.as_str() {
                "Downloading" => detail.current,
                "Extracting" => detail.total,
                _ => None,
            };
            let received = received.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
            layer.bytes = layer.bytes.max(received);
            layer.done |= matches!(status.as_str(), "Pull complete" | "Already exists");
        }
        self.status = status;
        true
    }

    fn progress(&self) -> PullProgress {
        PullProgress {
            layers_done: self.layers.values().filter(|layer| layer.done).count(),
            layers: self.layers.len(),
            bytes: self.layers.values().map(|layer| layer.bytes).sum(),
            status: self.status.clone(),
        }
    }
}

/// The engine passes a registry's failure on as text, with whatever status it likes.
fn refine(mut error: EngineError) -> EngineError {
    let words = error.message.to_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| words.contains(text));
    error.kind = if says(&[
        "no basic auth credentials",
        "unauthorized",
        "authentication required",
        "incorrect username or password",
        "access denied",
        "access to the resource is denied",
        "status: 401",
        "status: 403",
    ]) {
        Kind::Unauthorized
    } else if says(&["manifest unknown", "not found", "name unknown", "repository does not exist", "name invalid"]) {
        Kind::NotFound
    } else if says(&[
        "unexpected eof",
        "connection reset",
        "broken pipe",
        ": eof",
        "filesystem layer verification failed",
        "download failed",
        "unexpected commit digest",
        "failed precondition",
    ]) {
        Kind::Interrupted
    } else if says(&[
        "connection refused",
        "no such host",
        "no route to host",
        "i/o timeout",
        "tls handshake",
        "server misbehaving",
        "network is unreachable",
        "deadline exceeded",
    ]) {
        Kind::Unreachable
    } else {
        error.kind
    };
    error
}

/// Credentials as the API takes them.
fn header(credentials: &RegistryCredentials) -> DockerCredentials {
    let told = |text: &str| if text.is_empty() { None } else { Some(text.to_owned()) };
    DockerCredentials {
        username: told(&credentials.username),
        password: told(&credentials.password),
        serveraddress: told(&credentials.server),
        identitytoken: credentials.identity_token.clone(),
        ..Default::default()
    }
}

/// Repository and tag; `latest` when there is none. A digest is cut off.
pub(super) fn split_reference(reference: &str) -> (&str, &str) {
    let named = reference.split_once('@').map_or(reference, |(named, _)| named);
    let slash = named.rfind('/').map_or(0, |position| position + 1);
    match named[slash..].find(':') {
        Some(colon) => (&named[..slash + colon], &named[slash + colon + 1..]),
        None => (named, "latest"),
    }
}

/// What to ask for: with a digest the tag is dropped, as the docker CLI does, and the digest takes
/// its place. Asking without either would pull every tag.
fn pull_target(reference: &str) -> (&str, &str) {
    let (repo, tag) = split_reference(reference);
    (repo, reference.split_once('@').map_or(tag, |(_, digest)| digest))
}

#[cfg(test)]
mod tests;
