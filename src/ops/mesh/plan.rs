//! What all clusters of a mesh have in common, decided before the first of them gets a part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::ca;
use super::input::MeshInput;
use super::offline::Offline;
use super::trust;
use crate::domain::fleet::Fleet;
use crate::domain::istio::{self, Charts, Install, Member, Operator};
use crate::domain::mesh::objects::SampleImages;
use crate::domain::mesh::spec::{DEFAULT_HUB, DEFAULT_ISTIO_VERSION, network_name};
use crate::domain::mesh::{IstioSpec, MeshSpec};
use crate::domain::pki::Root;
use crate::ops::charts::{ChartSource, Download, LoadError, load};
use crate::ops::context::{Kindmesh, Outcome, Scope};
use crate::ops::error::{Error, ErrorKind, Result};
use crate::ops::image::NodeImage;
use crate::ops::inventory::Inventory;

/// Charts are 140 KiB; a slow line and several tries fit in.
const CHARTS_DEADLINE: Duration = Duration::from_secs(180);
/// Reading some files out of a node and rendering takes well under a second.
const PREPARE_DEADLINE: Duration = Duration::from_secs(60);
const STEP: &str = "prepare mesh";

/// What is wanted, and everything that follows from it, decided before anything is created.
pub(in crate::ops) struct Request {
    spec: MeshSpec,
    /// The user's values, all of them laid over each other.
    user: Value,
    /// The root the fleet has, or is to have; `None` when one must be made. The user's, until it is known
    /// which one the clusters trust.
    root: Option<Root>,
    /// Whether there are gateways to the outside and from the inside.
    ingress: bool,
    egress: bool,
    sample: bool,
    images: SampleImages,
    installs: BTreeMap<String, Install>,
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
    /// Reads what the fleet asks for, all files, charts and what the node image carries, renders every
    /// cluster's objects; `None` without a mesh. Nothing is created and nothing is kept, so whatever is wrong
    /// with any of it is told in time.
    pub(in crate::ops) async fn read(
        km: &Kindmesh,
        fleet: &Fleet,
        images: &BTreeMap<String, NodeImage>,
        scope: &Scope,
    ) -> Result<Option<Self>> {
        let Some(spec) = fleet.mesh.clone() else { return Ok(None) };
        km.ca_store(&fleet.name).await?.ok_or_else(ca::no_state)?;
        let now = Timestamp::now();
        let input = MeshInput::read(&spec, now).await?;
        let operator = match &input.operator {
            Some((file, text)) => {
                Some(Operator::parse(text, &file.display().to_string()).map_err(|error| Error::new(ErrorKind::Config, error.to_string()))?)
            }
            None => None,
        };
        for path in operator.iter().flat_map(Operator::ignored) {
            scope.note(STEP, format!("{path} of the IstioOperator file is passed over: the mesh decides it for every cluster"));
        }
        let files: Vec<Value> = input.values.iter().map(|(_, values)| Value::Object(values.clone())).collect();
        let user = istio::user_values(operator.as_ref(), &files, &Value::Object(spec.istio.values.clone()));
        if let Some(revision) = user.pointer("/revision").and_then(Value::as_str).filter(|revision| !matches!(*revision, "" | "default")) {
            return Err(Error::new(
                ErrorKind::Config,
                format!("Istio values: revision: {revision}: only the default revision is installed"),
            )
            .hint("leave `revision` out of the values and of the IstioOperator file"));
        }
        let carried = carried(images, &spec, &user);
        let (offline, charts) = tokio::try_join!(
            async {
                match carried {
                    Some(image) => Offline::read(&km.engine, &image.reference, fleet).await.map(Some),
                    None => Ok(None),
                }
            },
            async {
                let source = match (input.charts, carried) {
                    (Some(charts), _) => charts,
                    (None, Some(_)) if !spec.istio.asks_for_download() => return Ok(None),
                    (None, carried) => ChartSource::Download(download(km.cache_dir.as_ref(), &spec.istio, carried)?),
                };
                scope
                    .step("find Istio's charts", CHARTS_DEADLINE, async { load(&source).await.map(Outcome::unchanged).map_err(no_charts) })
                    .await
                    .map(Some)
            },
        )?;
        scope
            .step(STEP, PREPARE_DEADLINE, async {
                let charts = match (charts, &offline) {
                    (Some(charts), _) => charts,
                    (None, Some(offline)) => load(&ChartSource::Bytes(offline.charts.clone())).await.map_err(no_charts)?,
                    (None, None) => return Err(Error::new(ErrorKind::Config, "Istio's charts are neither given nor in the node image")),
                };
                same_version(&charts, &spec, carried)?;
                let mut request = Self {
                    ingress: operator.as_ref().and_then(Operator::ingress).unwrap_or(spec.ingress_gateway),
                    egress: operator.as_ref().and_then(Operator::egress).unwrap_or(spec.egress_gateway),
                    sample: spec.verify || fleet.addons.sample,
                    root: input.root,
                    images: SampleImages::official(),
                    installs: BTreeMap::new(),
                    spec,
                    user,
                };
                request.installs = request.render(fleet, &charts, offline.as_ref())?;
                if let Some(offline) = offline {
                    request.images = offline.images;
                }
                Ok(Outcome::unchanged(Some(request)))
            })
            .await
    }

