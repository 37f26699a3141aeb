//! What an istiod knows, read from its debug pages.
//!
//! They are served without authentication to loopback, which a port-forward comes from. Fields
//! are named as Istio 1.30 and 1.31 print them; what is not needed may be missing or new.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::ApiServer;
use super::deadline::Deadline;
use super::error::{K8sError, RequestErrorKind, Result};
use super::portforward::PodHttp;
use crate::domain::mesh::proof::names;
use crate::domain::mesh::proof::view::{IstiodView, NetworkGateway, ProxyState, ShardEndpoint, SyncState};

/// Port of metrics and debug pages.
pub const PORT: u16 = 15014;

/// What endpoint shards of Kubernetes clusters begin with.
const KUBERNETES: &str = "Kubernetes/";

/// istiod's number for a healthy endpoint.
const HEALTHY: u32 = 1;

/// A cluster in `/debug/clusterz`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cluster {
    id: String,
    sync_status: String,
}

/// A gateway in `/debug/networkz`, whose fields have no JSON names of their own.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Gateway {
    network: String,
    #[serde(default)]
    cluster: String,
    addr: String,
    port: u32,
}

/// A service's entry in `/debug/endpointShardz`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Shards {
    #[serde(default)]
    shards: BTreeMap<String, Option<Vec<Endpoint>>>,
}

/// An endpoint there.
#[derive(Debug, Deserialize)]
struct Endpoint {
    /// Istio 1.26 and later.
    #[serde(rename = "Addresses", default)]
    addresses: Vec<String>,
    #[serde(rename = "TLSMode", default)]
    tls_mode: String,
    #[serde(rename = "HealthStatus", default)]
    health_status: u32,
}

/// A proxy in `/debug/syncz`.
#[derive(Debug, Deserialize)]
struct Proxy {
    #[serde(default)]
    proxy: String,
    #[serde(default)]
    cluster_sent: String,
    #[serde(default)]
    cluster_acked: String,
    #[serde(default)]
    listener_sent: String,
    #[serde(default)]
    listener_acked: String,
    #[serde(default)]
    route_sent: String,
    #[serde(default)]
    route_acked: String,
    #[serde(default)]
    endpoint_sent: String,
    #[serde(default)]
    endpoint_acked: String,
}

/// Reads what the istiod in this pod knows.
///
/// # Errors
/// Those of the connection; `Protocol` for an answer that is not istiod's.
pub async fn read(server: &ApiServer, namespace: &str, pod: &str, deadline: Deadline) -> Result<IstiodView> {
    let mut http = PodHttp::connect(server, namespace, pod, PORT, deadline).await?;
    // One after the other on one connection: each takes a millisecond, another tunnel takes more.
    let clusters = http.get("/debug/clusterz", deadline).await?;
    let gateways = http.get("/debug/networkz", deadline).await?;
    let shards = http.get("/debug/endpointShardz", deadline).await?;
    let proxies = http.get("/debug/syncz", deadline).await?;
    Ok(IstiodView {
        pod: pod.to_owned(),
        clusters: parse_clusters(&clusters)?,
        gateways: parse_gateways(&gateways)?,
        shards: parse_shards(&shards)?,
        proxies: parse_proxies(&proxies)?,
    })
}

fn parse_clusters(text: &[u8]) -> Result<Vec<SyncState>> {
    let clusters: Option<Vec<Cluster>> = parse("/debug/clusterz", text)?;
    Ok(clusters.into_iter().flatten().map(|cluster| SyncState { cluster: cluster.id, status: cluster.sync_status }).collect())
}

/// A mesh without gateways is told as `null`.
fn parse_gateways(text: &[u8]) -> Result<Vec<NetworkGateway>> {
    let gateways: Option<Vec<Gateway>> = parse("/debug/networkz", text)?;
    let gateway = |gateway: Gateway| NetworkGateway {
        network: gateway.network,
        cluster: gateway.cluster,
        address: gateway.addr,
        // A port that is none cannot be the expected one.
        port: u16::try_from(gateway.port).unwrap_or_default(),
    };
    Ok(gateways.into_iter().flatten().map(gateway).collect())
}

/// Endpoints of the sample's service, by cluster.
fn parse_shards(text: &[u8]) -> Result<BTreeMap<String, Vec<ShardEndpoint>>> {
    // Other services may hold what a later version prints in another way: only ours is read closely.
    let services: Option<BTreeMap<String, BTreeMap<String, serde_json::Value>>> = parse("/debug/endpointShardz", text)?;
    let service = services.and_then(|mut services| services.remove(&names::service_host())?.remove(names::SAMPLE_NAMESPACE));
    let Some(service) = service else { return Ok(BTreeMap::new()) };
    let service: Shards = serde_json::from_value(service).map_err(|error| misunderstood("/debug/endpointShardz", &error))?;
    let shards = service.shards.into_iter().filter_map(|(key, endpoints)| {
        let cluster = key.strip_prefix(KUBERNETES)?.to_owned();
        Some((cluster, endpoints.into_iter().flatten().flat_map(Endpoint::views).collect()))
    });
    Ok(shards.collect())
}

