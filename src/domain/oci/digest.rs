//! Digests of content, and the names that containerd gives to stacks of layers.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Digest of some bytes (`sha256:…`).
pub fn sha256_digest(bytes: &[u8]) -> String {
    hex_of(&Sha256::digest(bytes))
}

/// A finished hash as a digest (`sha256:…`).
pub fn hex_of(hash: &[u8]) -> String {
    hash.iter().fold(String::from("sha256:"), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Names of the stacks that layers make, one on the other: the first is the layer's own, each other
/// the digest of the stack below and the layer (OCI image specification, "Layer ChainID").
pub fn chain_ids(diff_ids: &[String]) -> Vec<String> {
    let mut chain: Vec<String> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        chain.push(match chain.last() {
            None => diff_id.clone(),
            Some(below) => sha256_digest(format!("{below} {diff_id}").as_bytes()),
        });
    }
    chain
}
