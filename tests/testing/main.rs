//! `kindmesh::testing` on a real engine: what it makes, what it breaks and mends, and that nothing is left,
//! however a test ends.
//!
//! Needs an engine (found as the program finds it) with the node image that `KINDMESH_NODE_IMAGE` names.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod endings;
mod faults;
mod helpers;
mod killed;
mod mesh_faults;
mod pool;
mod support;
