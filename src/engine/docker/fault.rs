//! The client crate's errors as ours: branch on the status code, refine on text only where the
//! engine leaves nothing else.

use bollard::errors::Error;

use crate::engine::{EngineError, EngineErrorKind as Kind};

/// One failed call as an engine error.
pub(in crate::engine) fn map(verb: &'static str, object: &str, error: Error) -> EngineError {
    let (kind, message) = classify(error);
    EngineError::new(verb, object, kind, message)
}

/// Class of a failure and the words for it.
pub(in crate::engine) fn classify(error: Error) -> (Kind, String) {
    match error {
        Error::DockerResponseServerError { status_code, message } => (status(status_code), trimmed(status_code, &message)),
        Error::DockerStreamError { error } => (Kind::Failed, error.trim().to_owned()),
        Error::DockerContainerWaitError { error, .. } => (Kind::Failed, error),
        Error::RequestTimeoutError => (Kind::Timeout, "the engine did not answer in time".to_owned()),
        Error::SocketNotFoundError(path) => (Kind::Unreachable, format!("there is no socket at {path}")),
        Error::HyperLegacyError { err } => {
            let kind = if err.is_connect() { Kind::Unreachable } else { Kind::Interrupted };
            (kind, chain(&err))
        }
        Error::HyperResponseError { err } => (Kind::Interrupted, chain(&err)),
        Error::IOError { err } => (Kind::Interrupted, chain(&err)),
        Error::JsonDataError { message, .. } => (Kind::Protocol, format!("the engine's answer could not be read: {message}")),
        // An answer that stops inside a JSON document: the connection went away.
        Error::JsonSerdeError { err } if err.is_eof() => (Kind::Interrupted, "the engine's answer ended in the middle".to_owned()),
        other => (Kind::Protocol, chain(&other)),
    }
}

/// Class of an HTTP status.
fn status(code: u16) -> Kind {
    match code {
        401 | 407 => Kind::Unauthorized,
        404 => Kind::NotFound,
        409 => Kind::Conflict,
        400..=499 | 501 => Kind::Refused,
        _ => Kind::Failed,
    }
}

/// The engine's words, or the bare code when it sent none.
fn trimmed(code: u16, message: &str) -> String {
    match message.trim() {
        "" => format!("the engine answered with status {code} and no reason"),
        words => words.to_owned(),
    }
}

/// An error with its causes, each said once.
pub(in crate::engine) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(status_code: u16, message: &str) -> (Kind, String) {
        classify(Error::DockerResponseServerError { status_code, message: message.to_owned() })
    }

    #[test]
    fn status_codes_become_kinds() {
        assert_eq!(server(404, "No such container: x\n").0, Kind::NotFound);
        assert_eq!(server(409, "name taken").0, Kind::Conflict);
        assert_eq!(server(403, "Pool overlaps").0, Kind::Refused);
        assert_eq!(server(400, "invalid CapDrop").0, Kind::Refused);
        assert_eq!(server(401, "no").0, Kind::Unauthorized);
        assert_eq!(server(500, "boom").0, Kind::Failed);
        assert_eq!(server(503, "").1, "the engine answered with status 503 and no reason");
    }

    #[test]
    fn messages_lose_the_newline_and_keep_verb_and_object() {
        let error = map(
            "inspect container",
            "n1",
            Error::DockerResponseServerError { status_code: 404, message: "No such container: n1\n".into() },
        );
        assert_eq!(error.to_string(), "inspect container n1: No such container: n1");
        assert!(error.is_not_found());
    }

    #[test]
    fn a_missing_socket_and_a_cut_answer_are_told_apart() {
        assert_eq!(classify(Error::SocketNotFoundError("/x".into())).0, Kind::Unreachable);
        let eof = serde_json::from_str::<u8>("").unwrap_err();
        assert_eq!(classify(Error::JsonSerdeError { err: eof }).0, Kind::Interrupted);
    }

    #[test]
    fn a_chain_says_each_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: inner")]
        struct Outer(#[source] std::io::Error);
        assert_eq!(chain(&Outer(std::io::Error::other("inner"))), "outer: inner");
        assert_eq!(chain(&Outer(std::io::Error::other("deep"))), "outer: inner: deep");
    }
}
