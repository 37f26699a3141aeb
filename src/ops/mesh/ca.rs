//! The certificates of a running mesh: given to clusters, shown, and replaced.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jiff::Timestamp;

use super::ca_report::{CaReport, ClusterCa, Rotation};
use super::ca_store::CaStore;
use super::members;
use crate::domain::mesh::spec::SYSTEM_NAMESPACE;
use crate::domain::name::{ClusterName, FleetName};
use crate::domain::pki::{CaBundle, CertificateSummary, PkiError, Root, Verdict};
use crate::k8s::{ApiServer, Deadline, Observer, cacerts};
use crate::ops::api_server;
use crate::ops::context::{Kindmesh, Outcome};
use crate::ops::error::{Error, ErrorKind, Result, all_or_first};
use crate::ops::install::failed;
use crate::ops::lock;

/// An API server that does not answer in this time is shown as not answering.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// A kubelet that misses the hint looks after a minute or two, and istiod takes a moment more.
const ROTATE_DEADLINE: Duration = Duration::from_secs(240);

/// What a cluster's istiod is to sign with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// The bundle.
    pub bundle: CaBundle,
    /// Why it is a new one; `None` when the cluster has it already.
    pub new: Option<String>,
    /// Whether the new one takes the place of another.
    pub replaces: bool,
}

/// Decides what a cluster signs with: what it has, while that serves, or a new intermediate. Nothing is
/// changed yet.
///
/// # Errors
/// When the cluster belongs to another root, or its istiod has made one for itself: a running mesh
/// cannot change its root.
pub async fn signing(server: &ApiServer, root: &Root, fleet: &FleetName, cluster: &ClusterName, now: Timestamp) -> Result<Signing> {
    let new = |why: String, replaces: bool| {
        let bundle = root.issue(fleet, cluster, now).map_err(|error| unusable(&error))?;
        Ok(Signing { bundle, new: Some(why), replaces })
    };
    let Some(files) = cacerts::read(server).await.map_err(|error| failed("read the certificates of istiod", error))? else {
        if cacerts::self_made(server).await.map_err(|error| failed("read the certificates of istiod", error))? {
            return Err(Error::new(ErrorKind::Conflict, "an istiod runs here with a root of its own making, and keeps to it").hint(format!(
                "remove that Istio first, or with it the Secret {} in {SYSTEM_NAMESPACE}; then restart its pods and run the command again",
                cacerts::SELF_MADE
            )));
        }
        return new("it has none yet".to_owned(), false);
    };
    match CaBundle::from_files(&files) {
        Ok(None) => new("it has none yet".to_owned(), false),
        Err(error) => new(error.to_string(), true),
        Ok(Some(bundle)) => match root.judge(&bundle, now) {
            Verdict::Keep => Ok(Signing { bundle, new: None, replaces: false }),
            Verdict::Renew(why) => new(why, true),
            Verdict::OtherRoot => Err(other_root(root, &bundle)),
        },
    }
}

/// What [`ensure`] has given a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// What it signs with.
    pub bundle: CaBundle,
    /// Whether that is new.
    pub changed: bool,
    /// Whether it had another one before, with which an istiod may still sign.
    pub renewed: bool,
}

/// Gives a cluster the certificates that its istiod signs with, before istiod starts: those it has,
/// while they serve, or new ones. The namespace must be there.
///
/// # Errors
/// As [`signing`]; when the Secret cannot be written.
pub async fn ensure(
    server: &ApiServer,
    root: &Root,
    (fleet, cluster): (&FleetName, &ClusterName),
    now: Timestamp,
    deadline: Deadline,
    observer: Observer<'_>,
) -> Result<Given> {
    let signing = signing(server, root, fleet, cluster, now).await?;
    let Some(why) = &signing.new else { return Ok(Given { bundle: signing.bundle, changed: false, renewed: false }) };
    observer(&format!("new certificates: {why}"));
    cacerts::write(server, &signing.bundle, deadline, observer).await.map_err(|error| failed("write the certificates of istiod", error))?;
    Ok(Given { bundle: signing.bundle, changed: true, renewed: signing.replaces })
}

/// Waits until a cluster's istiods sign with a bundle that has just been written.
///
/// # Errors
/// When they still sign with the one before at the deadline.
pub async fn served(server: &ApiServer, bundle: &CaBundle, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    let serial = bundle.describe().ok().and_then(|chain| chain.signing().map(|signing| signing.serial.clone())).unwrap_or_default();
    cacerts::served(server, bundle, &serial, deadline, observer).await.map(|_| ()).map_err(not_taken)
}

fn not_taken(error: crate::k8s::K8sError) -> Error {
    failed("wait for istiod to take its new certificate", error).hint(
        "the new certificate is written and valid; istiod takes it when its pods start anew: `kubectl -n istio-system rollout restart deployment istiod`",
    )
}

