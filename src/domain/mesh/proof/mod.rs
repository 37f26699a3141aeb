//! What proves a mesh: observations in, a verdict out.
//!
//! Nothing is taken for granted: what could not be looked at is as bad as what was seen to be wrong,
//! and every check exists for every cluster, so that nothing left out can look like nothing wrong.

pub mod call;
pub mod cause;
pub mod judge;
pub mod matrix;
pub mod names;
pub mod rest;
pub mod view;

mod checks;

#[cfg(test)]
mod tests;

pub use call::{Answer, Call, Probe};
pub use cause::Cause;
pub use judge::{Check, CheckKind, Failure, Verdict, judge};
pub use matrix::{Cell, Matrix};
pub use rest::{Rest, RestingNode};
pub use view::{ClientView, ClusterView, FleetView, Seen};
