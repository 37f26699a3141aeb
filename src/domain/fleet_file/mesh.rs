//! The `mesh` part of a fleet file: its shape, and what it builds. Doc comments here are what editors
//! show.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::at::{At, Places};
use crate::domain::fleet_builder::{MeshBuilder, Place};
use crate::domain::istio::Repository;

/// An Istio mesh over all clusters. Its presence turns it on.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Mesh")]
pub(super) struct MeshShape {
    /// Whether there is a mesh; false keeps these lines without making one. Default: true.
    pub(super) enabled: Option<bool>,
    /// Mesh id: letters, digits, '-', '_' and '.', at most 63. Default: mesh1.
    pub(super) id: Option<At<String>>,
    /// Which Istio, and how it is set up.
    pub(super) istio: Option<IstioShape>,
    /// Whether every cluster gets an ingress gateway. Default: true.
    pub(super) ingress_gateway: Option<bool>,
    /// Whether every cluster gets an egress gateway. Default: false.
    pub(super) egress_gateway: Option<bool>,
    /// Whether the sample is installed and the mesh proven with it at the end. Default: true.
    pub(super) verify: Option<bool>,
    /// A root certificate of one's own. Default: one is made for the fleet, and kept.
    #[serde(rename = "rootCA")]
    pub(super) root_ca: Option<RootCaShape>,
}

/// Which Istio, and how it is set up.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Istio")]
pub(super) struct IstioShape {
    /// Version, 1.30.0 or later. Default: that of the node image, else 1.31.1.
    pub(super) version: Option<At<String>>,
    /// Folder of the charts base, istiod and gateway, as folders or .tgz archives, or one .tgz or .tar.gz
    /// archive that has the three as folders, such as a release of Istio; seen from this file. Default: those of
    /// the node image, else a download.
    pub(super) charts: Option<At<String>>,
    /// Repositories that charts are downloaded from, https://HOST/PATH or oci://HOST/PATH, the first that has them;
    /// asked also when the node image carries charts. Default: Istio's own.
    pub(super) repositories: Option<Vec<At<String>>>,
    /// What downloaded charts must be.
    pub(super) digests: Option<DigestsShape>,
    /// Where the images come from. Default: the node image, else docker.io/istio.
    pub(super) hub: Option<At<String>>,
    /// Tag of the images. Default: the version.
    pub(super) tag: Option<At<String>>,
    /// Values for the istiod chart; they win over everything else.
    pub(super) values: Option<At<Map<String, Value>>>,
    /// Files of values for the istiod chart, seen from this file; the later wins.
    pub(super) values_files: Option<Vec<At<String>>>,
    /// File with an IstioOperator, seen from this file; all values win over it.
    pub(super) operator: Option<At<String>>,
}

/// What downloaded charts must be: SHA-256 of each archive, as sha256: and 64 hexadecimal digits. Default: what is known
/// of the version; a chart that nothing is known of is refused, and its digest told.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ChartDigests")]
pub(super) struct DigestsShape {
    /// Of the chart base.
    pub(super) base: Option<At<String>>,
    /// Of the chart istiod.
    pub(super) istiod: Option<At<String>>,
    /// Of the chart gateway.
    pub(super) gateway: Option<At<String>>,
}

/// A root certificate of one's own.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "RootCA")]
pub(super) struct RootCaShape {
    /// The certificate as PEM, seen from this file.
    pub(super) certificate: Option<At<String>>,
    /// Its private key as PEM without a password, seen from this file.
    pub(super) key: Option<At<String>>,
}

/// The builder for what a file says, and where it says it.
pub(super) fn builder(places: &mut Places, shape: &MeshShape) -> MeshBuilder {
    let mut builder = MeshBuilder::new();
    set!(places, builder, id, Place::Mesh("id"), shape.id);
    if let Some(wanted) = shape.ingress_gateway {
        builder = builder.ingress_gateway(wanted);
    }
    if let Some(wanted) = shape.egress_gateway {
        builder = builder.egress_gateway(wanted);
    }
    if let Some(wanted) = shape.verify {
        builder = builder.verify(wanted);
    }
    if let Some(root) = &shape.root_ca {
        set!(places, builder, root_certificate, Place::Mesh("rootCA.certificate"), root.certificate);
        set!(places, builder, root_key, Place::Mesh("rootCA.key"), root.key);
    }
    if let Some(istio) = &shape.istio {
        builder = istio_builder(places, istio, builder);
    }
    builder
}

fn istio_builder(places: &mut Places, shape: &IstioShape, mut builder: MeshBuilder) -> MeshBuilder {
    set!(places, builder, istio_version, Place::Mesh("istio.version"), shape.version);
    set!(places, builder, charts, Place::Mesh("istio.charts"), shape.charts);
    set!(places, builder, hub, Place::Mesh("istio.hub"), shape.hub);
    set!(places, builder, tag, Place::Mesh("istio.tag"), shape.tag);
    set!(places, builder, operator, Place::Mesh("istio.operator"), shape.operator);
    let repositories = shape.repositories.as_deref().unwrap_or_default();
    // All have one place, which is that of the first wrong one.
    let told = repositories.iter().find(|repository| repository.value().parse::<Repository>().is_err()).or(repositories.first());
    if let Some(told) = told {
        places.field_at(Place::Mesh("istio.repositories"), told.position());
    }
    builder = repositories.iter().fold(builder, |builder, repository| builder.repository(repository.value()));
    if let Some(digests) = &shape.digests {
        set!(places, builder, base_digest, Place::Mesh("istio.digests.base"), digests.base);
        set!(places, builder, istiod_digest, Place::Mesh("istio.digests.istiod"), digests.istiod);
        set!(places, builder, gateway_digest, Place::Mesh("istio.digests.gateway"), digests.gateway);
    }
    if let Some(values) = places.note(Place::Mesh("istio.values"), &shape.values) {
        builder = builder.values(Value::Object(values.clone()));
    }
    for file in shape.values_files.iter().flatten() {
        places.field_at(Place::Mesh("istio.valuesFiles"), file.position());
        builder = builder.values_file(file.value());
    }
    builder
}
