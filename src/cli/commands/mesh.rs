//! `kindmesh mesh`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::super::duration;
use super::super::errors::CliError;
use super::super::session::Session;
use super::super::table::Table;
use crate::domain::name::{ClusterName, FleetName};
use crate::domain::pki::CertificateSummary;
use crate::ops::mesh::{CaReport, Rotation};

const CA_EXAMPLES: &str = "\
A fleet has one root certificate, whose key stays on the machine that made the mesh, and every cluster
an intermediate, which signs its workloads. Rotating gives clusters new intermediates under the same
root while the mesh runs; workloads renew their certificates by themselves, by default within a day.

Examples:
  kindmesh mesh ca                            chain, expiry and fingerprints of every cluster
  kindmesh mesh ca rotate                     a new intermediate for every cluster
  kindmesh mesh ca rotate --cluster cluster1  for one
  kindmesh mesh ca -o json | jq '.clusters[].chain.certificates[0].notAfter'";

/// Flags of `mesh`.
#[derive(Debug, Args)]
pub struct MeshArgs {
    #[command(subcommand)]
    command: MeshCommand,
}

#[derive(Debug, Subcommand)]
enum MeshCommand {
    /// Show the certificates of the mesh, or replace them
    Ca(CaArgs),
}

#[derive(Debug, Args)]
#[command(after_help = CA_EXAMPLES, args_conflicts_with_subcommands = true)]
struct CaArgs {
    #[command(flatten)]
    which: WhichFleet,
    #[command(subcommand)]
    command: Option<CaCommand>,
}

#[derive(Debug, Subcommand)]
enum CaCommand {
    /// Give clusters new intermediate certificates under the same root, live
    Rotate(RotateArgs),
}

#[derive(Debug, Args)]
struct RotateArgs {
    #[command(flatten)]
    which: WhichFleet,
    /// Only this cluster [default: all of the fleet]
    #[arg(long, value_name = "NAME")]
    cluster: Option<ClusterName>,
}

/// How a command finds its fleet.
#[derive(Debug, Args)]
struct WhichFleet {
    /// Fleet file, - for standard input [default: kindmesh.yaml, if it is there]
    #[arg(short, long, value_name = "FILE", conflicts_with = "fleet")]
    file: Option<PathBuf>,
    /// Name of the fleet [default: kindmesh]
    #[arg(long, value_name = "NAME")]
    fleet: Option<FleetName>,
}

#[derive(Serialize)]
struct Rotated {
    rotated: Vec<Rotation>,
}

/// Runs it.
///
/// # Errors
/// When the engine or the stored root cannot be read; for rotation, whatever keeps a cluster from its
/// new certificate.
pub async fn run(session: &Session, args: &MeshArgs) -> Result<(), CliError> {
    let MeshCommand::Ca(args) = &args.command;
    match &args.command {
        None => show(session, &args.which).await,
        Some(CaCommand::Rotate(args)) => rotate(session, args).await,
    }
}

async fn show(session: &Session, which: &WhichFleet) -> Result<(), CliError> {
    let fleet = which.name(session).await?;
    let kindmesh = session.kindmesh(None).await?;
    let report = session.or_cancelled(kindmesh.mesh_ca(&fleet)).await?;
    session.printer().result(&report, || text(&report))
}

async fn rotate(session: &Session, args: &RotateArgs) -> Result<(), CliError> {
    let fleet = args.which.name(session).await?;
    let kindmesh = session.kindmesh(None).await?;
    let document = Rotated { rotated: kindmesh.mesh_ca_rotate(&fleet, args.cluster.as_ref()).await? };
    session.printer().result(&document, || rotated(&document.rotated))?;
    session.printer().say("workloads take certificates of the new intermediates when they renew theirs");
    Ok(())
}

