//! Docker's configuration file and contexts.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::endpoint::{Endpoint, TlsMaterial};
use super::error::ConnectError;

/// The part of `config.json` that chooses a context.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ConfigFile {
    #[serde(rename = "currentContext")]
    current_context: String,
}

/// `contexts/meta/<id>/meta.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ContextFile {
    name: String,
    endpoints: BTreeMap<String, ContextEndpoint>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ContextEndpoint {
    #[serde(rename = "Host")]
    host: String,
    #[serde(rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

/// Name of the context that `config.json` makes current, if any.
pub(super) fn current(config_dir: &Path) -> Result<Option<String>, ConnectError> {
    let path = config_dir.join("config.json");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ConnectError::Config { path, reason: error.to_string() }),
    };
    match serde_json::from_str::<ConfigFile>(&text) {
        Ok(config) => Ok(Some(config.current_context).filter(|name| !name.is_empty())),
        // The parser's own words may quote the file, which holds passwords.
        Err(error) => {
            Err(ConnectError::Config { path, reason: format!("it is no JSON at line {}, column {}", error.line(), error.column()) })
        }
    }
}

/// The endpoint of a context. `asked_by` says who named it.
pub(super) fn endpoint(config_dir: &Path, name: &str, asked_by: &'static str) -> Result<Endpoint, ConnectError> {
    let path = meta_file(config_dir, name);
    let failed = |reason: String| ConnectError::Context { name: name.to_owned(), path: path.clone(), reason };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(ConnectError::UnknownContext { name: name.to_owned(), asked_by, known: known(config_dir) });
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    let context: ContextFile = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    let docker = context.endpoints.get("docker").filter(|docker| !docker.host.is_empty());
    let docker = docker.ok_or_else(|| failed("it names no docker endpoint".to_owned()))?;
    let material = TlsMaterial::in_dir(&config_dir.join("contexts/tls").join(id(name)).join("docker"));
    let tls = [&material.ca, &material.cert, &material.key].iter().any(|path| path.exists());
    if tls && docker.skip_tls_verify {
        return Err(failed(
            "it skips the verification of the engine's certificate, which is not done here; give it a CA instead".to_owned(),
        ));
    }
    Endpoint::parse(&docker.host, material.ca.parent(), tls)
}

/// Names of all contexts, sorted.
fn known(config_dir: &Path) -> Vec<String> {
    let Ok(folders) = std::fs::read_dir(config_dir.join("contexts/meta")) else { return Vec::new() };
    let name = |path: PathBuf| serde_json::from_str::<ContextFile>(&std::fs::read_to_string(path).ok()?).ok().map(|context| context.name);
    let mut names: Vec<String> = folders.flatten().filter_map(|folder| name(folder.path().join("meta.json"))).collect();
    names.sort();
    names
}

fn meta_file(config_dir: &Path, name: &str) -> PathBuf {
    config_dir.join("contexts/meta").join(id(name)).join("meta.json")
}

/// A context's folder is the SHA-256 of its name.
pub(super) fn id(name: &str) -> String {
    Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
