//! What all clusters of a mesh have in common, decided before the first of them gets a part of it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::input::MeshInput;
use super::offline::Offline;
use crate::domain::fleet::Fleet;
use crate::domain::istio::{self, Charts, Install, Member, Operator};
use crate::domain::mesh::MeshSpec;
use crate::domain::mesh::objects::SampleImages;
use crate::domain::mesh::spec::{DEFAULT_HUB, DEFAULT_ISTIO_VERSION, network_name};
use crate::domain::name::Role;
use crate::domain::pki::Root;
use crate::ops::charts::{ChartSource, Download, LoadError, PerChart, load};
use crate::ops::context::{Kindmesh, Outcome, Scope};
use crate::ops::error::{Error, ErrorKind, Result};
use crate::ops::image::NodeImage;

/// Charts are 140 KiB; a slow line and several tries fit in.
const CHARTS_DEADLINE: Duration = Duration::from_secs(180);
/// Reading some files out of a node and rendering takes well under a second.
const PREPARE_DEADLINE: Duration = Duration::from_secs(60);

/// What is wanted, with everything that the user's files say: read before anything is created.
pub(in crate::ops) struct Request {
    spec: MeshSpec,
    /// The user's values, all of them laid over each other.
    user: Value,
    /// The user's own root.
    root: Option<Root>,
    /// Whether there are gateways to the outside and from the inside.
    ingress: bool,
    egress: bool,
    sample: bool,
    /// `None` while they are still in the node image.
    charts: Option<Charts>,
    /// Whether the nodes' own images are used.
    offline: bool,
}

/// What all clusters of a mesh have in common.
pub(in crate::ops) struct MeshPlan {
    /// The root of trust.
    pub(super) root: Root,
    /// Images of the sample.
    pub(super) images: SampleImages,
    /// Whether the sample is installed.
    pub(super) sample: bool,
    /// Whether there are ingress gateways.
    pub(super) ingress: bool,
    /// Objects of every cluster, by its name.
    installs: BTreeMap<String, Install>,
}

// === impl Request ===

impl Request {
    /// Reads what the fleet asks for; `None` without a mesh. Nothing is created yet, so whatever is wrong
    /// with files, values and charts of the user's is found before anything is.
    pub(in crate::ops) async fn read(
        km: &Kindmesh,
        fleet: &Fleet,
        images: &BTreeMap<String, NodeImage>,
        scope: &Scope,
    ) -> Result<Option<Self>> {
        let Some(spec) = fleet.mesh.clone() else { return Ok(None) };
        if km.ca_store(&fleet.name).is_none() {
            return Err(Error::new(ErrorKind::Config, "a mesh needs a folder for its root certificate, and none is known")
                .hint("name one with --state-dir, or set HOME"));
        }
        let input = MeshInput::read(&spec, Timestamp::now()).await?;
        let operator = match &input.operator {
            Some((file, text)) => {
                Some(Operator::parse(text, &file.display().to_string()).map_err(|error| Error::new(ErrorKind::Config, error.to_string()))?)
            }
            None => None,
        };
        for path in operator.iter().flat_map(Operator::ignored) {
            scope.note("prepare mesh", format!("{path} of the IstioOperator file is passed over: the mesh decides it for every cluster"));
        }
        let files: Vec<Value> = input.values.iter().map(|(_, values)| Value::Object(values.clone())).collect();
        let user = istio::user_values(operator.as_ref(), &files, &Value::Object(spec.istio.values.clone()));
        let carried = carried(images);
        let version = spec.istio.version.as_ref().map(ToString::to_string);
        let asked = ["/global/hub", "/global/tag", "/hub", "/tag"].iter().any(|path| user.pointer(path).is_some());
        let other_images = asked || spec.istio.hub.is_some() || spec.istio.tag.is_some();
        let offline = carried.is_some() && !other_images && (version.is_none() || version == carried);
        if let Some(revision) = user.pointer("/revision").and_then(Value::as_str).filter(|revision| !matches!(*revision, "" | "default")) {
            return Err(Error::new(
                ErrorKind::Config,
                format!("Istio values: revision: {revision}: only the default revision is installed"),
            )
            .hint("leave `revision` out of the values and of the IstioOperator file"));
        }
        let mut request = Self {
            ingress: operator.as_ref().and_then(Operator::ingress).unwrap_or(spec.ingress_gateway),
            egress: operator.as_ref().and_then(Operator::egress).unwrap_or(spec.egress_gateway),
            sample: spec.verify || fleet.addons.sample,
            root: input.root,
            charts: None,
            spec,
            user,
            offline,
        };
        let source = match (input.charts, offline) {
            (Some(folder), _) => Some(ChartSource::Folder(folder)),
            (None, true) => None,
            (None, false) => Some(download(km, &request.spec)?),
        };
        if let Some(source) = source {
            let charts = scope
                .step("find Istio's charts", CHARTS_DEADLINE, async { load(&source).await.map(Outcome::unchanged).map_err(no_charts) })
                .await?;
            // Values that no chart takes are told now; what the node image adds to them is ours.
            request.render(fleet, &charts, None)?;
            request.charts = Some(charts);
        }
        Ok(Some(request))
    }