    /// Looks which root the fleet has. Clusters that were found at rest must run by now; those of `finished`
    /// must say what they trust before a root is made.
    ///
    /// # Errors
    /// When clusters trust another root than the one that is stored or given, or one whose key is lost.
    pub(in crate::ops) async fn trust(mut self, km: &Kindmesh, fleet: &Fleet, finished: &BTreeSet<String>) -> Result<Self> {
        let store = km.ca_store(&fleet.name).await?.ok_or_else(ca::no_state)?;
        let inventory = Inventory::read(km.engine.as_ref()).await?;
        self.root = trust::look(km, &store, &fleet.name, self.root, (&inventory, finished), Timestamp::now()).await?;
        Ok(self)
    }

    /// Makes the root where there is none, and with it everything that clusters need. From now on the fleet
    /// has this root.
    pub(in crate::ops) async fn settle(self, km: &Kindmesh, fleet: &Fleet) -> Result<MeshPlan> {
        let (root, _) = km.mesh_root(&fleet.name, self.root.as_ref()).await?;
        Ok(MeshPlan { root, images: self.images, sample: self.sample, ingress: self.ingress, installs: self.installs })
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

/// The node image whose own Istio is to be used; `None` when the images carry none, or not the same, or
/// something else is asked for.
fn carried<'a>(images: &'a BTreeMap<String, NodeImage>, spec: &MeshSpec, user: &Value) -> Option<&'a NodeImage> {
    let first = images.values().next()?;
    let version = first.istio.as_ref()?;
    let asked = ["/global/hub", "/global/tag", "/hub", "/tag"].iter().any(|path| user.pointer(path).is_some());
    let others = asked || spec.istio.hub.is_some() || spec.istio.tag.is_some();
    let wanted = spec.istio.version.as_ref().is_none_or(|wanted| wanted.to_string() == *version);
    (!others && wanted && images.values().all(|image| image.istio.as_ref() == Some(version))).then_some(first)
}

/// Refuses charts of one version with images of another: they may differ in what they tell each other.
fn same_version(charts: &Charts, spec: &MeshSpec, carried: Option<&NodeImage>) -> Result<()> {
    // Charts out of Istio's sources do not say of which version they are.
    let Some(release) = charts.release() else { return Ok(()) };
    let wrong = |of: String| Err(Error::new(ErrorKind::Config, format!("the charts given are Istio {release}, {of}")));
    if let Some(version) = spec.istio.version.as_ref().map(ToString::to_string).filter(|version| version != release) {
        return wrong(format!("and {version} is asked for"))
            .map_err(|error: Error| error.hint("leave --istio-version out, or give its own charts"));
    }
    let minor = |version: &str| version.split('.').take(2).collect::<Vec<_>>().join(".");
    match carried.and_then(|image| image.istio.as_ref()) {
        Some(version) if minor(version) != minor(release) => {
            wrong(format!("and the node image's Istio is {version}")).map_err(|error: Error| {
                error.hint("name the images that fit the charts with `mesh.istio.hub` and `mesh.istio.tag` in the fleet file, or leave --istio-charts out")
            })
        }
        _ => Ok(()),
    }
}

/// The download of the version that is asked for, or that the images are of.
fn download(cache: Option<&PathBuf>, istio: &IstioSpec, carried: Option<&NodeImage>) -> Result<Download> {
    let version = match &istio.version {
        Some(version) => version.clone(),
        None => {
            let version = carried.and_then(|image| image.istio.as_deref()).unwrap_or(DEFAULT_ISTIO_VERSION);
            version.parse().map_err(|error| Error::new(ErrorKind::Config, format!("{error}")))?
        }
    };
    let Some(cache) = cache.cloned() else {
        return Err(Error::new(ErrorKind::Config, "Istio's charts have to be downloaded, and there is no folder to keep them in")
            .hint("name a folder or an archive that has them with --istio-charts, or set HOME"));
    };
    Ok(Download { version, repositories: istio.repositories.clone(), digests: istio.digests.clone(), cache })
}

