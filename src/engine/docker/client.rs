//! The handle, and the deadline every call runs under.

use std::future::Future;
use std::time::Duration;

use bollard::Docker;
use tracing::Instrument as _;

use super::fault;
use super::read;
use crate::domain::facts::HostFacts;
use crate::domain::version::EngineApiVersion;
use crate::engine::{EngineError, EngineErrorKind, Result};
use crate::event::ENGINE_SPAN;

/// How long calls may take before they are given up as `Timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// An ordinary call, from request to complete answer.
    pub call: Duration,
    /// A call that moves an archive or an image.
    pub transfer: Duration,
}

/// An engine reached over Docker's HTTP API. Made by [`connect`](crate::engine::connect).
#[derive(Debug, Clone)]
pub struct DockerEngine {
    pub(super) docker: Docker,
    pub(super) endpoint: String,
    pub(super) remote_host: Option<String>,
    pub(super) api: EngineApiVersion,
    pub(super) deadlines: Deadlines,
}

// === impl Deadlines ===

impl Default for Deadlines {
    /// 60 seconds for a call, an hour for a transfer.
    fn default() -> Self {
        Self { call: Duration::from_secs(60), transfer: Duration::from_secs(3600) }
    }
}

// === impl DockerEngine ===

impl DockerEngine {
    /// The client crate has one timeout for everything: it ends uploads half-way and long stops too
    /// early, and knows whole seconds only. So it gets one that never fires, and every call here has
    /// a deadline of its own.
    pub(in crate::engine) const CLIENT_TIMEOUT: u64 = 30 * 24 * 3600;

    /// A handle for a client that has answered, with the API version it told.
    pub(in crate::engine) fn new(
        docker: Docker,
        endpoint: String,
        remote_host: Option<String>,
        api: EngineApiVersion,
        deadlines: Deadlines,
    ) -> Self {
        Self { docker, endpoint, remote_host, api, deadlines }
    }

    /// Runs one call under the ordinary deadline.
    pub(super) async fn call<T>(
        &self,
        verb: &'static str,
        object: &str,
        future: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T> {
        self.within(self.deadlines.call, verb, object, async { future.await.map_err(|error| fault::map(verb, object, error)) }).await
    }

    /// Runs anything under a deadline.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        verb: &'static str,
        object: &str,
        future: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let span = tracing::trace_span!(target: ENGINE_SPAN, "call", verb, object);
        match tokio::time::timeout(limit, future.instrument(span)).await {
            Ok(result) => result,
            Err(_) => Err(EngineError::new(
                verb,
                object,
                EngineErrorKind::Timeout,
                format!("the engine at {} did not answer within {} s", self.endpoint, limit.as_secs_f32()),
            )),
        }
    }

    /// Version and host facts.
    pub(super) async fn facts(&self) -> Result<HostFacts> {
        let (version, info) = tokio::try_join!(
            self.call("read the version of", "the engine", self.docker.version()),
            self.call("read the facts of", "the engine", self.docker.info()),
        )?;
        Ok(read::facts(self.api, version, info))
    }
}
