//! `kindmesh pause`, `resume`, `stop` and `start`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::super::duration;
use super::super::errors::CliError;
use super::super::evidence::EvidenceFlag;
use super::super::session::Session;
use super::super::timings::TimingsFlag;
use super::verify;
use crate::domain::fleet_file;
use crate::domain::name::FleetName;
use crate::ops::{RestReport, RestState, StopOptions};

const PAUSE_EXAMPLES: &str = "\
Suspends every node at once. A paused fleet needs no processor time and keeps its memory, addresses
and connections; `kindmesh resume` lets it go on, within seconds after a short pause, and so does
`kindmesh up`.

Examples:
  kindmesh pause                     the fleet of kindmesh.yaml, or else the one that `up` makes without a file
  kindmesh pause --fleet trio        a fleet by its name";

const RESUME_EXAMPLES: &str = "\
Lets every node go on at once, waits until the API servers answer, and proves the mesh if the fleet
has one with its sample. A fleet that runs already is looked at in the same way.

Examples:
  kindmesh resume
  kindmesh resume --fleet trio";

const STOP_EXAMPLES: &str = "\
Ends every node at once and keeps what is on the volumes: certificates, objects, images. The nodes are
killed, as by `kindmesh down`: what their programs have written stays written, for only processes
end and not the machine. --grace lets programs end by themselves first. A stopped fleet may be
started by the engine when that is started anew, as kind's nodes are.

Examples:
  kindmesh stop
  kindmesh stop --fleet trio --grace 20s";

const START_EXAMPLES: &str = "\
Starts every node at once, also paused ones, repairs what a restart moves (addresses of nodes, entries
in the kubeconfig), waits until everything that kindmesh installed runs again, and proves the mesh
if the fleet has one with its sample. Pools, certificates and remote secrets stay as they were.

Examples:
  kindmesh start
  kindmesh start --fleet trio";

/// Which fleet.
#[derive(Debug, Args)]
pub struct Which {
    /// Fleet file, - for standard input [default: kindmesh.yaml, if it is there]
    #[arg(short, long, value_name = "FILE", conflicts_with = "fleet")]
    file: Option<PathBuf>,
    /// Name of the fleet [default: kindmesh]
    #[arg(long, value_name = "NAME")]
    fleet: Option<FleetName>,
}

/// Flags of `pause`.
#[derive(Debug, Args)]
#[command(after_help = PAUSE_EXAMPLES)]
pub struct PauseArgs {
    #[command(flatten)]
    which: Which,
}

/// Flags of `resume`.
#[derive(Debug, Args)]
#[command(after_help = RESUME_EXAMPLES)]
pub struct ResumeArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    pub(in crate::cli) timings: TimingsFlag,
    #[command(flatten)]
    pub(in crate::cli) evidence: EvidenceFlag,
}

/// Flags of `stop`.
#[derive(Debug, Args)]
#[command(after_help = STOP_EXAMPLES)]
pub struct StopArgs {
    #[command(flatten)]
    which: Which,
    /// How long programs may take to end by themselves, in whole seconds, like 20s
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = fleet_file::parse_duration)]
    grace: Duration,
}

/// Flags of `start`.
#[derive(Debug, Args)]
#[command(after_help = START_EXAMPLES)]
pub struct StartArgs {
    #[command(flatten)]
    which: Which,
    /// Kubeconfig file whose entries are kept right [default: as kubectl]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) timings: TimingsFlag,
    #[command(flatten)]
    pub(in crate::cli) evidence: EvidenceFlag,
}

/// Runs `pause`.
///
/// # Errors
/// When there is no such fleet, or a node could not be suspended.
pub async fn pause(session: &Session, args: &PauseArgs) -> Result<(), CliError> {
    let fleet = args.which.name(session).await?;
    let kindmesh = session.kindmesh(None).await?;
    let report = kindmesh.pause(&fleet).await?;
    tell(session, &report)
}

/// Runs `resume`.
///
/// # Errors
/// When there is no such fleet, or it does not become what it was.
pub async fn resume(session: &Session, args: &ResumeArgs) -> Result<(), CliError> {
    let fleet = args.which.name(session).await?;
    let kindmesh = session.kindmesh(None).await?;
    let report = kindmesh.resume(&fleet).await?;
    tell(session, &report)
}

/// Runs `stop`.
///
/// # Errors
/// When there is no such fleet, or a node could not be stopped.
pub async fn stop(session: &Session, args: &StopArgs) -> Result<(), CliError> {
    let fleet = args.which.name(session).await?;
    let kindmesh = session.kindmesh(None).await?;
    let report = kindmesh.stop(&fleet, &StopOptions { grace: args.grace }).await?;
    tell(session, &report)
}

/// Runs `start`.
///
/// # Errors
/// When there is no such fleet, or it does not become what it was.
pub async fn start(session: &Session, args: &StartArgs) -> Result<(), CliError> {
    let fleet = args.which.name(session).await?;
    let kindmesh = session.kindmesh(Some(session.kubeconfig_files(args.kubeconfig.as_deref())?)).await?;
    let result = kindmesh.start(&fleet).await;
    if let Some(timings) = session.timings() {
        timings.read_nodes(&kindmesh, &fleet).await;
    }
    tell(session, &result?)
}

fn tell(session: &Session, report: &RestReport) -> Result<(), CliError> {
    session.printer().result(report, || report.proof.as_ref().map(verify::text).unwrap_or_default())?;
    session.printer().say(&closing(report));
    Ok(())
}

fn closing(report: &RestReport) -> String {
    let state = match report.state {
        RestState::Running => "running",
        RestState::Paused => "paused",
        RestState::Stopped => "stopped",
    };
    let already = if report.changed { "" } else { " already, nothing to do" };
    let proof = if report.proof.is_some() { ", its mesh proven" } else { "" };
    let verb = if report.changed { "is" } else { "was" };
    format!("fleet {} {verb} {state}{already}{proof} ({})", report.fleet, duration::short(report.took))
}

// === impl Which ===

impl Which {
    async fn name(&self, session: &Session) -> Result<FleetName, CliError> {
        session.fleet_name(self.fleet.as_ref(), self.file.as_deref()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_tells_whether_anything_was_done() {
        let report = |state, changed| RestReport {
            fleet: "duo".into(),
            state,
            clusters: Vec::new(),
            proof: None,
            changed,
            took: Duration::from_millis(240),
        };
        assert_eq!(closing(&report(RestState::Paused, true)), "fleet duo is paused (0.2s)");
        assert_eq!(closing(&report(RestState::Stopped, false)), "fleet duo was stopped already, nothing to do (0.2s)");
        assert_eq!(closing(&report(RestState::Running, true)), "fleet duo is running (0.2s)");
    }
}
