//! The mesh over a fleet's clusters: what it is to be.

pub mod objects;
pub mod remote_secret;
pub mod spec;

pub use spec::{IstioSpec, MeshSpec, RootCaFiles};
