//! API servers: apply, wait, install. The only place that names the Kubernetes client.

pub mod announce;
pub mod apply;
pub mod cacerts;
pub mod client;
pub mod deadline;
pub mod envoy;
pub mod error;
pub mod events;
pub mod fetch;
pub mod forward;
pub mod istio;
pub mod istiod;
pub mod look;
pub mod mesh_objects;
pub mod metallb;
pub mod moments;
pub mod nodes;
pub mod pod_exec;
pub mod pods;
pub mod portforward;
pub mod probe;
pub mod reader_token;
pub mod sample;
pub mod services;
pub mod wait;

mod resource;
mod retry;
mod state;
mod watch;

#[cfg(test)]
pub(crate) mod mock;

pub use apply::{Applied, ApplyOptions, Change, apply};
pub use client::ApiServer;
pub use deadline::{Deadline, Observer};
pub use error::{K8sError, RequestErrorKind, Result};
