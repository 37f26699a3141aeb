//! `kindmesh pool`, and `kindmesh up --warm`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::super::background;
use super::super::duration;
use super::super::errors::CliError;
use super::super::exit::Exit;
use super::super::session::Session;
use super::super::table::Table;
use crate::domain::fleet::Fleet;
use crate::domain::name::FleetName;
use crate::ops::{Kindmesh, LeaseOptions, LeaseReport, PoolReport, PoolStatus};

const EXAMPLES: &str = "\
A pool keeps complete fleets of one description, made beforehand and suspended. A lease hands one out in
about the time of `kindmesh resume`; its kubeconfig has the names of the description, whichever member it
is. Then the pool is filled up again in the background.

Examples:
  kindmesh up --mesh --warm 3             make a pool of three
  kindmesh pool lease --kubeconfig k      take a fleet; KUBECONFIG=k works with it
  kindmesh down --fleet kindmesh-w1       give it back: it is removed
  kindmesh pool list                      what is warm and what is leased
  kindmesh up --warm 0                    give the pool up; what is leased stays";

const LEASE_EXAMPLES: &str = "\
The kubeconfig is a new file for you alone, with a context for each cluster under the description's name
(`kind-cluster1`). `kindmesh down` with the fleet's name, which is printed, ends the lease and removes the
file. Afterwards a process in the background fills the pool up again.

Examples:
  kindmesh pool lease                            of the pool of kindmesh.yaml, or else of `kindmesh`
  kindmesh pool lease demo --kubeconfig demo.k   a pool by its name, a file of one's own
  kindmesh pool lease demo -o json | jq -r .fleet";

const SERVE_EXAMPLES: &str = "\
Makes a member whenever one goes away or is leased, until it is stopped, one member at a time. Only one process
fills a pool; others find nothing to do.

Examples:
  kindmesh pool serve               all pools that are written down here
  kindmesh pool serve --once demo   fill one, and end";

/// Flags of `pool`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PoolArgs {
    #[command(subcommand)]
    command: PoolCommand,
}

#[derive(Debug, Subcommand)]
enum PoolCommand {
    /// Take a warm fleet: let it go on, and write a kubeconfig for it
    Lease(LeaseArgs),
    /// Fill pools, and keep them full
    Serve(ServeArgs),
    /// List pools: what is warm, leased and unfinished
    List,
}

#[derive(Debug, Args)]
#[command(after_help = LEASE_EXAMPLES)]
struct LeaseArgs {
    /// Name of the pool, that of its fleet [default: kindmesh]
    #[arg(value_name = "NAME")]
    pool: Option<FleetName>,
    /// Fleet file that names the pool, - for standard input [default: kindmesh.yaml, if it is there]
    #[arg(short, long, value_name = "FILE", conflicts_with = "pool")]
    file: Option<PathBuf>,
    /// New kubeconfig file [default: one in the state folder]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Do not fill the pool up again
    #[arg(long)]
    no_refill: bool,
}

#[derive(Debug, Args)]
#[command(after_help = SERVE_EXAMPLES)]
struct ServeArgs {
    /// Names of the pools [default: all that are written down in the state folder]
    #[arg(value_name = "NAME")]
    pools: Vec<FleetName>,
    /// Fill them and end
    #[arg(long)]
    once: bool,
}

#[derive(Serialize)]
struct Pools<T> {
    pools: Vec<T>,
}

/// Runs it.
///
/// # Errors
/// When there is no such pool, no warm member, or one does not become what it was.
pub async fn run(session: &Session, args: &PoolArgs) -> Result<(), CliError> {
    match &args.command {
        PoolCommand::Lease(args) => lease(session, args).await,
        PoolCommand::Serve(args) => serve(session, args).await,
        PoolCommand::List => list(session).await,
    }
}

/// Runs `up --warm`.
///
/// # Errors
/// When no pool can be made of the fleet, or a member does not come up; what exists by then stays.
pub async fn warm(session: &Session, mut fleet: Fleet, size: u32) -> Result<(), CliError> {
    if let Some(mesh) = &mut fleet.mesh {
        // A filler in the background, or of another day, is in another folder.
        let here = std::path::absolute(".").map_err(|error| CliError::new(Exit::Failure, "find the current folder").because(&error))?;
        mesh.resolve(&here);
    }
    let report = session.kindmesh(None).await?.warm(&fleet, size).await?;
    session.printer().result(&report, || table(&[status(&report)]))?;
    session.printer().say(&closing(&report));
    Ok(())
}

async fn lease(session: &Session, args: &LeaseArgs) -> Result<(), CliError> {
    let pool = session.fleet_name(args.pool.as_ref(), args.file.as_deref()).await?;
    let kubeconfig = args.kubeconfig.as_deref().map(absolute).transpose()?;
    let kindmesh = session.kindmesh(None).await?;
    let report = kindmesh.lease(&pool, &LeaseOptions { kubeconfig }).await?;
    session.printer().result(&report, || leased(&report))?;
    let proven = if report.proven { ", its mesh proven" } else { "" };
    session.printer().say(&format!("leased fleet {} of pool {pool}{proven} ({})", report.fleet, duration::short(report.took)));
    if !args.no_refill
        && let Err(error) = refill(session, &kindmesh, &pool).await
    {
        // The lease is good all the same.
        session.printer().say(&format!("the pool is not filled up again: {}; `kindmesh pool serve --once {pool}` does it", error.message));
    }
    Ok(())
}

