//! `kindmesh doctor`.

use clap::Args;

use super::super::errors::{CliError, exit_of};
use super::super::exit::Exit;
use super::super::session::Session;
use super::described::Source;
use super::mesh_flags;
use crate::domain::checkup::Level;
use crate::ops::DoctorReport;

const EXAMPLES: &str = "\
Looks for what would go wrong before anything is made: engine and API version, control groups, privileges, inotify
limits in the engine's kernel, memory, disk and processors for so many clusters, clocks, images, kubeconfig files,
names, ports, room for pools, and routes and VPNs that are in the way. Every line says why, and what to do.
Nothing is made but short-lived helper containers, where a node image is there to run them.
Ends with 0 when nothing fails, else with the exit code that `up` would end with (4 engine, 5 image, 6 conflict, ...).

Examples:
  kindmesh doctor                    for the fleet of kindmesh.yaml, or else the one that `up` makes without a file
  kindmesh doctor --clusters 8       for eight clusters
  kindmesh doctor -o json | jq '.checks[] | select(.level != \"ok\")'";

/// Flags of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    #[command(flatten)]
    source: Source,
    /// For a fleet with a mesh
    #[arg(long)]
    mesh: bool,
}

/// Runs it.
///
/// # Errors
/// With the kind of the first check that fails; the result is printed all the same.
pub async fn run(session: &Session, args: &DoctorArgs) -> Result<(), CliError> {
    let mut fleet = args.source.read(session, args.mesh).await?;
    if args.mesh {
        mesh_flags::ask_for(&mut fleet)?;
    }
    let report = match session.kindmesh(session.env().kubeconfig_files(None)).await {
        Ok(kindmesh) => session.or_cancelled(async { Ok::<_, CliError>(kindmesh.doctor(&fleet).await) }).await?,
        Err(error) if error.kind == Exit::Engine => {
            let why = std::iter::once(&error.message).chain(&error.causes).map(String::as_str).collect::<Vec<_>>().join("; ");
            DoctorReport::unreachable(fleet.name.as_str(), &why, error.hints.first().map_or("start an engine", String::as_str))
        }
        Err(error) => return Err(error),
    };
    session.printer().result(&report, || text(&report))?;
    match report.failure() {
        None => Ok(()),
        Some(kind) => {
            let count = if report.failed == 1 { "1 check fails".to_owned() } else { format!("{} checks fail", report.failed) };
            Err(CliError::new(exit_of(kind), format!("{count} for fleet {}", report.fleet)))
        }
    }
}

/// `ok    memory      …`, and the fix below what is not.
fn text(report: &DoctorReport) -> String {
    let width = report.checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for check in &report.checks {
        text.push_str(&format!("{:<4}  {:<width$}  {}\n", check.level, check.name, check.why));
        if let (Some(fix), true) = (&check.fix, check.level != Level::Ok) {
            text.push_str(&format!("      {:<width$}  fix: {fix}\n", ""));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_fix_below_it() {
        let report = DoctorReport::unreachable("f", "no container engine answers", "start one");
        assert_eq!(text(&report), "fail  engine  no container engine answers\n              fix: start one\n");
        assert_eq!(report.failed, 1);
    }
}
