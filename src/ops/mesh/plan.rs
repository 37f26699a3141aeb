//! What all clusters of a mesh have in common, decided before the first of them gets a part of it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::input::MeshInput;
use super::offline::Offline;
use crate::domain::fleet::Fleet;
use crate::domain::helm::Chart;
use crate::domain::istio::{self, Charts, Install, Member, Operator};
use crate::domain::mesh::MeshSpec;
use crate::domain::mesh::objects::SampleImages;
use crate::domain::mesh::spec::{DEFAULT_HUB, DEFAULT_ISTIO_VERSION, network_name};
use crate::domain::name::Role;
use crate::domain::pki::Root;
use crate::ops::context::{Kindmesh, Outcome, Scope};
use crate::ops::error::{Error, ErrorKind, Result};

/// Rendering takes milliseconds; charts that have to be fetched are given time for that.
const DEADLINE: Duration = Duration::from_secs(300);

/// What is wanted, with everything that the user's files say: read before anything is created.
pub(in crate::ops) struct Request {
    spec: MeshSpec,
    input: MeshInput,
    user: Value,
    /// Given by the user; checked and rendered once already.
    charts: Option<Charts>,
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
    /// Reads what the fleet asks for; `None` without a mesh.
    pub(in crate::ops) async fn read(km: &Kindmesh, fleet: &Fleet) -> Result<Option<Self>> {
        let Some(spec) = fleet.mesh.clone() else { return Ok(None) };
        if km.ca_store(&fleet.name).is_none() {
            return Err(Error::new(ErrorKind::Config, "a mesh needs a folder for its root certificate, and none is known")
                .hint("name one with --state-dir, or set HOME"));
        }
        let input = MeshInput::read(&spec, Timestamp::now()).await?;
        let operator: Option<Operator> = None;
        let files: Vec<Value> = input.values.iter().map(|(_, values)| Value::Object(values.clone())).collect();
        let user = istio::user_values(operator.as_ref(), &files, &Value::Object(spec.istio.values.clone()));
        Ok(Some(Self { spec, input, user, charts: None }))
    }
}

// === impl MeshPlan ===

impl MeshPlan {
    /// Finds charts and images, makes or loads the root, and renders everything for every cluster.
    pub(in crate::ops) async fn prepare(km: &Kindmesh, fleet: &Fleet, request: &Request, scope: &Scope) -> Result<Self> {
        const STEP: &str = "prepare mesh";
        scope
            .step(STEP, DEADLINE, async {
                let offline = match fleet.clusters.first() {
                    Some(first) => Some(Offline::read(km.engine.as_ref(), &first.name.node(Role::ControlPlane, 1)).await?),
                    None => None,
                };
                let charts = match (&request.charts, &offline) {
                    (Some(charts), _) => charts.clone(),
                    (None, Some(offline)) => charts(&offline.charts)?,
                    (None, None) => return Err(Error::new(ErrorKind::Config, "no charts")),
                };
                let now = Timestamp::now();
                let Some(store) = km.ca_store(&fleet.name) else {
                    return Err(Error::new(ErrorKind::Config, "there is no folder for the mesh's root certificate"));
                };
                let (root, new) = store.ensure(request.input.root.as_ref(), now)?;
                let hub = request
                    .spec
                    .istio
                    .hub
                    .clone()
                    .or(offline.as_ref().map(|offline| offline.hub.clone()))
                    .unwrap_or(DEFAULT_HUB.to_owned());
                let tag = request
                    .spec
                    .istio
                    .tag
                    .clone()
                    .or(offline.as_ref().map(|offline| offline.tag.clone()))
                    .unwrap_or(DEFAULT_ISTIO_VERSION.to_owned());
                let knobs = offline.as_ref().map(|offline| offline.values.clone()).unwrap_or_default();
                let mut installs = BTreeMap::new();
                for cluster in &fleet.clusters {
                    let member = Member {
                        cluster: cluster.name.to_string(),
                        network: network_name(&cluster.name),
                        mesh_id: request.spec.id.clone(),
                        hub: hub.clone(),
                        tag: tag.clone(),
                        ingress: request.spec.ingress_gateway,
                        egress: request.spec.egress_gateway,
                    };
                    let install = istio::install(&charts, &member, &knobs, &request.user)
                        .map_err(|error| Error::new(ErrorKind::Config, "Istio cannot be installed as described").because(error))?;
                    installs.insert(cluster.name.to_string(), install);
                }
                let images = offline.map(|offline| offline.images).unwrap_or_else(SampleImages::official);
                let sample = request.spec.verify || fleet.addons.sample;
                let plan = Self { root, images, sample, ingress: request.spec.ingress_gateway, installs };
                Ok(Outcome { value: plan, changed: new })
            })
            .await
    }

    /// The objects of a cluster.
    pub(super) fn install(&self, cluster: &str) -> Result<&Install> {
        self.installs.get(cluster).ok_or_else(|| Error::new(ErrorKind::Config, format!("cluster {cluster} is not part of the mesh")))
    }
}

fn charts(archives: &BTreeMap<String, Vec<u8>>) -> Result<Charts> {
    let chart = |name: &str| -> Result<Chart> {
        let archive = archives.get(&format!("{name}.tgz")).ok_or_else(|| Error::new(ErrorKind::Image, format!("no chart {name}")))?;
        let mut files = BTreeMap::new();
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive.as_slice()));
        let bad = |error: std::io::Error| Error::new(ErrorKind::Image, format!("chart {name}")).because(error);
        for entry in tar.entries().map_err(bad)? {
            let mut entry = entry.map_err(bad)?;
            let path = entry.path().map_err(bad)?.iter().skip(1).collect::<std::path::PathBuf>();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(bad)?;
            files.insert(path.display().to_string(), content);
        }
        Chart::from_files(files).map_err(|error| Error::new(ErrorKind::Image, format!("chart {name}")).because(error))
    };
    Charts::new(chart("base")?, chart("istiod")?, chart("gateway")?).map_err(|error| Error::new(ErrorKind::Image, "charts").because(error))
}
