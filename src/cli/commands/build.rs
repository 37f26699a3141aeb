//! `kindmesh build node-image`.

use std::path::PathBuf;

use super::super::duration;
use super::super::errors::CliError;
use super::super::exit::Exit;
use super::super::session::Session;
use crate::domain::image;
use crate::domain::version::KubernetesVersion;
use crate::ops::nodeimage::{self, Build, BuildError, Tools};
use clap::{Args, Subcommand};

const EXAMPLES: &str = "\
Needs Go, mmdebstrap and Python's pip, the only programs that kindmesh ever runs, and no image registry.
The first build takes long; a second one with nothing changed takes seconds.

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
    /// Go's command
    #[arg(long, value_name = "PATH", default_value = "go")]
    go: PathBuf,
    /// Debian's root builder
    #[arg(long, value_name = "PATH", default_value = "mmdebstrap")]
    mmdebstrap: PathBuf,
    /// Python with its module pip
    #[arg(long, value_name = "PATH", default_value = "python3")]
    python: PathBuf,
    /// Leave kubectl, kube-apiserver and the other programs in the cache, in bin/VERSION
    #[arg(long)]
    programs: bool,
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
    let version = args.kubernetes_version.clone().unwrap_or_else(image::default_version);
    let cache = args.cache.clone().or_else(|| session.env().cache_dir().map(|folder| folder.join("node-image"))).ok_or_else(|| {
        CliError::new(Exit::Config, "there is no place for the build's cache: neither XDG_CACHE_HOME nor HOME is set")
            .hint("name a folder with `--cache`")
    })?;
    let build = Build {
        tag: args.image.clone().unwrap_or_else(|| image::offline_image(&version).short()),
        version,
        cache,
        recipe: args.recipe.clone(),
        tools: Tools {
            go: args.go.clone(),
            mmdebstrap: args.mmdebstrap.clone(),
            python: args.python.clone(),
            env: session.env().for_programs(),
        },
        programs: args.programs,
    };
    let engine = session.engine().await?;
    let built = nodeimage::build(engine, &build, session.reporter(), session.cancel()).await.map_err(failed)?;
    let repeated = built.steps.iter().filter(|step| !step.cached).count();
    let closing = match repeated {
        0 => format!("{} is up to date ({})", built.reference, duration::short(built.took)),
        _ => format!("{} is built: {repeated} of {} steps in {}", built.reference, built.steps.len(), duration::short(built.took)),
    };
    session.printer().result(&built, || format!("{}\n", built.reference))?;
    session.printer().say(&closing);
    Ok(())
}

fn failed(error: BuildError) -> CliError {
    let exit = match &error {
        BuildError::Recipe { .. } => Exit::Config,
        BuildError::Engine { .. } => Exit::Engine,
        BuildError::Cancelled => Exit::Cancelled,
        _ => Exit::Failure,
    };
    CliError::from_error(exit, &error).hint("what was finished is kept: the same command goes on from there")
}
