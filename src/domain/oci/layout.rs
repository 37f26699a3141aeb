//! The documents of an OCI layout that is written.

use serde_json::{Value, json};

/// Content of the file `oci-layout`.
pub const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// Annotation by which containerd names what it imports.
const NAME: &str = "io.containerd.image.name";
/// The specification's own annotation for a name; containerd wants the tag in it.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Place of a blob (`sha256:…`) in a layout.
pub fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

/// The file `index.json` for images under these names.
pub fn index<'a>(images: impl IntoIterator<Item = (&'a str, &'a Value)>) -> String {
    let manifests: Vec<Value> = images
        .into_iter()
        .map(|(name, descriptor)| {
            let tag = name.rsplit_once(':').map_or(name, |(_, tag)| tag);
            let mut descriptor = descriptor.clone();
            descriptor["annotations"] = json!({ NAME: name, REF_NAME: tag });
            descriptor
        })
        .collect();
    json!({ "schemaVersion": 2, "manifests": manifests }).to_string()
}

/// Name of an entry of somebody's `index.json`, as far as it is a whole name.
pub(super) fn name_of(descriptor: &Value) -> Option<&str> {
    let annotation = |key: &str| descriptor["annotations"][key].as_str();
    annotation(NAME).or_else(|| annotation(REF_NAME).filter(|name| name.contains(['/', ':'])))
}
