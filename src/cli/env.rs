//! The environment of the process: every variable the program reads, named, and read in one place.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::ops::{KubeconfigTarget, ProxySettings};

/// Address of the engine, as Docker's own command line reads it.
pub const DOCKER_HOST: &str = "DOCKER_HOST";
/// Name of the Docker context to use.
pub const DOCKER_CONTEXT: &str = "DOCKER_CONTEXT";
/// Folder of Docker's `config.json` and contexts.
pub const DOCKER_CONFIG: &str = "DOCKER_CONFIG";
/// Any text turns on TLS and the check of the engine's certificate.
pub const DOCKER_TLS_VERIFY: &str = "DOCKER_TLS_VERIFY";
/// Folder with `ca.pem`, `cert.pem` and `key.pem`.
pub const DOCKER_CERT_PATH: &str = "DOCKER_CERT_PATH";
/// Kubeconfig files, separated as in PATH.
pub const KUBECONFIG: &str = "KUBECONFIG";
/// The user's home folder.
pub const HOME: &str = "HOME";
/// The user's home folder on Windows.
pub const USERPROFILE: &str = "USERPROFILE";
/// Folder for caches.
pub const XDG_CACHE_HOME: &str = "XDG_CACHE_HOME";
/// Folder for what must be kept.
pub const XDG_STATE_HOME: &str = "XDG_STATE_HOME";
/// Folder of the user's sockets.
pub const XDG_RUNTIME_DIR: &str = "XDG_RUNTIME_DIR";
/// Proxy for plain HTTP; handed on to nodes.
pub const HTTP_PROXY: &str = "HTTP_PROXY";
/// Proxy for HTTPS; handed on to nodes.
pub const HTTPS_PROXY: &str = "HTTPS_PROXY";
/// Hosts reached without a proxy; handed on to nodes.
pub const NO_PROXY: &str = "NO_PROXY";
/// The lower-case spelling of [`HTTP_PROXY`].
pub const HTTP_PROXY_LOWER: &str = "http_proxy";
/// The lower-case spelling of [`HTTPS_PROXY`].
pub const HTTPS_PROXY_LOWER: &str = "https_proxy";
/// The lower-case spelling of [`NO_PROXY`].
pub const NO_PROXY_LOWER: &str = "no_proxy";
/// Any text turns colours off; see <https://no-color.org>.
pub const NO_COLOR: &str = "NO_COLOR";
/// Kind of the terminal.
pub const TERM: &str = "TERM";
/// Set by build services: plain lines even where a terminal is faked.
pub const CI: &str = "CI";
/// What is logged, in the syntax of `tracing`'s `EnvFilter`.
pub const KINDMESH_LOG: &str = "KINDMESH_LOG";

/// Folder for what must outlive clusters: the roots of meshes, and what is known of warm pools.
pub const KINDMESH_STATE_DIR: &str = "KINDMESH_STATE_DIR";

/// A variable and what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub purpose: &'static str,
}

