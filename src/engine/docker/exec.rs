//! Commands in containers.

use std::pin::{Pin, pin};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use futures_util::{Stream, StreamExt};
use tokio::io::AsyncWrite;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::client::DockerEngine;
use super::fault;
use super::feed::{Fed, feed};
use super::kill::{KillGuard, Mark};
use super::lines::Lines;
use crate::engine::{EngineError, EngineErrorKind as Kind, ExecOutput, ExecRequest, Result, Stdin};
use crate::event::ENGINE_SPAN;

/// What is tried, in error messages; the object is `kubeadm in <container>`. Arguments are left
/// out: they may hold secrets.
pub(super) const VERB: &str = "run";

/// How long a command may go on, or go without an exit code, after its output has ended. A connection
/// that is cut cleanly looks like the end of the output; a command that runs on tells the difference.
const CODE_LIMIT: Duration = Duration::from_secs(10);

/// runc joins a container's namespaces and cgroups process by process; while systemd moves its own
/// about at boot, on a busy machine, that fails now and then. So many tries, with growing pauses.
const ENTRIES: u32 = 5;
const ENTRY_PAUSE: Duration = Duration::from_millis(200);

type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>;
type Input = Pin<Box<dyn AsyncWrite + Send>>;

// === impl DockerEngine ===

impl DockerEngine {
    /// Runs a command to its end, or kills it.
    pub(super) async fn exec(&self, container: &str, request: ExecRequest, cancel: &CancellationToken) -> Result<ExecOutput> {
        let object = object(container, &request.cmd);
        let cancelled = |rest: &str| EngineError::new(VERB, &object, Kind::Cancelled, format!("cancelled{rest}"));
        if cancel.is_cancelled() {
            return Err(cancelled(" before it began"));
        }
        let mark = Mark::new();
        let mut marked = request;
        marked.env.push(mark.entry().to_owned());
        let mut guard = KillGuard::new(self, container, mark);
        let span = tracing::trace_span!(target: ENGINE_SPAN, "call", verb = VERB, object);
        let mut running = pin!(self.run(container, &object, marked).instrument(span));
        tokio::select! {
            biased;
            () = cancel.cancelled() => {}
            ended = &mut running => {
                // After a failure the command may have outlived the connection: the guard sees to it.
                if ended.is_ok() {
                    guard.disarm();
                }
                return ended;
            }
        }
        Err(match guard.kill(running).await {
            Ok(()) => cancelled("; the command was killed"),
            Err(reason) => cancelled(&format!("; the command may still run: {reason}")),
        })
    }

    /// Runs a command without input and without a mark: the one that kills.
    pub(super) async fn run_unmarked(&self, container: &str, cmd: Vec<String>) -> Result<ExecOutput> {
        let object = object(container, &cmd);
        self.run(container, &object, ExecRequest::new(cmd)).await
    }

    /// Runs a command; again when the runtime could not enter the container, in which case nothing of
    /// the command ran.
    async fn run(&self, container: &str, object: &str, request: ExecRequest) -> Result<ExecOutput> {
        let mut entries = 1;
        loop {
            let result = self.run_once(container, object, &request).await;
            // A stream of input is read once.
            let again = entries < ENTRIES && !matches!(request.stdin, Some(Stdin::Stream(_))) && could_not_enter(&result);
            if !again {
                return result;
            }
            tracing::debug!(object, entries, "the runtime could not enter the container; trying again");
            tokio::time::sleep(ENTRY_PAUSE * entries).await;
            entries += 1;
        }
    }

