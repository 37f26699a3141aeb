//! Fleets: made, shown, removed.
//!
//! Every step is written as "ensure": it looks at what is there, does what is missing, and has its
//! undo beside it. Labels on containers and networks are the only memory, so a step that was
//! interrupted anywhere is finished by running it again.

mod alive;
mod api_server;
mod boot;
mod bootstrap;
pub mod charts;
mod cluster;
mod context;
mod control_plane;
mod diff;
mod doctor;
mod down;
mod error;
mod events;
mod exec;
mod expiry;
mod export;
mod holder;
mod image;
mod install;
mod inventory;
mod kubeconfig_entry;
mod kubeconfig_file;
mod limits;
mod load;
mod lock;
pub mod mesh;
mod moments;
mod network;
pub mod nodeimage;
mod nodes;
mod pool;
mod pools;
mod preflight;
mod privileges;
mod probe_memory;
mod prune;
mod remove;
mod report;
mod reserve;
mod resize;
mod rest;
mod selection;
mod service_network;
mod status;
mod thaw;
mod up;

pub use crate::domain::proxy::ProxySettings;
pub use context::{Kindmesh, KubeconfigTarget};
pub use doctor::{Check, DoctorReport};
pub use error::{Error, ErrorKind, Result};
pub use events::{EventOptions, EventSource, FleetEvent, FleetEvents};
pub use exec::ExecTarget;
pub use export::{
    EvidenceReport, EvidenceRequest, ExportOptions, ExportReport, ExportedCluster, ExportedNode, Failure, SeenWait, write_failure,
};
pub use load::{ImageLoad, LoadOutcome, LoadReport, LoadRequest, LoadSource, NodeLoad};
pub use mesh::{VerifiedCluster, VerifyOptions, VerifyReport};
pub use pool::{LeaseOptions, LeaseReport, LeasedCluster, PoolReport, PoolStatus};
pub use prune::{PruneReport, PrunedFleet, end_of};
pub use report::{
    ClusterEntry, ClusterReport, ClusterStatus, DownReport, FleetStatus, MeshMember, MeshReport, MeshStatus, NodeEntry, ServiceStatus,
    UpReport,
};
pub use rest::{RestReport, RestState, RestedCluster, StopOptions};
pub use up::UpOptions;

#[cfg(test)]
mod tests;
