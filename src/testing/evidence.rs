//! What is worth reading when a test has failed.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;

use super::source::Source;
use crate::domain::name::FleetName;
use crate::k8s::look::{self, PodLook};
use crate::k8s::{ApiServer, nodes};
use crate::ops::ExportOptions;

/// Longest time for one cluster: one that does not answer is told of as such.
const LIMIT: Duration = Duration::from_secs(15);
/// Warnings shown.
const WARNINGS: usize = 20;
/// Lines of the log of a container that does not work.
const LINES: i64 = 20;
/// Pods whose logs are shown.
const PODS: usize = 8;

/// Of clusters by what tests call them and what the engine does, over connections of its own.
pub(super) async fn of_clusters(source: Source, clusters: Vec<(String, String)>) -> String {
    let kindmesh = match source.kindmesh().await {
        Ok(kindmesh) => kindmesh,
        Err(error) => return format!("no evidence: {}\n", error.one_line()),
    };
    let kindmesh = &kindmesh;
    let texts = clusters.iter().map(|(described, name)| async move {
        let connected = async { kindmesh.client(name).await };
        match tokio::time::timeout(LIMIT, connected).await {
            Ok(Ok(client)) => of_cluster(described, &ApiServer::new(client, name)).await,
            Ok(Err(error)) => format!("cluster {described} ({name}): {}\n", error.one_line()),
            Err(_) => format!("cluster {described} ({name}): its node does not answer\n"),
        }
    });
    join_all(texts).await.concat()
}

/// Writes everything that can be exported of a fleet, and says where it is.
pub(super) async fn write(source: &Source, fleet: &FleetName, folder: &Path) -> String {
    let options = ExportOptions { fleet: Some(fleet.clone()), ..ExportOptions::default() };
    let written = async { source.kindmesh().await?.export_logs(folder, &options).await };
    match written.await {
        Ok(report) => format!("{} files in {}\n", report.files, report.folder.display()),
        Err(error) => format!("nothing was written to {}: {}\n", folder.display(), error.one_line()),
    }
}

/// Of one cluster.
pub(super) async fn of_cluster(described: &str, server: &ApiServer) -> String {
    let mut lines = vec![format!("cluster {described}")];
    if tokio::time::timeout(LIMIT, read(server, &mut lines)).await.is_err() {
        lines.push(format!("  the API server does not answer within {} s", LIMIT.as_secs()));
    }
    lines.join("\n") + "\n"
}

/// What was read before the time is up is kept.
async fn read(server: &ApiServer, lines: &mut Vec<String>) {
    match nodes::list(server).await {
        Ok(nodes) => lines.extend(nodes.iter().map(|node| {
            let how = node.ready.as_ref().map_or_else(String::as_str, |()| "ready");
            format!("  node {}: {how}", node.name)
        })),
        Err(error) => return lines.push(format!("  {error}")),
    }
    match look::pods(server, None, "").await {
        Ok(pods) => {
            let (well, ill): (Vec<PodLook>, Vec<PodLook>) = pods.into_iter().partition(|pod| pod.trouble.is_none());
            lines.push(format!("  {} pods work, {} do not", well.len(), ill.len()));
            for (index, pod) in ill.iter().enumerate() {
                let trouble = pod.trouble.as_deref().unwrap_or_default();
                let node = if pod.node.is_empty() { "no node" } else { &pod.node };
                lines.push(format!("  pod {}/{} on {node}, {} restarts: {trouble}", pod.namespace, pod.name, pod.restarts));
                if index < PODS {
                    logs(server, pod, lines).await;
                }
            }
        }
        Err(error) => lines.push(format!("  {error}")),
    }
    match look::warnings(server, WARNINGS).await {
        Ok(warnings) => lines.extend(warnings.iter().map(|warning| format!("  warning: {warning}"))),
        Err(error) => lines.push(format!("  {error}")),
    }
}

async fn logs(server: &ApiServer, pod: &PodLook, lines: &mut Vec<String>) {
    for container in &pod.containers {
        match look::log_tail(server, &pod.namespace, &pod.name, Some(container), LINES).await {
            Ok(log) => lines.extend(log.lines().map(|line| format!("    {container} | {line}"))),
            Err(error) => lines.push(format!("    {container}: {error}")),
        }
    }
}
