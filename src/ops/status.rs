//! What is there: fleets, clusters, nodes, kubeconfigs.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;

use crate::domain::istio::GatewayKind;
use crate::domain::mesh::spec::SYSTEM_NAMESPACE;
use crate::domain::name::FleetName;
use crate::engine::{ContainerInfo, ContainerState};
use crate::k8s::{self, ApiServer};

use super::api_server;
use super::context::Kindmesh;
use super::error::{Error, ErrorKind, Result};
use super::inventory::{Inventory, fleet_of, is_running, role};
use super::report::{ClusterEntry, ClusterStatus, FleetStatus, MeshStatus, NodeEntry, ServiceStatus};

/// An API server that does not answer in this time is shown as not answering.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

impl Kindmesh {
    /// Fleets as they are: of this name, or all that kindmesh made on the engine.
    ///
    /// # Errors
    /// When the engine fails, or there is no fleet of this name. A cluster that does not answer is
    /// no error; its entry says so.
    pub async fn status(&self, fleet: Option<&FleetName>) -> Result<Vec<FleetStatus>> {
        let inventory = Inventory::read(self.engine.as_ref()).await?;
        let names = match fleet {
            Some(name) => vec![name.clone()],
            None => inventory.fleets().iter().map(|name| name.parse()).collect::<Result<Vec<FleetName>, _>>()?,
        };
        let mut fleets = Vec::new();
        for name in names {
            let clusters: Vec<(&str, &[ContainerInfo])> = inventory.of_fleet(&name).collect();
            if clusters.is_empty() {
                let known = inventory.fleets().join(", ");
                let error = Error::new(ErrorKind::NotFound, format!("no fleet {name} on {}", self.engine.endpoint()));
                return Err(if known.is_empty() {
                    error.hint("make it with `kindmesh up`")
                } else {
                    error.hint(format!("there are: {known}"))
                });
            }
            let mut networks: Vec<String> =
                clusters.iter().flat_map(|(_, nodes)| nodes.iter()).flat_map(|node| node.networks.keys().cloned()).collect();
            networks.sort();
            networks.dedup();
            let clusters = join_all(clusters.iter().map(|(cluster, _)| self.cluster_status(cluster, &inventory))).await;
            fleets.push(FleetStatus { name: name.to_string(), networks, clusters });
        }
        Ok(fleets)
    }

    /// Every cluster with kind's labels on the engine, whoever made it, by name.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn clusters(&self) -> Result<Vec<ClusterEntry>> {
        let inventory = Inventory::read(self.engine.as_ref()).await?;
        Ok(inventory
            .clusters()
            .map(|(name, nodes)| ClusterEntry {
                name: name.to_owned(),
                fleet: nodes.iter().find_map(fleet_of).map(str::to_owned),
                nodes: nodes.len(),
                running: nodes.iter().filter(|node| is_running(node)).count(),
            })
            .collect())
    }

    /// Nodes of one cluster, or of all.
    ///
    /// # Errors
    /// When the engine fails, or there is no such cluster.
    pub async fn nodes(&self, cluster: Option<&str>) -> Result<Vec<NodeEntry>> {
        let inventory = Inventory::read(self.engine.as_ref()).await?;
        if let Some(cluster) = cluster.filter(|cluster| inventory.nodes(cluster).is_empty()) {
            inventory.control_plane(cluster)?;
        }
        let wanted = |name: &str| cluster.is_none_or(|cluster| cluster == name);
        Ok(inventory
            .clusters()
            .filter(|(name, _)| wanted(name))
            .flat_map(|(name, nodes)| nodes.iter().map(move |node| entry(name, node)))
            .collect())
    }

    /// Kubeconfig of a cluster, whoever made it. The internal one works for clients on the
    /// cluster's network, pods of other clusters among them.
    ///
    /// # Errors
    /// When there is no such cluster, or its bootstrap did not finish.
    pub async fn kubeconfig(&self, cluster: &str, internal: bool) -> Result<String> {
        let engine = self.engine.as_ref();
        let inventory = Inventory::read(engine).await?;
        let control_plane = inventory.control_plane(cluster)?;
        let entry = match internal {
            true => api_server::internal_entry(engine, cluster, control_plane).await?,
            false => api_server::external_entry(engine, cluster, control_plane).await?,
        };
        Ok(entry.to_kubeconfig().to_yaml())
    }

    /// A Kubernetes client for a cluster. It lives as long as the runtime it was made in.
    ///
    /// # Errors
    /// As [`Kindmesh::kubeconfig`].
    pub async fn client(&self, cluster: &str) -> Result<kube::Client> {
        Ok(self.api_server(cluster).await?.client())
    }

    /// The API server of a cluster.
    pub(super) async fn api_server(&self, cluster: &str) -> Result<ApiServer> {
        let inventory = Inventory::read(self.engine.as_ref()).await?;
        api_server::connect(self.engine.as_ref(), cluster, inventory.control_plane(cluster)?).await
    }

    async fn cluster_status(&self, cluster: &str, inventory: &Inventory) -> ClusterStatus {
        let nodes = inventory.nodes(cluster);
        let mut status = ClusterStatus {
            name: cluster.to_owned(),
            pool: inventory.pool(cluster),
            api_server: None,
            kubernetes_version: None,
            error: None,
            nodes: nodes.iter().map(|node| entry(cluster, node)).collect(),
            services: Vec::new(),
            mesh: None,
        };
        let server = async {
            let control_plane = inventory.control_plane(cluster)?;
            if control_plane.state == ContainerState::Paused {
                return Err(Error::new(
                    ErrorKind::Cluster,
                    format!(
                        "node {} is paused; `kindmesh resume{}` lets it go on",
                        control_plane.name,
                        api_server::fleet_flag(control_plane)
                    ),
                ));
            }
            api_server::connect(self.engine.as_ref(), cluster, control_plane).await
        };
        match server.await {
            Ok(server) => {
                status.api_server = Some(server.address().to_owned());
                match tokio::time::timeout(ANSWER_DEADLINE, self::ask(&server, &mut status)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => status.error = Some(error.one_line()),
                    Err(_) => status.error = Some(format!("the API server did not answer within {} s", ANSWER_DEADLINE.as_secs())),
                }
            }
            Err(error) => status.error = Some(error.one_line()),
        }
        status
    }
}

