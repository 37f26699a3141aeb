//! Tests that need neither an engine nor a cluster: what the sources, the scripts and the tree promise.

mod layering;
mod scripts;
mod source;
mod tree;
