//! Tests that need neither an engine nor a cluster: what the sources, the scripts and the tree promise.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod layering;
mod licences;
mod node;
mod scripts;
mod source;
mod tree;
