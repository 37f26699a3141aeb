//! The events of one cluster, for as long as it is there.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::Sender;

use super::event::FleetEvent;
use crate::engine::{ContainerState, Engine};
use crate::k8s::events::{self, Told};
use crate::k8s::{ApiServer, RequestErrorKind};
use crate::ops::api_server;
use crate::ops::error::Result;
use crate::ops::inventory::Inventory;

/// Pause before a cluster that is not to be reached is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Sends the events of a cluster since a time; begins anew when the cluster was restarted, or made anew under the
/// same name. Ends when it is gone, or nobody listens.
pub(super) async fn follow(engine: Arc<dyn Engine>, cluster: String, since: SystemTime, out: Sender<FleetEvent>) {
    let mut told = Told::since(since);
    // Why it is not heard, told once.
    let mut silent: Option<String> = None;
    loop {
        match connect(&engine, &cluster).await {
            Ok(None) => return,
            Ok(Some(server)) => {
                let hear = |event| {
                    let (out, event) = (out.clone(), FleetEvent::of_cluster(&cluster, event));
                    async move { out.send(event).await.is_ok() }
                };
                let heard = |problem: Option<String>| {
                    let notice = notice(&cluster, &mut silent, problem);
                    let out = out.clone();
                    async move {
                        match notice {
                            Some(notice) => out.send(notice).await.is_ok(),
                            None => true,
                        }
                    }
                };
                match events::follow(&server, &mut told, hear, heard).await {
                    // Nobody listens.
                    Ok(()) => return,
                    // It was made anew: with other keys.
                    Err(error) if error.kind() == Some(RequestErrorKind::Untrusted) => told = Told::since(SystemTime::now()),
                    Err(_) => {}
                }
            }
            Err(error) => {
                if let Some(notice) = notice(&cluster, &mut silent, Some(error.one_line()))
                    && out.send(notice).await.is_err()
                {
                    return;
                }
            }
        }
        if out.is_closed() {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The events that a cluster remembers.
pub(super) async fn past(engine: &Arc<dyn Engine>, cluster: &str, since: SystemTime) -> Vec<FleetEvent> {
    let listed = async {
        let Some(server) = connect(engine, cluster).await? else { return Ok(Vec::new()) };
        let listed = events::list(&server).await;
        listed.map_err(|error| crate::ops::Error::new(crate::ops::ErrorKind::Cluster, "the API server does not answer").because(error))
    };
    match tokio::time::timeout(CONNECT, listed).await {
        Ok(Ok(events)) => {
            events.into_iter().filter(|event| event.time >= Some(since)).map(|event| FleetEvent::of_cluster(cluster, event)).collect()
        }
        Ok(Err(error)) => vec![FleetEvent::notice(cluster, true, "Silent", error.one_line())],
        Err(_) => vec![FleetEvent::notice(cluster, true, "Silent", format!("no answer within {} s", CONNECT.as_secs()))],
    }
}

/// The way to the API server; `None` when the cluster is gone.
async fn connect(engine: &Arc<dyn Engine>, cluster: &str) -> Result<Option<ApiServer>> {
    let inventory = Inventory::read(engine.as_ref()).await?;
    if inventory.nodes(cluster).is_empty() {
        return Ok(None);
    }
    let control_plane = inventory.control_plane(cluster)?;
    if control_plane.state != ContainerState::Running {
        let state = format!("{:?}", control_plane.state).to_lowercase();
        return Err(crate::ops::Error::new(crate::ops::ErrorKind::Cluster, format!("node {} is {state}", control_plane.name)));
    }
    api_server::connect(engine.as_ref(), cluster, control_plane).await.map(Some)
}

/// Tells when a cluster falls silent, and when it speaks again.
fn notice(cluster: &str, silent: &mut Option<String>, problem: Option<String>) -> Option<FleetEvent> {
    match (silent.is_some(), problem) {
        (false, Some(problem)) => {
            *silent = Some(problem.clone());
            Some(FleetEvent::notice(cluster, true, "Silent", format!("{problem}; connecting again")))
        }
        (true, None) => {
            *silent = None;
            Some(FleetEvent::notice(cluster, false, "Heard", "the API server answers again".to_owned()))
        }
        _ => None,
    }
}
