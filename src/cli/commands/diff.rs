//! `kindmesh diff`.

use clap::Args;

use super::super::errors::CliError;
use super::super::exit::Exit;
use super::super::session::Session;
use super::described::Described;
use crate::domain::diff::{Action, FleetDiff};
use crate::domain::fleet::Fleet;

const EXAMPLES: &str = "\
Reads what is there and tells what `kindmesh up` with the same flags would create, finish, wake, change,
recreate, remove, or refuse. Nothing is changed. Objects of add-ons that are there and only brought up to
date are not told beforehand.

Examples:
  kindmesh diff                            against kindmesh.yaml
  kindmesh diff -f fleet.yaml --prune      and what --prune would remove
  kindmesh diff --exit-code                for scripts: exit code 11 when anything would be done";

/// Flags of `diff`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DiffArgs {
    #[command(flatten)]
    described: Described,
    /// End with exit code 11 when anything would be done or refused
    #[arg(long)]
    exit_code: bool,
}

/// Runs it.
///
/// # Errors
/// When the description or the engine cannot be read; with `--exit-code` also for a difference.
pub async fn run(session: &Session, args: &DiffArgs) -> Result<(), CliError> {
    let fleet = args.described.fleet(session).await?;
    show(session, &args.described, &fleet, args.exit_code).await
}

/// Shows what `up` would do to this fleet, which is the one described: a description can be read only once where it comes
/// through a pipe.
///
/// # Errors
/// As [`run`].
pub(super) async fn show(session: &Session, described: &Described, fleet: &Fleet, exit_code: bool) -> Result<(), CliError> {
    let consent = described.options(fleet)?.consent();
    let kindmesh = session.kindmesh(None).await?;
    let diff = session.or_cancelled(kindmesh.diff(fleet, &consent)).await?;
    session.printer().result(&diff, || text(&diff))?;
    let refused = diff.refused().count();
    session.printer().say(&closing(&diff, refused));
    match exit_code && (diff.changed || refused > 0) {
        true => Err(CliError::new(Exit::Differs, format!("fleet {} is not what is described", diff.fleet))),
        false => Ok(()),
    }
}

/// One line for each object, with a sign before it as in a difference of texts.
fn text(diff: &FleetDiff) -> String {
    let sign = |action| match action {
        Action::Keep => ' ',
        Action::Create => '+',
        Action::Remove => '-',
        Action::Finish | Action::Wake | Action::Change | Action::Recreate => '~',
        Action::Refuse => '!',
    };
    diff.changes.iter().map(|change| format!("{} {}\n", sign(change.action), change.line())).collect()
}

fn closing(diff: &FleetDiff, refused: usize) -> String {
    let fleet = &diff.fleet;
    match (diff.changed, refused) {
        (_, 1..) => format!("`kindmesh up` would refuse fleet {fleet}: {refused} of these cannot be done as described"),
        (true, 0) => format!("`kindmesh up` would do this to fleet {fleet}"),
        (false, 0) => format!("fleet {fleet} is what is described"),
    }
}
