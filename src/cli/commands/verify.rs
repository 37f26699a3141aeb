//! `kindmesh verify`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::super::duration;
use super::super::errors::CliError;
use super::super::evidence::EvidenceFlag;
use super::super::exit::Exit;
use super::super::grid::Grid;
use super::super::junit::junit;
use super::super::session::Session;
use super::super::table::Table;
use super::super::timings::TimingsFlag;
use crate::domain::fleet_file;
use crate::domain::mesh::proof::{Cause, Cell, CheckKind, names};
use crate::domain::name::{ClusterName, FleetName};
use crate::ops::{VerifyOptions, VerifyReport};

const EXAMPLES: &str = "\
Proves a mesh by traffic: every control plane has read all clusters, every network has a gateway that
answers, every proxy knows all endpoints, all clusters trust one root, calls from a client in each
cluster are answered by every version and every cluster, and plain text is refused. What cannot be
looked at counts as wrong; every failure has a name and a next step. A mesh that is not proven ends
with exit code 10. Needs the sample, which `kindmesh up --mesh` installs.

Examples:
  kindmesh verify                          the fleet of kindmesh.yaml, or else the one that `up` makes without a file
  kindmesh verify --wait 60s               give endpoints time to follow a change
  kindmesh verify --junit report.xml       for CI
  kindmesh verify -o json | jq '.checks[] | select(.failures != [])'";

/// Failures that are told; the JSON document has all.
const TOLD: usize = 12;

/// Flags of `verify`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct VerifyArgs {
    /// Fleet file, - for standard input [default: kindmesh.yaml, if it is there]
    #[arg(short, long, value_name = "FILE", conflicts_with = "fleet")]
    file: Option<PathBuf>,
    /// Name of the fleet [default: kindmesh]
    #[arg(long, value_name = "NAME")]
    fleet: Option<FleetName>,
    /// Calls from each client, 20 to 500; more are made while a cluster has not answered by chance
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(20..=500))]
    calls: u32,
    /// How long everything may take to become right, like 90s or 2m
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = fleet_file::parse_duration)]
    wait: Duration,
    /// Write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) timings: TimingsFlag,
    #[command(flatten)]
    pub(in crate::cli) evidence: EvidenceFlag,
}

/// Runs it.
///
/// # Errors
/// [`Exit::Unproven`] when something is wrong with the mesh; the result is printed all the same.
pub async fn run(session: &Session, args: &VerifyArgs) -> Result<(), CliError> {
    let (fleet, clusters) = args.fleet(session).await?;
    let kindmesh = session.kindmesh(None).await?;
    let options = VerifyOptions { calls: args.calls as usize, wait: args.wait, clusters };
    let report = session.or_cancelled(kindmesh.verify(&fleet, &options)).await?;
    if let Some(path) = &args.junit {
        std::fs::write(path, junit(&report))
            .map_err(|error| CliError::new(Exit::Failure, format!("write {}", path.display())).because(&error))?;
    }
    session.printer().result(&report, || text(&report))?;
    verdict(&report)?;
    let closing = format!("the mesh of fleet {} is proven in {}", report.fleet, duration::short(report.took));
    session.printer().say(&closing);
    Ok(())
}

/// The error for a mesh that is not proven.
fn verdict(report: &VerifyReport) -> Result<(), CliError> {
    if report.ok {
        return Ok(());
    }
    let failures = report.verdict.telling();
    let lacks =
        |cluster: &str, cause| failures.iter().any(|(check, failure)| check.cluster.as_deref() == Some(cluster) && failure.cause == cause);
    // One cause for all that follows from it.
    if !report.clusters.is_empty()
        && report.clusters.iter().all(|cluster| lacks(&cluster.name, Cause::NoIstiod) && lacks(&cluster.name, Cause::NoRoot))
    {
        let fleet = &report.fleet;
        return Err(CliError::new(
            Exit::Unproven,
            format!("fleet {fleet} has no mesh: neither istiod nor a root certificate in any cluster"),
        )
        .hint(format!(
            "`kindmesh up --mesh` with the flags or the file that made it, and --fleet {fleet} where that names none, installs one"
        )));
    }
    let mut error = CliError::new(Exit::Unproven, format!("the mesh of fleet {} is not proven", report.fleet));
    let mut hints: Vec<&str> = Vec::new();
    for (check, failure) in &failures {
        let place = check.cluster.as_deref().unwrap_or("fleet");
        let cause = format!("{place}: {}: {}", failure.cause, failure.message);
        // Several checks may fail for the same reason.
        if !error.causes.contains(&cause) {
            error.causes.push(cause);
        }
        if !hints.contains(&failure.next.as_str()) {
            hints.push(&failure.next);
        }
    }
    let more = error.causes.len().saturating_sub(TOLD);
    error.causes.truncate(TOLD);
    if more > 0 {
        error.causes.push(format!("and {more} more, all in `-o json`"));
    }
    // The first cause most likely explains the others, so what to do about it comes first; more than a
    // few steps are no help.
    Err(hints.into_iter().take(3).fold(error, CliError::hint))
}

