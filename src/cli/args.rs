//! The command line. Doc comments are the help texts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::commands::{
    build, completion, diff, doctor, down, events, exec, export, get, graph, load, mesh, network, pool, prune, rest, status, topics, up,
    verify,
};

/// Kubernetes clusters in containers, with load balancers, over the Docker Engine API alone
#[derive(Debug, Parser)]
#[command(name = "kindmesh", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Makes fleets of kind-compatible clusters on one network, gives each its own pool of LoadBalancer
addresses, and writes their kubeconfig entries. Needs an engine that speaks Docker's API, and calls
no other program.

Examples:
  kindmesh up                 two clusters, cluster1 and cluster2
  kindmesh up -f fleet.yaml   the fleet a file describes
  kindmesh status             what there is
  kindmesh down               remove it

See also: kindmesh help environment, kindmesh help exit-codes";

/// Flags that every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Address of the engine, unix://… or tcp://… [default: as the docker command]
    #[arg(short = 'H', long, global = true, value_name = "URL", conflicts_with = "context")]
    pub host: Option<String>,
    /// Docker context of the engine [default: as the docker command]
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Folder for root certificates of meshes and for warm pools [default: ~/.local/state/kindmesh]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
    /// How long to wait for another command that changes the same fleet; 0s does not wait [default: 10m]
    #[arg(long, global = true, value_name = "DURATION", value_parser = crate::domain::fleet_file::parse_duration)]
    pub lock_timeout: Option<Duration>,
    /// text, or json: a document on standard output, events on standard error
    #[arg(short, long, global = true, value_name = "FORMAT", value_enum, default_value_t, hide_possible_values = true)]
    pub output: OutputFormat,
    /// Tell nothing but errors and results
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Tell more; twice for every detail
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Form of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OutputFormat {
    /// For people
    #[default]
    Text,
    /// One JSON document on standard output
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a fleet, or complete it
    Up(up::UpArgs),
    /// Show what `up` would do
    Diff(diff::DiffArgs),
    /// Remove a fleet, with everything made for it
    Down(down::DownArgs),
    /// Remove fleets whose time is over, and what killed processes left
    Prune(prune::PruneArgs),
    /// Look for what would go wrong, before anything is made
    Doctor(doctor::DoctorArgs),
    /// Suspend a fleet: it keeps its memory and gets no processor
    Pause(rest::PauseArgs),
    /// Let a paused fleet go on
    Resume(rest::ResumeArgs),
    /// Stop a fleet, keeping what is on its volumes
    Stop(rest::StopArgs),
    /// Start a stopped fleet
    Start(rest::StartArgs),
    /// Lease fleets that were made beforehand
    Pool(pool::PoolArgs),
    /// Show fleets: clusters, nodes, pools, addresses
    Status(status::StatusArgs),
    /// Show what happens to a fleet: events of Kubernetes and of the engine
    Events(events::EventsArgs),
    /// Prove a mesh by traffic
    Verify(verify::VerifyArgs),
    /// Draw a fleet as SVG or Mermaid
    Graph(graph::GraphArgs),
    /// Load images into nodes
    Load(load::LoadArgs),
    /// Run a command in a node
    Exec(exec::ExecArgs),
    /// Write logs and states of clusters into a folder
    Export(export::ExportArgs),
    /// List clusters and nodes, print a kubeconfig
    Get(get::GetArgs),
    /// Print the kubeconfig of a cluster, as `get kubeconfig`
    Kubeconfig(get::KubeconfigArgs),
    /// Work with the mesh of a fleet
    Mesh(mesh::MeshArgs),
    /// Work with networks
    Network(network::NetworkArgs),
    /// Build images
    Build(build::BuildArgs),
    /// Print the JSON schema of the fleet file
    Schema,
    /// Print the completion script of a shell
    Completion(completion::CompletionArgs),
    /// Print the version
    Version,
    /// List the environment variables that are read
    #[command(hide = true, long_about = topics::environment(), help_template = "{about}")]
    Environment,
    /// List the exit codes
    #[command(hide = true, long_about = topics::exit_codes(), help_template = "{about}")]
    ExitCodes,
}

// === impl Command ===

impl Command {
    /// Title and file of the timings that were asked for.
    pub fn timings(&self) -> Option<(&'static str, &Path)> {
        let (title, flag) = match self {
            Command::Up(args) => ("kindmesh up", &args.timings),
            Command::Down(args) => ("kindmesh down", &args.timings),
            Command::Resume(args) => ("kindmesh resume", &args.timings),
            Command::Start(args) => ("kindmesh start", &args.timings),
            Command::Verify(args) => ("kindmesh verify", &args.timings),
            _ => return None,
        };
        Some((title, flag.timings.as_deref()?))
    }

    /// Title, and the folder for the evidence of a failure that was asked for.
    pub fn evidence(&self) -> Option<(&'static str, &Path)> {
        let (title, flag) = match self {
            Command::Up(args) => ("kindmesh up", &args.evidence),
            Command::Down(args) => ("kindmesh down", &args.evidence),
            Command::Resume(args) => ("kindmesh resume", &args.evidence),
            Command::Start(args) => ("kindmesh start", &args.evidence),
            Command::Verify(args) => ("kindmesh verify", &args.evidence),
            _ => return None,
        };
        Some((title, flag.evidence.as_deref()?))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Commands and flags are listed for those who have not installed it yet.
    #[test]
    fn the_readme_has_every_command_and_flag() {
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
        // What stands in backticks.
        let code = readme.split('`').skip(1).step_by(2);
        let code: Vec<&str> = code.flat_map(|code| code.split(|c: char| c.is_whitespace() || "|\\[]…".contains(c))).collect();
        fn visit(command: &clap::Command, code: &[&str], missing: &mut Vec<String>) {
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let short = argument.get_short().map(|short| format!("-{short}"));
                let long = argument.get_long().map(|long| format!("--{long}"));
                let listed = [&short, &long].into_iter().flatten().any(|flag| code.contains(&flag.as_str()));
                missing.extend(long.filter(|_| !listed));
            }
            for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
                missing.extend((!code.contains(&command.get_name())).then(|| command.get_name().to_owned()));
                visit(command, code, missing);
            }
        }
        let mut missing = Vec::new();
        visit(&Cli::command(), &code, &mut missing);
        missing.sort();
        missing.dedup();
        assert!(missing.is_empty(), "the README says nothing of {missing:?}");
    }

    #[test]
    fn every_command_and_flag_has_a_help_text() {
        fn visit(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(!help.is_empty(), "{} {}", command.get_name(), argument.get_id());
                assert!(!help.ends_with('.'), "help texts have no final period: {help}");
            }
            command.get_subcommands().for_each(visit);
        }
        visit(&Cli::command());
    }
}
