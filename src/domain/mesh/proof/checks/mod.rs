//! One function per check: what a cluster shows, in, and what is wrong, out.

mod endpoints;
mod gateway;
mod roots;
mod sample;
mod server;
mod sync;
mod traffic;

pub(super) use endpoints::{endpoints, proxy};
pub(super) use gateway::{gateway, networks};
pub(super) use roots::roots;
pub(super) use sample::{api_server, sample};
pub(super) use sync::sync;
pub(super) use traffic::{calls, mutual_tls};