/// Fills in what only the API server knows.
async fn ask(server: &ApiServer, status: &mut ClusterStatus) -> Result<()> {
    let failed = |error: k8s::K8sError| Error::new(ErrorKind::Cluster, "the API server does not answer").because(error);
    status.kubernetes_version = Some(server.server_version().await.map_err(failed)?.to_string());
    let known = k8s::nodes::list(server).await.map_err(failed)?;
    for node in &mut status.nodes {
        node.ready = known.iter().find(|known| known.name == node.name).map(|known| known.ready.is_ok());
    }
    status.services = k8s::services::load_balancers(server)
        .await
        .map_err(failed)?
        .into_iter()
        .map(|service| ServiceStatus { namespace: service.namespace, name: service.name, address: service.address, ports: service.ports })
        .collect();
    status.mesh = mesh(server, &status.services).await.map_err(failed)?;
    Ok(())
}

async fn mesh(server: &ApiServer, services: &[ServiceStatus]) -> k8s::Result<Option<MeshStatus>> {
    let Some(control_plane) = k8s::istio::control_plane(server).await? else { return Ok(None) };
    let (network, remote_clusters) = tokio::try_join!(k8s::mesh_objects::namespace_network(server), k8s::istio::remote_clusters(server))?;
    let gateway = |kind: GatewayKind| {
        let named = |service: &&ServiceStatus| service.namespace == SYSTEM_NAMESPACE && service.name == kind.name();
        services.iter().find(named).and_then(|service| service.address)
    };
    Ok(Some(MeshStatus {
        id: control_plane.mesh_id,
        version: control_plane.version,
        network,
        east_west_gateway: gateway(GatewayKind::EastWest),
        ingress_gateway: gateway(GatewayKind::Ingress),
        egress_gateway: gateway(GatewayKind::Egress),
        remote_clusters,
        problem: control_plane.problem,
    }))
}

fn entry(cluster: &str, node: &ContainerInfo) -> NodeEntry {
    NodeEntry {
        name: node.name.clone(),
        cluster: cluster.to_owned(),
        role: role(node).map(|role| role.to_string()).unwrap_or_default(),
        state: format!("{:?}", node.state).to_lowercase(),
        address: node.networks.values().find_map(|network| network.ipv4).map(IpAddr::V4),
        image: node.image.clone(),
        ready: None,
    }
}
