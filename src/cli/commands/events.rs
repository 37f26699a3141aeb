//! `kindmesh events`.

use std::time::Duration;

use clap::Args;

use super::super::errors::CliError;
use super::super::exit::Exit;
use super::super::session::Session;
use crate::domain::fleet_file;
use crate::domain::name::FleetName;
use crate::ops::{EventOptions, FleetEvent};

const EXAMPLES: &str = "\
Events of all API servers of a fleet, and what the engine did with its containers and networks, in the order of
their time. Kubernetes remembers an hour, Docker the last 256 of everything. With --follow also those that come,
until Ctrl-C (exit code 130); clusters that are restarted are heard again by themselves.
With -o json every event is an object on a line of its own.

Examples:
  kindmesh events                          of the only fleet, all that is remembered
  kindmesh events --fleet duo --since 5m   of the last five minutes
  kindmesh events --follow                 those that come
  kindmesh events --follow --since 10m -o json | jq -r 'select(.warning) | .message'";

/// Flags of `events`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct EventsArgs {
    /// Of this fleet [default: the only one]
    #[arg(long, value_name = "NAME")]
    fleet: Option<FleetName>,
    /// Of this cluster, whoever made it; may be given several times [default: all of the fleet]
    #[arg(long, visible_alias = "name", value_name = "NAME")]
    cluster: Vec<String>,
    /// Those of this time before now, like 10m [default: all that are remembered; with --follow, none]
    #[arg(long, value_name = "DURATION", value_parser = fleet_file::parse_duration)]
    since: Option<Duration>,
    /// Go on with those that come
    #[arg(long)]
    follow: bool,
}

/// Runs it.
///
/// # Errors
/// When there is no such fleet or cluster; [`Exit::Cancelled`] is how following ends.
pub async fn run(session: &Session, args: &EventsArgs) -> Result<(), CliError> {
    let kindmesh = session.kindmesh(None).await?;
    let options = EventOptions { fleet: args.fleet.clone(), clusters: args.cluster.clone(), since: args.since };
    if !args.follow {
        let events = session.or_cancelled(kindmesh.past_events(&options)).await?;
        for event in &events {
            show(session, event)?;
        }
        return Ok(());
    }
    session.until_stopped();
    let mut events = session.or_cancelled(kindmesh.events(&options)).await?;
    loop {
        match session.cancel().run_until_cancelled(events.next()).await {
            Some(Some(event)) => show(session, &event)?,
            Some(None) => return Ok(()),
            None => return Err(CliError::new(Exit::Cancelled, "cancelled")),
        }
    }
}

fn show(session: &Session, event: &FleetEvent) -> Result<(), CliError> {
    session.printer().result(event, || format!("{event}\n"))
}
