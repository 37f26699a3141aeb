//! The way to a cluster's API server: its kubeconfig, read from the node, pointed at the published port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio_util::sync::CancellationToken;

use crate::domain::container::Protocol;
use crate::domain::kubeconfig;
use crate::domain::node::API_SERVER_PORT;
use crate::engine::{ContainerInfo, Engine, ExecRequest};
use crate::k8s::ApiServer;

use super::error::{Error, ErrorKind, Result};

/// Where kubeadm leaves the administrator's kubeconfig.
pub(super) const ADMIN_CONF: &str = "/etc/kubernetes/admin.conf";

/// Connects to a cluster's API server. Nothing is sent yet.
pub(super) async fn connect(engine: &dyn Engine, cluster: &str, control_plane: &ContainerInfo) -> Result<ApiServer> {
    let text = external_kubeconfig(engine, cluster, control_plane).await?;
    ApiServer::from_kubeconfig(&text)
        .await
        .map_err(|error| Error::new(ErrorKind::Cluster, format!("kubeconfig of cluster {cluster}")).because(error))
}

/// Kubeconfig for clients on this machine.
pub(super) async fn external_kubeconfig(engine: &dyn Engine, cluster: &str, control_plane: &ContainerInfo) -> Result<String> {
    let server = published_server(engine, cluster, control_plane)?;
    from_node(engine, cluster, control_plane, &server).await
}

/// Kubeconfig for clients on the cluster's network, pods of other clusters among them: the server's
/// name is the node's, which the engine's DNS resolves there.
pub(super) async fn internal_kubeconfig(engine: &dyn Engine, cluster: &str, control_plane: &ContainerInfo) -> Result<String> {
    from_node(engine, cluster, control_plane, &format!("https://{}:{API_SERVER_PORT}", control_plane.name)).await
}

async fn from_node(engine: &dyn Engine, cluster: &str, control_plane: &ContainerInfo, server: &str) -> Result<String> {
    let output = engine.exec(&control_plane.id, ExecRequest::new(["cat", ADMIN_CONF]), &CancellationToken::new()).await?;
    if !output.success() {
        return Err(Error::new(ErrorKind::Cluster, format!("cluster {cluster} has no kubeconfig yet: its bootstrap did not finish"))
            .hint("run `kindmesh up` again to finish it"));
    }
    kubeconfig::extract(&output.stdout_text(), cluster, server)
        .map_err(|error| Error::new(ErrorKind::Cluster, format!("kubeconfig in node {}", control_plane.name)).because(error))
}

/// `https://host:port` as this machine reaches the published API server.
fn published_server(engine: &dyn Engine, cluster: &str, control_plane: &ContainerInfo) -> Result<String> {
    let port = control_plane
        .ports
        .iter()
        .find(|port| port.container_port == API_SERVER_PORT && port.protocol == Protocol::Tcp)
        .ok_or_else(|| {
            Error::new(ErrorKind::Cluster, format!("the API server of cluster {cluster} is not published: node {} is not running", control_plane.name))
                .hint("run `kindmesh up` again to start it")
        })?;
    let host = match (engine.remote_host(), port.host_ip) {
        (Some(remote), _) => remote,
        (None, IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => Ipv4Addr::LOCALHOST.to_string(),
        (None, IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => format!("[{}]", Ipv6Addr::LOCALHOST),
        (None, IpAddr::V4(address)) => address.to_string(),
        (None, IpAddr::V6(address)) => format!("[{address}]"),
    };
    Ok(format!("https://{host}:{}", port.host_port))
}
