//! `kindmesh schema`.

use super::super::errors::CliError;
use super::super::output::Printer;

/// Prints the JSON schema of the fleet file; the form is the same with and without `-o json`.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(printer: &Printer) -> Result<(), CliError> {
    let schema = crate::domain::fleet_file::schema();
    // A JSON value has no way to fail.
    printer.data(&format!("{schema:#}\n"))
}
