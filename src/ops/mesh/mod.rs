//! The mesh over a fleet: prepared once, installed in every cluster, joined when all are there, proven
//! by traffic, drawn.

pub mod ca;
mod ca_report;
pub mod ca_store;
mod graph;
pub mod input;
mod install;
mod join;
mod link;
pub(super) mod members;
mod observe;
mod offline;
mod plan;
mod traffic;
mod trust;
mod verify;

pub use ca_report::{CaReport, ClusterCa, Rotation};
pub use ca_store::CaStore;
pub use input::MeshInput;
pub use verify::{VerifiedCluster, VerifyOptions, VerifyReport};

pub(super) use install::{Installed, Place, ensure as install};
pub(super) use join::{forget, join, prove};
pub(super) use plan::{MeshPlan, Request};

#[cfg(test)]
mod tests;