/// Every variable the program reads; nothing else of the environment is looked at.
pub const VARIABLES: &[Variable] = &[
    Variable { name: DOCKER_HOST, purpose: "address of the engine: unix://, tcp://, npipe:// (weaker than --host)" },
    Variable { name: DOCKER_CONTEXT, purpose: "Docker context to use (weaker than --context)" },
    Variable { name: DOCKER_CONFIG, purpose: "folder of Docker's config.json and contexts (default: ~/.docker)" },
    Variable { name: DOCKER_TLS_VERIFY, purpose: "any text: use TLS for tcp:// and check the engine's certificate" },
    Variable { name: DOCKER_CERT_PATH, purpose: "folder of ca.pem, cert.pem, key.pem (default: the folder of config.json)" },
    Variable { name: KUBECONFIG, purpose: "kubeconfig files; entries go to the first that exists, else to the last" },
    Variable { name: HOME, purpose: "home folder, for ~/.kube/config, ~/.docker, ~/.cache and ~/.local/state" },
    Variable { name: USERPROFILE, purpose: "home folder where HOME is not set (Windows)" },
    Variable { name: XDG_CACHE_HOME, purpose: "where image builds keep their cache (default: ~/.cache)" },
    Variable {
        name: XDG_STATE_HOME,
        purpose: "where root certificates of meshes and warm pools are kept, in kindmesh/ (default: ~/.local/state)",
    },
    Variable { name: XDG_RUNTIME_DIR, purpose: "where sockets of rootless engines are looked for" },
    Variable { name: HTTP_PROXY, purpose: "proxy for HTTP, handed on to nodes" },
    Variable { name: HTTPS_PROXY, purpose: "proxy for HTTPS, handed on to nodes" },
    Variable { name: NO_PROXY, purpose: "hosts without proxy, handed on to nodes with their own subnets added" },
    Variable { name: HTTP_PROXY_LOWER, purpose: "used where HTTP_PROXY is not set" },
    Variable { name: HTTPS_PROXY_LOWER, purpose: "used where HTTPS_PROXY is not set" },
    Variable { name: NO_PROXY_LOWER, purpose: "used where NO_PROXY is not set" },
    Variable { name: NO_COLOR, purpose: "any text: no colours" },
    Variable { name: TERM, purpose: "`dumb`: plain lines, no colours" },
    Variable { name: CI, purpose: "any text but `false`: plain lines even on a terminal" },
    Variable { name: KINDMESH_STATE_DIR, purpose: "where root certificates of meshes and warm pools are kept (weaker than --state-dir)" },
    Variable {
        name: KINDMESH_LOG,
        purpose: "log filter, e.g. kindmesh=debug (bollard=debug writes request bodies, registry credentials included, to stderr)",
    },
];

/// The variables of one process, read once; everything below asks this value.
#[derive(Clone, Default)]
pub struct Env {
    values: BTreeMap<&'static str, OsString>,
}

// === impl Env ===

impl Env {
    /// Reads the process's environment.
    pub fn from_process() -> Self {
        Self::from_pairs(std::env::vars_os())
    }

