//! An engine in memory, for tests of everything above the engine: no daemon, no network.
//!
//! [`FakeEngine`] keeps believable state (networks with their address pools, containers with states,
//! ports and volumes, images, files), records every call, and can be told to misbehave at the n-th
//! one: fail, delay, cut a stream, lie, or do what is asked and lose the answer.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use kindmesh::engine::fake::{FakeEngine, Fault, Verb, When};
//! use kindmesh::engine::{Engine, EngineErrorKind};
//!
//! let engine = FakeEngine::new();
//! engine.fault(When::Verb(Verb::ListContainers, 2), Fault::Fail(EngineErrorKind::Failed, "disk full".to_owned()));
//! assert!(engine.list_containers(&[]).await.is_ok());
//! assert!(engine.list_containers(&[]).await.is_err());
//! assert_eq!(engine.calls().len(), 2);
//! # });
//! ```

mod adapter;
mod attach;
mod calls;
mod container;
mod engine;
mod faults;
mod files;
mod image;
mod network;
mod script;
mod state;

pub use calls::{Call, Verb};
pub use engine::FakeEngine;
pub use faults::{Fault, When};
pub use script::{ExecCall, ExecReply};

#[cfg(test)]
mod tests;
