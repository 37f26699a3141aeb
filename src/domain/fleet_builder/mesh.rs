//! The mesh part of the description.

use std::path::PathBuf;

use serde_json::Value;

use super::{FleetError, Place, Problem};
use crate::domain::digest::Digest;
use crate::domain::image::ImageRef;
use crate::domain::istio::{PerChart, Repository};
use crate::domain::mesh::spec::{DEFAULT_MESH_ID, IstioSpec, MeshSpec, OLDEST_ISTIO_MINOR, RootCaFiles, is_mesh_id};
use crate::domain::version::IstioVersion;

const REPOSITORIES: &str = "istio.repositories";
const DIGESTS: PerChart<&str> = PerChart { base: "istio.digests.base", istiod: "istio.digests.istiod", gateway: "istio.digests.gateway" };

/// Builds the mesh of a fleet; what is not said gets its default.
///
/// ```
/// use kindmesh::domain::fleet::Fleet;
/// use kindmesh::domain::fleet_builder::MeshBuilder;
///
/// let fleet = Fleet::builder("demo").mesh(MeshBuilder::new().istio_version("1.31.1").egress_gateway(true)).build()?;
/// assert!(fleet.mesh.is_some_and(|mesh| mesh.ingress_gateway && mesh.egress_gateway));
/// # Ok::<(), kindmesh::domain::fleet_builder::FleetError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct MeshBuilder {
    id: Option<String>,
    version: Option<String>,
    charts: Option<PathBuf>,
    repositories: Vec<String>,
    digests: PerChart<Option<String>>,
    hub: Option<String>,
    tag: Option<String>,
    values: Option<Value>,
    values_files: Vec<PathBuf>,
    operator: Option<PathBuf>,
    ingress_gateway: Option<bool>,
    egress_gateway: Option<bool>,
    verify: Option<bool>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// Checks it and fills in the defaults.
pub(super) fn spec(builder: MeshBuilder) -> Result<MeshSpec, FleetError> {
    let fail = |field, problem| Err(FleetError { place: Place::Mesh(field), problem });
    let id = builder.id.clone().unwrap_or_else(|| DEFAULT_MESH_ID.to_owned());
    if !is_mesh_id(&id) {
        return fail("id", Problem::MeshId { id });
    }
    let version = match &builder.version {
        None => None,
        Some(text) => {
            let place = Place::Mesh("istio.version");
            let version: IstioVersion = text.parse().map_err(|error| FleetError { place, problem: Problem::Version(error) })?;
            if !version.at_least(1, OLDEST_ISTIO_MINOR) {
                return fail("istio.version", Problem::IstioTooOld { version, minimum: OLDEST_ISTIO_MINOR });
            }
            Some(version)
        }
    };
    // What a hub is made for: names of images in it. A tag of its own would end up within them.
    if let Some(hub) = &builder.hub
        && format!("{hub}/pilot").parse::<ImageRef>().is_err()
    {
        return fail("istio.hub", Problem::Syntax { text: hub.clone(), what: "place of images, such as docker.io/istio" });
    }
    if let Some(tag) = &builder.tag
        && !format!("pilot:{tag}").parse::<ImageRef>().is_ok_and(|image| image.tag() == Some(tag) && image.digest().is_none())
    {
        return fail("istio.tag", Problem::Syntax { text: tag.clone(), what: "tag of an image, such as 1.31.1 or 1.31.1-distroless" });
    }
    let (repositories, digests) = downloads(&builder)?;
    let values = match builder.values {
        None => serde_json::Map::new(),
        Some(Value::Object(values)) => values,
        Some(other) => return fail("istio.values", Problem::Syntax { text: other.to_string(), what: "mapping of Helm values" }),
    };
    let root_ca = match (builder.certificate, builder.key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(RootCaFiles { certificate, key }),
        (Some(_), None) => return fail("rootCA.certificate", Problem::Alone { other: "rootCA.key" }),
        (None, Some(_)) => return fail("rootCA.key", Problem::Alone { other: "rootCA.certificate" }),
    };
    let spec = MeshSpec {
        id,
        istio: IstioSpec {
            version,
            charts: builder.charts,
            repositories,
            digests,
            hub: builder.hub,
            tag: builder.tag,
            values,
            values_files: builder.values_files,
            operator: builder.operator,
        },
        ingress_gateway: builder.ingress_gateway.unwrap_or(true),
        egress_gateway: builder.egress_gateway.unwrap_or(false),
        verify: builder.verify.unwrap_or(true),
        root_ca,
    };
    paths(&spec)?;
    Ok(spec)
}

