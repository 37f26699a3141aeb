//! What is looked at, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::call::{Call, Probe};
use super::names;
use super::rest::RestingNode;

/// What was seen, or why it could not be looked at.
pub type Seen<T> = Result<T, String>;

/// A fleet, as its clusters show it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetView {
    /// Its name.
    pub name: String,
    /// Every cluster of the fleet.
    pub clusters: Vec<ClusterView>,
    /// Calls that every client was to make.
    pub calls_wanted: usize,
}

/// One cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterView {
    /// Name; istiod's id of the cluster, too.
    pub name: String,
    /// Name that its network is to have.
    pub network: String,
    /// Names and addresses under which pods of other clusters reach its API servers.
    pub api_hosts: BTreeSet<String>,
    /// Its nodes that do not run.
    pub resting: Vec<RestingNode>,
    /// Whether its API server answers.
    pub api_server: Seen<()>,
    /// Network label of the control plane's namespace.
    pub namespace_network: Seen<Option<String>>,
    /// Whether pods of the sample's namespace are to be injected.
    pub namespace_injected: Seen<bool>,
    /// The gateway between networks; `None` without its service.
    pub gateway: Seen<Option<GatewayView>>,
    /// Root that workloads trust, byte for byte, by namespace; `None` where there is none.
    pub roots: Seen<BTreeMap<String, Option<Vec<u8>>>>,
    /// Access to other clusters that its istiods are given.
    pub remote_secrets: Seen<Vec<RemoteSecret>>,
    /// What each of its ready istiods knows.
    pub istiods: Seen<Vec<IstiodView>>,
    /// Pods of the sample, those about to end left out.
    pub pods: Seen<Vec<PodView>>,
    /// The client, its proxy, and what it did.
    pub client: Seen<ClientView>,
}

/// A gateway between networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayView {
    /// Network label of its service.
    pub network: Option<String>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// Whether its service has the port that passes connections through.
    pub listens: bool,
    /// Who announces the address.
    pub announced: Seen<Announced>,
    /// Its pods.
    pub pods: Vec<PodView>,
}

/// Who tells the network where an address is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announced {
    /// These nodes.
    By(Vec<String>),
    /// No node, although a speaker should.
    Nobody,
    /// Something that does not tell; whether the address answers is all there is to see.
    Untold,
}

/// A secret by which an istiod reads another cluster, without anything secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteSecret {
    /// Name of the secret.
    pub name: String,
    /// Cluster it is for: the key of its data.
    pub cluster: String,
    /// Address of that cluster's API server; an error when it holds no kubeconfig.
    pub server: Seen<String>,
}

/// What an istiod knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IstiodView {
    /// Its pod.
    pub pod: String,
    /// Clusters it reads, its own among them.
    pub clusters: Vec<SyncState>,
    /// Gateways it knows.
    pub gateways: Vec<NetworkGateway>,
    /// Pods behind the sample's service, by cluster.
    pub shards: BTreeMap<String, Vec<ShardEndpoint>>,
    /// Proxies connected to it, `<pod>.<namespace>`.
    pub proxies: Vec<ProxyState>,
}

/// How far an istiod has read a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncState {
    /// Cluster id.
    pub cluster: String,
    /// `synced`, `syncing`, `timeout` or `closed`.
    pub status: String,
}

/// A gateway as an istiod knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkGateway {
    /// Network it leads into.
    pub network: String,
    /// Cluster it runs in.
    pub cluster: String,
    /// Address.
    pub address: String,
    /// Port.
    pub port: u16,
}

/// A pod behind a service as an istiod knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardEndpoint {
    /// Address.
    pub address: String,
    /// Whether it gets traffic.
    pub healthy: bool,
    /// Whether its proxy speaks mutual TLS.
    pub tls: bool,
}

