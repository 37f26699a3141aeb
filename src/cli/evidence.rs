//! `--evidence DIR`: what is worth reading after a failure, kept in a folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;

use super::errors::CliError;
use super::exit::Exit;
use super::recorder::Recorder;
use super::session::Session;
use crate::event;
use crate::ops::{EvidenceRequest, Failure, write_failure};

/// How long the clusters of a failed command may take to tell.
const DEADLINE: Duration = Duration::from_secs(60);

/// The flag.
#[derive(Debug, Clone, Default, Args)]
pub struct EvidenceFlag {
    /// When it fails, write logs, events and last-seen states into this folder
    #[arg(long, value_name = "DIR")]
    pub evidence: Option<PathBuf>,
}

/// A command whose failure is to be kept.
#[derive(Debug)]
pub struct Evidence {
    command: &'static str,
    folder: PathBuf,
    /// Whether the folder was made for this.
    made: bool,
    recorder: Arc<Recorder>,
    told: Arc<event::Recorder>,
    began: SystemTime,
}

// === impl Evidence ===

impl Evidence {
    /// Makes sure that there is a folder, and begins to record; with `recorder` when something is recorded already.
    ///
    /// # Errors
    /// [`Exit::Failure`] when the folder cannot be made.
    pub fn open(command: &'static str, folder: &Path, recorder: Option<Arc<Recorder>>) -> Result<Self, CliError> {
        let made = !folder.exists();
        private_dirs(folder).map_err(|error| {
            CliError::new(Exit::Failure, format!("make folder {}", folder.display()))
                .because(&error)
                .hint("--evidence names a folder that may be written to, or one that can be made; no cluster was touched")
        })?;
        let recorder = recorder.unwrap_or_else(|| Arc::new(Recorder::new(command)));
        Ok(Self { command, folder: folder.to_owned(), made, recorder, told: Arc::default(), began: SystemTime::now() })
    }

    /// What records spans.
    pub fn recorder(&self) -> Arc<Recorder> {
        self.recorder.clone()
    }

    /// What records events.
    pub fn told(&self) -> Arc<event::Recorder> {
        self.told.clone()
    }

    /// After the command: writes the evidence when it failed. The error stays what it is; it gains one hint, the last.
    ///
    /// # Errors
    /// The command's own.
    pub async fn keep(&self, session: &Session, result: Result<(), CliError>) -> Result<(), CliError> {
        let error = match result {
            Err(error) if error.kind != Exit::BrokenPipe => error,
            done => {
                if self.made {
                    // Only an empty one goes.
                    let _ = std::fs::remove_dir(&self.folder);
                }
                return done;
            }
        };
        session.printer().say(&format!("writing evidence into {}", self.folder.display()));
        let request = EvidenceRequest {
            fleet: session.known_fleet(),
            failure: Failure {
                command: self.command.to_owned(),
                message: error.message.clone(),
                causes: error.causes.clone(),
                hints: error.hints.clone(),
            },
            events: self.told.events(),
            waits: self.recorder.waits(),
            began: self.began,
            deadline: DEADLINE,
        };
        // A fleet that could not even be read: those that are there have nothing to do with it.
        let clusters = request.fleet.is_some() || !matches!(error.kind, Exit::Config | Exit::Usage | Exit::Engine);
        Err(match self.write(session, &request, clusters).await {
            Ok(()) => error.hint(format!("what was seen is in {}; begin with failure.txt and waits.log", self.folder.display())),
            Err(unwritten) => error.hint(format!("there is no evidence: {unwritten}")),
        })
    }

    async fn write(&self, session: &Session, request: &EvidenceRequest, clusters: bool) -> Result<(), String> {
        // First what is known, whatever happens then.
        write_failure(&self.folder, request).map_err(|error| error.one_line())?;
        if !clusters {
            return Ok(());
        }
        match tokio::time::timeout(DEADLINE, session.fresh_engine()).await {
            Ok(Ok(kindmesh)) => kindmesh.write_evidence(&self.folder, request).await.map(drop).map_err(|error| error.one_line()),
            // The failure itself says so.
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }
}

/// Makes a folder, and those above it, for its owner alone; one that is there stays as it is.
fn private_dirs(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::super::args::Globals;
    use super::super::env::Env;
    use super::super::output::{Printer, Terminals};
    use super::*;

    fn session() -> Session {
        let globals = Globals { quiet: true, host: Some("unix:///nowhere/no.sock".into()), ..Globals::default() };
        let printer = Printer::new(&globals, &Env::default(), Terminals { stdout: false, stderr: false });
        Session::new(globals, Env::default(), printer, None)
    }

    #[tokio::test]
    async fn a_failure_is_kept_and_told_as_it_was_and_a_success_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("what/happened");
        let evidence = Evidence::open("kindmesh up", &folder, None).unwrap();
        evidence.keep(&session(), Ok(())).await.unwrap();
        assert!(!folder.exists());
        let evidence = Evidence::open("kindmesh up", &folder, None).unwrap();
        let failed = CliError::new(Exit::Timeout, "a: not done").hint("again");
        let error = evidence.keep(&session(), Err(failed)).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str(), error.hints.len()), (Exit::Timeout, "a: not done", 2));
        assert!(error.hints[1].contains("what was seen is in"), "{:?}", error.hints);
        let text = std::fs::read_to_string(folder.join("failure.txt")).unwrap();
        assert_eq!(text, "kindmesh up failed: a: not done\nhint: again\n");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told_before_anything_else() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("file"), "").unwrap();
        let error = Evidence::open("kindmesh up", &home.path().join("file/x"), None).unwrap_err();
        assert_eq!(error.kind, Exit::Failure);
    }
}
