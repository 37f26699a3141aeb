//! The mesh over a fleet's clusters.

pub mod ca;
mod ca_report;
pub mod ca_store;
pub mod input;

pub use ca_report::{CaReport, ClusterCa, Rotation};
pub use ca_store::CaStore;
pub use input::MeshInput;

#[cfg(test)]
mod tests;