/// A proxy as its istiod knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyState {
    /// `<pod>.<namespace>`.
    pub proxy: String,
    /// Whether it acknowledged everything it was sent.
    pub in_sync: bool,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodView {
    /// Name.
    pub name: String,
    /// Its `app` label.
    pub app: String,
    /// Its `version` label.
    pub version: Option<String>,
    /// Its address, once it has one.
    pub address: Option<IpAddr>,
    /// Whether it is ready, or why not.
    pub ready: Seen<()>,
    /// Whether it has a proxy that istiod put there.
    pub injected: bool,
}

/// A client pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientView {
    /// Its name.
    pub pod: String,
    /// Hosts of the sample's service in its proxy.
    pub proxy: Seen<Vec<ProxyHost>>,
    /// Calls it made, in their order.
    pub calls: Seen<Vec<Call>>,
    /// Connections that went past the proxy.
    pub probes: Seen<Vec<Probe>>,
}

/// A host that a proxy sends requests to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyHost {
    /// Address.
    pub address: String,
    /// Port.
    pub port: u16,
    /// Whether it gets requests, or why not.
    pub healthy: Seen<()>,
}

// === impl FleetView ===

impl FleetView {
    /// The cluster and the pod of this name that answer requests.
    pub fn instance(&self, pod: &str) -> Option<(&ClusterView, &PodView)> {
        self.clusters.iter().find_map(|cluster| Some((cluster, cluster.servers().find(|server| server.name == pod)?)))
    }

    /// The clusters other than this one.
    pub fn others<'a>(&'a self, cluster: &'a ClusterView) -> impl Iterator<Item = &'a ClusterView> {
        self.clusters.iter().filter(move |other| other.name != cluster.name)
    }

    /// Whether all that `client` is to see has answered: every version, and every cluster with ready
    /// pods. More calls are of no use then.
    pub fn all_answered(&self, calls: &[Call]) -> bool {
        let seen: BTreeSet<&str> = calls
            .iter()
            .filter_map(|call| self.instance(&call.answer().ok()?.instance))
            .map(|(cluster, _)| cluster.name.as_str())
            .collect();
        let versions: BTreeSet<&str> =
            calls.iter().filter_map(|call| self.instance(&call.answer().ok()?.instance)?.1.version.as_deref()).collect();
        self.clusters.iter().filter(|cluster| cluster.ready_servers().next().is_some()).all(|cluster| {
            seen.contains(cluster.name.as_str())
                && cluster.ready_servers().filter_map(|pod| pod.version.as_deref()).all(|version| versions.contains(version))
        })
    }
}

// === impl ClusterView ===

impl ClusterView {
    /// A cluster nothing is known of, for this reason.
    pub fn unseen(name: impl Into<String>, network: impl Into<String>, why: &str) -> Self {
        let why = why.to_owned();
        Self {
            name: name.into(),
            network: network.into(),
            api_hosts: BTreeSet::new(),
            resting: Vec::new(),
            api_server: Err(why.clone()),
            namespace_network: Err(why.clone()),
            namespace_injected: Err(why.clone()),
            gateway: Err(why.clone()),
            roots: Err(why.clone()),
            remote_secrets: Err(why.clone()),
            istiods: Err(why.clone()),
            pods: Err(why.clone()),
            client: Err(why),
        }
    }

    /// Pods of the sample's service.
    pub fn servers(&self) -> impl Iterator<Item = &PodView> {
        self.pods.iter().flatten().filter(|pod| pod.app == names::SERVICE)
    }

    /// Those of them that are ready.
    pub fn ready_servers(&self) -> impl Iterator<Item = &PodView> {
        self.servers().filter(|pod| pod.ready.is_ok())
    }

    /// Address of its gateway between networks.
    pub fn gateway_address(&self) -> Option<IpAddr> {
        self.gateway.as_ref().ok()?.as_ref()?.address
    }
}

// === impl IstiodView ===

impl IstiodView {
    /// How far it has read a cluster; `None` when it does not read it.
    pub fn status(&self, cluster: &str) -> Option<&str> {
        self.clusters.iter().find(|state| state.cluster == cluster).map(|state| state.status.as_str())
    }

    /// Whether it has read a cluster.
    pub fn has_read(&self, cluster: &str) -> bool {
        self.status(cluster) == Some(names::SYNCED)
    }
}
