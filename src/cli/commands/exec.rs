//! `kindmesh exec`.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::pin::Pin;

use clap::Args;
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::super::env::TERM;
use super::super::errors::CliError;
use super::super::exit::Exit;
use super::super::session::Session;
use super::super::terminal::{self, RawMode, Resized};
use crate::domain::name::FleetName;
use crate::engine::{AttachRequest, Attached, OutputPiece};
use crate::ops::{self, ExecTarget};

const EXAMPLES: &str = "\
The exit code is the command's. With Ctrl-C the command is killed in the node (exit code 130); with --tty keys go
to the command instead.

Examples:
  kindmesh exec -- crictl ps                          in the only cluster, on its control plane
  kindmesh exec --cluster a -it -- bash               a shell
  kindmesh exec --node a-worker -- journalctl -u kubelet
  kindmesh exec --cluster a -i -- sh -c 'cat > /tmp/x' < x";

/// The way to a command's standard input.
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// Bytes of input that are read at once.
const PIECE: usize = 64 << 10;

/// Flags of `exec`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExecArgs {
    /// In a cluster of this fleet [default: the only one]
    #[arg(long, value_name = "NAME")]
    fleet: Option<FleetName>,
    /// In this cluster, whoever made it [default: the only one]
    #[arg(long, visible_alias = "name", value_name = "NAME")]
    cluster: Option<String>,
    /// In this node [default: the first control plane of the cluster]
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Pass standard input on
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Give the command a terminal
    #[arg(short = 't', long)]
    tty: bool,
    /// The command, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    node: String,
    exit_code: i64,
    stdout: String,
    stderr: String,
}

/// Where the output goes.
enum Sink {
    /// As it comes.
    Streams,
    /// Into a document at the end.
    Document(Vec<u8>, Vec<u8>),
}

/// Runs it.
///
/// # Errors
/// When there is no such node, or it does not run. What the command says is no error of ours: its exit code becomes the
/// program's.
pub async fn run(session: &Session, args: &ExecArgs) -> Result<(), CliError> {
    let json = session.printer().is_json();
    if args.tty && (json || !io::stdin().is_terminal()) {
        let why = if json { "with -o json the output is a document" } else { "standard input is no terminal" };
        return Err(CliError::new(Exit::Usage, format!("--tty: {why}")).hint("leave out -t; -i alone passes standard input on"));
    }
    let size = if args.tty { Some(terminal::size().map_err(|error| no_terminal(&error))?) } else { None };
    let request = AttachRequest { cmd: args.command.clone(), env: environment(session, size.is_some()), stdin: args.stdin, tty: size };
    let target = ExecTarget { fleet: args.fleet.clone(), cluster: args.cluster.clone(), node: args.node.clone() };
    let kindmesh = session.kindmesh(None).await?;
    let (node, mut attached) = session.or_cancelled(kindmesh.exec(&target, request)).await?;
    let raw = if args.tty { Some(RawMode::enter().map_err(|error| no_terminal(&error))?) } else { None };
    let mut sink = if json { Sink::Document(Vec::new(), Vec::new()) } else { Sink::Streams };
    let ended = session.cancel().run_until_cancelled(talk(&mut attached, raw.is_some(), &mut sink)).await;
    let code = match ended {
        Some(Ok(())) => attached.control.exit_code().await.map_err(|error| CliError::from(ops::Error::from(error)))?,
        Some(Err(error)) => {
            // Nobody hears it any more.
            let _ = attached.control.kill().await;
            return Err(error);
        }
        None => {
            let killed = attached.control.kill().await;
            let error = CliError::new(Exit::Cancelled, "cancelled: the command was killed");
            return Err(killed.err().map_or(error, |still| CliError::new(Exit::Cancelled, "cancelled").because(&still)));
        }
    };
    drop(raw);
    if let Sink::Document(stdout, stderr) = sink {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let document = Document { node, exit_code: code, stdout: text(stdout), stderr: text(stderr) };
        session.printer().result(&document, String::new)?;
    }
    // What a shell could not tell is told as what it is: a failure.
    session.end_with(u8::try_from(code).unwrap_or(u8::MAX));
    Ok(())
}

/// Input in, output out, until the output ends.
async fn talk(attached: &mut Attached, tty: bool, sink: &mut Sink) -> Result<(), CliError> {
    let mut feeding = Box::pin(feed(attached.input.take()));
    let mut fed = false;
    let mut resized = if tty { Some(Resized::listen().map_err(|error| no_terminal(&error))?) } else { None };
    loop {
        tokio::select! {
            output = attached.output.next() => match output {
                Some(Ok(piece)) => sink.write(piece)?,
                Some(Err(error)) => return Err(ops::Error::from(error).into()),
                None => return Ok(()),
            },
            end = &mut feeding, if !fed => {
                end?;
                fed = true;
            }
            () = async { match &mut resized { Some(resized) => resized.next().await, None => std::future::pending().await } } => {
                if let Ok(size) = terminal::size() {
                    // It may have ended in this moment.
                    let _ = attached.control.resize(size).await;
                }
            }
        }
    }
}

/// Passes standard input on, to its end. Beside the output, never before it: a command that gets more than it can hold
/// waits until somebody takes what it wrote.
async fn feed(input: Option<Input>) -> Result<(), CliError> {
    let Some(mut input) = input else { return Ok(()) };
    let mut stdin = read_stdin();
    while let Some(read) = stdin.recv().await {
        let bytes = read.map_err(|error| CliError::new(Exit::Failure, "read standard input").because(&error))?;
        // A command may end without having read everything.
        if input.write_all(&bytes).await.is_err() {
            return Ok(());
        }
    }
    let _ended = input.shutdown().await;
    Ok(())
}

/// Reads standard input in a thread of its own, which nobody waits for: it may stand in a read until the process ends.
fn read_stdin() -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (out, receiver) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut piece = vec![0; PIECE];
        loop {
            let read = match io::stdin().lock().read(&mut piece) {
                Ok(0) => return,
                Ok(count) => Ok(piece[..count].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let over = read.is_err();
            if out.blocking_send(read).is_err() || over {
                return;
            }
        }
    });
    receiver
}

/// What a command must know of a terminal.
fn environment(session: &Session, tty: bool) -> Vec<String> {
    let kind = session.env().text(TERM).unwrap_or("xterm");
    if tty { vec![format!("{TERM}={kind}")] } else { Vec::new() }
}

fn no_terminal(error: &io::Error) -> CliError {
    CliError::new(Exit::Failure, "use the terminal").because(error)
}

// === impl Sink ===

impl Sink {
    fn write(&mut self, piece: OutputPiece) -> Result<(), CliError> {
        let written = match (self, piece) {
            (Sink::Streams, OutputPiece::Stdout(bytes)) => {
                let mut out = io::stdout().lock();
                out.write_all(&bytes).and_then(|()| out.flush())
            }
            (Sink::Streams, OutputPiece::Stderr(bytes)) => io::stderr().lock().write_all(&bytes),
            (Sink::Document(out, _), OutputPiece::Stdout(bytes)) => {
                out.extend_from_slice(&bytes);
                Ok(())
            }
            (Sink::Document(_, err), OutputPiece::Stderr(bytes)) => {
                err.extend_from_slice(&bytes);
                Ok(())
            }
        };
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => CliError::new(Exit::BrokenPipe, "standard output was closed"),
            _ => CliError::new(Exit::Failure, "write the output").because(&error),
        })
    }
}
