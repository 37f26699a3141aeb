//! The `kindmesh` program.

use std::io::{IsTerminal as _, stderr, stdout};
use std::process::ExitCode;

use kindmesh::cli::{self, Env, Terminals};

fn main() -> ExitCode {
    let terminals = Terminals { stdout: stdout().is_terminal(), stderr: stderr().is_terminal() };
    cli::run(std::env::args_os(), Env::from_process(), terminals)
}
