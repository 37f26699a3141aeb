//! What a test process is told by its environment: read here, once, and handed on.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::engine::connect::ConnectOptions;

/// Any text but `0` keeps fleets and prints how to reach them.
pub(super) const KEEP: &str = "KINDMESH_KEEP";
/// Node image of clusters for which neither an image nor a version is named.
const NODE_IMAGE: &str = "KINDMESH_NODE_IMAGE";
/// Folder for everything that tells of a failed test, a sub-folder for each fleet.
const EVIDENCE: &str = "KINDMESH_EVIDENCE";
/// Where what must outlive clusters is kept, as for the program.
const STATE_DIR: &str = "KINDMESH_STATE_DIR";

/// The environment of a test.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    /// How the engine is found.
    pub(super) connect: ConnectOptions,
    /// Whether fleets stay.
    pub(super) keep: bool,
    /// The usual node image.
    pub(super) node_image: Option<String>,
    /// The user's folder for what outlives clusters: fleets that stay have their roots there.
    pub(super) state: Option<PathBuf>,
    /// The user's folder for downloads.
    pub(super) cache: Option<PathBuf>,
    /// Docker's `config.json`, for credentials.
    pub(super) registry: Option<PathBuf>,
    /// Where everything is written that tells of a failed test.
    pub(super) evidence: Option<PathBuf>,
    /// Where short-lived files go.
    pub(super) temporary: PathBuf,
}

// === impl Settings ===

impl Settings {
    /// Of this process.
    pub(super) fn of_process() -> Self {
        let temporary = std::env::temp_dir();
        Self { temporary, ..Self::read(|name| std::env::var_os(name)) }
    }

    /// From a source of variables; empty ones are as good as none.
    fn read(get: impl Fn(&str) -> Option<OsString>) -> Self {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let text = |name: &str| get(name).and_then(|value| value.into_string().ok());
        let path = |name: &str| get(name).map(PathBuf::from);
        // Relative folders are ignored, as their specification demands.
        let folder = |name: &str, below: &str| {
            let named = path(name).filter(|path| path.is_absolute());
            named.or_else(|| path("HOME").map(|home| home.join(below))).map(|folder| folder.join("kindmesh"))
        };
        let docker = path("DOCKER_CONFIG").or_else(|| path("HOME").map(|home| home.join(".docker")));
        Self {
            connect: ConnectOptions {
                docker_host: text("DOCKER_HOST"),
                docker_context: text("DOCKER_CONTEXT"),
                docker_config_dir: docker.clone(),
                home: path("HOME"),
                docker_tls_verify: text("DOCKER_TLS_VERIFY"),
                docker_cert_path: path("DOCKER_CERT_PATH"),
                xdg_runtime_dir: path("XDG_RUNTIME_DIR"),
                uid: user_id(),
                ..ConnectOptions::default()
            },
            keep: text(KEEP).is_some_and(|value| value != "0"),
            node_image: text(NODE_IMAGE),
            state: path(STATE_DIR).or_else(|| folder("XDG_STATE_HOME", ".local/state")),
            cache: folder("XDG_CACHE_HOME", ".cache"),
            registry: docker.map(|folder| folder.join("config.json")),
            evidence: path(EVIDENCE),
            temporary: PathBuf::from("/tmp"),
        }
    }
}

/// Number of the user who runs this, where the system tells.
fn user_id() -> Option<u32> {
    #[cfg(target_os = "linux")]
    return std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").ok()?).into();
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Settings {
        Settings::read(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn keeping_is_said_by_any_text_but_none_and_zero() {
        let keep = |value| read(&[(KEEP, value)]).keep;
        assert!(keep("1") && keep("yes") && !keep("") && !keep("0") && !read(&[]).keep);
    }

    #[test]
    fn folders_are_those_of_the_program() {
        let settings = read(&[("HOME", "/h"), ("XDG_CACHE_HOME", "relative"), ("DOCKER_CONFIG", "/d")]);
        assert_eq!(settings.state, Some("/h/.local/state/kindmesh".into()));
        assert_eq!(settings.cache, Some("/h/.cache/kindmesh".into()));
        assert_eq!(settings.registry, Some("/d/config.json".into()));
        assert_eq!(read(&[(STATE_DIR, "/s"), ("HOME", "/h")]).state, Some("/s".into()));
    }
}
