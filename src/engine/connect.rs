//! Connecting to an engine.

use std::sync::Arc;

use bollard::Docker;

use super::{Deadlines, DockerEngine, Engine, EngineError, EngineErrorKind, Result};

/// Connects to the engine at a socket path.
pub async fn connect_socket(path: &str) -> Result<Arc<dyn Engine>> {
    const VERB: &str = "connect to";
    let fail = |error: bollard::errors::Error| EngineError::new(VERB, path, EngineErrorKind::Unreachable, error.to_string());
    let docker = Docker::connect_with_unix(path, DockerEngine::CLIENT_TIMEOUT, bollard::API_DEFAULT_VERSION).map_err(fail)?;
    let version = docker.version().await.map_err(fail)?;
    let api = version.api_version.unwrap_or_default().parse().map_err(|error: crate::domain::version::VersionError| {
        EngineError::new(VERB, path, EngineErrorKind::Protocol, error.to_string())
    })?;
    Ok(Arc::new(DockerEngine::new(docker, format!("unix://{path}"), None, api, Deadlines::default())))
}
