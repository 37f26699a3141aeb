//! The mesh over a fleet: proven, drawn.

mod graph;
mod members;
mod observe;
mod traffic;
mod verify;

pub use verify::{VerifiedCluster, VerifyOptions, VerifyReport};
