//! Traffic for a verdict: calls from the clients, and connections that go past their proxies.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;

use crate::domain::mesh::proof::names;
use crate::domain::mesh::proof::{Call, ClusterView, FleetView, Probe, Seen};
use crate::k8s::pod_exec::{self, Place, PodOutput};
use crate::k8s::{ApiServer, Deadline};

use super::observe::{Client, Look};

/// Longest time for all probes of a client; they run side by side, each for five seconds at most.
const PROBES: Duration = Duration::from_secs(8);

/// Sends traffic from every client at once and adds what came of it to the view.
pub(super) async fn send(look: &mut Look, limit: Duration) {
    let view = &look.view;
    let work = view.clusters.iter().zip(&look.clients).map(|(cluster, client)| async {
        let client = client.as_ref()?;
        Some(tokio::join!(calls(view, client, Deadline::after(limit)), probes(view, cluster, client)))
    });
    let traffic = join_all(work).await;
    for (cluster, traffic) in look.view.clusters.iter_mut().zip(traffic) {
        if let (Ok(client), Some((calls, probes))) = (&mut cluster.client, traffic) {
            client.calls = calls;
            client.probes = probes;
        }
    }
}

/// Calls in rounds, until all that are to answer have, or it is clear that they will not.
async fn calls(view: &FleetView, client: &Client, deadline: Deadline) -> Seen<Vec<Call>> {
    let wanted = view.calls_wanted.max(names::MIN_CALLS);
    let mut calls = Vec::new();
    for _ in 0..names::MOST_ROUNDS {
        let output = match run(&client.server, &client.container, &Call::command(wanted), deadline).await {
            Ok(output) => output,
            Err(why) if calls.is_empty() => return Err(why),
            // Those that were made tell enough.
            Err(_) => break,
        };
        let round = Call::parse(&output.stdout);
        if round.is_empty() && calls.is_empty() {
            return Err(output.describe());
        }
        let whole = round.len() == wanted && round.iter().all(|call| call.answer().is_ok());
        calls.extend(round);
        if !whole || view.all_answered(&calls) {
            break;
        }
    }
    Ok(calls)
}

/// Connections to every gateway, and plain text to the cluster's own pods.
async fn probes(view: &FleetView, cluster: &ClusterView, client: &Client) -> Seen<Vec<Probe>> {
    let gateways =
        view.clusters.iter().filter_map(ClusterView::gateway_address).map(|address| SocketAddr::new(address, names::GATEWAY_PORT));
    let pods = cluster.ready_servers().filter_map(|pod| pod.address).map(|address| SocketAddr::new(address, names::SERVICE_PORT));
    let targets: Vec<String> = gateways.chain(pods).map(|target| target.to_string()).collect();
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    let output = run(&client.server, &client.bypass, &Probe::command(&targets), Deadline::after(PROBES)).await?;
    match Probe::parse(&output.stdout) {
        probes if probes.is_empty() => Err(output.describe()),
        probes => Ok(probes),
    }
}

async fn run(server: &ApiServer, place: &Place, command: &[String], deadline: Deadline) -> Seen<PodOutput> {
    pod_exec::run(server, place, command, deadline).await.map_err(|error| error.to_string())
}
