//! The way to a cluster's API server: its kubeconfig, read from the node, pointed at the published port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::container::Protocol;
use crate::domain::kubeconfig::{ClusterEntry, server_url};
use crate::domain::labels;
use crate::domain::node::API_SERVER_PORT;
use crate::engine::{ContainerInfo, Engine, ExecRequest};
use crate::k8s::ApiServer;

use super::error::{Error, ErrorKind, Result};

/// Where kubeadm leaves the administrator's kubeconfig.
pub(super) const ADMIN_CONF: &str = "/etc/kubernetes/admin.conf";

/// Where it leaves one that needs no role of the cluster's: the roles may not be there yet.
const SUPER_ADMIN_CONF: &str = "/etc/kubernetes/super-admin.conf";

/// Reading a file in a node takes a tenth of a second, and some seconds where everything starts at once.
const READ_DEADLINE: Duration = Duration::from_secs(30);

/// Connects to a cluster's API server. Nothing is sent yet.
pub(super) async fn connect(engine: &dyn Engine, cluster: &str, control_plane: &ContainerInfo) -> Result<ApiServer> {
    connect_as(engine, cluster, control_plane, ADMIN_CONF).await
}

/// Connects to the API server of a cluster that does not know its administrator yet.
pub(super) async fn connect_early(engine: &dyn Engine, cluster: &str, control_plane: &ContainerInfo) -> Result<ApiServer> {
    connect_as(engine, cluster, control_plane, SUPER_ADMIN_CONF).await
}

/// [`connect_early`] with the kubeconfig that the node handed over.
pub(super) async fn connect_with(engine: &dyn Engine, cluster: &str, control_plane: &ContainerInfo, conf: &str) -> Result<ApiServer> {
    let server = published_server(engine, cluster, control_plane)?;
    open(cluster, &entry(cluster, control_plane, conf, &server)?).await
}

async fn connect_as(engine: &dyn Engine, cluster: &str, control_plane: &ContainerInfo, conf: &str) -> Result<ApiServer> {
    let server = published_server(engine, cluster, control_plane)?;
    open(cluster, &from_node(engine, cluster, control_plane, conf, &server).await?).await
}

async fn open(cluster: &str, entry: &ClusterEntry) -> Result<ApiServer> {
    ApiServer::from_kubeconfig(&entry.to_kubeconfig().to_yaml())
        .await
        .map_err(|error| Error::new(ErrorKind::Cluster, format!("kubeconfig of cluster {cluster}")).because(error))
}

/// Kubeconfig entry for clients on this machine.
pub(super) async fn external_entry(engine: &dyn Engine, cluster: &str, control_plane: &ContainerInfo) -> Result<ClusterEntry> {
    let server = published_server(engine, cluster, control_plane)?;
    from_node(engine, cluster, control_plane, ADMIN_CONF, &server).await
}

/// [`external_entry`] with the kubeconfig that the node handed over.
pub(super) fn handed_entry(engine: &dyn Engine, cluster: &str, control_plane: &ContainerInfo, conf: &str) -> Result<ClusterEntry> {
    entry(cluster, control_plane, conf, &published_server(engine, cluster, control_plane)?)
}

/// Kubeconfig entry for clients on the cluster's network, pods of other clusters among them: the server's
/// name is the node's, which the engine's DNS resolves there.
pub(super) async fn internal_entry(engine: &dyn Engine, cluster: &str, control_plane: &ContainerInfo) -> Result<ClusterEntry> {
    from_node(engine, cluster, control_plane, ADMIN_CONF, &server_url(&control_plane.name, API_SERVER_PORT)).await
}

async fn from_node(engine: &dyn Engine, cluster: &str, control_plane: &ContainerInfo, conf: &str, server: &str) -> Result<ClusterEntry> {
    let cancel = CancellationToken::new();
    let reading = engine.exec(&control_plane.name, ExecRequest::new(["cat", conf]), &cancel);
    // Some engines wait for a node that was suspended or stuck in this moment, for ever.
    let output = tokio::time::timeout(READ_DEADLINE, reading).await.map_err(|_| {
        let node = &control_plane.name;
        let message = format!("cluster {cluster}: node {node} did not give its kubeconfig within {} s", READ_DEADLINE.as_secs());
        Error::new(ErrorKind::Timeout, message).hint("`kindmesh status` shows how the node is; one that is suspended tells nothing")
    })??;
    // A file that is not there is told with 1.
    if !output.success() && output.exit_code != 1 {
        let message = format!("cluster {cluster}: node {} did not give its kubeconfig: {}", control_plane.name, output.tail(1));
        return Err(Error::new(ErrorKind::Cluster, message).hint("`kindmesh status` shows how the node is"));
    }
    if !output.success() {
        return Err(Error::new(ErrorKind::Cluster, format!("cluster {cluster} has no kubeconfig yet: its bootstrap did not finish"))
            .hint("run `kindmesh up` again to finish it"));
    }
    entry(cluster, control_plane, &output.stdout_text(), server)
}

fn entry(cluster: &str, control_plane: &ContainerInfo, conf: &str, server: &str) -> Result<ClusterEntry> {
    ClusterEntry::from_admin_conf(conf, cluster)
        .map(|entry| entry.with_server(server))
        .map_err(|error| Error::new(ErrorKind::Cluster, format!("kubeconfig in node {}", control_plane.name)).because(error))
}

/// How a command names the fleet of a node; nothing for a cluster that is in none.
pub(super) fn fleet_flag(node: &ContainerInfo) -> String {
    node.labels.get(labels::FLEET).map(|fleet| format!(" --fleet {fleet}")).unwrap_or_default()
}

/// `https://host:port` as this machine reaches the published API server.
fn published_server(engine: &dyn Engine, cluster: &str, control_plane: &ContainerInfo) -> Result<String> {
    let port =
        control_plane.ports.iter().find(|port| port.container_port == API_SERVER_PORT && port.protocol == Protocol::Tcp).ok_or_else(
            || {
                Error::new(
                    ErrorKind::Cluster,
                    format!("the API server of cluster {cluster} is not published: node {} is not running", control_plane.name),
                )
                .hint(format!(
                    "`kindmesh start{fleet}` starts a stopped fleet; one that was never finished needs `kindmesh up{fleet}`",
                    fleet = fleet_flag(control_plane)
                ))
            },
        )?;
    let host = match (engine.remote_host(), port.host_ip) {
        (Some(remote), _) => remote,
        (None, IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => Ipv4Addr::LOCALHOST.to_string(),
        (None, IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => Ipv6Addr::LOCALHOST.to_string(),
        (None, address) => address.to_string(),
    };
    Ok(server_url(&host, port.host_port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::container::ContainerSpec;
    use crate::engine::fake::{ExecReply, FakeEngine};

    /// As of a node that was suspended by somebody else in this moment.
    #[tokio::test(start_paused = true)]
    async fn a_node_that_never_tells_is_not_waited_for_for_ever() {
        let engine = FakeEngine::new();
        engine.add_image("node", &[]);
        engine.on_exec(|_| Some(ExecReply::Hang));
        let spec = ContainerSpec { image: "node".into(), network: "bridge".into(), ..ContainerSpec::default() };
        engine.create_container("c-control-plane", &spec).await.unwrap();
        engine.start_container("c-control-plane").await.unwrap();
        let node = engine.inspect_container("c-control-plane").await.unwrap();
        let error = internal_entry(&engine, "c", &node).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains("node c-control-plane did not give its kubeconfig within 30 s"), "{error}");
    }
}
