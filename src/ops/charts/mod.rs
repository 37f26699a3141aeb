//! Istio's charts: found in a folder, in archives, in a node image or on the web.
//!
//! What is downloaded is checked against a digest before anything is read out of it, and kept.

mod archive;
mod bundle;
mod cache;
mod download;
mod error;
mod folder;
mod http_repository;
mod oci;
mod pins;
mod source;

pub use crate::domain::digest::{Digest, DigestError};
pub use crate::domain::istio::{PerChart, Repository, RepositoryError};
pub use download::Download;
pub use error::{LoadError, Mismatch, Result, Unpinned};
pub use source::{ChartSource, load};

#[cfg(test)]
mod tests;