    /// Takes given pairs in place of the process's; what is not in [`VARIABLES`] is dropped.
    pub fn from_pairs<K: AsRef<OsStr>, V: Into<OsString>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let known = |key: &OsStr| VARIABLES.iter().find(|variable| key == variable.name);
        Self {
            values: pairs
                .into_iter()
                .filter_map(|(key, value)| known(key.as_ref()).map(|variable| (variable.name, value.into())))
                .filter(|(_, value)| !value.is_empty())
                .collect(),
        }
    }

    /// The whole environment, for the compilers that a node image's build runs: they read variables
    /// of their own.
    pub fn for_programs(&self) -> Vec<(String, String)> {
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
    }

    /// Text of a variable; `None` when it is unset, empty or no text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(|value| value.to_str())
    }

    /// A variable as a path; `None` when it is unset or empty.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.values.get(name).map(PathBuf::from)
    }

    /// Whether a variable is set to anything.
    pub fn is_set(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The home folder.
    pub fn home(&self) -> Option<PathBuf> {
        self.path(HOME).or_else(|| self.path(USERPROFILE))
    }

    /// Folder of Docker's configuration.
    pub fn docker_config_dir(&self) -> Option<PathBuf> {
        self.path(DOCKER_CONFIG).or_else(|| Some(self.home()?.join(".docker")))
    }

    /// Folder for caches of this program.
    pub fn cache_dir(&self) -> Option<PathBuf> {
        let base = self.path(XDG_CACHE_HOME).filter(|path| path.is_absolute()).or_else(|| Some(self.home()?.join(".cache")));
        base.map(|base| base.join("kindmesh"))
    }

    /// Folder for what must outlive clusters: the one named on the command line, else that of
    /// KINDMESH_STATE_DIR, else `kindmesh` in the folder of the XDG specification.
    pub fn state_dir(&self, named: Option<&Path>) -> Option<PathBuf> {
        if let Some(folder) = named.map(Path::to_path_buf).or_else(|| self.path(KINDMESH_STATE_DIR)) {
            return Some(folder);
        }
        let base = self.path(XDG_STATE_HOME).filter(|path| path.is_absolute()).or_else(|| Some(self.home()?.join(".local").join("state")));
        base.map(|base| base.join("kindmesh"))
    }

    /// Proxy settings, the upper-case spelling first.
    pub fn proxy(&self) -> ProxySettings {
        let either = |upper, lower| self.text(upper).or_else(|| self.text(lower)).map(str::to_owned);
        ProxySettings {
            http: either(HTTP_PROXY, HTTP_PROXY_LOWER),
            https: either(HTTPS_PROXY, HTTPS_PROXY_LOWER),
            no_proxy: either(NO_PROXY, NO_PROXY_LOWER),
        }
    }

    /// Whether a terminal may be drawn on: not a build service, not a dumb one.
    pub fn live_display(&self) -> bool {
        let build_service = self.text(CI).is_some_and(|value| value != "false");
        !build_service && self.text(TERM) != Some("dumb")
    }

    /// Whether colours are wanted on a terminal.
    pub fn colours(&self) -> bool {
        !self.is_set(NO_COLOR) && self.text(TERM) != Some("dumb")
    }

    /// Which kubeconfig files are edited, after the rules of kubectl and kind: the one named on the
    /// command line alone, else those of KUBECONFIG, else `~/.kube/config`. New entries go to the
    /// first of them that exists, else to the last. `None` when there is no home either.
    pub fn kubeconfig_files(&self, named: Option<&Path>) -> Option<KubeconfigTarget> {
        self.kubeconfig_files_with(named, |path| path.exists())
    }

    fn kubeconfig_files_with(&self, named: Option<&Path>, exists: impl Fn(&Path) -> bool) -> Option<KubeconfigTarget> {
        if let Some(path) = named {
            return Some(KubeconfigTarget { write: path.to_owned(), all: vec![path.to_owned()] });
        }
        let mut all: Vec<PathBuf> = Vec::new();
        if let Some(list) = self.values.get(KUBECONFIG) {
            for path in std::env::split_paths(list).filter(|path| !path.as_os_str().is_empty()) {
                if !all.contains(&path) {
                    all.push(path);
                }
            }
        }
        if all.is_empty() {
            all.push(self.home()?.join(".kube").join("config"));
        }
        let write = all.iter().find(|path| exists(path)).or(all.last())?.clone();
        Some(KubeconfigTarget { write, all })
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Proxy addresses may hold passwords: names only.
        f.debug_set().entries(self.values.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        Env::from_pairs(pairs.iter().copied())
    }

    fn kubeconfig(pairs: &[(&str, &str)], existing: &[&str]) -> (String, Vec<String>) {
        let target = env(pairs).kubeconfig_files_with(None, |path| existing.iter().any(|e| Path::new(e) == path)).unwrap();
        let text = |path: &PathBuf| path.display().to_string();
        (text(&target.write), target.all.iter().map(text).collect())
    }

    #[test]
    fn empty_means_unset() {
        let env = env(&[(DOCKER_TLS_VERIFY, ""), (NO_COLOR, ""), (DOCKER_HOST, "unix:///x")]);
        assert!(!env.is_set(DOCKER_TLS_VERIFY));
        assert!(env.colours());
        assert_eq!(env.text(DOCKER_HOST), Some("unix:///x"));
    }

    #[test]
    fn kubeconfig_defaults_to_the_home_folder() {
        assert_eq!(kubeconfig(&[(HOME, "/h")], &[]), ("/h/.kube/config".into(), vec!["/h/.kube/config".into()]));
        assert_eq!(kubeconfig(&[(HOME, "/h"), (KUBECONFIG, "::")], &[]).0, "/h/.kube/config");
        assert_eq!(env(&[]).kubeconfig_files(None), None);
    }

    #[test]
    fn kubeconfig_writes_to_the_first_that_exists_else_the_last() {
        let list = [(KUBECONFIG, "/a::/b:/a:/c")];
        assert_eq!(kubeconfig(&list, &["/b", "/c"]), ("/b".into(), vec!["/a".into(), "/b".into(), "/c".into()]));
        assert_eq!(kubeconfig(&list, &[]).0, "/c");
    }

    #[test]
    fn a_named_kubeconfig_stands_alone() {
        let target = env(&[(HOME, "/h"), (KUBECONFIG, "/a:/b")]).kubeconfig_files(Some(Path::new("k"))).unwrap();
        assert_eq!(target, KubeconfigTarget { write: "k".into(), all: vec!["k".into()] });
    }

    #[test]
    fn folders_follow_home_unless_named() {
        let plain = env(&[(HOME, "/h"), (XDG_CACHE_HOME, "relative")]);
        assert_eq!(plain.docker_config_dir(), Some("/h/.docker".into()));
        assert_eq!(
            plain.cache_dir(),
            Some("/h/.cache/kindmesh".into()),
            "a relative cache folder is ignored, as the specification demands"
        );
        let named = env(&[(HOME, "/h"), (XDG_CACHE_HOME, "/c"), (DOCKER_CONFIG, "/d")]);
        assert_eq!(named.docker_config_dir(), Some("/d".into()));
        assert_eq!(named.cache_dir(), Some("/c/kindmesh".into()));
    }

    #[test]
    fn state_is_kept_where_it_is_wanted() {
        let state = |pairs: &[(&str, &str)], named: Option<&str>| env(pairs).state_dir(named.map(Path::new));
        assert_eq!(state(&[], None), None);
        assert_eq!(state(&[(HOME, "/h")], None), Some("/h/.local/state/kindmesh".into()));
        assert_eq!(state(&[(HOME, "/h"), (XDG_STATE_HOME, "relative")], None), Some("/h/.local/state/kindmesh".into()));
        let all = [(HOME, "/h"), (XDG_STATE_HOME, "/s"), (KINDMESH_STATE_DIR, "/k")];
        assert_eq!(state(&all[..2], None), Some("/s/kindmesh".into()));
        assert_eq!(state(&all, None), Some("/k".into()));
        assert_eq!(state(&all, Some("f")), Some("f".into()));
    }

    #[test]
    fn proxies_prefer_upper_case() {
        let proxy = env(&[("http_proxy", "low"), (HTTP_PROXY, "up"), ("no_proxy", "x")]).proxy();
        assert_eq!((proxy.http.as_deref(), proxy.https.as_deref(), proxy.no_proxy.as_deref()), (Some("up"), None, Some("x")));
    }

    #[test]
    fn a_build_service_gets_plain_lines() {
        assert!(env(&[]).live_display());
        assert!(!env(&[(CI, "true")]).live_display());
        assert!(env(&[(CI, "false")]).live_display());
        assert!(!env(&[(TERM, "dumb")]).live_display());
    }

    #[test]
    fn debug_hides_values() {
        let text = format!("{:?}", env(&[(HTTP_PROXY, "http://user:secret@proxy")]));
        assert!(text.contains(HTTP_PROXY) && !text.contains("secret"), "{text}");
    }

    /// Reading the environment anywhere else would make the library depend on hidden input.
    #[test]
    fn no_other_file_reads_the_environment() {
        fn visit(folder: &Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    visit(&path, found);
                } else if path.extension() == Some(OsStr::new("rs"))
                    && !["cli/env.rs", "testing/settings.rs"].iter().any(|own| path.ends_with(own))
                {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let reads = text.match_indices("env::").any(|(at, _)| {
                        let rest = &text[at + "env::".len()..];
                        ["var(", "vars(", "var_os(", "vars_os(", "home_dir(", "temp_dir("].iter().any(|call| rest.starts_with(call))
                    });
                    if reads || text.contains("use std::env::{") {
                        found.push(path.display().to_string());
                    }
                }
            }
        }
        let mut found = Vec::new();
        visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        assert!(found.is_empty(), "read the environment in cli/env.rs and pass it on: {found:?}");
    }
}
