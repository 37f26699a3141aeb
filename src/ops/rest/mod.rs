//! Fleets put to rest and woken: paused and resumed, stopped and started.

mod awake;
mod mesh;
mod node;
mod report;
mod revive;
mod sleep;
mod system;
mod wake;

pub use report::{RestReport, RestState, RestedCluster};
pub use sleep::StopOptions;

pub(super) use revive::revive;