fn parse_proxies(text: &[u8]) -> Result<Vec<ProxyState>> {
    let proxies: Option<Vec<Proxy>> = parse("/debug/syncz", text)?;
    Ok(proxies.into_iter().flatten().map(|proxy| ProxyState { in_sync: proxy.in_sync(), proxy: proxy.proxy }).collect())
}

fn parse<T: DeserializeOwned>(page: &str, text: &[u8]) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| misunderstood(page, &error))
}

fn misunderstood(page: &str, error: &serde_json::Error) -> K8sError {
    K8sError::Request {
        verb: "read",
        object: format!("istiod's {page}"),
        kind: RequestErrorKind::Protocol,
        message: format!("the answer is not understood: {error}"),
    }
}

// === impl Endpoint ===

impl Endpoint {
    fn views(self) -> impl Iterator<Item = ShardEndpoint> {
        let (healthy, tls) = (self.health_status == HEALTHY, self.tls_mode == "istio");
        // Further ones are the same pod in another family.
        self.addresses.into_iter().take(1).map(move |address| ShardEndpoint { address, healthy, tls })
    }
}

// === impl Proxy ===

impl Proxy {
    /// Whether it acknowledged all that it was sent, and was sent something.
    fn in_sync(&self) -> bool {
        let pairs = [
            (&self.cluster_sent, &self.cluster_acked),
            (&self.listener_sent, &self.listener_acked),
            (&self.route_sent, &self.route_acked),
            (&self.endpoint_sent, &self.endpoint_acked),
        ];
        !self.cluster_sent.is_empty() && pairs.iter().all(|(sent, acked)| sent == acked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters() {
        let text = r#"[{"id":"cluster1","secretName":"","syncStatus":"synced"},
            {"id":"cluster2","secretName":"istio-system/istio-remote-secret-cluster2","syncStatus":"timeout","new":1}]"#;
        let told = parse_clusters(text.as_bytes()).unwrap();
        assert_eq!(told[1], SyncState { cluster: "cluster2".into(), status: "timeout".into() });
        assert!(parse_clusters(br#"[{"id":"cluster1"}]"#).is_err(), "a cluster without a status");
    }

    #[test]
    fn gateways() {
        let text = r#"[{"Network":"network-cluster1","Cluster":"cluster1","Addr":"172.18.255.200","Port":15443,"HBONEPort":0,
            "ServiceAccount":{"Namespace":"","Name":""}}]"#;
        let told = parse_gateways(text.as_bytes()).unwrap();
        let expected = NetworkGateway {
            network: "network-cluster1".into(),
            cluster: "cluster1".into(),
            address: "172.18.255.200".into(),
            port: 15443,
        };
        assert_eq!(told, [expected]);
        assert_eq!(parse_gateways(b"null").unwrap(), []);
    }

    #[test]
    fn shards() {
        let text = r#"{"helloworld.sample.svc.cluster.local":{"sample":{"Shards":{
              "Kubernetes/cluster1":[{"Labels":{"app":"helloworld"},"Addresses":["10.10.0.9"],"ServicePortName":"http","Network":"network-cluster1",
                "EndpointPort":5000,"LbWeight":0,"TLSMode":"istio","HealthStatus":1}],
              "Kubernetes/cluster2":[{"Addresses":["10.20.0.9","fd00::9"],"TLSMode":"disabled","HealthStatus":2}],
              "External/cluster2":[{"Addresses":["1.2.3.4"]}],
              "Kubernetes/cluster3":null},
            "ServiceAccounts":["spiffe://cluster.local/ns/sample/sa/default"]}},
          "other.default.svc.cluster.local":{"default":{"Shards":"in a new form"}}}"#;
        let told = parse_shards(text.as_bytes()).unwrap();
        assert_eq!(told["cluster1"], [ShardEndpoint { address: "10.10.0.9".into(), healthy: true, tls: true }]);
        assert_eq!(told["cluster2"], [ShardEndpoint { address: "10.20.0.9".into(), healthy: false, tls: false }]);
        assert!(told["cluster3"].is_empty() && told.len() == 3);
        assert!(parse_shards(b"{}").unwrap().is_empty());
        assert!(parse_shards(br#"{"helloworld.sample.svc.cluster.local":{"sample":"x"}}"#).is_err());
    }

    #[test]
    fn proxies() {
        let text = r#"[{"cluster_id":"cluster1","proxy":"curl-7.sample","proxy_type":"sidecar","istio_version":"1.31.1",
              "cluster_sent":"a","cluster_acked":"a","listener_sent":"b","listener_acked":"b","route_sent":"c","route_acked":"c",
              "endpoint_sent":"d","endpoint_acked":"d"},
            {"proxy":"late.sample","cluster_sent":"a","cluster_acked":"a","endpoint_sent":"e","endpoint_acked":"d"},
            {"proxy":"new.sample"}]"#;
        let told = parse_proxies(text.as_bytes()).unwrap();
        let of: Vec<_> = told.iter().map(|proxy| (proxy.proxy.as_str(), proxy.in_sync)).collect();
        assert_eq!(of, [("curl-7.sample", true), ("late.sample", false), ("new.sample", false)]);
    }

    #[test]
    fn pages_that_are_something_else_are_no_answer() {
        let error = parse_clusters(b"<html>").unwrap_err();
        assert!(error.to_string().starts_with("read istiod's /debug/clusterz: the answer is not understood"), "{error}");
    }
}
