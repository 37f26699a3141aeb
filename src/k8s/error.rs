//! Errors of API servers: verb, object, cause, in words a person can use.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use kube::runtime::watcher;

use crate::domain::manifest::ManifestError;

/// Result of a call to an API server.
pub type Result<T, E = K8sError> = std::result::Result<T, E>;

/// What failed on an API server.
///
/// The client's own errors are put into words here and not kept as a source: they print whole
/// responses, and what an object holds is nobody's business in a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum K8sError {
    /// A kubeconfig no client can be made of.
    #[error("read the kubeconfig: {message}")]
    Kubeconfig {
        /// What is wrong with it.
        message: String,
    },
    /// A request that failed: what was tried (`apply`), on which object, and why.
    #[error("{verb} {object}: {message}")]
    Request {
        /// What was tried, in words.
        verb: &'static str,
        /// Kind and name of the object (`Deployment metallb-system/controller`).
        object: String,
        /// Class of the failure; what code branches on.
        kind: RequestErrorKind,
        /// The server's own words, or the transport's.
        message: String,
    },
    /// Another field manager owns what the manifest wants to set.
    #[error("apply {object}: {message}; undo that change, or leave the field to its owner")]
    Owned {
        /// Kind and name of the object.
        object: String,
        /// The server's words: which manager, which fields.
        message: String,
    },
    /// A kind the server does not serve.
    #[error(
        "apply {object}: the server ({server}) serves no kind {kind} in {api_version}; is its definition missing, or the server too old?"
    )]
    UnknownKind {
        /// Kind and name of the object.
        object: String,
        /// Its `apiVersion`.
        api_version: String,
        /// Its `kind`.
        kind: String,
        /// The server's version.
        server: String,
    },
    /// The deadline passed.
    #[error("waited {} s for {awaited}; last seen: {last}", seconds(.after))]
    Timeout {
        /// What was awaited.
        awaited: String,
        /// For how long.
        after: Duration,
        /// The state seen last.
        last: String,
    },
    /// A state that waiting will not change.
    #[error("{awaited} will not come: {state}")]
    Hopeless {
        /// What was awaited.
        awaited: String,
        /// Why it cannot come.
        state: String,
    },
    /// A manifest that cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A manifest that lacks what is to be set in it.
    #[error("the {manifest} manifest has no container {container} whose {what} could be set")]
    Container {
        /// Which manifest.
        manifest: &'static str,
        /// The container.
        container: &'static str,
        /// What was to be set (`image`).
        what: &'static str,
    },
    /// A command in a pod that failed.
    #[error("run {command} in pod {pod}: {message}")]
    Exec {
        /// Namespace and name of the pod.
        pod: String,
        /// The command.
        command: String,
        /// Exit status and what it said.
        message: String,
    },
    /// A LoadBalancer address from somewhere else.
    #[error("service {service} has the address {address}, which is outside the cluster's pool {pool}")]
    OutsidePool {
        /// Namespace and name of the service.
        service: String,
        /// Its address.
        address: String,
        /// The pool.
        pool: String,
    },
}

/// Class of a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestErrorKind {
    /// Nothing answers at the address.
    Unreachable,
    /// The connection broke, or the answer never came.
    Interrupted,
    /// The server's certificate or the client's credentials are refused.
    Untrusted,
    /// The object or its kind does not exist (404).
    NotFound,
    /// Someone else changed or owns it (409).
    Conflict,
    /// The server refuses the request for good (400, 403, 422 and the like).
    Refused,
    /// The server cannot answer now (429, 5xx).
    Unavailable,
    /// The same, and its status says when to ask again.
    Busy {
        /// After so many seconds.
        seconds: u32,
    },
    /// The answer could not be understood.
    Protocol,
}

// === impl K8sError ===

impl K8sError {
    /// From a client error.
    pub(crate) fn request(verb: &'static str, object: impl Into<String>, error: &kube::Error) -> Self {
        let (kind, message) = describe(error);
        Self::Request { verb, object: object.into(), kind, message }
    }

    /// Class of a failed request; `None` for every other error.
    pub fn kind(&self) -> Option<RequestErrorKind> {
        match self {
            Self::Request { kind, .. } => Some(*kind),
            _ => None,
        }
    }

    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.kind() == Some(RequestErrorKind::NotFound)
    }

    /// Whether trying again may help: the server is starting, restarting, overloaded, or waits for
    /// a webhook's backend.
    pub fn heals(&self) -> bool {
        use RequestErrorKind::{Busy, Interrupted, Unavailable, Unreachable};
        matches!(self.kind(), Some(Unreachable | Interrupted | Unavailable | Busy { .. }))
    }

    /// When the server asks to be asked again, if it says so.
    pub(crate) fn pause(&self) -> Option<Duration> {
        match self.kind() {
            Some(RequestErrorKind::Busy { seconds }) => Some(Duration::from_secs(seconds.into())),
            _ => None,
        }
    }
}

/// Class and words of a watcher's error.
pub(crate) fn describe_watch(error: &watcher::Error) -> (RequestErrorKind, String) {
    match error {
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) | watcher::Error::WatchFailed(error) => {
            describe(error)
        }
        watcher::Error::WatchError(status) => (of_status(status), status_text(status)),
        watcher::Error::NoResourceVersion => (RequestErrorKind::Protocol, "the answer has no resource version".to_owned()),
    }
}

