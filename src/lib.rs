//! Kind-compatible Kubernetes clusters over the Docker Engine API alone.
//!
//! The crate is layered, and the layers only look down:
//!
//! | module | what it is | may use |
//! |---|---|---|
//! | [`domain`] | pure rules: names, fleets, networks, pools, node descriptions, kubeadm and kubeconfig documents | nothing |
//! | [`engine`] | the container engine behind one trait; the only place that names its client crate | `domain` |
//! | [`k8s`] | API servers: apply, wait, install; the only place that names the Kubernetes client | `domain` |
//! | [`ops`] | fleets: up, down, status, node images | all of the above |
//!
//! [`event`] stands beside them: the only thing operations tell the outside world while they run.
//! The library never prints, never reads the environment and never installs signal handlers.

pub mod domain;
pub mod engine;
pub mod event;
pub mod k8s;
pub mod ops;
pub mod testing;

#[cfg(feature = "cli")]
pub mod cli;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
