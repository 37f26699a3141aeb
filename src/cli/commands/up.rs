//! `kindmesh up`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::super::duration;
use super::super::errors::CliError;
use super::super::evidence::EvidenceFlag;
use super::super::exit::Exit;
use super::super::session::Session;
use super::super::table::Table;
use super::super::timings::TimingsFlag;
use super::mesh_flags::MeshFlags;
use super::{pool, verify};
use crate::domain::fleet::{BootProfile, ClusterSpec, Fleet, Privileges};
use crate::domain::fleet_builder::Place;
use crate::domain::fleet_file;
use crate::domain::name::FleetName;
use crate::domain::version::KubernetesVersion;
use crate::domain::warm::MAX_POOL_SIZE;
use crate::ops::{ClusterReport, UpOptions, UpReport};

const EXAMPLES: &str = "\
Without a file the fleet has two clusters, cluster1 and cluster2, on the network that kind uses.
Running it again completes what is missing and changes nothing else. Clusters of the fleet that its
description no longer has are refused, or removed with --prune.
Nodes are privileged, as kind's are, where the engine can do that, and else have every
capability that the host has and nothing more; --privileges asks for one or the other.

Examples:
  kindmesh up                                  two clusters, each with LoadBalancer addresses
  kindmesh up --sample                         and a small web service on one of them in each cluster
  kindmesh up --mesh                           and one Istio mesh over all clusters
  kindmesh up --clusters 3 --fleet trio        three clusters under a name of their own
  kindmesh up -f fleet.yaml                    what a file says
  kindmesh up --kubernetes-version v1.33.1     another Kubernetes
  kindmesh up --mesh --warm 3                  three such fleets made beforehand (`kindmesh help pool`)
  kindmesh up -o json 2>events.jsonl           for programs";

/// Flags of `up`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct UpArgs {
    /// Fleet file, - for standard input [default: kindmesh.yaml, if it is there]
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["fleet", "clusters"])]
    file: Option<PathBuf>,
    /// Name of the fleet, without a file [default: kindmesh]
    #[arg(long, value_name = "NAME")]
    fleet: Option<FleetName>,
    /// Number of clusters, without a file [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=99))]
    clusters: Option<u32>,
    /// Node image of every cluster
    #[arg(long, value_name = "REFERENCE")]
    image: Option<String>,
    /// Kubernetes version of every cluster
    #[arg(long, value_name = "VERSION")]
    kubernetes_version: Option<KubernetesVersion>,
    /// Rights of node containers: auto, privileged or reduced [default: auto]
    #[arg(long, value_name = "PROFILE", value_enum, hide_possible_values = true)]
    privileges: Option<Rights>,
    /// How clusters are bootstrapped: fast, or exactly as kind does it: kind [default: fast]
    #[arg(long, value_name = "PROFILE", value_enum, hide_possible_values = true)]
    profile: Option<Bootstrap>,
    /// Install a small web service with a LoadBalancer address into every cluster (a mesh has a sample of its own)
    #[arg(long)]
    sample: bool,
    /// Kubeconfig file that gets the entries [default: as kubectl]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Remove clusters of the fleet that its description no longer has
    #[arg(long)]
    prune: bool,
    /// Keep a warm pool of N such fleets, suspended, for `kindmesh pool lease`; 0 gives it up
    #[arg(long, value_name = "N", conflicts_with_all = ["prune", "kubeconfig", "timings"], value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_POOL_SIZE)))]
    warm: Option<u32>,
    #[command(flatten)]
    pub(in crate::cli) timings: TimingsFlag,
    #[command(flatten)]
    pub(in crate::cli) evidence: EvidenceFlag,
    #[command(flatten)]
    mesh: MeshFlags,
}

/// How clusters are bootstrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bootstrap {
    /// As quickly as it goes
    Fast,
    /// As kind does it
    Kind,
}

/// How much a node container may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rights {
    /// Privileged where the engine can, reduced where it cannot
    Auto,
    /// Privileged, as kind runs its nodes
    Privileged,
    /// Every capability the host has, nothing else
    Reduced,
}

/// Runs it.
///
/// # Errors
/// Whatever stops the fleet from becoming ready; what exists by then stays.
pub async fn run(session: &Session, args: &UpArgs) -> Result<(), CliError> {
    let fleet = args.fleet(session).await?;
    if let Some(size) = args.warm {
        return pool::warm(session, fleet, size).await;
    }
    let kindmesh = session.kindmesh(Some(session.kubeconfig_files(args.kubeconfig.as_deref())?)).await?;
    let result = kindmesh.up_with(&fleet, &UpOptions { prune: args.prune }).await;
    if let Some(timings) = session.timings() {
        timings.read_nodes(&kindmesh, &fleet.name).await;
    }
    let report = result?;
    let closing = match report.changed {
        true => session.summary().closing(&format!("fleet {} is ready", report.fleet), report.took),
        false => format!("fleet {} was complete, nothing to do ({})", report.fleet, duration::short(report.took)),
    };
    session.printer().result(&report, || text(&report))?;
    session.printer().say(&closing);
    Ok(())
}

