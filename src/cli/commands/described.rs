//! Flags that describe a fleet and what may be done to it: of `up`, and of what tells beforehand what `up` does.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::super::errors::CliError;
use super::super::exit::Exit;
use super::super::session::Session;
use super::mesh_flags::MeshFlags;
use crate::domain::diff::Recreate;
use crate::domain::fleet::{BootProfile, ClusterSpec, Fleet, Privileges};
use crate::domain::fleet_builder::Place;
use crate::domain::fleet_file;
use crate::domain::name::FleetName;
use crate::domain::version::KubernetesVersion;
use crate::ops::{self, UpOptions};

/// Flags that say where a fleet's description comes from.
#[derive(Debug, Args)]
pub struct Source {
    /// Fleet file, - for standard input [default: kindmesh.yaml, if it is there]
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["fleet", "clusters"])]
    file: Option<PathBuf>,
    /// Name of the fleet, without a file [default: kindmesh]
    #[arg(long, value_name = "NAME")]
    fleet: Option<FleetName>,
    /// Number of clusters, without a file [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=99))]
    clusters: Option<u32>,
}

/// Flags that describe a fleet.
#[derive(Debug, Args)]
pub struct Described {
    #[command(flatten)]
    source: Source,
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
    /// Remove clusters and nodes that the description no longer has
    #[arg(long)]
    prune: bool,
    /// Make a cluster anew; without a name every one that cannot be changed in its place
    #[arg(long, value_name = "CLUSTER", num_args = 0..=1, default_missing_value = "")]
    recreate: Vec<String>,
    /// Let `kindmesh prune` remove the fleet after so long a time, like 2h, from now on
    #[arg(long, value_name = "DURATION", value_parser = fleet_file::parse_duration)]
    ttl: Option<Duration>,
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

// === impl Source ===

impl Source {
    /// The fleet of the file, or the plain one of the flags. `meshed`: a mesh is asked for, whatever a file says.
    ///
    /// # Errors
    /// When the file cannot be read or is no fleet.
    pub async fn read(&self, session: &Session, meshed: bool) -> Result<Fleet, CliError> {
        let unnamed = self.fleet.is_none() && self.clusters.is_none();
        let parse = if meshed { fleet_file::parse_with_mesh } else { fleet_file::parse };
        match session.fleet_file_as(self.file.as_deref(), unnamed, parse).await? {
            Some(fleet) => Ok(fleet),
            None => session.plain_fleet(self.fleet.clone(), self.clusters),
        }
    }
}

// === impl Described ===

impl Described {
    /// The fleet that file and flags describe; flags are stronger.
    ///
    /// # Errors
    /// When the file cannot be read or is no fleet, or a flag does not fit it.
    pub async fn fleet(&self, session: &Session) -> Result<Fleet, CliError> {
        let mut fleet = self.source.read(session, self.mesh.wanted()).await?;
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
        if let Some(life) = self.ttl {
            fleet.lease.expires = Some(ops::end_of(life)?);
        }
        Ok(fleet)
    }

    /// What may be done to a fleet that is there.
    ///
    /// # Errors
    /// [`Exit::Config`] for a cluster that is not described.
    pub fn options(&self, fleet: &Fleet) -> Result<UpOptions, CliError> {
        let named: BTreeSet<String> = self.recreate.iter().filter(|name| !name.is_empty()).cloned().collect();
        if let Some(unknown) = named.iter().find(|name| fleet.clusters.iter().all(|cluster| cluster.name.as_str() != name.as_str())) {
            return Err(CliError::new(Exit::Config, format!("--recreate {unknown}: fleet {} has no such cluster", fleet.name)));
        }
        let recreate = match (self.recreate.is_empty(), named.is_empty()) {
            (true, _) => Recreate::None,
            (false, true) => Recreate::Needed,
            (false, false) => Recreate::Named(named),
        };
        Ok(UpOptions { prune: self.prune, recreate })
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
