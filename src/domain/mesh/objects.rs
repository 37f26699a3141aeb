//! The objects a mesh needs beside Istio's own: built from our manifests, filled in per cluster.

use serde_json::Value;

use crate::domain::manifest::{self, ManifestError, Object};

/// Namespace of the sample.
pub const SAMPLE_NAMESPACE: &str = "sample";
/// Name of the sample's service, the same in every cluster.
pub const SAMPLE_SERVICE: &str = "helloworld";
/// Port of the sample's service.
pub const SAMPLE_PORT: u16 = 5000;
/// Name and `app` label of the client.
pub const CLIENT: &str = "curl";
/// Secret with the token of the account that other clusters' control planes use.
pub const READER_TOKEN: &str = "istio-reader-service-account-istio-remote-secret-token";

const TOKEN_MANIFEST: &str = include_str!("../../../manifests/mesh/reader-token.yaml");
const SAMPLE_MANIFEST: &str = include_str!("../../../manifests/mesh/sample.yaml");
const HELLOWORLD_MANIFEST: &str = include_str!("../../../manifests/mesh/helloworld.yaml");

/// A version of the sample. They alternate over the clusters of a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SampleVersion {
    /// `v1`, in the first cluster, the third, and so on.
    V1,
    /// `v2`, in the second, the fourth, and so on.
    V2,
}

/// Images of the sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleImages {
    /// helloworld, version 1.
    pub v1: String,
    /// helloworld, version 2.
    pub v2: String,
    /// The client: anything that has `curl`, `sh` and `sleep`.
    pub client: String,
}

/// The secret that the API server fills with a token of the reader's account.
///
/// # Errors
/// None in practice.
pub fn reader_token() -> Result<Vec<Object>, ManifestError> {
    manifest::parse(TOKEN_MANIFEST)
}

/// The sample in one cluster. Without an ingress gateway nothing is routed from there.
///
/// # Errors
/// None in practice.
pub fn sample(version: SampleVersion, images: &SampleImages, ingress: bool) -> Result<Vec<Object>, ManifestError> {
    let mut objects = manifest::parse(SAMPLE_MANIFEST)?;
    if !ingress {
        let at_gateway = |object: &Object| object.id().kind == "Gateway" || !object.value()["spec"]["gateways"].is_null();
        objects.retain(|object| !at_gateway(object));
    }
    for object in &mut objects {
        object.set_image(CLIENT, &images.client);
    }
    for mut object in manifest::parse(HELLOWORLD_MANIFEST)? {
        let name = version.deployment();
        object.set_name(&name);
        object.set_image(SAMPLE_SERVICE, version.image(images));
        for path in [&["metadata", "labels"][..], &["spec", "selector", "matchLabels"], &["spec", "template", "metadata", "labels"]] {
            let path: Vec<&str> = path.iter().copied().chain(["version"]).collect();
            object.set(&path, Value::from(version.name()));
        }
        objects.push(object);
    }
    Ok(objects)
}

// === impl SampleVersion ===

impl SampleVersion {
    /// The version of the n-th cluster of a fleet, counted from 0.
    pub fn of_cluster(index: usize) -> Self {
        if index.is_multiple_of(2) { Self::V1 } else { Self::V2 }
    }

    /// The one that this is not.
    pub fn other(self) -> Self {
        match self {
            Self::V1 => Self::V2,
            Self::V2 => Self::V1,
        }
    }

    /// `v1` or `v2`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }

    /// Name of its deployment.
    pub fn deployment(self) -> String {
        format!("{SAMPLE_SERVICE}-{}", self.name())
    }

    fn image(self, images: &SampleImages) -> &str {
        match self {
            Self::V1 => &images.v1,
            Self::V2 => &images.v2,
        }
    }
}

// === impl SampleImages ===

impl SampleImages {
    /// The images that Istio's own sample uses.
    pub fn official() -> Self {
        Self {
            v1: "docker.io/istio/examples-helloworld-v1:1.0".to_owned(),
            v2: "docker.io/istio/examples-helloworld-v2:1.0".to_owned(),
            client: "docker.io/curlimages/curl:8.16.0".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn find<'a>(objects: &'a [Object], kind: &str, name: &str) -> &'a Value {
        objects.iter().find(|object| object.id().kind == kind && object.id().name == name).expect("the object").value()
    }

    #[test]
    fn versions_alternate_and_are_labelled_all_over() {
        let images = SampleImages { v1: "one".to_owned(), v2: "two".to_owned(), client: "client".to_owned() };
        let objects = sample(SampleVersion::of_cluster(3), &images, true).unwrap();
        let deployment = find(&objects, "Deployment", "helloworld-v2");
        assert_eq!(deployment["spec"]["selector"]["matchLabels"], json!({"app": "helloworld", "version": "v2"}));
        assert_eq!(deployment["spec"]["template"]["metadata"]["labels"], json!({"app": "helloworld", "version": "v2"}));
        assert_eq!(deployment["spec"]["template"]["spec"]["containers"][0]["image"], "two");
        assert_eq!(find(&objects, "Deployment", "curl")["spec"]["template"]["spec"]["containers"][0]["image"], "client");
        assert_eq!(find(&objects, "PeerAuthentication", "default")["spec"]["mtls"]["mode"], "STRICT");
        let kinds = |ingress| {
            let objects = sample(SampleVersion::V1, &images, ingress).unwrap();
            ["Gateway", "VirtualService"].map(|kind| objects.iter().filter(|object| object.id().kind == kind).count())
        };
        assert_eq!((kinds(true), kinds(false)), ([1, 2], [0, 1]), "the service's own rules stay");
        assert_eq!(SampleVersion::of_cluster(4).other(), SampleVersion::V2);
    }
}
