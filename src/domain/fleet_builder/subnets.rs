//! Default subnets of clusters.
//!
//! Pods of a cluster get a /16 from 10.128.0.0 to 10.239.255.255, its services a /20 from
//! 10.240.0.0 on: 112 slots, all distinct, clear of kind's own defaults for services (10.96.0.0/16),
//! of the engine's default address pools, and of the lower half of 10.0.0.0/8 where offices live.
//!
//! A cluster's slot follows from its name, so that it does not change when others come and go: the
//! number at the end of the name, or else a hash of it. Only when that slot is in use the next free
//! one is taken.

use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;
use sha1::{Digest, Sha1};

use crate::domain::name::ClusterName;

/// Slots there are.
pub(super) const SLOTS: u32 = 112;
/// Second byte of the first pod subnet.
const FIRST_POD_BLOCK: u32 = 128;
/// Second byte of the first service subnet.
const FIRST_SERVICE_BLOCK: u32 = 240;

/// Pod subnet of a slot.
pub(super) fn pods(slot: u32) -> Option<Ipv4Network> {
    network(FIRST_POD_BLOCK + slot, 0, 16)
}

/// Service subnet of a slot.
pub(super) fn services(slot: u32) -> Option<Ipv4Network> {
    network(FIRST_SERVICE_BLOCK + slot / 16, slot % 16 * 16, 20)
}

/// Slots in the order a cluster tries them.
pub(super) fn slots(name: &ClusterName) -> impl Iterator<Item = u32> + use<> {
    let first = preferred(name.as_str());
    (0..SLOTS).map(move |step| (first + step) % SLOTS)
}

fn preferred(name: &str) -> u32 {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let number: Option<u32> = name[name.len() - digits..].parse().ok();
    match number {
        Some(number) if number > 0 => (number - 1) % SLOTS,
        _ => {
            let digest = Sha1::digest(name.as_bytes());
            u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]) % SLOTS
        }
    }
}

fn network(second: u32, third: u32, prefix: u8) -> Option<Ipv4Network> {
    Ipv4Network::new(Ipv4Addr::new(10, u8::try_from(second).ok()?, u8::try_from(third).ok()?, 0), prefix).ok()
}