/// How charts are downloaded; beside charts that are there it would be passed over in silence.
fn downloads(builder: &MeshBuilder) -> Result<(Vec<Repository>, PerChart<Option<Digest>>), FleetError> {
    let at = |field: &'static str| move |problem: Problem| FleetError { place: Place::Mesh(field), problem };
    let digests = PerChart::<()>::NAMES.into_iter().filter(|chart| builder.digests.get(chart).is_some()).map(|chart| *DIGESTS.get(chart));
    let mut given = (!builder.repositories.is_empty()).then_some(REPOSITORIES).into_iter().chain(digests);
    if let (Some(_), Some(field)) = (&builder.charts, given.next()) {
        return Err(at(field)(Problem::InVain { other: "istio.charts" }));
    }
    let repository = |text: &String| text.parse().map_err(Problem::Repository).map_err(at(REPOSITORIES));
    let repositories = builder.repositories.iter().map(repository).collect::<Result<_, _>>()?;
    let digests = PerChart::each(|chart| {
        let digest = builder.digests.get(chart).as_ref();
        digest.map(|text| text.parse().map_err(Problem::Digest).map_err(at(DIGESTS.get(chart)))).transpose()
    })?;
    Ok((repositories, digests))
}

/// An empty path would be the fleet file's folder.
fn paths(spec: &MeshSpec) -> Result<(), FleetError> {
    let istio = &spec.istio;
    let root = spec.root_ca.iter().flat_map(|files| [("rootCA.certificate", &files.certificate), ("rootCA.key", &files.key)]);
    let named = istio.charts.iter().map(|path| ("istio.charts", path));
    let named = named.chain(istio.values_files.iter().map(|path| ("istio.valuesFiles", path)));
    let mut named = named.chain(istio.operator.iter().map(|path| ("istio.operator", path))).chain(root);
    match named.find(|(_, path)| path.as_os_str().is_empty()) {
        None => Ok(()),
        Some((field, _)) => Err(FleetError { place: Place::Mesh(field), problem: Problem::EmptyPath }),
    }
}

// === impl MeshBuilder ===

impl MeshBuilder {
    /// A mesh with nothing but defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Mesh id: a Kubernetes label value.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Istio's version (`1.31.1`), 1.30.0 or later.
    pub fn istio_version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Folder of the charts base, istiod and gateway, as folders or `.tgz` archives, or one `.tgz` or `.tar.gz` archive
    /// with the three as folders anywhere in it.
    pub fn charts(mut self, path: impl Into<PathBuf>) -> Self {
        self.charts = Some(path.into());
        self
    }

    /// One more repository that charts are downloaded from (`https://HOST/PATH`, `oci://HOST/PATH`), asked when those
    /// before it do not have them; Istio's own when there is none.
    pub fn repository(mut self, repository: impl Into<String>) -> Self {
        self.repositories.push(repository.into());
        self
    }

    /// SHA-256 (`sha256:…`) that the downloaded archive of the chart base must have; without it the chart is downloaded only
    /// in versions whose digest is known beforehand.
    pub fn base_digest(mut self, digest: impl Into<String>) -> Self {
        self.digests.base = Some(digest.into());
        self
    }

    /// As [`MeshBuilder::base_digest`], of the chart istiod.
    pub fn istiod_digest(mut self, digest: impl Into<String>) -> Self {
        self.digests.istiod = Some(digest.into());
        self
    }

    /// As [`MeshBuilder::base_digest`], of the chart gateway.
    pub fn gateway_digest(mut self, digest: impl Into<String>) -> Self {
        self.digests.gateway = Some(digest.into());
        self
    }

    /// Where the images come from (`docker.io/istio`).
    pub fn hub(mut self, hub: impl Into<String>) -> Self {
        self.hub = Some(hub.into());
        self
    }

    /// Tag of the images.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// Values for the istiod chart, a JSON object; they win over ours.
    pub fn values(mut self, values: Value) -> Self {
        self.values = Some(values);
        self
    }

    /// One more file of values for the istiod chart; stronger than those before it, weaker than
    /// [`MeshBuilder::values`].
    pub fn values_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.values_files.push(file.into());
        self
    }

    /// A file with an `IstioOperator`.
    pub fn operator(mut self, file: impl Into<PathBuf>) -> Self {
        self.operator = Some(file.into());
        self
    }

    /// Whether clusters get an ingress gateway; they do unless told otherwise.
    pub fn ingress_gateway(mut self, wanted: bool) -> Self {
        self.ingress_gateway = Some(wanted);
        self
    }

    /// Whether `up` installs the sample and ends by proving the mesh with it; the default.
    pub fn verify(mut self, wanted: bool) -> Self {
        self.verify = Some(wanted);
        self
    }

    /// Whether clusters get an egress gateway; they do not unless told otherwise.
    pub fn egress_gateway(mut self, wanted: bool) -> Self {
        self.egress_gateway = Some(wanted);
        self
    }

    /// A root certificate of one's own, PEM; goes with [`MeshBuilder::root_key`].
    pub fn root_certificate(mut self, file: impl Into<PathBuf>) -> Self {
        self.certificate = Some(file.into());
        self
    }

    /// Key of the root certificate of one's own, PEM.
    pub fn root_key(mut self, file: impl Into<PathBuf>) -> Self {
        self.key = Some(file.into());
        self
    }
}
