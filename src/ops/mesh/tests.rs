//! Roots on disk, files that are named, certificates of clusters.

mod ca;
mod input;
mod store;
mod trust;

use jiff::Timestamp;

use crate::domain::name::{ClusterName, FleetName};
use crate::domain::pki::Root;

fn fleet() -> FleetName {
    "demo".parse().unwrap()
}

fn cluster(name: &str) -> ClusterName {
    name.parse().unwrap()
}

fn now() -> Timestamp {
    "2027-03-01T12:00:00Z".parse().unwrap()
}

fn root() -> Root {
    Root::generate(&fleet(), now()).unwrap()
}
