//! `kindmesh up`.

use std::path::PathBuf;

use clap::Args;

use super::super::duration;
use super::super::errors::CliError;
use super::super::evidence::EvidenceFlag;
use super::super::session::Session;
use super::super::table::Table;
use super::super::timings::TimingsFlag;
use super::described::Described;
use super::{diff, pool, verify};
use crate::domain::warm::MAX_POOL_SIZE;
use crate::ops::{ClusterReport, UpReport};

const EXAMPLES: &str = "\
Without a file the fleet has two clusters, cluster1 and cluster2, on the network that kind uses.
Running it again completes what is missing and changes what is otherwise than described; --dry-run
shows what. Clusters and nodes that are not described any more are refused, or removed with --prune;
what cannot be changed in its place is refused, or made anew with --recreate.
Nodes are privileged, as kind's are, where the engine can do that, and else have every
capability that the host has and nothing more; --privileges asks for one or the other.

Examples:
  kindmesh up                                  two clusters, each with LoadBalancer addresses
  kindmesh up --sample                         and a small web service on one of them in each cluster
  kindmesh up --mesh                           and one Istio mesh over all clusters
  kindmesh up --clusters 3 --fleet trio        three clusters under a name of their own
  kindmesh up -f fleet.yaml                    what a file says
  kindmesh up -f fleet.yaml --dry-run          what that would do
  kindmesh up -f fleet.yaml --recreate west    make one cluster of it anew
  kindmesh up --kubernetes-version v1.33.1     another Kubernetes
  kindmesh up --mesh --warm 3                  three such fleets made beforehand (`kindmesh help pool`)
  kindmesh up -o json 2>events.jsonl           for programs";

/// Flags of `up`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct UpArgs {
    /// Kubeconfig file that gets the entries [default: as kubectl]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Show what would be done, as `kindmesh diff` does, and do nothing
    #[arg(long, conflicts_with_all = ["warm", "timings"])]
    dry_run: bool,
    /// Keep a warm pool of N such fleets, suspended, for `kindmesh pool lease`; 0 gives it up
    #[arg(long, value_name = "N", conflicts_with_all = ["prune", "recreate", "ttl", "kubeconfig", "timings"], value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_POOL_SIZE)))]
    warm: Option<u32>,
    #[command(flatten)]
    pub(in crate::cli) timings: TimingsFlag,
    #[command(flatten)]
    pub(in crate::cli) evidence: EvidenceFlag,
    // Last: the heading of the mesh's flags would stand above what follows.
    #[command(flatten)]
    described: Described,
}

/// Runs it.
///
/// # Errors
/// Whatever stops the fleet from becoming ready; what exists by then stays.
pub async fn run(session: &Session, args: &UpArgs) -> Result<(), CliError> {
    let fleet = args.described.fleet(session).await?;
    if let Some(size) = args.warm {
        return pool::warm(session, fleet, size).await;
    }
    if args.dry_run {
        return diff::show(session, &args.described, &fleet, false).await;
    }
    let kindmesh = session.kindmesh(Some(session.kubeconfig_files(args.kubeconfig.as_deref())?)).await?;
    let options = args.described.options(&fleet)?;
    let result = kindmesh.up_with(&fleet, &options).await;
    if let Some(timings) = session.timings() {
        timings.read_nodes(&kindmesh, &fleet.name).await;
    }
    let report = result?;
    let closing = match report.changed {
        true => session.summary().closing(&format!("fleet {} is ready", report.fleet), report.took),
        false => format!("fleet {} was complete, nothing to do ({})", report.fleet, duration::short(report.took)),
    };
    session.printer().result(&report, || text(&report))?;
    session.printer().say(&closing);
    Ok(())
}

fn text(report: &UpReport) -> String {
    let mut table = Table::new(["CLUSTER", "CONTEXT", "KUBERNETES", "NODES", "API SERVER", "POOL", "SAMPLE"]);
    for cluster in &report.clusters {
        table.row([
            cluster.name.clone(),
            cluster.context.clone(),
            cluster.kubernetes_version.clone(),
            cluster.nodes.len().to_string(),
            cluster.api_server.clone(),
            cluster.pool.to_string(),
            sample_page(report, cluster),
        ]);
    }
    match report.mesh.as_ref().and_then(|mesh| mesh.proof.as_ref()) {
        Some(proof) => format!("{table}\n{}", verify::text(proof)),
        None => table.to_string(),
    }
}

/// Where the sample answers this machine: its own address or, in a mesh, through the ingress gateway.
fn sample_page(report: &UpReport, cluster: &ClusterReport) -> String {
    if let Some(address) = cluster.sample_address {
        return format!("http://{address}/");
    }
    let members = report.mesh.iter().filter(|mesh| mesh.sample).flat_map(|mesh| &mesh.clusters);
    let mut ingress = members.filter(|member| member.cluster == cluster.name).filter_map(|member| member.ingress_gateway);
    ingress.next().map(|address| format!("http://{address}/hello")).unwrap_or_default()
}
