//! Requests to an API server that go wrong to order.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::apiserver::status;
use crate::http::{self, Head};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WebFault {
    /// Too many requests, come again in a second.
    TooMany,
    /// The server failed.
    Failed,
    /// A webhook has no backend yet.
    Webhook,
    /// Somebody else changed the object.
    Conflict,
    /// The connection breaks before the answer.
    Reset,
    /// The answer breaks off in the middle.
    Cut,
    /// The answer takes two seconds.
    Slow,
    /// The answer takes six seconds: longer than a single look at `/readyz` is waited for.
    Late,
    /// A watch that ends as soon as it begins.
    Closed,
    /// A watch that says that it is too old.
    Expired,
}

/// Those of any request.
pub const WEB_FAULTS: [WebFault; 7] =
    [WebFault::TooMany, WebFault::Failed, WebFault::Webhook, WebFault::Conflict, WebFault::Reset, WebFault::Cut, WebFault::Slow];

/// Orders, and what was asked. Cheap to clone; clones are the same.
#[derive(Clone, Default)]
pub struct WebFaults(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    seen: Vec<&'static str>,
    /// The first so many requests of a kind.
    order: Option<(&'static str, usize, WebFault)>,
    struck: usize,
    /// Whether workloads take their time.
    lingers: bool,
}

/// Kind of a request.
fn kind(head: &Head, watch: bool) -> &'static str {
    let path = head.path();
    let last = path.rsplit('/').next().unwrap_or_default();
    match head.method() {
        _ if watch => "watch",
        "PATCH" => "apply",
        "GET" if last == "livez" => "livez",
        "GET" if last == "readyz" => "readyz",
        "GET" if head.query("limit").is_some() || head.query("resourceVersion").is_some() => "list for a watch",
        "GET" if last == "v1" => "discovery",
        "GET" if last == "nodes" => "list",
        "GET" => "read",
        _ => "something else",
    }
}

// === impl WebFaults ===

impl WebFaults {
    /// Makes the first `times` requests of a kind go wrong from now on.
    pub fn order(&self, kind: &'static str, times: usize, fault: WebFault) {
        *self.0.lock().unwrap() = State { order: Some((kind, times, fault)), ..State::default() };
    }

    /// Workloads are ready half a second after they are asked for, not at once: they are watched then.
    pub fn linger(&self) {
        self.0.lock().unwrap().lingers = true;
    }

    /// Whether they do.
    pub fn lingers(&self) -> bool {
        self.0.lock().unwrap().lingers
    }

    /// Kinds of the requests since the last order.
    pub fn seen(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().seen.clone()
    }

    /// How many went wrong.
    pub fn struck(&self) -> usize {
        self.0.lock().unwrap().struck
    }

    /// Notes a request, and says what happens to it.
    pub fn strike(&self, head: &Head, watch: bool) -> Option<WebFault> {
        let mut state = self.0.lock().unwrap();
        let kind = kind(head, watch);
        state.seen.push(kind);
        let (wanted, times, fault) = state.order?;
        let strikes = wanted == kind && state.struck < times;
        state.struck += usize::from(strikes);
        strikes.then_some(fault)
    }
}

// === impl WebFault ===

impl WebFault {
    /// Answers in place of the server. `false` when the connection has ended with it.
    pub async fn happen(self, client: &mut (impl AsyncWrite + Unpin)) -> io::Result<bool> {
        let (code, body) = match self {
            Self::TooMany => (429, status(429, "TooManyRequests", "the server has received too many requests")),
            Self::Failed => (500, status(500, "InternalError", "etcdserver: leader changed")),
            Self::Webhook => {
                let words = "Internal error occurred: failed calling webhook \"validate\": connect: connection refused";
                (500, status(500, "InternalError", words))
            }
            Self::Conflict => {
                (409, status(409, "Conflict", "the object has been modified; please apply your changes to the latest version"))
            }
            Self::Reset => return Ok(false),
            Self::Cut => {
                client.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n{\"kind\":").await?;
                client.flush().await?;
                return Ok(false);
            }
            Self::Slow | Self::Late => {
                let seconds = if self == Self::Late { 6 } else { 2 };
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                (503, status(503, "ServiceUnavailable", "the server is starting"))
            }
            Self::Closed => {
                client.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n").await?;
                client.flush().await?;
                return Ok(true);
            }
            Self::Expired => {
                let gone = json!({"type": "ERROR", "object": status(410, "Expired", "too old resource version")});
                http::answer(client, 200, "application/json", format!("{gone}\n").as_bytes(), false).await?;
                return Ok(true);
            }
        };
        if self != Self::TooMany {
            http::answer(client, code, "application/json", body.to_string().as_bytes(), false).await?;
            return Ok(true);
        }
        let body = body.to_string();
        let head =
            format!("HTTP/1.1 429 Done\r\nretry-after: 1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        client.write_all(head.as_bytes()).await?;
        client.write_all(body.as_bytes()).await?;
        client.flush().await?;
        Ok(true)
    }
}

impl fmt::Display for WebFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooMany => "429 with Retry-After",
            Self::Failed => "500",
            Self::Webhook => "webhook not ready",
            Self::Conflict => "conflict",
            Self::Reset => "connection reset",
            Self::Cut => "answer cut",
            Self::Slow => "slow",
            Self::Late => "slower than is waited for",
            Self::Closed => "watch closed",
            Self::Expired => "watch expired",
        })
    }
}
