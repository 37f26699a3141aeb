//! Pure rules: no I/O, no clock, no environment, no async.

pub mod container;
pub mod facts;
pub mod fleet;
pub mod fleet_builder;
pub mod fleet_file;
pub mod helm;
pub mod image;
pub mod inotify;
pub mod istio;
pub mod kubeadm;
pub mod kubeconfig;
pub mod labels;
pub mod manifest;
pub mod mesh;
pub mod name;
pub mod net;
pub mod node;
pub mod oci;
pub mod pki;
pub mod proxy;
pub mod spec_record;
pub mod suggest;
mod svg_text;
pub mod tar_stream;
pub mod trace;
pub mod version;
pub(crate) mod xml;
