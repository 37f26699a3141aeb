//! From arguments to an exit code.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::args::{Cli, Command, Globals, OutputFormat};
use super::commands::{
    build, completion, diff, doctor, down, events, exec, export, get, graph, load, mesh, network, pool, prune, rest, schema, status,
    topics, up, verify, version,
};
use super::env::Env;
use super::errors::CliError;
use super::evidence::Evidence;
use super::exit::Exit;
use super::logging;
use super::output::{Printer, Terminals};
use super::session::Session;
use super::signals;
use super::timings::Timings;
use crate::domain::name::FleetName;
use crate::ops::Kindmesh;

/// Threads for tasks: enough to wait on many things at once, little for a small machine.
const WORKERS: usize = 2;

/// Runs the program with these arguments (the first is its own name) and this environment.
pub fn run(args: impl IntoIterator<Item = OsString>, env: Env, terminals: Terminals) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, &args, &env, terminals).into(),
    };
    let printer = Printer::new(&cli.globals, &env, terminals);
    match start(cli, env, &printer) {
        Ok(code) => code,
        Err(error) => {
            printer.error(&error);
            error.kind.into()
        }
    }
}

/// Makes ready what listens, and runs the command: what needs no engine right here, the rest in a runtime.
fn start(cli: Cli, env: Env, printer: &Printer) -> Result<ExitCode, CliError> {
    let timings = cli.command.timings().map(|(title, file)| Timings::open(title, file)).transpose()?;
    let recorder = timings.as_ref().map(Timings::recorder);
    let evidence = cli.command.evidence().map(|(title, folder)| Evidence::open(title, folder, recorder.clone())).transpose()?;
    let recorder = recorder.or_else(|| evidence.as_ref().map(Evidence::recorder));
    logging::install(printer, cli.globals.verbose, &env, recorder)?;
    let done = match cli.command {
        Command::Network(args) => network::run(printer, &args),
        Command::Schema => schema::run(printer),
        Command::Completion(args) => completion::run(printer, &args),
        Command::Version => version::run(printer),
        Command::Environment => topics::run_environment(printer),
        Command::ExitCodes => topics::run_exit_codes(printer),
        command => {
            let session = Session::new(cli.globals, env, printer.clone(), timings).with_evidence(evidence);
            return with_engine(&command, &session).map(|()| session.exit_code());
        }
    };
    done.map(|()| Exit::Success.into())
}

fn with_engine(command: &Command, session: &Session) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| CliError::new(Exit::Failure, "start the runtime").because(&error))?;
    let result = runtime.block_on(async {
        let signals = signals::of_process()?;
        let work = async {
            match command {
                Command::Up(args) => up::run(session, args).await,
                Command::Diff(args) => diff::run(session, args).await,
                Command::Down(args) => down::run(session, args).await,
                Command::Prune(args) => prune::run(session, args).await,
                Command::Doctor(args) => doctor::run(session, args).await,
                Command::Pause(args) => rest::pause(session, args).await,
                Command::Resume(args) => rest::resume(session, args).await,
                Command::Stop(args) => rest::stop(session, args).await,
                Command::Start(args) => rest::start(session, args).await,
                Command::Pool(args) => pool::run(session, args).await,
                Command::Status(args) => status::run(session, args).await,
                Command::Verify(args) => verify::run(session, args).await,
                Command::Graph(args) => graph::run(session, args).await,
                Command::Load(args) => load::run(session, args).await,
                Command::Events(args) => events::run(session, args).await,
                Command::Exec(args) => exec::run(session, args).await,
                Command::Export(args) => export::run(session, args).await,
                Command::Get(args) => get::run(session, args).await,
                Command::Kubeconfig(args) => get::run_kubeconfig(session, args).await,
                Command::Mesh(args) => mesh::run(session, args).await,
                Command::Build(args) => build::run(session, args).await,
                // Handled before: they need no engine.
                Command::Network(_)
                | Command::Schema
                | Command::Completion(_)
                | Command::Version
                | Command::Environment
                | Command::ExitCodes => Ok(()),
            }
        };
        let work = async {
            let result = work.await;
            match session.evidence() {
                Some(evidence) => evidence.keep(session, result).await,
                None => result,
            }
        };
        let begun = SystemTime::now();
        let result = signals::until_stopped(session.printer(), || session.is_endless(), signals, session.cancel().clone(), work).await;
        match result {
            Err(error) if error.kind == Exit::Cancelled && session.is_endless() => {
                session.end_with(Exit::Cancelled.code());
                Ok(())
            }
            Err(error) if error.kind == Exit::Cancelled && session.cancel().is_cancelled() => {
                tell_left(command, session, begun, error).await
            }
            result => result,
        }
    });
    // Work that was given up may still block a thread; the process does not wait for it.
    runtime.shutdown_background();
    match session.timings() {
        Some(timings) => timings.finish(session.printer(), result),
        None => result,
    }
}

