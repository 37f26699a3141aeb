//! `kindmesh build node-image`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::super::errors::CliError;
use super::super::exit::Exit;
use super::super::session::Session;
use crate::domain::version::KubernetesVersion;

const EXAMPLES: &str = "\
Needs Go, mmdebstrap and the usual tools of a Debian machine, and no image registry. The first build
takes long; a second one with nothing changed takes seconds.

Examples:
  kindmesh build node-image
  kindmesh build node-image --kubernetes-version v1.33.13 --image my/node:v1.33.13
  kind create cluster --image \"$(kindmesh build node-image -q)\"";

/// Flags of `build`.
#[derive(Debug, Args)]
pub struct BuildArgs {
    #[command(subcommand)]
    command: BuildCommand,
}

#[derive(Debug, Subcommand)]
enum BuildCommand {
    /// Build a node image from Debian packages and Go modules, where none can be pulled
    NodeImage(NodeImageArgs),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct NodeImageArgs {
    /// Kubernetes version in the image
    #[arg(long, value_name = "VERSION")]
    kubernetes_version: Option<KubernetesVersion>,
    /// Name of the image [default: the one that `up` looks for]
    #[arg(long, value_name = "REFERENCE")]
    image: Option<String>,
    /// Folder that finished steps are kept in [default: ~/.cache/kindmesh]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Folder of another recipe [default: the one built in]
    #[arg(long, value_name = "DIR")]
    recipe: Option<PathBuf>,
}

/// What a build made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Built {
    image: String,
}

/// Runs it. The image's name goes to standard output.
///
/// # Errors
/// When the build fails; finished steps are kept for the next one.
pub async fn run(session: &Session, args: &BuildArgs) -> Result<(), CliError> {
    match &args.command {
        BuildCommand::NodeImage(args) => node_image(session, args).await,
    }
}

async fn node_image(session: &Session, args: &NodeImageArgs) -> Result<(), CliError> {
    let _ = (session, args, &args.kubernetes_version, &args.image, &args.cache, &args.recipe);
    let _ = Built { image: String::new() };
    Err(CliError::new(Exit::Failure, "stub"))
}
