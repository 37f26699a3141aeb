//! `kindmesh status`.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::super::errors::CliError;
use super::super::exit::Exit;
use super::super::session::Session;
use super::super::table::Table;
use super::super::watch::Watched;
use crate::domain::name::FleetName;
use crate::ops::{ClusterStatus, FleetStatus, Kindmesh};

/// With --watch, what API servers know is looked at so often; what the engine does is seen at once.
const LOOK: Duration = Duration::from_secs(3);

const EXAMPLES: &str = "\
With --watch until Ctrl-C (exit code 130): a terminal is redrawn whenever something changes, a pipe gets a line for
every value that changed, and with -o json a document for every change.

Examples:
  kindmesh status
  kindmesh status --watch
  kindmesh status --fleet trio
  kindmesh status -o json | jq -r '.fleets[].clusters[].services[].address'";

/// Flags of `status`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct StatusArgs {
    /// Only this fleet [default: all]
    #[arg(long, value_name = "NAME")]
    fleet: Option<FleetName>,
    /// Go on, and show what changes
    #[arg(short, long)]
    watch: bool,
}

#[derive(Serialize)]
struct Document {
    fleets: Vec<FleetStatus>,
}

/// Runs it.
///
/// # Errors
/// When the engine cannot be asked. An API server that does not answer is a part of the result.
pub async fn run(session: &Session, args: &StatusArgs) -> Result<(), CliError> {
    let kindmesh = session.kindmesh(None).await?;
    if args.watch {
        session.until_stopped();
        return watch(session, &kindmesh, args).await;
    }
    let document = Document { fleets: session.or_cancelled(kindmesh.status(args.fleet.as_ref())).await? };
    session.printer().result(&document, || text(&document.fleets))?;
    if document.fleets.is_empty() {
        session.printer().say("no fleets; make one with `kindmesh up`");
    }
    Ok(())
}

/// Shows it again and again. An engine that does not answer for a while is waited for; at first it must answer.
async fn watch(session: &Session, kindmesh: &Kindmesh, args: &StatusArgs) -> Result<(), CliError> {
    let mut watched = Watched::default();
    let mut problem: Option<String> = None;
    loop {
        // Before the look: what changes during it is seen by the next.
        let change = kindmesh.next_change(LOOK);
        match session.or_cancelled(kindmesh.status(args.fleet.as_ref())).await {
            Ok(fleets) => {
                problem = None;
                watched.show(session.printer(), &Document { fleets: fleets.clone() }, || {
                    if fleets.is_empty() { "no fleets\n".to_owned() } else { text(&fleets) }
                })?;
            }
            Err(error) if error.kind == Exit::Cancelled || watched.is_new() => return Err(error),
            Err(error) => {
                if problem.as_ref() != Some(&error.message) {
                    session.printer().say(&format!("{}; looking again", error.message));
                }
                problem = Some(error.message);
            }
        }
        let changed = async {
            change.await;
            Ok::<(), CliError>(())
        };
        session.or_cancelled(changed).await?;
    }
}

/// Three tables: clusters, nodes, services; then what is wrong.
fn text(fleets: &[FleetStatus]) -> String {
    let mut clusters = Table::new(["FLEET", "CLUSTER", "NETWORK", "KUBERNETES", "API SERVER", "POOL"]);
    let mut nodes = Table::new(["CLUSTER", "NODE", "ROLE", "STATE", "READY", "ADDRESS"]);
    let mut services = Table::new(["CLUSTER", "SERVICE", "ADDRESS", "PORTS"]);
    let mut mesh = Table::new(["CLUSTER", "MESH", "ISTIO", "NETWORK", "EAST-WEST", "INGRESS", "KNOWS"]);
    let mut problems = String::new();
    for fleet in fleets {
        for cluster in &fleet.clusters {
            clusters.row([
                fleet.name.clone(),
                cluster.name.clone(),
                fleet.networks.join(","),
                cluster.kubernetes_version.clone().unwrap_or_default(),
                cluster.api_server.clone().unwrap_or_default(),
                cluster.pool.as_ref().map(ToString::to_string).unwrap_or_default(),
            ]);
            node_rows(cluster, &mut nodes);
            service_rows(cluster, &mut services);
            mesh_rows(cluster, &mut mesh);
            if let Some(problem) = cluster.mesh.as_ref().and_then(|mesh| mesh.problem.as_ref()) {
                problems.push_str(&format!("\n{}: {problem}\n", cluster.name));
            }
            if let Some(error) = &cluster.error {
                problems.push_str(&format!("\n{}: {error}\n", cluster.name));
            }
        }
    }
    if clusters.is_empty() {
        return String::new();
    }
    let services = if services.is_empty() { String::new() } else { format!("\n{services}") };
    let mesh = if mesh.is_empty() { String::new() } else { format!("\n{mesh}") };
    format!("{clusters}\n{nodes}{services}{mesh}{problems}")
}

