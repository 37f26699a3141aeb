//! Node images for machines that can pull none: made of Debian packages, Go modules and a Python wheel.
//!
//! [`build()`] follows a recipe (`node-images/` of the source tree, which is built into the program).
//! Every step's result is kept in a cache under a hash of its inputs; independent steps run side by
//! side. The only programs it runs are a compiler, Debian's root builder and pip.

mod archive;
mod build;
mod cache;
mod check;
mod debian;
mod digest;
mod error;
mod export;
mod files;
mod golang;
mod layer;
mod listing;
mod mend;
mod modules;
mod nodefiles;
mod parts;
mod plan;
mod progress;
mod recipe;
mod schedule;
mod steps;
mod store;
mod stream;
mod tarball;
#[cfg(test)]
mod tests;
mod tools;
mod variables;
mod wheel;
mod workshop;

pub use build::{Build, Built, LABEL_INPUTS, LABEL_VERSION, StepReport, build};
pub use error::{BuildError, Result};
pub use listing::{Difference, Kind, Line, Listing, ListingError};
pub use tools::Tools;
