//! The kinds of calls that an engine's socket sees, and what can happen to one.

use std::fmt;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It is refused with this status, and nothing is done.
    Status(u16),
    /// It is done, but only after the caller's deadline.
    Late,
    /// It is done, and the connection breaks in the middle of the answer.
    Cut,
    /// It is answered as done, and nothing is done.
    Lie,
    /// It is done, and the connection breaks before the answer.
    Lost,
}

/// All of them.
pub const FAULTS: [Fault; 7] =
    [Fault::Status(500), Fault::Status(409), Fault::Status(404), Fault::Late, Fault::Cut, Fault::Lie, Fault::Lost];

/// What an injected refusal says: to be found again in the message a user gets.
pub const WORDS: &str = "the disk has gone away";

/// Kind of a call, by method and path.
pub fn kind(method: &str, path: &str) -> &'static str {
    let mut parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    if parts.first().is_some_and(|first| first.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))) {
        parts.remove(0);
    }
    match (method, parts.first().copied().unwrap_or_default(), parts.last().copied().unwrap_or_default()) {
        (_, "_ping", _) | (_, "version", _) => "version",
        (_, "info", _) => "info",
        (_, "events", _) => "events",
        ("GET", "containers", "json") if parts.len() == 2 => "list containers",
        ("GET", "containers", "json") => "inspect container",
        ("POST", "containers", "create") => "create container",
        ("POST", "containers", "start") => "start container",
        ("POST", "containers", "stop") => "stop container",
        ("POST", "containers", "kill") => "kill container",
        ("POST", "containers", "wait") => "wait for container",
        ("POST", "containers", "pause") => "pause container",
        ("POST", "containers", "unpause") => "unpause container",
        ("POST", "containers", "exec") => "create exec",
        ("GET", "containers", "logs") => "logs",
        ("PUT", "containers", "archive") => "put archive",
        ("GET", "containers", "archive") => "get archive",
        ("DELETE", "containers", _) => "remove container",
        ("POST", "exec", "start") => "start exec",
        ("POST", "exec", "resize") => "resize exec",
        ("GET", "exec", _) => "inspect exec",
        ("GET", "networks", _) if parts.len() == 1 => "list networks",
        ("GET", "networks", _) => "inspect network",
        ("POST", "networks", "create") => "create network",
        ("POST", "networks", "connect") => "connect network",
        ("POST", "networks", "disconnect") => "disconnect network",
        ("DELETE", "networks", _) => "remove network",
        ("GET", "images", "json") => "inspect image",
        ("POST", "images", "create") => "pull image",
        ("POST", "images", "load") => "load images",
        ("GET", "images", "get") => "save images",
        ("POST", "images", "tag") => "tag image",
        ("DELETE", "images", _) => "remove image",
        ("GET", "distribution", "json") => "find in registry",
        ("GET", "volumes", _) if parts.len() == 1 => "list volumes",
        ("POST", "volumes", "create") => "create volume",
        ("GET", "volumes", _) => "inspect volume",
        ("DELETE", "volumes", _) => "remove volume",
        _ => "something else",
    }
}

/// What a lying engine answers to a kind of call: status and body.
pub fn lie(kind: &str) -> (u16, &'static str) {
    match kind {
        "list containers" | "list networks" | "remove image" => (200, "[]"),
        "create container" | "create network" | "create exec" => {
            (201, r#"{"Id":"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff","Warnings":[]}"#)
        }
        "inspect exec" => (200, r#"{"ID":"f","Running":false,"ExitCode":0}"#),
        "wait for container" => (200, r#"{"StatusCode":0}"#),
        "logs" | "events" | "put archive" | "get archive" | "connect network" | "disconnect network" => (200, ""),
        "pull image" | "load images" | "save images" => (200, ""),
        "tag image" => (201, ""),
        "list volumes" => (200, r#"{"Volumes":[],"Warnings":[]}"#),
        "create volume" => (
            201,
            r#"{"Name":"v","Driver":"local","Mountpoint":"","Labels":{},"Options":{},"Scope":"local","CreatedAt":"2026-11-22T15:40:00Z"}"#,
        ),
        "version" | "info" | "find in registry" => (200, "{}"),
        _ if kind.starts_with("inspect") => (200, "{}"),
        _ => (204, ""),
    }
}

// === impl Fault ===

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code) => write!(f, "status {code}"),
            Self::Late => f.write_str("late"),
            Self::Cut => f.write_str("cut"),
            Self::Lie => f.write_str("lie"),
            Self::Lost => f.write_str("lost answer"),
        }
    }
}
