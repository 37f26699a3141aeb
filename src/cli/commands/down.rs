//! `kindmesh down`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use super::super::duration;
use super::super::errors::CliError;
use super::super::evidence::EvidenceFlag;
use super::super::session::Session;
use super::super::timings::TimingsFlag;
use crate::domain::name::FleetName;
use crate::ops::{DownReport, Kindmesh};

const EXAMPLES: &str = "\
Removes containers with their volumes, networks that the fleet made and nobody else uses,
kubeconfig entries, and the root certificate of the fleet's mesh. What kindmesh did not make is touched only when it is named by --cluster.
A fleet that was leased from a warm pool is removed by its name, with the kubeconfig of the lease; a pool by its own, without what is leased.

Examples:
  kindmesh down                     the fleet of kindmesh.yaml, or else the one that `up` makes without a file
  kindmesh down --fleet trio        a fleet by its name
  kindmesh down --cluster a         one cluster, made by kindmesh or by kind
  kindmesh down --all               every fleet on the engine";

/// Flags of `down`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DownArgs {
    /// Fleet file, - for standard input [default: kindmesh.yaml, if it is there]
    #[arg(short, long, value_name = "FILE", group = "what")]
    file: Option<PathBuf>,
    /// Name of the fleet [default: kindmesh]
    #[arg(long, value_name = "NAME", group = "what")]
    fleet: Option<FleetName>,
    /// One cluster, whoever made it; may be given several times
    #[arg(long, value_name = "NAME", group = "what")]
    cluster: Vec<String>,
    /// Every fleet on the engine, and every warm pool
    #[arg(long, group = "what")]
    all: bool,
    /// Kubeconfig file that loses the entries [default: as kubectl]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) timings: TimingsFlag,
    #[command(flatten)]
    pub(in crate::cli) evidence: EvidenceFlag,
}

/// Several removals: all are tried, the first failure is reported with the others below it.
#[derive(Default)]
struct Outcome {
    report: DownReport,
    error: Option<CliError>,
}

/// Runs it.
///
/// # Errors
/// When something could not be removed; everything else is removed all the same.
pub async fn run(session: &Session, args: &DownArgs) -> Result<(), CliError> {
    let begun = Instant::now();
    let fleet = match args.all || !args.cluster.is_empty() {
        true => None,
        false => Some(args.fleet_name(session).await?),
    };
    let kindmesh = session.kindmesh(session.env().kubeconfig_files(args.kubeconfig.as_deref())).await?;
    let report = match &fleet {
        Some(fleet) => kindmesh.down(fleet).await?,
        None if args.all => kindmesh.down_all().await?,
        None => named_clusters(&kindmesh, &args.cluster).await?,
    };
    session.printer().result(&report, String::new)?;
    session.printer().say(&closing(&report, &duration::short(begun.elapsed())));
    if let Some(fleet) = fleet.filter(|_| removed(&report).is_empty()) {
        tell_others(session, &kindmesh, &fleet).await;
    }
    Ok(())
}

/// Who finds nothing to remove may have meant another fleet.
async fn tell_others(session: &Session, kindmesh: &Kindmesh, fleet: &FleetName) {
    // What is removed is removed: this is only help.
    let Ok(clusters) = session.or_cancelled(kindmesh.clusters()).await else { return };
    let others: BTreeSet<String> = clusters.into_iter().filter_map(|cluster| cluster.fleet).collect();
    if let Some(first) = others.first() {
        let all = others.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        session.printer().say(&format!("there is no fleet {fleet}; there is: {all}. `kindmesh down --fleet {first}` removes that one"));
    }
}

async fn named_clusters(kindmesh: &Kindmesh, names: &[String]) -> Result<DownReport, CliError> {
    let mut outcome = Outcome::default();
    for name in names {
        outcome.add(kindmesh.delete_cluster(name).await);
    }
    outcome.into_result()
}

