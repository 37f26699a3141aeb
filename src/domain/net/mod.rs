//! Networks as plain data, address arithmetic and pools.

pub mod addresses;
pub mod cidr;
pub mod free;
mod info;
pub mod network;
pub mod pool;
pub mod range;
pub mod ranges;
pub mod resize;
pub mod set;
pub mod ula;

pub use info::{AttachedContainer, IpamEntry, NetworkInfo, NetworkSpec};
