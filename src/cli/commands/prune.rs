//! `kindmesh prune`.

use std::time::Instant;

use clap::Args;

use super::super::duration;
use super::super::errors::CliError;
use super::super::session::Session;
use crate::ops::PruneReport;

const EXAMPLES: &str = "\
Removes fleets whose time is over (`up --ttl`), fleets of tests whose process is gone, and what killed
processes left: locks and helper containers. A network that other fleets went on using goes, too, once nobody does. Fleets without an end stay, and so does everything that
kindmesh did not make. Run it from a timer to have fleets end by themselves.

Examples:
  kindmesh up --ttl 2h
  kindmesh prune --dry-run
  kindmesh prune";

/// Flags of `prune`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PruneArgs {
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs it.
///
/// # Errors
/// When something could not be removed; everything else is.
pub async fn run(session: &Session, args: &PruneArgs) -> Result<(), CliError> {
    let begun = Instant::now();
    let files = session.env().kubeconfig_files(None);
    let report = session.kindmesh(files).await?.prune(args.dry_run).await?;
    session.printer().result(&report, || text(&report))?;
    session.printer().say(&closing(&report, args.dry_run, &duration::short(begun.elapsed())));
    Ok(())
}

fn text(report: &PruneReport) -> String {
    let fleets = report.fleets.iter().map(|fleet| format!("fleet {}: {}\n", fleet.name, fleet.why));
    let locks = report.locks.iter().map(|lock| format!("lock {lock}: its holder was killed\n"));
    let helpers = report.helpers.iter().map(|helper| format!("container {helper}: left by a killed process\n"));
    let pools = report.pools.iter().map(|note| format!("volume {note}: its cluster is gone\n"));
    let networks = report.networks.iter().map(|network| format!("network {network}: the fleet that made it is gone, and nobody uses it\n"));
    let ends = report.ends.iter().map(|note| format!("volume {note}: its fleet is gone\n"));
    fleets.chain(locks).chain(helpers).chain(pools).chain(ends).chain(networks).collect()
}

fn closing(report: &PruneReport, dry_run: bool, took: &str) -> String {
    let count =
        report.fleets.len() + report.locks.len() + report.helpers.len() + report.pools.len() + report.ends.len() + report.networks.len();
    match (count, dry_run) {
        (0, _) => format!("nothing to remove ({took})"),
        (_, true) => "nothing was removed".to_owned(),
        (_, false) => format!("removed in {took}"),
    }
}