/// What was removed, in words.
fn removed(report: &DownReport) -> Vec<String> {
    let counted = |count: usize, noun: &str| match count {
        0 => None,
        1 => Some(format!("1 {noun}")),
        _ => Some(format!("{count} {noun}s")),
    };
    let removed = [
        named(&report.clusters, "cluster"),
        counted(report.containers.len(), "container"),
        counted(report.volumes, "volume"),
        named(&report.networks, "network"),
        named(&report.kubeconfigs, "kubeconfig entries in file"),
        named(&report.pools, "warm pool"),
    ];
    removed.into_iter().flatten().collect()
}

fn closing(report: &DownReport, took: &str) -> String {
    let kept = |names: &[String], noun: &str, why: &str| named(names, noun).map(|kept| format!("; kept {kept}, {why}")).unwrap_or_default();
    let kept = kept(&report.networks_kept, "network", "still in use") + &kept(&report.leases_kept, "fleet", "leased");
    match &removed(report)[..] {
        [] => format!("nothing to remove ({took}){kept}"),
        removed => format!("removed in {took}: {}{kept}", removed.join("; ")),
    }
}

fn named(names: &[String], noun: &str) -> Option<String> {
    match names {
        [] => None,
        [name] => Some(format!("{noun} {name}")),
        _ => Some(format!("{noun}s {}", names.join(", "))),
    }
}

// === impl DownArgs ===

impl DownArgs {
    async fn fleet_name(&self, session: &Session) -> Result<FleetName, CliError> {
        session.fleet_name(self.fleet.as_ref(), self.file.as_deref()).await
    }
}

// === impl Outcome ===

impl Outcome {
    fn add(&mut self, removed: crate::ops::Result<DownReport>) {
        match removed {
            Ok(report) => self.report.absorb(report),
            Err(error) => match &mut self.error {
                None => self.error = Some(error.into()),
                Some(first) => first.causes.push(format!("also: {}", error.one_line())),
            },
        }
    }

    fn into_result(self) -> Result<DownReport, CliError> {
        match self.error {
            None => Ok(self.report),
            Some(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops;

    #[test]
    fn the_closing_line_counts_and_names() {
        let report = DownReport {
            clusters: vec!["a".into(), "b".into()],
            containers: vec!["a-control-plane".into(), "b-control-plane".into()],
            volumes: 1,
            networks: vec!["mine".into()],
            networks_kept: Vec::new(),
            kubeconfigs: vec!["/h/.kube/config".into()],
            pools: Vec::new(),
            leases_kept: Vec::new(),
        };
        assert_eq!(
            closing(&report, "1.2s"),
            "removed in 1.2s: clusters a, b; 2 containers; 1 volume; network mine; kubeconfig entries in file /h/.kube/config"
        );
        let kept = DownReport { networks_kept: vec!["kind".into()], ..DownReport::default() };
        assert_eq!(closing(&kept, "0.1s"), "nothing to remove (0.1s); kept network kind, still in use");
        let pool =
            DownReport { pools: vec!["demo".into()], leases_kept: vec!["demo-w1".into(), "demo-w4".into()], ..DownReport::default() };
        assert_eq!(closing(&pool, "0.1s"), "removed in 0.1s: warm pool demo; kept fleets demo-w1, demo-w4, leased");
    }

    #[test]
    fn every_removal_is_tried_and_every_failure_told() {
        let mut outcome = Outcome::default();
        outcome.add(Err(ops::Error::new(ops::ErrorKind::Timeout, "remove a")));
        outcome.add(Ok(DownReport { volumes: 2, ..DownReport::default() }));
        outcome.add(Err(ops::Error::new(ops::ErrorKind::Engine, "remove c")));
        assert_eq!(outcome.report.volumes, 2);
        let error = outcome.into_result().unwrap_err();
        assert_eq!((error.message.as_str(), error.causes), ("remove a", vec!["also: remove c".to_owned()]));
    }
}
