//! `graph`: a fleet as it is, to be drawn.

use std::time::Duration;

use futures_util::future::join_all;

use crate::domain::istio::GatewayKind;
use crate::domain::mesh::graph::{FleetGraph, GraphCluster, GraphGateway};
use crate::domain::mesh::proof::{Matrix, names};
use crate::domain::name::FleetName;
use crate::k8s::{ApiServer, Result as K8sResult, mesh_objects, services};

use super::super::api_server;
use super::super::context::Kindmesh;
use super::super::error::{Error, ErrorKind, Result};
use super::super::inventory::Inventory;
use super::members;

/// A cluster that does not answer in this time is drawn without what only it knows.
const ANSWER: Duration = Duration::from_secs(5);

impl Kindmesh {
    /// A fleet to be drawn, with requests that somebody counted. A cluster that does not answer is a
    /// part of the picture.
    ///
    /// # Errors
    /// When the engine fails, or there is no fleet of this name.
    pub async fn graph(&self, fleet: &FleetName, traffic: Matrix) -> Result<FleetGraph> {
        let (inventory, members) = members::read(self, fleet).await?;
        let clusters = join_all(members.iter().map(|name| self.graph_cluster(name.as_str(), &inventory))).await;
        Ok(FleetGraph { fleet: fleet.to_string(), clusters, traffic })
    }

    async fn graph_cluster(&self, name: &str, inventory: &Inventory) -> GraphCluster {
        let nodes = inventory.nodes(name);
        let mut engine_networks: Vec<String> = nodes.iter().flat_map(|node| node.networks.keys().cloned()).collect();
        engine_networks.sort();
        engine_networks.dedup();
        let mut cluster = GraphCluster {
            name: name.to_owned(),
            engine_networks,
            pool: inventory.pool(name).map(|pool| pool.to_string()),
            nodes: nodes.len(),
            ..GraphCluster::default()
        };
        let told = async {
            let server = api_server::connect(self.engine.as_ref(), name, inventory.control_plane(name)?).await?;
            ask(&server, &mut cluster)
                .await
                .map_err(|error| Error::new(ErrorKind::Cluster, "the API server does not answer").because(error))
        };
        let error = match tokio::time::timeout(ANSWER, told).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.one_line()),
            Err(_) => Some(format!("no answer within {} s", ANSWER.as_secs())),
        };
        GraphCluster { error, ..cluster }
    }
}

/// Fills in what only the API server knows.
async fn ask(server: &ApiServer, cluster: &mut GraphCluster) -> K8sResult<()> {
    let (network, services, pods) =
        tokio::try_join!(mesh_objects::namespace_network(server), services::load_balancers(server), mesh_objects::sample_pods(server))?;
    cluster.network = network;
    let gateway = |kind: GatewayKind| {
        let service = services.iter().find(|service| service.namespace == names::SYSTEM_NAMESPACE && service.name == kind.name())?;
        Some(GraphGateway { kind, address: service.address })
    };
    cluster.gateways = GatewayKind::ALL.into_iter().filter_map(gateway).collect();
    let versions = pods.into_iter().filter(|pod| pod.view.app == names::SERVICE).filter_map(|pod| pod.view.version);
    cluster.versions = versions.collect();
    cluster.versions.sort();
    cluster.versions.dedup();
    Ok(())
}
