//! The only place of the project that starts other programs: compiling needs a compiler (`go`), a
//! Debian root needs Debian's own tools (`mmdebstrap`), a Python package comes by `pip`, and a program
//! that was just built may have something to make for the image. Nothing else of kindmesh comes here.
//!
//! A program runs in a process group of its own, so that it ends with all its children when the
//! build is cancelled or fails, and sees exactly the environment it is given.

use std::io::{self, PipeReader};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::{BuildError, Result};

/// How long a program may take to clean up (mmdebstrap unmounts) before it is killed.
const GRACE: Duration = Duration::from_secs(15);
/// Compilers name hundreds of packages; nobody reads them faster than this.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// Lines of a program's last words that are kept for an error message.
const TAIL: usize = 12;

/// The programs a build needs, and the environment they see.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Go's command: a path, or a name looked up in `PATH` of `env`.
    pub go: PathBuf,
    /// Debian's root builder: a path, or a name looked up in `PATH` of `env`.
    pub mmdebstrap: PathBuf,
    /// Python with its module pip: a path, or a name looked up in `PATH` of `env`.
    pub python: PathBuf,
    /// Their whole environment; nothing is inherited. Wanted: `PATH`, `HOME`, Go's and the proxies'
    /// variables.
    pub env: Vec<(String, String)>,
}

/// A program that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Program {
    /// `go`.
    Go,
    /// `mmdebstrap`.
    Mmdebstrap,
    /// `python3`.
    Python,
    /// One that the build has made, by its path.
    Built(PathBuf),
}

/// One run of a program.
#[derive(Debug, Clone)]
pub(super) struct Run<'a> {
    /// Which.
    pub program: Program,
    /// What for, in words: starts an error message.
    pub what: String,
    /// Arguments.
    pub args: Vec<String>,
    /// Folder it runs in.
    pub dir: Option<&'a Path>,
    /// Environment entries on top of the tools' own.
    pub env: Vec<(String, String)>,
}

/// Ends a program with its children, whatever happens to the future that waits for it.
struct Group(Option<Pid>);

// === impl Program ===

impl Program {
    fn name(&self) -> &'static str {
        match self {
            Program::Go => "go",
            Program::Mmdebstrap => "mmdebstrap",
            Program::Python => "python3",
            Program::Built(_) => "a program of the image",
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Program::Go => "install Go 1.26 or later (its folder in PATH), or name the program with --go",
            Program::Mmdebstrap => "install Debian's package mmdebstrap, or name the program with --mmdebstrap",
            Program::Python => "install Debian's package python3-pip, or name the program with --python",
            Program::Built(_) => "remove the folder of the build's cache that holds it",
        }
    }
}

// === impl Tools ===

impl Tools {
    /// Runs a program to its end and returns what it printed. `on_line` hears its progress (what it
    /// writes to standard error).
    pub(super) async fn run(&self, run: &Run<'_>, on_line: &(dyn Fn(&str) + Send + Sync), cancel: &CancellationToken) -> Result<Vec<u8>> {
        let read = |mut output: PipeReader| {
            let mut all = Vec::new();
            io::Read::read_to_end(&mut output, &mut all).map(|_| all)
        };
        let failed = BuildError::io("read the output of", self.path(&run.program));
        self.run_into(run, on_line, cancel, read).await?.map_err(failed)
    }

    /// Runs a program to its end while `consume` reads what it prints, on a blocking thread. The
    /// program's own failure is told before the consumer's, which it usually causes.
    pub(super) async fn run_into<T, F>(
        &self,
        run: &Run<'_>,
        on_line: &(dyn Fn(&str) + Send + Sync),
        cancel: &CancellationToken,
        consume: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(PipeReader) -> T + Send + 'static,
    {
        let (output, input) = io::pipe().map_err(BuildError::io("make a pipe for", self.path(&run.program)))?;
        let mut child = self.spawn(run, input)?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
        let consumer = tokio::task::spawn_blocking(move || consume(output));
        let errors = child.stderr.take();
        let tail = async {
            match errors {
                Some(errors) => follow(errors, on_line).await,
                None => Vec::new(),
            }
        };
        let ended = async { tokio::join!(tail, child.wait()) };
        let (tail, status) = tokio::select! {
            ended = ended => ended,
            () = cancel.cancelled() => {
                group.end(&mut child).await;
                // The pipe is closed now, so the consumer comes to its end; its verdict is moot.
                let _ = consumer.await;
                return Err(BuildError::Cancelled);
            }
        };
        let status = status.map_err(BuildError::io("wait for", self.path(&run.program)))?;
        group.disarm();
        let consumed = consumer.await;
        if !status.success() {
            return Err(self.failure(run, status, &tail));
        }
        consumed.map_err(|error| BuildError::Answer { what: run.what.clone(), message: error.to_string() })
    }

    fn spawn(&self, run: &Run<'_>, output: io::PipeWriter) -> Result<Child> {
        let path = self.path(&run.program);
        let mut command = Command::new(path);
        command.args(&run.args).env_clear().envs(self.env.iter().cloned()).envs(run.env.iter().cloned());
        command.stdin(Stdio::null()).stdout(output).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        if let Some(dir) = run.dir {
            command.current_dir(dir);
        }
        // The command holds the pipe's writing end; it is dropped here, so that the reader sees the end.
        command.spawn().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
                BuildError::MissingTool { program: run.program.name(), path: path.to_path_buf(), hint: run.program.hint(), source }
            }
            _ => BuildError::Io { verb: "start", path: path.to_path_buf(), source },
        })
    }

    fn failure(&self, run: &Run<'_>, status: ExitStatus, tail: &[String]) -> BuildError {
        let tail = if tail.is_empty() { "it said nothing".to_owned() } else { tail.join("\n") };
        BuildError::Tool { what: run.what.clone(), program: run.program.name(), status: status.to_string(), tail }
    }

    fn path<'a>(&'a self, program: &'a Program) -> &'a Path {
        match program {
            Program::Go => &self.go,
            Program::Mmdebstrap => &self.mmdebstrap,
            Program::Python => &self.python,
            Program::Built(path) => path,
        }
    }
}

