//! Node images for machines that can pull none: made of Debian packages and Go modules.
//!
//! [`build`] follows a recipe (`node-images/` of the source tree, which is built into the program).
//! Every step's result is kept in a cache under a hash of its inputs; independent steps run side by
//! side. The only programs it runs are a compiler and Debian's root builder.

mod archive;
mod build;
mod cache;
mod debian;
mod digest;
mod error;
mod files;
mod golang;
mod layer;
mod listing;
mod modules;
mod nodefiles;
mod plan;
mod progress;
mod recipe;
mod schedule;
mod store;
mod stream;
mod tarball;
#[cfg(test)]
mod tests;
mod tools;
mod variables;
mod workshop;

pub use build::{Build, Built, StepReport, build};
pub use error::{BuildError, Result};
pub use listing::{Difference, Kind, Line, Listing, ListingError};
pub use tools::Tools;

/// Label of a node image: hash of everything it was built from.
pub const LABEL_INPUTS: &str = "dev.kindmesh.node.inputs";
/// Label of a node image: its Kubernetes version, `v1.34.4`.
pub const LABEL_VERSION: &str = "dev.kindmesh.node.version";
