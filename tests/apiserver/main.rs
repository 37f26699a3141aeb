//! The API-server layer against a real kube-apiserver and etcd on loopback: no engine, no nodes, no
//! controllers. What controllers would report, the tests report themselves.
//!
//! `KINDMESH_TEST_BIN` names a folder with `kube-apiserver`, `etcd` and `kubeadm` of one Kubernetes
//! version, as the build of the node image leaves behind. Without it these tests fail; nothing is
//! skipped in silence.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod apply;
mod metallb;
mod server;
mod wait;