fn describe(error: &kube::Error) -> (RequestErrorKind, String) {
    match error {
        kube::Error::Api(status) => (of_status(status), status_text(status)),
        kube::Error::Service(source) => transport(source.as_ref()),
        kube::Error::HyperError(source) => transport(source),
        kube::Error::ReadEvents(source) => transport(source),
        kube::Error::Auth(source) => (RequestErrorKind::Untrusted, deepest(source)),
        kube::Error::RustlsTls(source) => (RequestErrorKind::Untrusted, deepest(source)),
        kube::Error::UpgradeConnection(source) => (RequestErrorKind::Interrupted, format!("no websocket: {source}")),
        // Serde's words may quote the answer; its position is enough to find the fault.
        kube::Error::SerdeError(source) => {
            (RequestErrorKind::Protocol, format!("the answer is not understood (line {}, column {})", source.line(), source.column()))
        }
        other => (RequestErrorKind::Protocol, deepest(other)),
    }
}

fn of_status(status: &kube::core::Status) -> RequestErrorKind {
    let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    match of_code(status.code) {
        RequestErrorKind::Unavailable if seconds > 0 => RequestErrorKind::Busy { seconds },
        kind => kind,
    }
}

fn of_code(code: u16) -> RequestErrorKind {
    match code {
        401 => RequestErrorKind::Untrusted,
        404 => RequestErrorKind::NotFound,
        409 => RequestErrorKind::Conflict,
        429 | 500..=599 => RequestErrorKind::Unavailable,
        400..=499 => RequestErrorKind::Refused,
        // A body that is no status, from something in between that is no API server.
        _ => RequestErrorKind::Protocol,
    }
}

fn status_text(status: &kube::core::Status) -> String {
    let text = [&status.message, &status.reason].into_iter().find(|text| !text.is_empty());
    text.map_or_else(|| format!("HTTP status {}", status.code), |text| text.trim().to_owned())
}

/// Sorts a broken transport by the innermost I/O error.
fn transport(error: &(dyn StdError + 'static)) -> (RequestErrorKind, String) {
    let mut kind = RequestErrorKind::Interrupted;
    let mut next = Some(error);
    while let Some(error) = next {
        if error.to_string().contains("(Connect)") {
            kind = RequestErrorKind::Unreachable;
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            kind = match error.kind() {
                // What rustls calls an untrusted or malformed certificate.
                io::ErrorKind::InvalidData => RequestErrorKind::Untrusted,
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => RequestErrorKind::Interrupted,
                _ => kind,
            };
        }
        next = error.source();
    }
    (kind, deepest(error))
}

/// The innermost cause: what the outer ones wrap says less.
fn deepest(error: &(dyn StdError + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn seconds(duration: &Duration) -> String {
    let text = format!("{:.1}", duration.as_secs_f64());
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn api(code: u16, message: &str) -> K8sError {
        let status = Status { code, message: message.to_owned(), reason: "Reason".to_owned(), ..Status::default() };
        K8sError::request("apply", "Service a/b", &kube::Error::Api(status.boxed()))
    }

    #[test]
    fn the_servers_words_are_shown_and_nothing_else() {
        assert_eq!(api(422, "spec.ports: Required value").to_string(), "apply Service a/b: spec.ports: Required value");
        assert_eq!(api(503, "").to_string(), "apply Service a/b: Reason");
        let timeout = K8sError::Timeout {
            awaited: "node a-control-plane".to_owned(),
            after: Duration::from_millis(1500),
            last: "NotReady".to_owned(),
        };
        assert_eq!(timeout.to_string(), "waited 1.5 s for node a-control-plane; last seen: NotReady");
    }

    #[test]
    fn what_heals_is_told_from_what_does_not() {
        for code in [429, 500, 502, 503, 504] {
            assert!(api(code, "x").heals(), "{code}");
        }
        for code in [400, 401, 403, 404, 409, 422] {
            assert!(!api(code, "x").heals(), "{code}");
        }
        let refused = kube::Error::Service(Box::new(io::Error::from(io::ErrorKind::ConnectionRefused)));
        assert!(K8sError::request("apply", "x", &refused).heals());
        let untrusted = kube::Error::Service(Box::new(io::Error::new(io::ErrorKind::InvalidData, "invalid peer certificate")));
        assert!(!K8sError::request("apply", "x", &untrusted).heals());
    }

    #[test]
    fn a_busy_server_says_when_to_come_again() {
        let busy = |code: u16, seconds: u32| {
            let details = serde_json::from_value(serde_json::json!({"retryAfterSeconds": seconds})).unwrap();
            let status = Status { code, details: Some(details), ..Status::default() };
            K8sError::request("apply", "x", &kube::Error::Api(status.boxed()))
        };
        assert!(busy(429, 7).heals() && busy(504, 7).heals());
        assert_eq!((busy(429, 7).pause(), busy(429, 0).pause(), api(429, "x").pause()), (Some(Duration::from_secs(7)), None, None));
        // Whatever it says of something that does not heal.
        assert_eq!((busy(422, 7).pause(), busy(422, 7).heals()), (None, false));
    }

    #[test]
    fn an_answer_that_is_not_understood_is_not_quoted() {
        let error = serde_json::from_str::<u8>("\"hunter2\"").unwrap_err();
        let error = K8sError::request("read", "Secret a/b", &kube::Error::SerdeError(error));
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}
