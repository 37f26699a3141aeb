//! Why no engine was reached, and what to do.

use std::fmt;
use std::path::PathBuf;

/// Why no engine was reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nothing answers.
    #[error("no container engine answers:{}\n{}", lines(.tried), next_step(.tried))]
    NoEngine {
        /// Every endpoint tried, in order.
        tried: Vec<Attempt>,
    },
    /// The context that is asked for is not there.
    #[error("there is no docker context '{name}' ({asked_by}); {}", known_contexts(.known))]
    UnknownContext {
        /// Name of the context.
        name: String,
        /// What asked for it.
        asked_by: &'static str,
        /// Names of those that are there.
        known: Vec<String>,
    },
    /// A context that cannot be used.
    #[error("docker context '{name}' cannot be used: {reason} ({})", .path.display())]
    Context {
        /// Name of the context.
        name: String,
        /// Its file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Docker's configuration cannot be read; which engine it means is not known.
    #[error("docker's configuration {} cannot be read: {reason}; mend it, or name the engine with --host", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Why; never its content.
        reason: String,
    },
    /// An endpoint of a kind that is not spoken here.
    #[error("cannot connect to {endpoint}: {}", unsupported(.scheme))]
    UnsupportedScheme {
        /// The endpoint.
        endpoint: String,
        /// Its scheme.
        scheme: String,
    },
    /// A text that is no endpoint.
    #[error("'{endpoint}' is no endpoint of an engine: {reason}")]
    Malformed {
        /// The text.
        endpoint: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
}

/// One endpoint that did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The endpoint.
    pub endpoint: String,
    /// Why it was tried.
    pub origin: &'static str,
    /// Why it failed.
    pub reason: String,
    /// Whether somebody listens there, but not to this user.
    pub denied: bool,
}

// === impl Attempt ===

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.endpoint, self.origin, self.reason)
    }
}

fn lines(tried: &[Attempt]) -> String {
    tried.iter().map(|attempt| format!("\n  {attempt}")).collect()
}

fn next_step(tried: &[Attempt]) -> &'static str {
    if tried.iter().any(|attempt| attempt.denied) {
        "run as root, join the group that owns the socket (docker), or name another engine with --host or DOCKER_HOST"
    } else {
        "start an engine (systemctl start docker, dockerd, or systemctl --user start podman.socket), or name one with --host or DOCKER_HOST"
    }
}

fn known_contexts(known: &[String]) -> String {
    if known.is_empty() { "there is none but 'default'".to_owned() } else { format!("known are: default, {}", known.join(", ")) }
}

fn unsupported(scheme: &str) -> String {
    match scheme {
        // No other program is called, and ssh is one.
        "ssh" => "no ssh is spoken here; forward the socket (ssh -nNT -L /tmp/engine.sock:/var/run/docker.sock user@host), \
                  then use --host unix:///tmp/engine.sock"
            .to_owned(),
        other => format!("'{other}://' is not spoken here; use unix://, tcp://, http://, https:// or npipe://"),
    }
}
