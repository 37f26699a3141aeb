//! `kindmesh export logs`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::super::errors::CliError;
use super::super::exit::Exit;
use super::super::session::Session;
use crate::domain::name::FleetName;
use crate::ops::{ExportOptions, ExportReport};

const EXAMPLES: &str = "\
The folder is as kind's `export logs` makes it: a folder for each node, with its description, console, journal
and the logs of its pods; and beside that `kubernetes/`, with the events, nodes and pods of each cluster. What does
not answer is left out and told. Files are readable by their owner alone; what looks like a token, a key or a
password is covered with asterisks, and values of environment entries are left out.
The name of the folder is printed.

Examples:
  kindmesh export logs                        the only fleet, into a new folder
  kindmesh export logs logs --fleet duo       into a folder of this name
  kindmesh export logs logs --cluster a       one cluster, made by kindmesh or by kind";

/// Flags of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(subcommand)]
    command: ExportCommand,
}

#[derive(Debug, Subcommand)]
enum ExportCommand {
    /// Write what nodes and clusters tell of themselves into a folder
    Logs(LogsArgs),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct LogsArgs {
    /// The folder; made when it is not there [default: a new one for temporary files]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The clusters of this fleet [default: the only one]
    #[arg(long, value_name = "NAME")]
    fleet: Option<FleetName>,
    /// This cluster, whoever made it; may be given several times [default: all of the fleet]
    #[arg(long, visible_alias = "name", value_name = "NAME")]
    cluster: Vec<String>,
}

/// Runs it.
///
/// # Errors
/// When there is no such fleet or cluster, or the folder cannot be written. What nodes and API servers cannot
/// tell is a part of the result.
pub async fn run(session: &Session, args: &ExportArgs) -> Result<(), CliError> {
    let ExportCommand::Logs(args) = &args.command;
    let kindmesh = session.kindmesh(None).await?;
    let options = ExportOptions { fleet: args.fleet.clone(), clusters: args.cluster.clone(), ..ExportOptions::default() };
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => temporary()?,
    };
    let report = session.or_cancelled(kindmesh.export_logs(&folder, &options)).await;
    let report = report.inspect_err(|_| {
        // One that nothing was written into is nobody's; any other stays.
        let _ = std::fs::remove_dir(&folder);
    })?;
    session.printer().result(&report, || format!("{}\n", report.folder.display()))?;
    for missing in &report.missing {
        session.printer().say(&format!("missing: {missing}"));
    }
    session.printer().say(&closing(&report));
    Ok(())
}

fn temporary() -> Result<PathBuf, CliError> {
    let made = tempfile::Builder::new().prefix("kindmesh-logs-").tempdir();
    made.map(tempfile::TempDir::keep).map_err(|error| {
        CliError::new(Exit::Failure, "make a folder for temporary files").because(&error).hint("name a folder: `kindmesh export logs DIR`")
    })
}

/// `exported 2 clusters, 3 nodes: 41 files, 5.2 MB`
fn closing(report: &ExportReport) -> String {
    let counted = |count: usize, noun: &str| if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") };
    let nodes = report.clusters.iter().map(|cluster| cluster.nodes.len()).sum();
    format!(
        "exported {}, {}: {}, {:.1} MB",
        counted(report.clusters.len(), "cluster"),
        counted(nodes, "node"),
        counted(report.files, "file"),
        report.bytes as f64 / 1e6
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_counts() {
        let report = ExportReport { folder: "/x".into(), clusters: Vec::new(), files: 1, bytes: 5_240_000, missing: Vec::new() };
        assert_eq!(closing(&report), "exported 0 clusters, 0 nodes: 1 file, 5.2 MB");
    }
}
