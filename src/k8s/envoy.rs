//! What a pod's proxy sends requests to, read from Envoy's admin port.

use serde::Deserialize;

use super::client::ApiServer;
use super::deadline::Deadline;
use super::error::{K8sError, RequestErrorKind, Result};
use super::portforward::PodHttp;
use crate::domain::mesh::proof::names;
use crate::domain::mesh::proof::view::ProxyHost;

/// Envoy's admin port, on loopback alone.
pub const PORT: u16 = 15000;

const PAGE: &str = "/clusters?format=json";

/// The answer of [`PAGE`].
#[derive(Debug, Deserialize)]
struct Clusters {
    #[serde(default)]
    cluster_statuses: Vec<Cluster>,
}

#[derive(Debug, Deserialize)]
struct Cluster {
    #[serde(default)]
    name: String,
    #[serde(default)]
    host_statuses: Vec<Host>,
}

#[derive(Debug, Deserialize)]
struct Host {
    address: Address,
    #[serde(default)]
    health_status: Health,
}

#[derive(Debug, Deserialize)]
struct Address {
    socket_address: Option<SocketAddress>,
}

#[derive(Debug, Deserialize)]
struct SocketAddress {
    address: String,
    port_value: u16,
}

/// Flags are left out when they are false, the status when it is unknown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Health {
    eds_health_status: Option<String>,
    failed_active_health_check: bool,
    failed_outlier_check: bool,
    pending_dynamic_removal: bool,
    excluded_via_immediate_hc_fail: bool,
    active_hc_timeout: bool,
}

/// Reads the hosts of the sample's service in a pod's proxy; none when it does not know the service.
///
/// # Errors
/// Those of the connection; `Protocol` for an answer that is not Envoy's.
pub async fn read_hosts(server: &ApiServer, namespace: &str, pod: &str, deadline: Deadline) -> Result<Vec<ProxyHost>> {
    let mut http = PodHttp::connect(server, namespace, pod, PORT, deadline).await?;
    parse_hosts(&http.get(PAGE, deadline).await?, &names::envoy_cluster())
}

fn parse_hosts(text: &[u8], cluster: &str) -> Result<Vec<ProxyHost>> {
    let misunderstood = |message: String| K8sError::Request {
        verb: "read",
        object: format!("Envoy's {PAGE}"),
        kind: RequestErrorKind::Protocol,
        message: format!("the answer is not understood: {message}"),
    };
    let answer: Clusters = serde_json::from_slice(text).map_err(|error| misunderstood(error.to_string()))?;
    let hosts = answer.cluster_statuses.into_iter().filter(|status| status.name == cluster).flat_map(|status| status.host_statuses);
    hosts
        .map(|host| {
            // An address of another kind (a pipe, a listener inside Envoy) is none of a sidecar mesh.
            let socket = host.address.socket_address.ok_or_else(|| misunderstood(format!("a host of {cluster} has no socket address")))?;
            Ok(ProxyHost { address: socket.address, port: socket.port_value, healthy: host.health_status.judge() })
        })
        .collect()
}

// === impl Health ===

impl Health {
    /// Whether the host gets requests, or why not.
    fn judge(&self) -> Result<(), String> {
        let flags = [
            (self.failed_active_health_check, "failed its health check"),
            (self.failed_outlier_check, "put out for its failures"),
            (self.pending_dynamic_removal, "about to be removed"),
            (self.excluded_via_immediate_hc_fail, "excluded by its own answer"),
            (self.active_hc_timeout, "health check timed out"),
        ];
        if let Some((_, why)) = flags.iter().find(|(set, _)| *set) {
            return Err((*why).to_owned());
        }
        match self.eds_health_status.as_deref() {
            None | Some("HEALTHY" | "UNKNOWN") => Ok(()),
            Some(other) => Err(format!("istiod calls it {other}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"cluster_statuses":[
      {"name":"agent","added_via_api":false,"host_statuses":[{"address":{"pipe":{"path":"/x"}}}]},
      {"name":"outbound|5000||helloworld.sample.svc.cluster.local","added_via_api":true,"host_statuses":[
        {"address":{"socket_address":{"address":"10.10.0.9","port_value":5000}},"stats":[{"name":"cx_active","type":"GAUGE"}],
         "health_status":{"eds_health_status":"HEALTHY"},"weight":1,"locality":{}},
        {"address":{"socket_address":{"address":"172.18.255.201","port_value":15443}},
         "health_status":{"eds_health_status":"HEALTHY","failed_outlier_check":true},"weight":1},
        {"address":{"socket_address":{"address":"172.18.255.202","port_value":15443}},
         "health_status":{"eds_health_status":"UNHEALTHY"}},
        {"address":{"socket_address":{"address":"172.18.255.203","port_value":15443}},"health_status":{}}],
       "eds_service_name":"outbound|5000||helloworld.sample.svc.cluster.local"}]}"#;

    #[test]
    fn hosts_of_one_service_with_their_health() {
        let hosts = parse_hosts(TEXT.as_bytes(), &names::envoy_cluster()).unwrap();
        let of: Vec<_> = hosts.iter().map(|host| (host.address.as_str(), host.port, host.healthy.clone().err())).collect();
        let expected = [
            ("10.10.0.9", 5000, None),
            ("172.18.255.201", 15443, Some("put out for its failures".to_owned())),
            ("172.18.255.202", 15443, Some("istiod calls it UNHEALTHY".to_owned())),
            ("172.18.255.203", 15443, None),
        ];
        assert_eq!(of, expected);
    }

    #[test]
    fn a_service_it_does_not_know_has_no_hosts() {
        assert_eq!(parse_hosts(TEXT.as_bytes(), "outbound|80||x").unwrap(), []);
        assert_eq!(parse_hosts(b"{}", "x").unwrap(), []);
        assert!(parse_hosts(TEXT.as_bytes(), "agent").is_err(), "a pipe is no host of a mesh");
        assert!(parse_hosts(b"<html>", "x").is_err());
    }
}
