//! `load`: images from the engine, or from an archive, into the nodes of clusters.
//!
//! One read of the source feeds all nodes at once; nothing is written on this side. Nodes that have an
//! image get nothing, and no archive is asked for when no node needs one; the others get the layers that
//! they lack. Where a node can take layers unpacked (the usual case, [`plan::Mode::Unpack`]) they go
//! straight to where containerd keeps unpacked layers: containerd's own import would write and hash each
//! layer twice, in every node, and then throw the packed one away.

mod archive;
mod inner;
mod job;
mod node;
mod plan;
mod pump;
mod report;
mod run;
mod scripts;
mod sink;
mod taker;
mod targets;
mod wanted;

pub use report::{ImageLoad, LoadOutcome, LoadReport, LoadRequest, LoadSource, NodeLoad};

#[cfg(test)]
mod tests;