    /// Everything for every cluster.
    fn render(&self, fleet: &Fleet, charts: &Charts, offline: Option<&Offline>) -> Result<BTreeMap<String, Install>> {
        let (hub, tag) = self.images(charts, offline);
        let knobs = offline.map_or(Value::Null, |offline| offline.values.clone());
        let each = fleet.clusters.iter().map(|cluster| {
            let member = Member {
                cluster: cluster.name.to_string(),
                network: network_name(&cluster.name),
                mesh_id: self.spec.id.clone(),
                hub: hub.clone(),
                tag: tag.clone(),
                ingress: self.ingress,
                egress: self.egress,
            };
            let install = istio::install(charts, &member, &knobs, &self.user).map_err(|error| {
                Error::new(ErrorKind::Config, format!("Istio for cluster {} cannot be made of these charts and values", cluster.name))
                    .because(error)
            })?;
            Ok((cluster.name.to_string(), install))
        });
        each.collect()
    }

    /// Where the images come from, and their tag.
    fn images(&self, charts: &Charts, offline: Option<&Offline>) -> (String, String) {
        let asked = &self.spec.istio;
        let version = || asked.version.as_ref().map(ToString::to_string).or_else(|| charts.release().map(str::to_owned));
        match offline {
            Some(offline) => (offline.hub.clone(), offline.tag.clone()),
            None => (
                asked.hub.clone().unwrap_or_else(|| DEFAULT_HUB.to_owned()),
                asked.tag.clone().or_else(version).unwrap_or_else(|| DEFAULT_ISTIO_VERSION.to_owned()),
            ),
        }
    }
}

/// Version of the Istio that all node images carry; `None` when one of them carries another or none.
fn carried(images: &BTreeMap<String, NodeImage>) -> Option<String> {
    let mut versions = images.values().map(|image| image.istio.clone());
    let first = versions.next()??;
    versions.all(|version| version.as_ref() == Some(&first)).then_some(first)
}

fn download(km: &Kindmesh, spec: &MeshSpec) -> Result<ChartSource> {
    let version = match &spec.istio.version {
        Some(version) => version.clone(),
        None => DEFAULT_ISTIO_VERSION.parse().map_err(|error| Error::new(ErrorKind::Config, format!("{error}")))?,
    };
    let Some(cache) = km.cache_dir.clone() else {
        return Err(Error::new(ErrorKind::Config, "Istio's charts have to be downloaded, and there is no folder to keep them in")
            .hint("name a folder that has them with --istio-charts, or set HOME"));
    };
    Ok(ChartSource::Download(Download { version, repositories: Vec::new(), digests: PerChart::default(), cache }))
}

fn no_charts(error: LoadError) -> Error {
    Error::new(ErrorKind::Config, "Istio's charts cannot be had")
        .because(error)
        .hint("name a folder that has base, istiod and gateway with --istio-charts")
        .hint("or use a node image that carries Istio: `kindmesh build node-image`")
}

// === impl MeshPlan ===

impl MeshPlan {
    /// Makes or loads the root, and renders everything for every cluster. The containers of the first
    /// control planes are there by now: what a node image carries is read out of one.
    pub(in crate::ops) async fn prepare(km: &Kindmesh, fleet: &Fleet, request: &Request, scope: &Scope) -> Result<Self> {
        scope
            .step("prepare mesh", PREPARE_DEADLINE, async {
                let node = fleet.clusters.first().map(|first| first.name.node(Role::ControlPlane, 1));
                let offline = match node.filter(|_| request.offline) {
                    Some(node) => Some(Offline::read(km.engine.as_ref(), &node).await?),
                    None => None,
                };
                let charts = match (&request.charts, &offline) {
                    (Some(charts), _) => charts.clone(),
                    (None, Some(offline)) => load(&ChartSource::Bytes(offline.charts.clone())).await.map_err(no_charts)?,
                    (None, None) => return Err(Error::new(ErrorKind::Config, "Istio's charts are neither given nor in the node image")),
                };
                let installs = request.render(fleet, &charts, offline.as_ref())?;
                let (root, new) = km.mesh_root(&fleet.name, request.root.as_ref())?;
                let images = offline.map_or_else(SampleImages::official, |offline| offline.images);
                let plan = Self { root, images, sample: request.sample, ingress: request.ingress, installs };
                Ok(Outcome { value: plan, changed: new })
            })
            .await
    }

    /// The objects of a cluster.
    pub(super) fn install(&self, cluster: &str) -> Result<&Install> {
        self.installs.get(cluster).ok_or_else(|| Error::new(ErrorKind::Config, format!("cluster {cluster} is not part of the mesh")))
    }
}
