//! Archives of images, as `docker save`, Docker's containerd store, buildx, skopeo and podman write them.

mod contents;
mod digest;
mod layout;
mod legacy;

pub use contents::{ArchiveImage, Blob, Contents, ImageLayer, OciError, Packing};
pub use digest::{chain_ids, hex_of, sha256_digest};
pub use layout::{LAYOUT, blob_path, index};
pub use legacy::LegacyLayers;

#[cfg(test)]
mod tests;
