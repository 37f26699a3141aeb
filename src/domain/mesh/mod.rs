//! The mesh over a fleet's clusters: what it is to be.

pub mod spec;

pub use spec::{IstioSpec, MeshSpec, RootCaFiles};
