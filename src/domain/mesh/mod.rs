//! The mesh over a fleet's clusters: what it is to be, what proves it, how it is drawn.

pub mod graph;
pub mod objects;
pub mod proof;
pub mod remote_secret;
pub mod spec;

pub use spec::{IstioSpec, MeshSpec, RootCaFiles};