fn no_charts(error: LoadError) -> Error {
    Error::new(ErrorKind::Config, "Istio's charts cannot be had")
        .because(error)
        .hint("name a folder or an archive that has base, istiod and gateway with --istio-charts")
        .hint("or use a node image that carries Istio: `kindmesh build node-image`")
}

// === impl MeshPlan ===

impl MeshPlan {
    /// The objects of a cluster.
    pub(super) fn install(&self, cluster: &str) -> Result<&Install> {
        self.installs.get(cluster).ok_or_else(|| Error::new(ErrorKind::Config, format!("cluster {cluster} is not part of the mesh")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::digest::Digest;

    fn asked(istio: &IstioSpec, carried: Option<&str>) -> Result<Download> {
        let image = carried.map(|istio| NodeImage { reference: "node".to_owned(), istio: Some(istio.to_owned()) });
        download(Some(&"cache".into()), istio, image.as_ref())
    }

    /// Whether a node image's own Envoy is used, and with it the values that it needs: they must go with no other.
    #[test]
    fn what_the_node_image_carries_is_used_only_for_itself() {
        let images = |carried: &[Option<&str>]| -> BTreeMap<String, NodeImage> {
            let image = |istio: &Option<&str>| NodeImage { reference: "node".to_owned(), istio: istio.map(str::to_owned) };
            carried.iter().enumerate().map(|(index, istio)| (format!("c{index}"), image(istio))).collect()
        };
        let (ours, other) = (Some("1.31.1"), Some("1.31.0"));
        let none = || IstioSpec::default();
        let hub = || IstioSpec { hub: Some("registry.example/istio".to_owned()), ..none() };
        let tag = || IstioSpec { tag: Some("1.31.1".to_owned()), ..none() };
        let version = |text: &str| IstioSpec { version: Some(text.parse().unwrap()), ..none() };
        let charts = || IstioSpec { charts: Some("charts".into()), ..none() };
        let cases = [
            ("plain", vec![ours], none(), json!({}), true),
            ("two of a kind", vec![ours, ours], none(), Value::Null, true),
            ("its own version", vec![ours], version("1.31.1"), json!({}), true),
            ("charts of one's own", vec![ours], charts(), json!({}), true),
            ("values about something else", vec![ours], none(), json!({"pilot": {"traceSampling": 100}, "global": {}}), true),
            ("no images", vec![], none(), json!({}), false),
            ("an image without Istio", vec![None], none(), json!({}), false),
            ("another version", vec![ours], version("1.31.0"), json!({}), false),
            ("a hub", vec![ours], hub(), json!({}), false),
            ("a tag, be it the same", vec![ours], tag(), json!({}), false),
            ("a hub for all in the values", vec![ours], none(), json!({"global": {"hub": "x"}}), false),
            ("a tag for all in the values", vec![ours], none(), json!({"global": {"tag": "x"}}), false),
            ("a hub in the values", vec![ours], none(), json!({"hub": "x"}), false),
            ("a tag in the values", vec![ours], none(), json!({"tag": "x"}), false),
            ("two versions", vec![ours, other], none(), json!({}), false),
            ("the second without", vec![ours, None], none(), json!({}), false),
            ("the first without", vec![None, ours], none(), json!({}), false),
        ];
        for (what, carries, istio, user, used) in cases {
            let spec = MeshSpec { istio, ..MeshSpec::default() };
            let images = images(&carries);
            assert_eq!(carried(&images, &spec, &user).is_some(), used, "{what}");
        }
    }

    #[test]
    fn a_download_is_what_the_description_asks_for() {
        let digest = Digest::of(b"gateway");
        let mut istio = IstioSpec { repositories: vec!["oci://registry.example/charts".parse().unwrap()], ..IstioSpec::default() };
        istio.digests.gateway = Some(digest.clone());
        assert!(istio.asks_for_download());
        let plain = asked(&istio, None).unwrap();
        assert_eq!((plain.version.to_string().as_str(), &plain.repositories), (DEFAULT_ISTIO_VERSION, &istio.repositories));
        assert_eq!((plain.digests.gateway, plain.digests.base, plain.cache), (Some(digest), None, "cache".into()));
        assert_eq!(asked(&istio, Some("1.30.4")).unwrap().version.to_string(), "1.30.4", "charts fit the images");
        istio.version = Some("1.32.0".parse().unwrap());
        assert_eq!(asked(&istio, Some("1.32.0")).unwrap().version.to_string(), "1.32.0");
        let nowhere = download(None, &istio, None).unwrap_err();
        assert!(nowhere.to_string().contains("no folder to keep them in"), "{nowhere}");
        istio.charts = Some("here".into());
        assert!(!istio.asks_for_download(), "charts that are there are stronger");
    }
}