/// Adds to the error of a command that was stopped what it left: of any that had no time to end what it did, and of one
/// that makes a fleet and ended cleanly, for which all of it stays.
async fn tell_left(command: &Command, session: &Session, begun: SystemTime, error: CliError) -> Result<(), CliError> {
    let fleet = session.known_fleet();
    if error.message.starts_with(signals::AT_ONCE) {
        // Members of a pool are fleets of their own.
        return Err(signals::tell_left(error, left_since(session, begun, None)).await);
    }
    match (command, fleet) {
        (Command::Up(_), Some(fleet)) => Err(signals::tell_left(error, left_since(session, begun, Some(&fleet))).await),
        _ => Err(error),
    }
}

/// What the command left, of this fleet or of all; nothing where that cannot be told.
async fn left_since(session: &Session, begun: SystemTime, fleet: Option<&FleetName>) -> Vec<String> {
    let since = begun.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0));
    match session.connected().await {
        Ok(engine) => Kindmesh::new(engine).begun_since(since, fleet).await.unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

/// Answers a command line that is no command: with the help asked for, or with what is wrong.
fn refuse(error: &clap::Error, args: &[OsString], env: &Env, terminals: Terminals) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that closed the pipe has seen enough.
            let _ = error.print();
            Exit::Success
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Exit::Usage
        }
        _ if wants_json(args) => {
            let globals = Globals { output: OutputFormat::Json, ..Globals::default() };
            let text = error.render().to_string();
            let mut parts = text.trim().splitn(2, "\n\n");
            let message = parts.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let mut wrapped = CliError::new(Exit::Usage, message);
            wrapped.hints.extend(parts.next().map(|rest| rest.split("\n\n").map(|part| part.trim().to_owned())).into_iter().flatten());
            Printer::new(&globals, env, terminals).error(&wrapped);
            Exit::Usage
        }
        _ => {
            let _ = error.print();
            if let Some(tip) = tip(error) {
                // Nobody is left to tell when this cannot be written.
                let _ = writeln!(std::io::stderr(), "\n{tip}");
            }
            Exit::Usage
        }
    }
}

/// What those want who know kind or docker.
fn tip(error: &clap::Error) -> Option<&'static str> {
    let said = |kind| match error.get(kind) {
        Some(ContextValue::String(said)) => Some(said.as_str()),
        _ => None,
    };
    match (error.kind(), said(ContextKind::InvalidSubcommand)?) {
        (ErrorKind::InvalidSubcommand, "create") => {
            Some("  tip: `kindmesh up` makes clusters: `--clusters 1` for one, `-f FILE` for a fleet file")
        }
        (ErrorKind::InvalidSubcommand, "delete") => {
            Some("  tip: `kindmesh down` removes a fleet, with `--cluster NAME` one cluster, also one of kind's")
        }
        _ => None,
    }
}

/// Whether JSON was asked for by a command line that could not be understood as a whole.
fn wants_json(args: &[OsString]) -> bool {
    let texts: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).collect();
    texts.iter().any(|arg| ["-ojson", "-o=json", "--output=json"].contains(arg))
        || texts.windows(2).any(|pair| ["-o", "--output"].contains(&pair[0]) && pair[1] == "json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_recognised_in_every_spelling() {
        let wants = |line: &str| wants_json(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(wants("kindmesh up -o json --bad"));
        assert!(wants("kindmesh -ojson up --bad"));
        assert!(wants("kindmesh up --bad --output=json"));
        assert!(!wants("kindmesh up -o text json"));
    }
}
