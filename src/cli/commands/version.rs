//! `kindmesh version`.

use serde::Serialize;

use super::super::errors::CliError;
use super::super::output::Printer;

#[derive(Serialize)]
struct Version {
    version: &'static str,
    os: &'static str,
    arch: &'static str,
}

/// Prints the version; with `-q` nothing but the number, as kind does.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(printer: &Printer) -> Result<(), CliError> {
    let version = Version { version: env!("CARGO_PKG_VERSION"), os: std::env::consts::OS, arch: std::env::consts::ARCH };
    printer.result(&version, || match printer.is_quiet() {
        true => format!("{}\n", version.version),
        false => format!("kindmesh {} {}/{}\n", version.version, version.os, version.arch),
    })
}