fn mesh_rows(cluster: &ClusterStatus, table: &mut Table<7>) {
    let Some(mesh) = &cluster.mesh else { return };
    let address = |address: Option<std::net::IpAddr>| address.map(|address| address.to_string()).unwrap_or_default();
    table.row([
        cluster.name.clone(),
        mesh.id.clone().unwrap_or_default(),
        mesh.version.clone(),
        mesh.network.clone().unwrap_or_default(),
        address(mesh.east_west_gateway),
        address(mesh.ingress_gateway),
        mesh.remote_clusters.join(","),
    ]);
}

fn node_rows(cluster: &ClusterStatus, table: &mut Table<6>) {
    for node in &cluster.nodes {
        table.row([
            cluster.name.clone(),
            node.name.clone(),
            node.role.clone(),
            node.state.clone(),
            match node.ready {
                Some(true) => "yes",
                Some(false) => "no",
                None => "unknown",
            }
            .to_owned(),
            node.address.map(|address| address.to_string()).unwrap_or_default(),
        ]);
    }
}

fn service_rows(cluster: &ClusterStatus, table: &mut Table<4>) {
    for service in &cluster.services {
        table.row([
            cluster.name.clone(),
            format!("{}/{}", service.namespace, service.name),
            service.address.map_or_else(|| "pending".to_owned(), |address| address.to_string()),
            service.ports.join(","),
        ]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{MeshStatus, NodeEntry, ServiceStatus};

    fn cluster(name: &str) -> ClusterStatus {
        let node = NodeEntry {
            name: format!("{name}-control-plane"),
            cluster: name.into(),
            role: "control-plane".into(),
            state: "running".into(),
            address: Some([172, 18, 0, 2].into()),
            image: "i".into(),
            ready: Some(true),
        };
        let service = ServiceStatus {
            namespace: "default".into(),
            name: "echo".into(),
            address: Some([172, 18, 255, 230].into()),
            ports: vec!["80/TCP".into()],
        };
        ClusterStatus {
            name: name.into(),
            pool: Some("172.18.255.230-172.18.255.254".parse().unwrap()),
            api_server: Some("https://127.0.0.1:40001".into()),
            kubernetes_version: Some("v1.34.4".into()),
            error: None,
            nodes: vec![node],
            services: vec![service],
            mesh: None,
        }
    }

    #[test]
    fn a_fleet_with_a_broken_cluster() {
        let mut broken = cluster("b");
        broken.error = Some("the API server does not answer: connection refused".into());
        broken.kubernetes_version = None;
        let mut whole = cluster("a");
        whole.mesh = Some(MeshStatus {
            id: Some("mesh1".into()),
            version: "1.31.1".into(),
            network: Some("network-a".into()),
            east_west_gateway: Some([172, 18, 255, 231].into()),
            ingress_gateway: None,
            egress_gateway: None,
            remote_clusters: vec!["b".into()],
            problem: None,
        });
        broken.services.clear();
        broken.nodes[0].state = "exited".into();
        broken.nodes[0].ready = None;
        broken.nodes[0].address = None;
        let fleet = FleetStatus { name: "duo".into(), networks: vec!["kind".into()], clusters: vec![whole, broken] };
        insta::assert_snapshot!(text(&[fleet]), @r"
        FLEET  CLUSTER  NETWORK  KUBERNETES  API SERVER               POOL
        duo    a        kind     v1.34.4     https://127.0.0.1:40001  172.18.255.230-172.18.255.254
        duo    b        kind     -           https://127.0.0.1:40001  172.18.255.230-172.18.255.254

        CLUSTER  NODE             ROLE           STATE    READY    ADDRESS
        a        a-control-plane  control-plane  running  yes      172.18.0.2
        b        b-control-plane  control-plane  exited   unknown  -

        CLUSTER  SERVICE       ADDRESS         PORTS
        a        default/echo  172.18.255.230  80/TCP

        CLUSTER  MESH   ISTIO   NETWORK    EAST-WEST       INGRESS  KNOWS
        a        mesh1  1.31.1  network-a  172.18.255.231  -        b

        b: the API server does not answer: connection refused
        ");
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(text(&[]), "");
    }
}
