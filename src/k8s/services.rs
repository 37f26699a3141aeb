//! Services that a load balancer gives addresses to.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

use super::client::ApiServer;
use super::deadline::Deadline;
use super::error::{K8sError, RequestErrorKind, Result};
use super::retry::healing;

/// A service of type LoadBalancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadBalancer {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Its first address; `None` while none is assigned.
    pub address: Option<IpAddr>,
    /// Ports (`80/TCP`).
    pub ports: Vec<String>,
}

/// Lists the services of type LoadBalancer in all namespaces.
///
/// # Errors
/// The request's.
pub async fn load_balancers(server: &ApiServer) -> Result<Vec<LoadBalancer>> {
    let services = Api::<Service>::all(server.client())
        .list(&ListParams::default())
        .await
        .map_err(|error| server.error("list", "services", &error))?;
    Ok(services.items.iter().filter(|service| is_load_balancer(service)).map(LoadBalancer::of).collect())
}

/// [`load_balancers`], tried again until a deadline when what fails heals.
///
/// # Errors
/// The request's, or `Timeout`.
pub async fn load_balancers_within(server: &ApiServer, deadline: Deadline) -> Result<Vec<LoadBalancer>> {
    healing("the list of services", deadline, &|_| (), |_| false, || load_balancers(server)).await
}

/// Address of the service at which pods reach the API server, with brackets if it is of IPv6.
///
/// # Errors
/// The request's; `Protocol` when the service has none.
pub async fn api_server_address(server: &ApiServer) -> Result<String> {
    let api: Api<Service> = Api::namespaced(server.client(), "default");
    let found = api.get("kubernetes").await.map_err(|error| server.error("read", "service default/kubernetes", &error))?;
    let address = found.spec.and_then(|spec| spec.cluster_ip?.parse::<IpAddr>().ok());
    match address {
        Some(IpAddr::V4(address)) => Ok(address.to_string()),
        Some(IpAddr::V6(address)) => Ok(format!("[{address}]")),
        None => Err(K8sError::Request {
            verb: "read",
            object: "service default/kubernetes".to_owned(),
            kind: RequestErrorKind::Protocol,
            message: "it has no address".to_owned(),
        }),
    }
}

fn is_load_balancer(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.type_.as_deref()) == Some("LoadBalancer")
}

// === impl LoadBalancer ===

impl LoadBalancer {
    fn of(service: &Service) -> Self {
        let ingress = service.status.iter().filter_map(|status| status.load_balancer.as_ref()).filter_map(|lb| lb.ingress.as_ref());
        let ports = service.spec.iter().filter_map(|spec| spec.ports.as_ref()).flatten();
        Self {
            namespace: service.namespace().unwrap_or_default(),
            name: service.name_any(),
            address: ingress.flatten().find_map(|ingress| ingress.ip.as_deref()?.parse().ok()),
            ports: ports.map(|port| format!("{}/{}", port.port, port.protocol.as_deref().unwrap_or("TCP"))).collect(),
        }
    }
}
