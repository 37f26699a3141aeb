//! Which endpoints are meant, in which order. Files are read here; nothing is connected to.

use std::path::PathBuf;

use super::context;
use super::endpoint::Endpoint;
use super::error::ConnectError;
use super::options::{ConnectOptions, told};

/// An endpoint to try, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where.
    pub endpoint: Endpoint,
    /// Who names it (`--host`, `DOCKER_HOST`, `the default socket`).
    pub origin: &'static str,
}

/// The endpoints to try. Whoever names one means that one: it is the only candidate. Only when
/// nothing is named, the default sockets of Docker and then of Podman are tried in turn.
///
/// # Errors
/// Endpoints that cannot be read, contexts that are not there, and configuration that is broken.
pub fn candidates(options: &ConnectOptions) -> Result<Vec<Candidate>, ConnectError> {
    let config_dir = options.config_dir();
    for (text, origin) in [(&options.host, "--host"), (&options.docker_host, "DOCKER_HOST")] {
        if let Some(text) = told(text.as_deref()) {
            let certs = options.docker_cert_path.clone().filter(|path| !path.as_os_str().is_empty()).or(config_dir);
            let endpoint = Endpoint::parse(text, certs.as_deref(), options.tls_verify())?;
            return Ok(vec![Candidate { endpoint, origin }]);
        }
    }
    let (name, origin) = match (told(options.docker_context.as_deref()), &config_dir) {
        (Some(name), _) => (Some(name.to_owned()), "DOCKER_CONTEXT"),
        (None, Some(dir)) => (context::current(dir)?, "the current docker context"),
        (None, None) => (None, ""),
    };
    match name.filter(|name| name != "default") {
        Some(name) => {
            // Without a folder there are no contexts; the lookup says so.
            let dir = config_dir.unwrap_or_default();
            Ok(vec![Candidate { endpoint: context::endpoint(&dir, &name, origin)?, origin }])
        }
        None => Ok(defaults(options)),
    }
}

/// The sockets engines listen on when nobody says otherwise.
fn defaults(options: &ConnectOptions) -> Vec<Candidate> {
    if cfg!(windows) {
        return [("//./pipe/docker_engine", "the default pipe"), ("//./pipe/podman-machine-default", "podman's pipe")]
            .map(|(name, origin)| Candidate { endpoint: Endpoint::Npipe(name.to_owned()), origin })
            .to_vec();
    }
    let mut sockets = vec![(PathBuf::from("/var/run/docker.sock"), "the default socket")];
    let runtime = options.runtime_dir();
    if let Some(runtime) = &runtime {
        sockets.push((runtime.join("docker.sock"), "docker without root"));
    }
    if let Some(home) = &options.home {
        sockets.push((home.join(".docker/run/docker.sock"), "docker desktop"));
        sockets.push((home.join(".docker/desktop/docker.sock"), "docker desktop"));
    }
    if let Some(runtime) = &runtime {
        sockets.push((runtime.join("podman/podman.sock"), "podman without root"));
    }
    sockets.push((PathBuf::from("/run/podman/podman.sock"), "podman"));
    sockets.into_iter().map(|(path, origin)| Candidate { endpoint: Endpoint::Unix(path), origin }).collect()
}

#[cfg(test)]
mod tests;