/// Fills the pool in the background, where it is written down.
async fn refill(session: &Session, kindmesh: &Kindmesh, pool: &FleetName) -> Result<(), CliError> {
    let Some(log) = kindmesh.pool_log(pool).await? else {
        session.printer().say(&format!("pool {pool} is not filled up again: it is not written down in this state folder"));
        return Ok(());
    };
    let state_dir = session.env().state_dir(session.globals().state_dir.as_deref()).as_deref().map(absolute).transpose()?;
    background::start(session.globals(), state_dir.as_deref(), &["pool", "serve", "--once", pool.as_str()], &log)
        .map_err(|error| CliError::new(Exit::Failure, format!("start a process in the background: {error}")))?;
    session.printer().say(&format!("pool {pool} is filled up again in the background; {} tells how", log.display()));
    Ok(())
}

async fn serve(session: &Session, args: &ServeArgs) -> Result<(), CliError> {
    let kindmesh = session.kindmesh(None).await?;
    if !args.once {
        session.printer().say("keeping pools full until this is stopped");
        kindmesh.serve_pools(&args.pools).await?;
        // Being stopped is how it ends.
        return show(session, kindmesh.pools().await?);
    }
    let reports = kindmesh.refill_all(&args.pools).await?;
    let reports = Pools { pools: reports };
    session.printer().result(&reports, || table(&reports.pools.iter().map(status).collect::<Vec<_>>()))?;
    for report in &reports.pools {
        session.printer().say(&closing(report));
    }
    if reports.pools.is_empty() {
        session.printer().say("no pool is written down here: `kindmesh up --warm N` makes one");
    }
    Ok(())
}

async fn list(session: &Session) -> Result<(), CliError> {
    let kindmesh = session.kindmesh(None).await?;
    let pools = session.or_cancelled(kindmesh.pools()).await?;
    if pools.is_empty() {
        session.printer().say("no warm pools; make one with `kindmesh up --warm N`");
    }
    show(session, pools)
}

fn show(session: &Session, pools: Vec<PoolStatus>) -> Result<(), CliError> {
    let text = table(&pools);
    for (pool, problem) in pools.iter().filter_map(|pool| Some((&pool.pool, pool.problem.as_ref()?))) {
        session.printer().say(&format!("pool {pool}: {problem}; give it up with `kindmesh down --fleet {pool}`, and make it again"));
    }
    session.printer().result(&Pools { pools }, || text)
}

fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    std::path::absolute(path).map_err(|error| CliError::new(Exit::Failure, format!("find {}", path.display())).because(&error))
}

fn status(report: &PoolReport) -> PoolStatus {
    PoolStatus {
        pool: report.pool.clone(),
        size: Some(report.size),
        warm: report.warm.clone(),
        leased: report.leased.clone(),
        unfinished: report.unfinished.clone(),
        problem: None,
    }
}

fn table(pools: &[PoolStatus]) -> String {
    let mut table = Table::new(["POOL", "SIZE", "WARM", "LEASED", "UNFINISHED"]);
    for pool in pools {
        let size = pool.size.map(|size| size.to_string()).unwrap_or_default();
        table.row([pool.pool.clone(), size, pool.warm.join(","), pool.leased.join(","), pool.unfinished.join(",")]);
    }
    if table.is_empty() { String::new() } else { table.to_string() }
}

fn leased(report: &LeaseReport) -> String {
    let mut table = Table::new(["FLEET", "CLUSTER", "CONTEXT", "KUBECONFIG"]);
    for cluster in &report.clusters {
        table.row([report.fleet.clone(), cluster.cluster.clone(), cluster.context.clone(), report.kubeconfig.display().to_string()]);
    }
    table.to_string()
}

fn closing(report: &PoolReport) -> String {
    let took = duration::short(report.took);
    let pool = &report.pool;
    let kept = if report.leased.is_empty() { String::new() } else { format!("; leased and kept: {}", report.leased.join(", ")) };
    match report {
        PoolReport { busy: true, .. } => format!("another process is filling pool {pool}"),
        PoolReport { size: 0, .. } => format!("pool {pool} is given up ({took}){kept}"),
        PoolReport { changed: false, .. } => format!("pool {pool} was full, nothing to do ({took})"),
        _ => format!("pool {pool} has {} of {} warm ({took})", report.warm.len(), report.size),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_closing_line_tells_what_was_done() {
        let full = PoolReport {
            pool: "demo".into(),
            size: 2,
            warm: vec!["demo-w1".into(), "demo-w3".into()],
            leased: vec!["demo-w2".into()],
            unfinished: Vec::new(),
            made: vec!["demo-w3".into()],
            removed: Vec::new(),
            busy: false,
            changed: true,
            took: Duration::from_millis(12_300),
        };
        assert_eq!(closing(&full), "pool demo has 2 of 2 warm (12.3s)");
        assert_eq!(closing(&PoolReport { changed: false, ..full.clone() }), "pool demo was full, nothing to do (12.3s)");
        assert_eq!(closing(&PoolReport { busy: true, ..full.clone() }), "another process is filling pool demo");
        let gone = PoolReport { size: 0, warm: Vec::new(), ..full.clone() };
        assert_eq!(closing(&gone), "pool demo is given up (12.3s); leased and kept: demo-w2");
        assert_eq!(table(&[status(&full)]), "POOL  SIZE  WARM             LEASED   UNFINISHED\ndemo  2     demo-w1,demo-w3  demo-w2  -\n");
        assert_eq!(table(&[]), "");
    }
}
