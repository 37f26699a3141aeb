//! `kindmesh help environment` and `kindmesh help exit-codes`: reference texts made from the tables
//! the program itself works with.

use serde::Serialize;

use super::super::env::VARIABLES;
use super::super::errors::CliError;
use super::super::exit::Exit;
use super::super::output::Printer;
use super::super::table::Table;

#[derive(Serialize)]
struct Variable {
    name: &'static str,
    purpose: &'static str,
}

#[derive(Serialize)]
struct Code {
    code: u8,
    name: &'static str,
    meaning: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Codes {
    exit_codes: Vec<Code>,
}

#[derive(Serialize)]
struct Variables {
    variables: Vec<Variable>,
}

/// Text of `help environment`.
pub fn environment() -> String {
    let mut table = Table::new(["VARIABLE", "MEANING"]);
    for variable in VARIABLES {
        table.row([variable.name.to_owned(), variable.purpose.to_owned()]);
    }
    format!("Environment variables that are read; an empty one counts as unset\n\n{table}")
}

/// Text of `help exit-codes`.
pub fn exit_codes() -> String {
    let mut table = Table::new(["CODE", "KIND", "MEANING"]);
    for exit in Exit::ALL {
        table.row([exit.code().to_string(), exit.name().to_owned(), exit.meaning().to_owned()]);
    }
    format!("Exit codes; the kind is also in the error document of `-o json`\n\n{table}")
}

/// Runs `environment`.
///
/// # Errors
/// When standard output cannot be written.
pub fn run_environment(printer: &Printer) -> Result<(), CliError> {
    let variables = VARIABLES.iter().map(|variable| Variable { name: variable.name, purpose: variable.purpose }).collect();
    printer.result(&Variables { variables }, environment)
}

/// Runs `exit-codes`.
///
/// # Errors
/// When standard output cannot be written.
pub fn run_exit_codes(printer: &Printer) -> Result<(), CliError> {
    let codes = Exit::ALL.iter().map(|exit| Code { code: exit.code(), name: exit.name(), meaning: exit.meaning() }).collect();
    printer.result(&Codes { exit_codes: codes }, exit_codes)
}