/// A line for every certificate, signing ones first; then what is wrong.
fn text(report: &CaReport) -> String {
    let mut table = Table::new(["CLUSTER", "CERTIFICATE", "SUBJECT", "EXPIRES", "SHA-256"]);
    let mut row = |cluster: &str, what: &str, certificate: &CertificateSummary| {
        table.row([
            cluster.to_owned(),
            what.to_owned(),
            certificate.subject.clone(),
            certificate.not_after.to_string(),
            certificate.fingerprint.clone(),
        ]);
    };
    if let Some(root) = &report.root {
        row("", "root, stored", root);
    }
    let mut problems = String::new();
    for cluster in &report.clusters {
        let certificates = cluster.chain.iter().flat_map(|chain| &chain.certificates).collect::<Vec<_>>();
        for (index, certificate) in certificates.iter().enumerate() {
            let what = match index {
                0 => "signing",
                last if last + 1 == certificates.len() => "root",
                _ => "between",
            };
            row(&cluster.name, what, certificate);
        }
        if let Some(problem) = &cluster.problem {
            problems.push_str(&format!("\n{}: {problem}\n", cluster.name));
        }
    }
    if report.root.is_none() {
        let place = report.folder.as_deref().unwrap_or("no folder");
        problems.push_str(&format!(
            "\nthe root's key is not on this machine (looked in {place}): no cluster can be added or rotated from here\n"
        ));
    }
    format!("{table}{problems}")
}

fn rotated(rotations: &[Rotation]) -> String {
    let mut table = Table::new(["CLUSTER", "BEFORE", "NOW", "EXPIRES", "TOOK"]);
    for rotation in rotations {
        table.row([
            rotation.cluster.clone(),
            rotation.before.as_ref().map(|before| short(&before.fingerprint)).unwrap_or_default(),
            short(&rotation.now.fingerprint),
            rotation.now.not_after.to_string(),
            duration::short(rotation.took),
        ]);
    }
    table.to_string()
}

/// Enough of a fingerprint to tell two apart.
fn short(fingerprint: &str) -> String {
    fingerprint.chars().take("AA:BB:CC:DD:EE:FF:00:11".len()).collect()
}

// === impl WhichFleet ===

impl WhichFleet {
    async fn name(&self, session: &Session) -> Result<FleetName, CliError> {
        session.fleet_name(self.fleet.as_ref(), self.file.as_deref()).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::pki::ChainSummary;
    use crate::ops::mesh::ClusterCa;

    fn certificate(name: &str, first: &str) -> CertificateSummary {
        CertificateSummary {
            subject: format!("CN={name}"),
            issuer: "CN=demo root CA".into(),
            serial: "01".into(),
            fingerprint: format!("{first}:11:22:33:44:55:66:77:88"),
            not_before: "2027-03-01T11:00:00Z".parse().unwrap(),
            not_after: "2037-02-26T12:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn every_certificate_has_a_line() {
        let root = certificate("demo root CA", "AA");
        let chain = ChainSummary { certificates: vec![certificate("a intermediate CA", "BB"), root.clone()] };
        let mut report = CaReport {
            fleet: "demo".into(),
            root: Some(root),
            folder: Some("/s/demo/ca".into()),
            clusters: vec![
                ClusterCa { name: "a".into(), chain: Some(chain), problem: None },
                ClusterCa { name: "b".into(), chain: None, problem: Some("it has no certificates".into()) },
            ],
            healthy: false,
        };
        insta::assert_snapshot!(text(&report), @r"
    CLUSTER  CERTIFICATE   SUBJECT               EXPIRES               SHA-256
    -        root, stored  CN=demo root CA       2037-02-26T12:00:00Z  AA:11:22:33:44:55:66:77:88
    a        signing       CN=a intermediate CA  2037-02-26T12:00:00Z  BB:11:22:33:44:55:66:77:88
    a        root          CN=demo root CA       2037-02-26T12:00:00Z  AA:11:22:33:44:55:66:77:88

    b: it has no certificates
    ");
        report.root = None;
        assert!(text(&report).ends_with("(looked in /s/demo/ca): no cluster can be added or rotated from here\n"));
    }

    #[test]
    fn a_rotation_shows_both_certificates() {
        let rotation = Rotation {
            cluster: "a".into(),
            before: Some(certificate("a", "AA")),
            now: certificate("a", "BB"),
            took: Duration::from_millis(2500),
        };
        insta::assert_snapshot!(rotated(&[rotation]), @r"
    CLUSTER  BEFORE                   NOW                      EXPIRES               TOOK
    a        AA:11:22:33:44:55:66:77  BB:11:22:33:44:55:66:77  2037-02-26T12:00:00Z  2.5s
    ");
    }
}
