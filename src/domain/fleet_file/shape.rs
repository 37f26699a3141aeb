//! The shape of a fleet file, field by field. Doc comments here are what editors show.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::at::At;
use super::mesh::MeshShape;
use super::switch::{SwitchOr, present};
use crate::domain::fleet::{BootProfile, Privileges};

/// What a file says it is, whatever else is in it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head {
    pub(super) api_version: Option<At<String>>,
    pub(super) kind: Option<At<String>>,
}

/// A fleet of Kubernetes clusters on one network, made and removed together by kindmesh.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "kindmesh fleet")]
pub(super) struct FleetShape {
    /// Version of this format: `kindmesh.dev/v1alpha1`.
    #[schemars(required, extend("const" = super::API_VERSION))]
    pub(super) api_version: Option<At<String>>,
    /// What this file describes: `Fleet`.
    #[schemars(required, extend("const" = super::KIND))]
    pub(super) kind: Option<At<String>>,
    /// Name of the fleet: lower-case letters, digits and '-', at most 40. Default: kindmesh.
    pub(super) name: Option<At<String>>,
    /// The network. Without a subnet it is the one shared with kind's clusters.
    pub(super) network: Option<At<NetworkShape>>,
    /// Kubernetes version of clusters that name none, such as v1.34.4.
    pub(super) kubernetes_version: Option<At<String>>,
    /// Node image of clusters that name none.
    pub(super) image: Option<At<String>>,
    /// Number of nodes of clusters that name none: one control plane, the rest workers. Default: 1.
    #[schemars(range(min = 1))]
    pub(super) nodes: Option<At<u32>>,
    /// A number of clusters, or a list that describes each. Default: 2.
    pub(super) clusters: Option<At<ClustersShape>>,
    /// Beginning of the names of clusters that are only counted. Default: cluster.
    pub(super) cluster_prefix: Option<At<String>>,
    /// Addresses in the LoadBalancer pool of clusters that name no number. Default: 25.
    #[schemars(range(min = 4))]
    pub(super) pool_size: Option<At<u32>>,
    /// How much node containers may do. Default: auto.
    pub(super) privileges: Option<PrivilegesShape>,
    /// How clusters are bootstrapped: quickly, or exactly as kind does it. Default: fast.
    pub(super) profile: Option<ProfileShape>,
    /// What is installed into every cluster.
    pub(super) addons: Option<At<AddonsShape>>,
    /// An Istio mesh over all clusters: true or a mapping turns it on, false leaves it out. Default:
    /// no mesh.
    #[serde(default, deserialize_with = "present")]
    pub(super) mesh: Option<At<SwitchOr<MeshShape>>>,
    /// Deadlines, such as 90s or 5m.
    pub(super) timeouts: Option<TimeoutsShape>,
}

/// The network of a fleet.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Network")]
pub(super) struct NetworkShape {
    /// Name of the network. Default: kind, or the fleet's name when there is a subnet.
    pub(super) name: Option<At<String>>,
    /// IPv4 subnet of a network of the fleet's own, /8 to /28. Nodes get fixed addresses then.
    pub(super) subnet: Option<At<String>>,
    /// Part of the subnet that the engine hands out by itself; pools stay outside it.
    pub(super) ip_range: Option<At<String>>,
    /// Gateway. Default: the first address of the subnet.
    pub(super) gateway: Option<At<String>>,
    /// IPv6 subnet. Default: derived from the name, as kind does.
    pub(super) ipv6_subnet: Option<At<String>>,
    /// MTU in bytes. Default: that of the engine's default network.
    #[schemars(range(min = 1280, max = 65535))]
    pub(super) mtu: Option<At<u32>>,
}

/// A number of clusters, or a list that describes each.
pub(super) enum ClustersShape {
    Count(u32),
    List(Vec<At<ClusterShape>>),
    /// Neither, in words: refused by who knows where it stands.
    Wrong(String),
}

/// One cluster.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Cluster")]
pub(super) struct ClusterShape {
    /// Name: lower-case letters, digits and '-', at most 40.
    pub(super) name: At<String>,
    /// Number of nodes: one control plane, the rest workers.
    #[schemars(range(min = 1))]
    pub(super) nodes: Option<At<u32>>,
    /// How many of the nodes are control planes. Only 1 for now.
    #[schemars(range(min = 1, max = 1))]
    pub(super) control_planes: Option<At<u32>>,
    /// Subnet of pods; a /24 of it for each node. Default: a /16 of its own.
    pub(super) pod_subnet: Option<At<String>>,
    /// Subnet of services, /12 to /28. Default: a /20 of its own.
    pub(super) service_subnet: Option<At<String>>,
    /// Node image.
    pub(super) image: Option<At<String>>,
    /// Kubernetes version, such as v1.34.4.
    pub(super) kubernetes_version: Option<At<String>>,
    /// Addresses in the LoadBalancer pool.
    #[schemars(range(min = 4))]
    pub(super) pool_size: Option<At<u32>>,
    /// Address on the engine's host that the API server is published on. Default: 127.0.0.1.
    pub(super) api_server_address: Option<At<String>>,
    /// Port on the engine's host that the API server is published on. Default: a free one.
    #[schemars(range(min = 1))]
    pub(super) api_server_port: Option<At<u16>>,
}

