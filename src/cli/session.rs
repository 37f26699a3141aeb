//! What a command that needs the engine works with: the connection, the files, the voice.

use std::future::Future;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::args::Globals;
use super::env::Env;
use super::errors::CliError;
use super::exit::Exit;
use super::output::Printer;
use super::summary::Summary;
use crate::domain::fleet::Fleet;
use crate::domain::fleet_file;
use crate::domain::name::FleetName;
use crate::engine::{self, Engine};
use crate::event::Reporter;
use crate::ops::Kindmesh;

/// The fleet file that is read when it is there and none is named.
const DEFAULT_FILE: &str = "kindmesh.yaml";
/// Clusters of a fleet without a file.
const DEFAULT_CLUSTERS: u32 = 2;

/// One run.
pub struct Session {
    globals: Globals,
    env: Env,
    printer: Printer,
    cancel: CancellationToken,
    summary: Arc<Summary>,
    reporter: Arc<dyn Reporter>,
}

// === impl Session ===

impl Session {
    /// From what was decided before.
    pub fn new(globals: Globals, env: Env, printer: Printer) -> Self {
        let summary = Arc::new(Summary::default());
        let reporter = printer.reporter(summary.clone());
        Self { globals, env, printer, cancel: CancellationToken::new(), summary, reporter }
    }

    /// The program's voice.
    pub fn printer(&self) -> &Printer {
        &self.printer
    }

    /// The environment.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Where the time went so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Cancelled by the first signal.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Where events go.
    pub fn reporter(&self) -> Arc<dyn Reporter> {
        self.reporter.clone()
    }

    /// Connects to the engine.
    ///
    /// # Errors
    /// [`Exit::Engine`] with every address that was tried.
    pub async fn engine(&self) -> Result<Arc<dyn Engine>, CliError> {
        let host = self.globals.host.as_deref().or_else(|| self.env.text(super::env::DOCKER_HOST)).unwrap_or("unix:///var/run/docker.sock");
        let path = host.trim_start_matches("unix://");
        engine::connect::connect_socket(path).await.map_err(|error| CliError::from_error(Exit::Engine, &error))
    }

    /// Runs work that changes nothing and may be dropped anywhere: the first signal ends it.
    ///
    /// # Errors
    /// The work's own; [`Exit::Cancelled`] when a signal came first.
    pub async fn or_cancelled<T, E: Into<CliError>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, CliError> {
        match self.cancel.run_until_cancelled(work).await {
            Some(result) => result.map_err(Into::into),
            None => Err(CliError::new(Exit::Cancelled, "cancelled")),
        }
    }

    /// A handle on the engine that knows the kubeconfig files, `named` alone when there is one.
    ///
    /// # Errors
    /// As [`Session::engine`]; and [`Exit::Config`] when there is no place for a kubeconfig.
    pub async fn kindmesh(&self, named: Option<&Path>) -> Result<Kindmesh, CliError> {
        let files = self.env.kubeconfig_files(named).ok_or_else(|| {
            CliError::new(Exit::Config, "there is no place for kubeconfig entries: neither KUBECONFIG nor HOME is set")
                .hint("name a file with `--kubeconfig`, or set KUBECONFIG")
        })?;
        let mut kindmesh = Kindmesh::new(self.engine().await?)
            .reporter(self.reporter.clone())
            .cancellation(self.cancel.clone())
            .proxy(self.env.proxy())
            .kubeconfig_files(files);
        if let Some(folder) = self.env.docker_config_dir() {
            kindmesh = kindmesh.registry_config(folder.join("config.json"));
        }
        Ok(kindmesh)
    }

    /// Reads the fleet file that is named (`-` is standard input), or the usual one when none is
    /// named, `look` is true and it is there.
    ///
    /// # Errors
    /// [`Exit::Failure`] when it cannot be read, [`Exit::Config`] when it is no fleet.
    pub fn fleet_file(&self, named: Option<&Path>, look: bool) -> Result<Option<Fleet>, CliError> {
        let (path, text) = match named {
            Some(path) if path == Path::new("-") => ("standard input".to_owned(), read_stdin()?),
            Some(path) => (path.display().to_string(), read(path)?),
            None if look && Path::new(DEFAULT_FILE).exists() => {
                self.printer.say(&format!("using {DEFAULT_FILE} in this folder"));
                (DEFAULT_FILE.to_owned(), read(Path::new(DEFAULT_FILE))?)
            }
            None => return Ok(None),
        };
        let fleet = fleet_file::parse(&text, &path)
            .map_err(|error| CliError::from_error(Exit::Config, &error).hint("`kindmesh schema` prints what a fleet file may hold"))?;
        Ok(Some(fleet))
    }

    /// The fleet that `up` makes without a file.
    ///
    /// # Errors
    /// [`Exit::Config`] when it cannot be built.
    pub fn plain_fleet(&self, name: Option<FleetName>, clusters: Option<u32>) -> Result<Fleet, CliError> {
        fleet_file::plain(name, clusters.unwrap_or(DEFAULT_CLUSTERS)).map_err(|error| CliError::from_error(Exit::Config, &error))
    }
}

fn read(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failure };
        CliError::new(exit, format!("read the fleet file {}", path.display())).because(&error)
    })
}

fn read_stdin() -> Result<String, CliError> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| CliError::new(Exit::Failure, "read the fleet file from standard input").because(&error))?;
    Ok(text)
}