/// The matrix, its latencies, and the checks.
pub(super) fn text(report: &VerifyReport) -> String {
    let matrix = &report.verdict.matrix;
    let versions = matrix.versions();
    let header = ["FROM", "NETWORK", "GATEWAY", "CALLS"].map(str::to_owned);
    let mut counts = Grid::new(header.into_iter().chain(versions.iter().map(|version| version.to_uppercase())));
    for cluster in &report.clusters {
        let answers = versions.iter().map(|version| counted(matrix.answers(&cluster.name, version)));
        let gateway = cluster.gateway.map(|address| format!("{address}:{}", names::GATEWAY_PORT)).unwrap_or_default();
        counts.row([cluster.name.clone(), cluster.network.clone(), gateway, cluster.calls.to_string()].into_iter().chain(answers));
    }
    let mut times = Table::new(["FROM", "VERSION", "ANSWERED IN", "CALLS", "P50", "P95", "MAX"]);
    for cell in &matrix.cells {
        let [p50, p95, max] = [cell.p50, cell.p95, cell.max].map(milliseconds);
        times.row([cell.from.clone(), cell.version.clone(), cell.to.clone(), cell.calls.to_string(), p50, p95, max]);
    }
    let times = if times.is_empty() { String::new() } else { format!("\n{times}") };
    format!("{counts}{times}\n{}", checks(report))
}

/// `13 (cluster1 7, cluster3 6)`: answers of one version, and where from when it runs in several clusters.
fn counted<'a>(cells: impl Iterator<Item = &'a Cell>) -> String {
    let cells: Vec<&Cell> = cells.collect();
    let total: usize = cells.iter().map(|cell| cell.calls).sum();
    match cells.as_slice() {
        [] => "0".to_owned(),
        [_] => total.to_string(),
        many => {
            let parts: Vec<String> = many.iter().map(|cell| format!("{} {}", cell.to, cell.calls)).collect();
            format!("{total} ({})", parts.join(", "))
        }
    }
}

/// One row for each check, one column for each cluster.
fn checks(report: &VerifyReport) -> String {
    let clusters: Vec<&str> = report.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    let mut grid = Grid::new(std::iter::once("CHECK".to_owned()).chain(clusters.iter().map(|name| (*name).to_owned())));
    for kind in CheckKind::OF_A_CLUSTER {
        let state = |cluster: &&str| {
            let mut found = report.verdict.checks.iter().filter(|check| check.check == kind && check.cluster.as_deref() == Some(*cluster));
            match found.next() {
                Some(check) if check.passed() => "ok".to_owned(),
                Some(_) => "FAILED".to_owned(),
                None => String::new(),
            }
        };
        grid.row(std::iter::once(kind.title().to_owned()).chain(clusters.iter().map(state)));
    }
    grid.to_string()
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1}ms", duration.as_secs_f64() * 1000.0)
}

// === impl VerifyArgs ===

impl VerifyArgs {
    /// Name of the fleet, and the clusters that a file says it has.
    async fn fleet(&self, session: &Session) -> Result<(FleetName, Vec<ClusterName>), CliError> {
        if self.fleet.is_some() {
            return Ok((session.fleet_name(self.fleet.as_ref(), None).await?, Vec::new()));
        }
        match session.fleet_file(self.file.as_deref(), true).await? {
            Some(fleet) => Ok((fleet.name, fleet.clusters.into_iter().map(|cluster| cluster.name).collect())),
            None => Ok((session.plain_fleet(None, None)?.name, Vec::new())),
        }
    }
}

#[cfg(test)]
mod tests;