/// How much node containers may do.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Privileges")]
pub(super) enum PrivilegesShape {
    /// Privileged where the engine can, reduced where it cannot.
    Auto,
    /// Privileged, as kind runs its nodes.
    Privileged,
    /// Every capability the host has, nothing else.
    Reduced,
}

/// How clusters are bootstrapped.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Profile")]
pub(super) enum ProfileShape {
    /// As quickly as it goes.
    Fast,
    /// As kind does it.
    Kind,
}

/// What is installed into every cluster.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Addons")]
pub(super) struct AddonsShape {
    /// MetalLB: false leaves it out, a mapping changes how it is installed. Default: true.
    pub(super) metallb: Option<At<SwitchOr<MetalLbSettings>>>,
    /// Whether the echo sample is installed. Default: false.
    pub(super) sample: Option<At<bool>>,
}

/// How MetalLB is installed.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "MetalLB")]
pub(super) struct MetalLbSettings {
    /// Path, seen from this file, or URL of another manifest in place of the built-in one.
    pub(super) manifest: Option<At<String>>,
    /// SHA-256 of that manifest, as sha256: and 64 hexadecimal digits. One from a URL has to have it.
    pub(super) manifest_digest: Option<At<String>>,
    /// Controller image in place of the pinned one.
    pub(super) controller_image: Option<At<String>>,
    /// Speaker image in place of the pinned one.
    pub(super) speaker_image: Option<At<String>>,
}

/// Deadlines, such as 90s or 5m.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Timeouts")]
pub(super) struct TimeoutsShape {
    /// From a node container's start to a working container runtime in it. Default: 60s.
    pub(super) node_boot: Option<At<String>>,
    /// From bootstrap to every node Ready and every system pod running. Default: 5m.
    pub(super) cluster_ready: Option<At<String>>,
    /// For each add-on, from apply to working. Default: 3m.
    pub(super) addon_ready: Option<At<String>>,
    /// For the mesh, from its first object to every control plane seeing the others. Default: 5m.
    pub(super) mesh_ready: Option<At<String>>,
}

struct ClustersVisitor;

/// The schema of the whole file.
pub(super) fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(FleetShape).to_value();
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("required".to_owned(), serde_json::json!(["apiVersion", "kind"]));
    }
    schema
}

fn wrong_clusters(found: &dyn fmt::Debug) -> ClustersShape {
    ClustersShape::Wrong(format!("{found:?} is neither a number of clusters nor a list of clusters"))
}

// === impl ProfileShape ===

impl From<ProfileShape> for BootProfile {
    fn from(shape: ProfileShape) -> Self {
        match shape {
            ProfileShape::Fast => BootProfile::Fast,
            ProfileShape::Kind => BootProfile::Kind,
        }
    }
}

// === impl PrivilegesShape ===

impl From<PrivilegesShape> for Privileges {
    fn from(shape: PrivilegesShape) -> Self {
        match shape {
            PrivilegesShape::Auto => Privileges::Auto,
            PrivilegesShape::Privileged => Privileges::Privileged,
            PrivilegesShape::Reduced => Privileges::Reduced,
        }
    }
}

// === impl ClustersShape ===

// By hand: what serde derives for "either" forgets where things stand.
impl<'de> Deserialize<'de> for ClustersShape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ClustersVisitor)
    }
}

impl<'de> Visitor<'de> for ClustersVisitor {
    type Value = ClustersShape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of clusters or a list of clusters")
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<ClustersShape, E> {
        Ok(u32::try_from(count).map_or_else(|_| wrong_clusters(&count), ClustersShape::Count))
    }

    fn visit_i64<E: de::Error>(self, count: i64) -> Result<ClustersShape, E> {
        Ok(u32::try_from(count).map_or_else(|_| wrong_clusters(&count), ClustersShape::Count))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<ClustersShape, E> {
        Ok(wrong_clusters(&number))
    }

    fn visit_bool<E: de::Error>(self, on: bool) -> Result<ClustersShape, E> {
        Ok(wrong_clusters(&on))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ClustersShape, E> {
        Ok(wrong_clusters(&text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ClustersShape, A::Error> {
        let mut clusters = Vec::new();
        while let Some(cluster) = list.next_element()? {
            clusters.push(cluster);
        }
        Ok(ClustersShape::List(clusters))
    }
}

impl JsonSchema for ClustersShape {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Clusters".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let cluster = generator.subschema_for::<ClusterShape>();
        json_schema!({"oneOf": [{"type": "integer", "minimum": 1}, {"type": "array", "minItems": 1, "items": cluster}]})
    }
}
