//! `kindmesh completion`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::super::args::Cli;
use super::super::errors::CliError;
use super::super::output::Printer;

const EXAMPLES: &str = "\
Examples:
  source <(kindmesh completion bash)
  kindmesh completion zsh > ~/.zfunc/_kindmesh
  kindmesh completion fish > ~/.config/fish/completions/kindmesh.fish";

/// Flags of `completion`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionArgs {
    /// Shell to complete in
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(printer: &Printer, args: &CompletionArgs) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kindmesh", &mut script);
    printer.data(&String::from_utf8_lossy(&script))
}