/// Reads lines to the end and returns the last ones.
async fn follow(output: impl AsyncRead + Unpin, on_line: &(dyn Fn(&str) + Send + Sync)) -> Vec<String> {
    let mut tail = Vec::new();
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    let mut told: Option<Instant> = None;
    // A broken pipe ends the lines like an end does; the exit status tells the rest.
    while matches!(reader.read_until(b'\n', &mut line).await, Ok(n) if n > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        if text.is_empty() {
            continue;
        }
        if told.is_none_or(|when| when.elapsed() >= PROGRESS_EVERY) {
            told = Some(Instant::now());
            on_line(&text);
        }
        if tail.len() == TAIL {
            tail.remove(0);
        }
        tail.push(text);
    }
    tail
}

// === impl Group ===

impl Group {
    /// Asks the group to end and kills what is left of it after a while.
    async fn end(self, child: &mut Child) {
        self.signal(Signal::TERM);
        if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
            self.signal(Signal::KILL);
            // Killed for certain; only its exit status is collected here.
            let _ = child.wait().await;
        }
    }

    /// The program has ended by itself.
    fn disarm(mut self) {
        self.0 = None;
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // It may be gone already, which is what is wanted.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn tools(program: &str) -> Tools {
        let missing = "/nonexistent/mmdebstrap".into();
        Tools { go: program.into(), mmdebstrap: missing, python: "python3".into(), env: vec![("PATH".into(), "/usr/bin:/bin".into())] }
    }

    fn shell(script: &str) -> Run<'static> {
        Run {
            program: Program::Go,
            what: "say".into(),
            args: vec!["-c".into(), script.into()],
            dir: None,
            env: vec![("WORD".into(), "ja".into())],
        }
    }

    #[tokio::test]
    async fn output_progress_and_environment() {
        let lines = Mutex::new(Vec::new());
        let hear = |line: &str| lines.lock().unwrap().push(line.to_owned());
        let output = tools("sh").run(&shell("echo one >&2; echo $WORD${HOME:-nothing}"), &hear, &CancellationToken::new()).await.unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), "janothing\n");
        assert_eq!(*lines.lock().unwrap(), ["one"]);
    }

    #[tokio::test]
    async fn a_failure_tells_the_last_words() {
        let error =
            tools("sh").run(&shell("echo first >&2; echo bad thing >&2; exit 3"), &|_| {}, &CancellationToken::new()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("say: go ended with exit status: 3") && text.ends_with("bad thing"), "{text}");
    }

    #[tokio::test]
    async fn a_missing_program_is_named_with_a_way_out() {
        let run = Run { program: Program::Mmdebstrap, ..shell("") };
        let text = tools("sh").run(&run, &|_| {}, &CancellationToken::new()).await.unwrap_err().to_string();
        assert!(text.contains("/nonexistent/mmdebstrap") && text.contains("install Debian's package"), "{text}");
    }

    #[tokio::test]
    async fn cancelling_ends_the_program_and_its_children() {
        let cancel = CancellationToken::new();
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        // A grandchild would write the mark if it outlived the shell.
        let script = format!("(sleep 2; touch {}) & echo ready >&2; wait", mark.display());
        let started = Instant::now();
        let stop = cancel.clone();
        let error = tools("sh").run(&shell(&script), &move |_| stop.cancel(), &cancel).await.unwrap_err();
        assert!(matches!(error, BuildError::Cancelled), "{error}");
        assert!(started.elapsed() < Duration::from_secs(2), "it waited for the child");
        tokio::time::sleep(Duration::from_millis(2500).saturating_sub(started.elapsed())).await;
        assert!(!mark.exists(), "the grandchild went on");
    }
}