impl Kindmesh {
    /// The certificates of a fleet's mesh: the stored root, and what each cluster has.
    ///
    /// # Errors
    /// When the engine fails, there is no such fleet, or the stored root is unusable. A cluster that
    /// does not answer, or has no or bad certificates, is a part of the result.
    pub async fn mesh_ca(&self, fleet: &FleetName) -> Result<CaReport> {
        let now = Timestamp::now();
        let store = self.ca_store(fleet).await?;
        let root = match &store {
            Some(store) => store.load(now)?,
            None => None,
        };
        let servers = self.fleet_servers(fleet).await?;
        let clusters = join_all(servers.into_iter().map(|(name, server)| look(name, server, now))).await;
        Ok(report(fleet, root.as_ref(), store.map(|store| store.folder()).as_deref(), clusters))
    }

    /// Gives clusters of a fleet new intermediates under the same root, and waits until their istiods
    /// sign with them. One cluster, or all; one that fails does not stop the others. Workloads keep
    /// their certificates until they renew them, by Istio's default within 24 hours.
    ///
    /// # Errors
    /// When the root is not on this machine, there is no such cluster, or a cluster does not take its
    /// new certificate in time.
    pub async fn mesh_ca_rotate(&self, fleet: &FleetName, cluster: Option<&ClusterName>) -> Result<Vec<Rotation>> {
        lock::holding(&self.begin(), fleet, "mesh ca rotate", async |km| km.rotate_alone(fleet, cluster).await).await
    }

    async fn rotate_alone(&self, fleet: &FleetName, cluster: Option<&ClusterName>) -> Result<Vec<Rotation>> {
        let km = self;
        let now = Timestamp::now();
        let servers = km.fleet_servers(fleet).await?;
        if let Some(cluster) = cluster.filter(|cluster| servers.iter().all(|(name, _)| name != cluster.as_str())) {
            let known: Vec<&str> = servers.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::new(ErrorKind::NotFound, format!("fleet {fleet} has no cluster {cluster}"))
                .hint(format!("there are: {}", known.join(", "))));
        }
        let root = km.stored_root(fleet, now).await?;
        let wanted = servers.into_iter().filter(|(name, _)| cluster.is_none_or(|cluster| name == cluster.as_str()));
        let results = join_all(wanted.map(|(name, server)| {
            let root = &root;
            async move {
                let rotated = km.rotate_one(root, fleet, &name, server, now).await;
                rotated.map_err(|error| error.within(format_args!("cluster {name}")))
            }
        }))
        .await;
        all_or_first(results)
    }

    /// The root of a fleet's mesh: the stored one, or else `own`, or else a new one, which is stored.
    /// Returns it and whether it is new in the store.
    ///
    /// # Errors
    /// As [`CaStore::ensure`]; when there is no state folder.
    pub async fn mesh_root(&self, fleet: &FleetName, own: Option<&Root>) -> Result<(Root, bool)> {
        self.ca_store(fleet).await?.ok_or_else(no_state)?.ensure(own, Timestamp::now())
    }

    /// Where a fleet's root is kept; `None` without a state folder.
    pub(in crate::ops) async fn ca_store(&self, fleet: &FleetName) -> Result<Option<CaStore>> {
        let Some(state) = self.state_dir.as_deref() else { return Ok(None) };
        let engine = self.engine.facts().await?.id;
        Ok(Some(CaStore::new(state, &engine, fleet)))
    }

    async fn stored_root(&self, fleet: &FleetName, now: Timestamp) -> Result<Root> {
        let store = self.ca_store(fleet).await?.ok_or_else(no_state)?;
        store.load(now)?.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("the root of fleet {fleet} is not on this machine: {} is missing", store.folder().display()),
            )
            .hint("run this where the mesh was made, or name the state folder it was made with by --state-dir")
        })
    }

    /// The API servers of a fleet's clusters, or why they cannot be reached.
    async fn fleet_servers(&self, fleet: &FleetName) -> Result<Vec<(String, Result<ApiServer>)>> {
        let engine = self.engine.as_ref();
        let (inventory, clusters) = members::read(self, fleet).await?;
        let connect = async |name: ClusterName| {
            let server = async { api_server::connect(engine, name.as_str(), inventory.control_plane(name.as_str())?).await }.await;
            (name.to_string(), server)
        };
        Ok(join_all(clusters.into_iter().map(connect)).await)
    }

    async fn rotate_one(&self, root: &Root, fleet: &FleetName, name: &str, server: Result<ApiServer>, now: Timestamp) -> Result<Rotation> {
        const STEP: &str = "rotate certificates";
        let cluster: ClusterName = name.parse()?;
        let scope = self.cluster_scope(name);
        scope
            .step(STEP, ROTATE_DEADLINE, async {
                let server = server?;
                let seen = |state: &str| scope.progress(STEP, state);
                let deadline = Deadline::after(ROTATE_DEADLINE);
                let served = async |bundle: &CaBundle, mark: &str| cacerts::served(&server, bundle, mark, deadline, &seen).await;
                let rotation = rotate(&server, root, (fleet, &cluster), now, deadline, &seen, served).await?;
                Ok(Outcome::changed(rotation))
            })
            .await
    }
}

