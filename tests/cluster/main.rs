//! Whole fleets on a real engine: the binary and the library as users have them.
//!
//! Needs an engine (found as the command finds it) with the node image; the program
//! `scripts/test cluster` prepares both. Tests take turns: each wants the whole machine.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test ends at the first surprise")]
#![expect(clippy::print_stdout, reason = "the stages of long tests are told to those who run them with --nocapture")]

mod commands;
mod convergence;
mod interop;
mod lifecycle;
mod load;
mod mesh;
mod mesh_failover;
mod mesh_failures;
mod mesh_secrets;
mod mesh_support;
mod network;
mod nodes;
mod pool;
mod refusals;
mod rest;
mod secrets;
mod support;
mod workloads;
