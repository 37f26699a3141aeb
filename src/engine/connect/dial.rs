//! Connecting: the first candidate that answers is the engine.

use std::path::Path;
use std::sync::Arc;

use bollard::{API_DEFAULT_VERSION, Docker};

use super::endpoint::{Endpoint, TlsMaterial};
use super::error::{Attempt, ConnectError};
use super::options::ConnectOptions;
use super::resolve::{Candidate, candidates};
use crate::domain::version::EngineApiVersion;
use crate::engine::docker::{DockerEngine, classify};
use crate::engine::{Engine, EngineErrorKind};

/// Connects to the engine that the options mean.
///
/// # Errors
/// [`ConnectError::NoEngine`] with every endpoint tried when none answers, and everything that
/// [`candidates`] finds wrong.
pub async fn connect(options: &ConnectOptions) -> Result<Arc<dyn Engine>, ConnectError> {
    let mut tried = Vec::new();
    for Candidate { endpoint, origin } in candidates(options)? {
        match attempt(&endpoint, options).await {
            Ok(engine) => return Ok(Arc::new(engine)),
            Err((reason, denied)) => tried.push(Attempt { endpoint: endpoint.to_string(), origin, reason, denied }),
        }
    }
    Err(ConnectError::NoEngine { tried })
}

/// One endpoint: a client for it, and the version it answers with.
async fn attempt(endpoint: &Endpoint, options: &ConnectOptions) -> Result<DockerEngine, (String, bool)> {
    let client = client(endpoint).map_err(|error| (classify(error).1, false))?;
    let docker = match tokio::time::timeout(options.connect_timeout, client.negotiate_version()).await {
        Ok(Ok(docker)) => docker,
        Ok(Err(error)) => return Err(told(endpoint, classify(error))),
        Err(_) => return Err((format!("no answer within {} s", options.connect_timeout.as_secs_f32()), false)),
    };
    let agreed = docker.client_version();
    let number = |part: usize| u32::try_from(part).unwrap_or(u32::MAX);
    let api = EngineApiVersion::new(number(agreed.major_version), number(agreed.minor_version));
    tracing::debug!(%endpoint, %api, "connected");
    Ok(DockerEngine::new(docker, endpoint.to_string(), endpoint.remote_host(), api, options.deadlines))
}

/// A failure in words that help.
fn told(endpoint: &Endpoint, (kind, words): (EngineErrorKind, String)) -> (String, bool) {
    let lower = words.to_lowercase();
    let denied = lower.contains("permission denied");
    let reason = if denied {
        "this user may not use the socket".to_owned()
    } else if lower.contains("connection refused") {
        "nobody listens there".to_owned()
    } else if kind == EngineErrorKind::Protocol {
        format!("what answers there is no container engine: {words}")
    } else if matches!(endpoint, Endpoint::Tcp { tls: None, .. }) && lower.contains("http request to an https server") {
        "it wants TLS; use https://, or set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH".to_owned()
    } else {
        words
    };
    (reason, denied)
}

fn client(endpoint: &Endpoint) -> Result<Docker, bollard::errors::Error> {
    let timeout = DockerEngine::CLIENT_TIMEOUT;
    match endpoint {
        Endpoint::Unix(path) => unix(path, timeout),
        Endpoint::Tcp { authority, tls: None } => Docker::connect_with_http(authority, timeout, API_DEFAULT_VERSION),
        Endpoint::Tcp { authority, tls: Some(TlsMaterial { ca, cert, key }) } => {
            // An empty file of authorities leaves those of the system.
            let none = if cfg!(windows) { Path::new("NUL") } else { Path::new("/dev/null") };
            let ca = if ca.exists() { ca.as_path() } else { none };
            Docker::connect_with_ssl(authority, key, cert, ca, timeout, API_DEFAULT_VERSION)
        }
        Endpoint::Npipe(name) => npipe(name, timeout),
    }
}

#[cfg(unix)]
fn unix(path: &Path, timeout: u64) -> Result<Docker, bollard::errors::Error> {
    Docker::connect_with_unix(&path.to_string_lossy(), timeout, API_DEFAULT_VERSION)
}

#[cfg(not(unix))]
fn unix(path: &Path, _timeout: u64) -> Result<Docker, bollard::errors::Error> {
    Err(bollard::errors::Error::UnsupportedURISchemeError { uri: format!("unix://{}", path.display()) })
}

#[cfg(windows)]
fn npipe(name: &str, timeout: u64) -> Result<Docker, bollard::errors::Error> {
    Docker::connect_with_named_pipe(name, timeout, API_DEFAULT_VERSION)
}

#[cfg(not(windows))]
fn npipe(name: &str, _timeout: u64) -> Result<Docker, bollard::errors::Error> {
    Err(bollard::errors::Error::UnsupportedURISchemeError { uri: format!("npipe://{name}") })
}

#[cfg(test)]
mod tests;