fn text(report: &UpReport) -> String {
    let mut table = Table::new(["CLUSTER", "CONTEXT", "KUBERNETES", "NODES", "API SERVER", "POOL", "SAMPLE"]);
    for cluster in &report.clusters {
        table.row([
            cluster.name.clone(),
            cluster.context.clone(),
            cluster.kubernetes_version.clone(),
            cluster.nodes.len().to_string(),
            cluster.api_server.clone(),
            cluster.pool.to_string(),
            sample_page(report, cluster),
        ]);
    }
    match report.mesh.as_ref().and_then(|mesh| mesh.proof.as_ref()) {
        Some(proof) => format!("{table}\n{}", verify::text(proof)),
        None => table.to_string(),
    }
}

/// Where the sample answers this machine: its own address or, in a mesh, through the ingress gateway.
fn sample_page(report: &UpReport, cluster: &ClusterReport) -> String {
    if let Some(address) = cluster.sample_address {
        return format!("http://{address}/");
    }
    let members = report.mesh.iter().filter(|mesh| mesh.sample).flat_map(|mesh| &mesh.clusters);
    let mut ingress = members.filter(|member| member.cluster == cluster.name).filter_map(|member| member.ingress_gateway);
    ingress.next().map(|address| format!("http://{address}/hello")).unwrap_or_default()
}

// === impl UpArgs ===

impl UpArgs {
    /// The fleet that file and flags describe; flags are stronger.
    async fn fleet(&self, session: &Session) -> Result<Fleet, CliError> {
        let unnamed = self.fleet.is_none() && self.clusters.is_none();
        let parse = if self.mesh.wanted() { fleet_file::parse_with_mesh } else { fleet_file::parse };
        let mut fleet = match session.fleet_file_as(self.file.as_deref(), unnamed, parse).await? {
            Some(fleet) => fleet,
            None => session.plain_fleet(self.fleet.clone(), self.clusters)?,
        };
        let checked = self.checked()?;
        for cluster in &mut fleet.clusters {
            if checked.image.is_some() {
                cluster.image.clone_from(&checked.image);
            }
            if checked.kubernetes_version.is_some() {
                cluster.kubernetes_version.clone_from(&checked.kubernetes_version);
            }
        }
        if let Some(profile) = self.profile {
            fleet.profile = profile.into();
        }
        if let Some(rights) = self.privileges {
            fleet.privileges = rights.into();
        }
        if self.sample && fleet.addons.metallb.is_none() {
            return Err(CliError::new(Exit::Config, "--sample needs MetalLB, which the fleet file leaves out"));
        }
        fleet.addons.sample |= self.sample;
        self.mesh.apply(&mut fleet)?;
        Ok(fleet)
    }

    /// Image and version, by the same rules as in a fleet file: those of a cluster that has them.
    fn checked(&self) -> Result<ClusterSpec, CliError> {
        let mut builder = Fleet::builder("flags").clusters(1);
        if let Some(image) = &self.image {
            builder = builder.image(image);
        }
        if let Some(version) = &self.kubernetes_version {
            builder = builder.kubernetes_version(version.to_string());
        }
        let fleet = builder.build().map_err(|error| match error.place {
            Place::Cluster(_, field) | Place::Fleet(field) => CliError::new(
                Exit::Config,
                format!("{}: {}", if field == "image" { "--image" } else { "--kubernetes-version" }, error.problem),
            ),
            _ => CliError::from_error(Exit::Config, &error),
        })?;
        fleet.clusters.into_iter().next().ok_or_else(|| CliError::new(Exit::Failure, "a fleet of no clusters"))
    }
}

impl From<Bootstrap> for BootProfile {
    fn from(profile: Bootstrap) -> Self {
        match profile {
            Bootstrap::Fast => BootProfile::Fast,
            Bootstrap::Kind => BootProfile::Kind,
        }
    }
}

impl From<Rights> for Privileges {
    fn from(rights: Rights) -> Self {
        match rights {
            Rights::Auto => Privileges::Auto,
            Rights::Privileged => Privileges::Privileged,
            Rights::Reduced => Privileges::Reduced,
        }
    }
}
