//! What the user wants of the mesh: plain data, files named and not read.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::digest::Digest;
use crate::domain::istio::{PerChart, Repository};
use crate::domain::name::ClusterName;
use crate::domain::version::IstioVersion;

/// Mesh id unless told otherwise; the name that Istio's multi-cluster guides use.
pub const DEFAULT_MESH_ID: &str = "mesh1";
/// Istio unless told otherwise: the newest release of the 1.31 line when this was written, as its
/// download page lists it.
pub const DEFAULT_ISTIO_VERSION: &str = "1.31.1";
/// Where Istio's images come from unless told otherwise. From 1.31 on they are published there alone,
/// as that release's notes say.
pub const DEFAULT_HUB: &str = "docker.io/istio";
/// Oldest minor of Istio 1 whose charts and behaviour this program knows.
pub const OLDEST_ISTIO_MINOR: u32 = 30;
/// Namespace of control plane and gateways; Istio's own default.
pub const SYSTEM_NAMESPACE: &str = "istio-system";
/// Longest mesh id: it becomes the value of a Kubernetes label.
pub const MAX_MESH_ID: usize = 63;

/// A mesh over all clusters of a fleet: one Istio control plane in each, every cluster a network of
/// its own, one root of trust. Validated when it comes out of a
/// [`FleetBuilder`](crate::domain::fleet_builder::FleetBuilder).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MeshSpec {
    /// Mesh id, the same in every cluster; a Kubernetes label value.
    pub id: String,
    /// Which Istio, and how it is set up.
    pub istio: IstioSpec,
    /// Whether every cluster gets an ingress gateway with an address of its pool.
    pub ingress_gateway: bool,
    /// Whether every cluster gets an egress gateway with an address of its pool.
    pub egress_gateway: bool,
    /// Whether `up` installs the sample and ends by proving the mesh with it.
    pub verify: bool,
    #[serde(rename = "rootCA")]
    /// A root certificate of one's own; `None` makes one for the fleet and keeps it.
    pub root_ca: Option<RootCaFiles>,
}

/// Which Istio, and how it is set up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IstioSpec {
    /// Version; `None` means what the node images carry, else [`DEFAULT_ISTIO_VERSION`].
    pub version: Option<IstioVersion>,
    /// Folder of the charts base, istiod and gateway, as folders or as `.tgz` archives, or one `.tgz` or `.tar.gz`
    /// archive with the three as folders anywhere in it, such as a release of Istio; `None` means those that the node
    /// images carry, else the cache, else a download.
    pub charts: Option<PathBuf>,
    /// Repositories that charts are downloaded from, asked one after the other; empty means Istio's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<Repository>,
    /// What the archives of downloaded charts must be; one without it is used only when its digest is known beforehand.
    #[serde(default, skip_serializing_if = "PerChart::is_none")]
    pub digests: PerChart<Option<Digest>>,
    /// Where the images come from; `None` means what the node images carry, else [`DEFAULT_HUB`].
    pub hub: Option<String>,
    /// Tag of the images; `None` means the version.
    pub tag: Option<String>,
    /// Values for the istiod chart; stronger than those of [`IstioSpec::values_files`].
    pub values: Map<String, Value>,
    /// Files of values for the istiod chart; the later is stronger.
    pub values_files: Vec<PathBuf>,
    /// A file with an `IstioOperator`; weaker than all values.
    pub operator: Option<PathBuf>,
}

/// Files of a root certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RootCaFiles {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM, without a password.
    pub key: PathBuf,
}

/// The name of a cluster's network within the mesh: `network-<cluster>`.
///
/// ```
/// use kindmesh::domain::mesh::spec::network_name;
/// assert_eq!(network_name(&"east".parse()?), "network-east");
/// # Ok::<(), kindmesh::domain::name::NameError>(())
/// ```
pub fn network_name(cluster: &ClusterName) -> String {
    format!("network-{cluster}")
}

/// Whether a text can be a mesh id: 1 to [`MAX_MESH_ID`] letters, digits, `-`, `_` and `.`, a letter or
/// a digit at both ends, as Kubernetes wants the values of labels.
pub fn is_mesh_id(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= MAX_MESH_ID && bytes.iter().all(|byte| inner(*byte)) && edge(bytes.first()) && edge(bytes.last())
}

// === impl IstioSpec ===

impl IstioSpec {
    /// Whether it says how charts are downloaded, which asks for a download also where the node images carry charts.
    pub fn asks_for_download(&self) -> bool {
        self.charts.is_none() && !(self.repositories.is_empty() && self.digests.is_none())
    }
}

// === impl MeshSpec ===

impl Default for MeshSpec {
    fn default() -> Self {
        Self {
            id: DEFAULT_MESH_ID.to_owned(),
            istio: IstioSpec::default(),
            ingress_gateway: true,
            egress_gateway: false,
            verify: true,
            root_ca: None,
        }
    }
}

impl MeshSpec {
    /// Makes relative paths relative to a folder, the fleet file's. Absolute ones stay.
    pub fn resolve(&mut self, folder: &Path) {
        for path in self.paths() {
            *path = folder.join(&*path);
        }
    }

    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let istio = self.istio.charts.iter_mut().chain(&mut self.istio.values_files).chain(&mut self.istio.operator);
        let root = self.root_ca.iter_mut().flat_map(|files| [&mut files.certificate, &mut files.key]);
        istio.chain(root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mesh_ids_are_label_values() {
        for id in ["mesh1", "a", "A.b_c-9", &"x".repeat(MAX_MESH_ID)] {
            assert!(is_mesh_id(id), "{id}");
        }
        for id in ["", "-a", "a-", ".", "a b", "ä", "a/b", &"x".repeat(MAX_MESH_ID + 1)] {
            assert!(!is_mesh_id(id), "{id}");
        }
    }

    #[test]
    fn every_path_is_resolved_and_absolute_ones_stay() {
        let mut mesh = MeshSpec {
            istio: IstioSpec {
                charts: Some("charts".into()),
                values_files: vec!["a.yaml".into(), "/b.yaml".into()],
                operator: Some("../o.yaml".into()),
                ..IstioSpec::default()
            },
            root_ca: Some(RootCaFiles { certificate: "ca.pem".into(), key: "/k.pem".into() }),
            ..MeshSpec::default()
        };
        mesh.resolve(Path::new("/fleets"));
        let found: Vec<String> = mesh.paths().map(|path| path.display().to_string()).collect();
        assert_eq!(found, ["/fleets/charts", "/fleets/a.yaml", "/b.yaml", "/fleets/../o.yaml", "/fleets/ca.pem", "/k.pem"]);
    }
}