/// Issues, writes, and waits; `served` says when istiod signs with the new certificate.
pub(super) async fn rotate(
    server: &ApiServer,
    root: &Root,
    (fleet, cluster): (&FleetName, &ClusterName),
    now: Timestamp,
    deadline: Deadline,
    observer: Observer<'_>,
    served: impl AsyncFnOnce(&CaBundle, &str) -> crate::k8s::Result<usize>,
) -> Result<Rotation> {
    let failed_read = |error| failed("read the certificates of istiod", error);
    let Some(files) = cacerts::read(server).await.map_err(failed_read)? else {
        return Err(Error::new(ErrorKind::NotFound, "it has no certificates to replace: no mesh is installed here")
            .hint("install one with `kindmesh up --mesh`"));
    };
    let before = CaBundle::from_files(&files).ok().flatten();
    if let Some(bundle) = before.as_ref().filter(|bundle| root.judge(bundle, now) == Verdict::OtherRoot) {
        return Err(other_root(root, bundle));
    }
    let before = before.and_then(|bundle| bundle.describe().ok()).and_then(|chain| chain.signing().cloned());
    let bundle = root.issue(fleet, cluster, now).map_err(|error| unusable(&error))?;
    let chain = bundle.check(now).map_err(|error| unusable(&error))?;
    let signing = chain.signing().cloned().ok_or_else(|| Error::new(ErrorKind::Cluster, "a chain without certificates"))?;
    let begun = Instant::now();
    cacerts::write(server, &bundle, deadline, observer).await.map_err(|error| failed("write the certificates of istiod", error))?;
    served(&bundle, &signing.serial).await.map_err(not_taken)?;
    Ok(Rotation { cluster: cluster.to_string(), before, now: signing, took: begun.elapsed() })
}

/// What one cluster has.
async fn look(name: String, server: Result<ApiServer>, now: Timestamp) -> ClusterCa {
    let asked = async {
        let server = server?;
        let files = tokio::time::timeout(ANSWER_DEADLINE, cacerts::read(&server))
            .await
            .map_err(|_| Error::new(ErrorKind::Timeout, format!("the API server did not answer within {} s", ANSWER_DEADLINE.as_secs())))?;
        files.map_err(|error| failed("read the certificates of istiod", error))
    };
    match asked.await {
        Ok(files) => judge(name, files.as_ref(), now),
        Err(error) => ClusterCa { name, chain: None, problem: Some(error.one_line()) },
    }
}

/// What to say of the files of one cluster's Secret.
pub(super) fn judge(name: String, files: Option<&std::collections::BTreeMap<String, Vec<u8>>>, now: Timestamp) -> ClusterCa {
    let bad = |chain, problem: String| ClusterCa { name: name.clone(), chain, problem: Some(problem) };
    match files.map(CaBundle::from_files) {
        None | Some(Ok(None)) => bad(None, "it has no certificates: no mesh is installed here".to_owned()),
        Some(Err(error)) => bad(None, error.to_string()),
        Some(Ok(Some(bundle))) => match bundle.check(now) {
            Ok(chain) => ClusterCa { name: name.clone(), chain: Some(chain), problem: None },
            Err(error) => bad(bundle.describe().ok(), error.to_string()),
        },
    }
}

/// Puts everything together: chains that are good by themselves must be under one root, too.
pub(super) fn report(fleet: &FleetName, root: Option<&Root>, folder: Option<&Path>, mut clusters: Vec<ClusterCa>) -> CaReport {
    let of = |cluster: &ClusterCa| Some((cluster.name.clone(), cluster.chain.as_ref()?.root()?.fingerprint.clone()));
    let (whose, expected) = match root {
        Some(root) => ("the stored one".to_owned(), Some(root.summary().fingerprint.clone())),
        None => match clusters.iter().find_map(of) {
            Some((name, fingerprint)) => (format!("that of {name}"), Some(fingerprint)),
            None => (String::new(), None),
        },
    };
    for cluster in &mut clusters {
        let own = of(cluster).map(|(_, fingerprint)| fingerprint);
        if cluster.problem.is_none() && own != expected {
            cluster.problem = Some(format!("its root is another than {whose}: no call from or to it would succeed"));
        }
    }
    CaReport {
        fleet: fleet.to_string(),
        root: root.map(|root| root.summary().clone()),
        folder: folder.map(|folder| folder.display().to_string()),
        healthy: clusters.iter().all(|cluster| cluster.problem.is_none()),
        clusters,
    }
}

pub(super) fn no_state() -> Error {
    Error::new(ErrorKind::Config, "there is no folder for the state of fleets, where root certificates are kept")
        .hint("name one with --state-dir, or set HOME")
}

pub(super) fn other_root(root: &Root, bundle: &CaBundle) -> Error {
    let theirs = bundle.describe().ok().and_then(|chain| chain.root().map(|root: &CertificateSummary| root.fingerprint.clone()));
    Error::new(
        ErrorKind::Conflict,
        format!(
            "its mesh has another root certificate than the fleet's: {} there, {} here",
            theirs.unwrap_or_else(|| "an unreadable one".to_owned()),
            root.summary().fingerprint
        ),
    )
    .hint("a running mesh cannot change its root: give the one it has with --root-ca and --root-key, or remove the cluster first")
}

fn unusable(error: &PkiError) -> Error {
    Error::new(ErrorKind::Config, error.to_string())
}
