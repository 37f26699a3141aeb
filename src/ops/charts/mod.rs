//! Istio's charts: found in a folder, in archives, in a node image or on the web.
//!
//! What is downloaded is checked against a digest before anything is read out of it, and kept.

mod archive;
mod cache;
mod digest;
mod download;
mod error;
mod folder;
mod http_repository;
mod oci;
mod pins;
mod source;

pub use digest::{Digest, DigestError};
pub use download::{Download, Repository, RepositoryError};
pub use error::{LoadError, Mismatch, Result};
pub use source::{ChartSource, PerChart, load};

#[cfg(test)]
mod tests;
