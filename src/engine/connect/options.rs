//! What decides which engine is meant.

use std::path::PathBuf;
use std::time::Duration;

use crate::engine::Deadlines;

/// Everything that decides which engine is meant, as the caller found it. Empty texts count as absent.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// An endpoint named by the user (`--host`): `unix:///path`, `/path`, `tcp://host:port`,
    /// `http(s)://host:port`, `npipe:////./pipe/name`.
    pub host: Option<String>,
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<String>,
    /// `DOCKER_CONFIG`: folder of Docker's configuration; `.docker` in the home folder when absent.
    pub docker_config_dir: Option<PathBuf>,
    /// Home folder of the user.
    pub home: Option<PathBuf>,
    /// `DOCKER_TLS_VERIFY`: any text turns TLS on for `tcp://`.
    pub docker_tls_verify: Option<String>,
    /// `DOCKER_CERT_PATH`: folder of `ca.pem`, `cert.pem` and `key.pem`; the configuration folder
    /// when absent.
    pub docker_cert_path: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`: where engines without root have their sockets.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// User ID, for `/run/user/<uid>` when the runtime folder is not told.
    pub uid: Option<u32>,
    /// How long one endpoint may take to answer; 10 seconds by default.
    pub connect_timeout: Duration,
    /// Deadlines of the calls made later.
    pub deadlines: Deadlines,
}

// === impl ConnectOptions ===

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            host: None,
            docker_host: None,
            docker_context: None,
            docker_config_dir: None,
            home: None,
            docker_tls_verify: None,
            docker_cert_path: None,
            xdg_runtime_dir: None,
            uid: None,
            connect_timeout: Duration::from_secs(10),
            deadlines: Deadlines::default(),
        }
    }
}

impl ConnectOptions {
    /// Options that name one endpoint and nothing else.
    pub fn to_host(host: impl Into<String>) -> Self {
        Self { host: Some(host.into()), ..Self::default() }
    }

    /// Folder of Docker's configuration, when it can be told.
    pub fn config_dir(&self) -> Option<PathBuf> {
        self.docker_config_dir
            .clone()
            .filter(|path| !path.as_os_str().is_empty())
            .or_else(|| self.home.as_ref().map(|home| home.join(".docker")))
    }

    /// Whether TLS is asked for.
    pub(super) fn tls_verify(&self) -> bool {
        told(self.docker_tls_verify.as_deref()).is_some()
    }

    /// Folder of the user's runtime files.
    pub(super) fn runtime_dir(&self) -> Option<PathBuf> {
        self.xdg_runtime_dir
            .clone()
            .filter(|path| !path.as_os_str().is_empty())
            .or_else(|| self.uid.map(|uid| PathBuf::from(format!("/run/user/{uid}"))))
    }
}

/// A text that says something.
pub(super) fn told(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}