    async fn run_once(&self, container: &str, object: &str, request: &ExecRequest) -> Result<ExecOutput> {
        let config = ExecConfig {
            attach_stdin: Some(request.stdin.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(false),
            env: Some(request.env.clone()),
            cmd: Some(request.cmd.clone()),
            ..Default::default()
        };
        let id = self.call(VERB, object, self.docker.create_exec(container, config)).await?.id;
        let (output, input) = match self.call(VERB, object, self.docker.start_exec(&id, None)).await {
            Ok(StartExecResults::Attached { output, input }) => (output, input),
            Ok(StartExecResults::Detached) => {
                return Err(EngineError::new(VERB, object, Kind::Protocol, "the engine started the command without its output"));
            }
            Err(error) => return never_started(error),
        };
        let (mut done, fed) = drive(object, request.stdin.clone(), output, input, request).await?;
        done.exit_code = self.exit_code(&id, object).await?;
        match fed {
            // A command that took a part of its input for the whole would look like a success.
            Some(Fed::Cut(error)) if done.exit_code == 0 => Err(EngineError::new(
                VERB,
                object,
                Kind::Interrupted,
                format!("the command ended with 0 before its whole input was sent: {error}"),
            )),
            _ => Ok(done),
        }
    }

    /// The exit code, once the command has ended: the end of its output may come a little earlier.
    pub(super) async fn exit_code(&self, id: &str, object: &str) -> Result<i64> {
        let end = Instant::now() + CODE_LIMIT;
        let mut pause = Duration::from_millis(5);
        loop {
            let state = self.call(VERB, object, self.docker.inspect_exec(id)).await?;
            let running = state.running == Some(true);
            match state.exit_code {
                Some(code) if !running => return Ok(code),
                _ if Instant::now() < end => {}
                _ if running => {
                    let text = "its output ended while it runs: the connection broke, or the command closed its output";
                    return Err(EngineError::new(VERB, object, Kind::Interrupted, text));
                }
                _ => return Err(EngineError::new(VERB, object, Kind::Protocol, "the command ended and the engine tells no exit code")),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }
}

/// Feeds input and gathers output at the same time: one after the other, a large output and a large
/// input would wait for each other for ever.
async fn drive(
    object: &str,
    stdin: Option<Stdin>,
    mut output: Output,
    mut input: Input,
    request: &ExecRequest,
) -> Result<(ExecOutput, Option<Fed>)> {
    let mut done = ExecOutput { exit_code: 0, stdout: Vec::new(), stderr: Vec::new() };
    let (mut out_lines, mut err_lines) = (Lines::default(), Lines::default());
    let silent = |_: &str| {};
    let hear: &(dyn Fn(&str) + Send + Sync) = request.on_line.as_deref().unwrap_or(&silent);
    let mut fed = None;
    let feeding = stdin.is_some();
    let mut feeder = Box::pin(feed(stdin, &mut input));
    loop {
        tokio::select! {
            end = &mut feeder, if feeding && fed.is_none() => match end {
                Fed::Source(error) => return Err(error),
                end => fed = Some(end),
            },
            frame = output.next() => match frame {
                Some(Ok(LogOutput::StdErr { message })) => {
                    err_lines.push(&message, &hear);
                    done.stderr.extend_from_slice(&message);
                }
                // Without a terminal every piece has its length in front; what has none is the rest of one that was torn.
                Some(Ok(LogOutput::Console { .. })) => {
                    return Err(EngineError::new(VERB, object, Kind::Interrupted, "its output broke off in the middle"));
                }
                Some(Ok(other)) => {
                    let message = other.into_bytes();
                    out_lines.push(&message, &hear);
                    done.stdout.extend_from_slice(&message);
                }
                Some(Err(error)) => return Err(fault::map(VERB, object, error)),
                None => break,
            },
        }
    }
    out_lines.flush(&hear);
    err_lines.flush(&hear);
    if feeding && fed.is_none() {
        fed = Some(Fed::Cut(std::io::ErrorKind::BrokenPipe.into()));
    }
    Ok((done, fed))
}

/// Some engines refuse to start what they cannot find instead of reporting exit code 126 or 127.
fn never_started(error: EngineError) -> Result<ExecOutput> {
    let words = error.message.to_lowercase();
    let missing = ["executable file not found", "no such file or directory", "permission denied"].iter().any(|text| words.contains(text));
    if missing && matches!(error.kind, Kind::Refused | Kind::Failed) && words.contains("exec") {
        let exit_code = if words.contains("permission denied") { 126 } else { 127 };
        return Ok(ExecOutput { exit_code, stdout: Vec::new(), stderr: error.message.into_bytes() });
    }
    Err(error)
}

/// Whether the runtime failed before the command began. Engines report that in the output, with exit
/// code 126, or as an error.
fn could_not_enter(result: &Result<ExecOutput>) -> bool {
    let entering = |words: &str| words.contains("OCI runtime exec failed") && words.contains("setns process");
    match result {
        Ok(done) => done.exit_code == 126 && [&done.stdout, &done.stderr].into_iter().any(|text| entering(&String::from_utf8_lossy(text))),
        Err(error) => entering(&error.message),
    }
}

/// `kubeadm in <container>`: the program, or what a shell is to begin with where that is one.
pub(super) fn object(container: &str, cmd: &[String]) -> String {
    let words: Vec<&str> = cmd.iter().map(String::as_str).collect();
    let program = match words.as_slice() {
        [] => "nothing",
        [shell @ "sh", "-c", script, ..] => script.split_whitespace().next().filter(|word| is_program(word)).unwrap_or(shell),
        [program, ..] => program,
    };
    format!("{program} in {container}")
}

/// Whether the first word of a script is a program's name, and no assignment, test, path or part of the shell.
fn is_program(word: &str) -> bool {
    const SHELL: [&str; 8] = ["case", "echo", "exec", "for", "if", "set", "until", "while"];
    word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') && !SHELL.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_named_without_its_arguments() {
        let named = |cmd: &[&str]| object("n1", &cmd.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(named(&["kubeadm", "join", "--token", "secret"]), "kubeadm in n1");
        assert_eq!(named(&["sh", "-c", "kubeadm init --token t && true"]), "kubeadm in n1");
        for script in ["token=t; kubeadm join", "until ctr version; do sleep 1; done", "", "/kind/x"] {
            assert_eq!(named(&["sh", "-c", script]), "sh in n1");
        }
        assert_eq!(named(&[]), "nothing in n1");
    }

    #[test]
    fn a_refused_start_of_a_missing_program_is_an_exit_code() {
        let refused = |message: &str| never_started(EngineError::new(VERB, "x in c", Kind::Refused, message));
        let missing = refused("OCI runtime exec failed: exec failed: unable to start container process: exec: \"x\": executable file not found in $PATH: unknown").unwrap();
        assert_eq!(missing.exit_code, 127);
        assert!(missing.tail(1).contains("executable file not found"));
        assert_eq!(refused("OCI runtime exec failed: exec: \"/etc\": permission denied").unwrap().exit_code, 126);
        assert!(refused("container is paused").is_err());
    }

    #[test]
    fn only_a_command_that_never_ran_is_run_again() {
        let words = "OCI runtime exec failed: exec failed: unable to start container process: error executing setns process: exit status 1: unknown\r\n";
        let ended = |exit_code, stdout: &str| Ok(ExecOutput { exit_code, stdout: stdout.as_bytes().to_vec(), stderr: Vec::new() });
        assert!(could_not_enter(&ended(126, words)));
        assert!(!could_not_enter(&ended(1, words)), "a command that prints the words has run");
        assert!(!could_not_enter(&ended(126, "OCI runtime exec failed: exec: \"x\": permission denied")));
        assert!(could_not_enter(&Err(EngineError::new(VERB, "x in c", Kind::Failed, words))));
    }
}
