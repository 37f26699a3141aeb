//! The adapter for engines that speak Docker's HTTP API.
//!
//! Together with [`connect`](super::connect) the only place that names the client crate. Each file
//! translates one noun; [`adapter`] ties them to the [`Engine`](super::Engine) trait.

mod adapter;
mod archive;
mod attach;
mod body;
mod client;
mod container;
mod events;
mod exec;
mod fault;
mod feed;
mod image;
mod kill;
mod lines;
mod network;
mod pull;
mod read;
mod volume;

pub use client::{Deadlines, DockerEngine};
pub(super) use fault::classify;
