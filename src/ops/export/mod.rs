//! What nodes and clusters can tell of themselves, written into a folder: `export logs`.

mod cluster;
mod evidence;
mod folder;
mod node;
mod report;
mod run;
mod unpack;

pub use evidence::{EvidenceReport, EvidenceRequest, Failure, SeenWait, write_failure};
pub use report::{ExportOptions, ExportReport, ExportedCluster, ExportedNode};

#[cfg(test)]
mod tests;
