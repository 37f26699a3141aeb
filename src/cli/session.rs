//! What a command that needs the engine works with: the connection, the files, the voice.

use std::future::Future;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::args::Globals;
use super::env::{self, Env};
use super::errors::CliError;
use super::evidence::Evidence;
use super::exit::Exit;
use super::output::Printer;
use super::summary::Summary;
use super::timings::Timings;
use crate::domain::digest::Digest;
use crate::domain::fleet::Fleet;
use crate::domain::fleet_builder::DEFAULT_CLUSTERS;
use crate::domain::fleet_file;
use crate::domain::name::FleetName;
use crate::engine::Engine;
use crate::engine::connect::{ConnectError, ConnectOptions, connect};
use crate::event::Reporter;
use crate::k8s::fetch::fetch_text;
use crate::ops::{Kindmesh, KubeconfigTarget};

/// The fleet file that is read when it is there and none is named.
const DEFAULT_FILE: &str = "kindmesh.yaml";

/// A reading of a fleet file's text, whose name is second.
type Parse = fn(&str, &str) -> Result<Fleet, fleet_file::FleetFileError>;

/// One run.
pub struct Session {
    globals: Globals,
    env: Env,
    printer: Printer,
    cancel: CancellationToken,
    summary: Arc<Summary>,
    reporter: Arc<dyn Reporter>,
    timings: Option<Timings>,
    evidence: Option<Evidence>,
    /// The fleet that the command is for, once that is known.
    fleet: Mutex<Option<FleetName>>,
    /// How the program ends when nothing failed.
    code: AtomicU8,
    /// Whether being stopped is how the command ends.
    endless: AtomicBool,
}

// === impl Session ===

impl Session {
    /// From what was decided before.
    pub fn new(globals: Globals, env: Env, printer: Printer, timings: Option<Timings>) -> Self {
        let summary = Arc::new(Summary::default());
        let recorder = timings.as_ref().map(|timings| timings.recorder() as Arc<dyn Reporter>);
        let reporter = printer.reporter(std::iter::once(summary.clone() as Arc<dyn Reporter>).chain(recorder));
        let cancel = CancellationToken::new();
        let (fleet, code, endless) = (Mutex::default(), AtomicU8::new(0), AtomicBool::new(false));
        Self { globals, env, printer, cancel, summary, reporter, timings, evidence: None, fleet, code, endless }
    }

    /// Keeps the evidence of a failure.
    #[must_use]
    pub fn with_evidence(mut self, evidence: Option<Evidence>) -> Self {
        if let Some(evidence) = &evidence {
            let mut others: Vec<Arc<dyn Reporter>> = vec![self.summary.clone(), evidence.told()];
            // Spans and events have one recorder, whoever asks for it.
            others.push(self.timings.as_ref().map_or_else(|| evidence.recorder(), Timings::recorder));
            self.reporter = self.printer.reporter(others);
        }
        self.evidence = evidence;
        self
    }

    /// What keeps the evidence of a failure, when that was asked for.
    pub fn evidence(&self) -> Option<&Evidence> {
        self.evidence.as_ref()
    }

    /// Ends the program with this exit code when nothing fails: that of a command in a node.
    pub fn end_with(&self, code: u8) {
        self.code.store(code, Ordering::Relaxed);
    }

    /// The command only shows something until it is stopped: a signal ends it at once, without a word, with its exit code.
    pub fn until_stopped(&self) {
        self.endless.store(true, Ordering::Relaxed);
    }

    /// Whether being stopped is how the command ends.
    pub fn is_endless(&self) -> bool {
        self.endless.load(Ordering::Relaxed)
    }

    /// How the program ends when nothing failed.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code.load(Ordering::Relaxed))
    }

    /// The fleet that the command is for, as far as that is known.
    pub fn known_fleet(&self) -> Option<FleetName> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_for(&self, fleet: &FleetName) {
        *self.fleet.lock().unwrap_or_else(PoisonError::into_inner) = Some(fleet.clone());
    }

    /// What times this run, when that was asked for.
    pub fn timings(&self) -> Option<&Timings> {
        self.timings.as_ref()
    }

    /// Flags of every command.
    pub fn globals(&self) -> &Globals {
        &self.globals
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
    /// [`Exit::Engine`] with every address that was tried, [`Exit::Config`] when an address or a
    /// context cannot work, [`Exit::Cancelled`] when a signal comes first.
    pub async fn engine(&self) -> Result<Arc<dyn Engine>, CliError> {
        let options = self.connect_options();
        tracing::debug!("looking for the engine");
        self.or_cancelled(async { connect(&options).await.map_err(unreachable) }).await
    }

    /// A handle of its own, which works when the command was cancelled, and reports to nobody.
    ///
    /// # Errors
    /// As [`Session::engine`].
    pub async fn fresh_engine(&self) -> Result<Kindmesh, CliError> {
        Ok(Kindmesh::new(connect(&self.connect_options()).await.map_err(unreachable)?))
    }

    /// The engine, also for a command that was asked to stop.
    ///
    /// # Errors
    /// When none answers.
    pub async fn connected(&self) -> Result<Arc<dyn Engine>, CliError> {
        connect(&self.connect_options()).await.map_err(unreachable)
    }

    /// Flags are stronger than variables: with `--host` or `--context` DOCKER_HOST says nothing.
    fn connect_options(&self) -> ConnectOptions {
        let text = |name| self.env.text(name).map(str::to_owned);
        let context = self.globals.context.clone();
        ConnectOptions {
            host: self.globals.host.clone(),
            docker_host: if context.is_some() { None } else { text(env::DOCKER_HOST) },
            docker_context: context.or_else(|| text(env::DOCKER_CONTEXT)),
            docker_config_dir: self.env.docker_config_dir(),
            home: self.env.home(),
            docker_tls_verify: text(env::DOCKER_TLS_VERIFY),
            docker_cert_path: self.env.path(env::DOCKER_CERT_PATH),
            xdg_runtime_dir: self.env.path(env::XDG_RUNTIME_DIR),
            uid: user_id(),
            ..ConnectOptions::default()
        }
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

    /// The kubeconfig files that get entries, `named` alone when there is one.
    ///
    /// # Errors
    /// [`Exit::Config`] when there is no place for them.
    pub fn kubeconfig_files(&self, named: Option<&Path>) -> Result<KubeconfigTarget, CliError> {
        self.env.kubeconfig_files(named).ok_or_else(|| {
            CliError::new(Exit::Config, "there is no place for kubeconfig entries: neither KUBECONFIG nor HOME is set")
                .hint("name a file with `--kubeconfig`, or set KUBECONFIG")
        })
    }

    /// A handle on the engine that keeps these kubeconfig files up to date.
    ///
    /// # Errors
    /// As [`Session::engine`].
    pub async fn kindmesh(&self, kubeconfig: Option<KubeconfigTarget>) -> Result<Kindmesh, CliError> {
        let mut kindmesh =
            Kindmesh::new(self.engine().await?).reporter(self.reporter.clone()).cancellation(self.cancel.clone()).proxy(self.env.proxy());
        if let Some(patience) = self.globals.lock_timeout {
            kindmesh = kindmesh.patience(patience);
        }
        if let Some(files) = kubeconfig {
            kindmesh = kindmesh.kubeconfig_files(files);
        }
        if let Some(folder) = self.env.cache_dir() {
            kindmesh = kindmesh.cache_dir(folder);
        }
        if let Some(folder) = self.env.state_dir(self.globals.state_dir.as_deref()) {
            // What is noted down of it must mean the same from every folder.
            kindmesh = kindmesh.state_dir(std::path::absolute(&folder).unwrap_or(folder));
        }
        if let Some(folder) = self.env.docker_config_dir() {
            kindmesh = kindmesh.registry_config(folder.join("config.json"));
        }
        Ok(kindmesh)
    }

    /// Reads the fleet file for the names in it: the file that is named (`-` is standard input), or the usual one
    /// when none is named, `look` is true and it is there. Paths in it become relative to the current folder. The
    /// manifest that it may name is left alone; who makes a fleet of it calls [`Session::fleet_file_as`].
    ///
    /// # Errors
    /// [`Exit::Failure`] when it cannot be read, [`Exit::Config`] when it is no fleet.
    pub async fn fleet_file(&self, named: Option<&Path>, look: bool) -> Result<Option<Fleet>, CliError> {
        self.described(named, look, fleet_file::parse).await
    }

    /// As [`Session::fleet_file`], with this reading of the text and the manifest that it names: everything that a
    /// fleet is made of.
    ///
    /// # Errors
    /// As [`Session::fleet_file`]; also when the manifest cannot be had, or is not the one that is to be trusted.
    pub async fn fleet_file_as(&self, named: Option<&Path>, look: bool, parse: Parse) -> Result<Option<Fleet>, CliError> {
        let Some(mut fleet) = self.described(named, look, parse).await? else { return Ok(None) };
        if let Some(metallb) = &mut fleet.addons.metallb
            && let Some(place) = &metallb.manifest_from
        {
            let text = self.or_cancelled(manifest(place, folder_of(named))).await?;
            trusted(place, &text, metallb.manifest_digest.as_ref())?;
            metallb.manifest = Some(text);
        }
        Ok(Some(fleet))
    }

    async fn described(&self, named: Option<&Path>, look: bool, parse: Parse) -> Result<Option<Fleet>, CliError> {
        let (path, text) = match named {
            Some(path) if path == Path::new("-") => ("standard input".to_owned(), self.or_cancelled(read_stdin()).await?),
            Some(path) => (path.display().to_string(), read(path)?),
            None if look && Path::new(DEFAULT_FILE).exists() => {
                self.printer.say(&format!("using {DEFAULT_FILE} in this folder"));
                (DEFAULT_FILE.to_owned(), read(Path::new(DEFAULT_FILE))?)
            }
            None => return Ok(None),
        };
        let mut fleet = parse(&text, &path)
            .map_err(|error| CliError::from_error(Exit::Config, &error).hint("`kindmesh schema` prints what a fleet file may hold"))?;
        self.is_for(&fleet.name);
        if let Some(mesh) = &mut fleet.mesh {
            mesh.resolve(folder_of(named));
        }
        Ok(Some(fleet))
    }

    /// The name given outright, or that of the fleet file, or that of the fleet without a file.
    ///
    /// # Errors
    /// When a fleet file cannot be read.
    pub async fn fleet_name(&self, named: Option<&FleetName>, file: Option<&Path>) -> Result<FleetName, CliError> {
        if let Some(name) = named {
            self.is_for(name);
            return Ok(name.clone());
        }
        match self.fleet_file(file, true).await? {
            Some(fleet) => Ok(fleet.name),
            None => Ok(self.plain_fleet(None, None)?.name),
        }
    }

    /// The fleet that `up` makes without a file.
    ///
    /// # Errors
    /// [`Exit::Config`] when it cannot be built.
    pub fn plain_fleet(&self, name: Option<FleetName>, clusters: Option<u32>) -> Result<Fleet, CliError> {
        let fleet = fleet_file::plain(name, clusters.unwrap_or(DEFAULT_CLUSTERS));
        fleet.inspect(|fleet| self.is_for(&fleet.name)).map_err(|error| CliError::from_error(Exit::Config, &error))
    }
}

/// Why no engine was reached, with one cause for each address.
fn unreachable(error: ConnectError) -> CliError {
    let ConnectError::NoEngine { tried } = &error else { return CliError::from_error(Exit::Config, &error) };
    let hint = match tried.iter().any(|attempt| attempt.denied) {
        true => "run as root or join the group that owns the socket, or name another engine with --host or DOCKER_HOST",
        false => {
            "start an engine (`systemctl start docker`, `systemctl --user start podman.socket`), or name one with --host or DOCKER_HOST"
        }
    };
    let mut wrapped = CliError::new(Exit::Engine, "no container engine answers").hint(hint);
    wrapped.causes.extend(tried.iter().map(ToString::to_string));
    wrapped
}

/// Number of the user who runs this, where the system tells.
fn user_id() -> Option<u32> {
    #[cfg(target_os = "linux")]
    return std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").ok()?).into();
    #[cfg(not(target_os = "linux"))]
    None
}

fn read(path: &Path) -> Result<String, CliError> {
    read_file(path, "the fleet file")
}

fn is_url(place: &str) -> bool {
    place.starts_with("http://") || place.starts_with("https://")
}

/// Holds a manifest against the digest that the fleet file has of it. What comes from elsewhere needs one: it gets the
/// rights of whoever runs the cluster.
fn trusted(place: &str, manifest: &str, expected: Option<&Digest>) -> Result<(), CliError> {
    let found = Digest::of(manifest.as_bytes());
    let message = match expected {
        Some(expected) if *expected == found => return Ok(()),
        None if !is_url(place) => return Ok(()),
        Some(expected) => format!("the manifest of MetalLB from {place} has the digest {found}, and `manifestDigest` is {expected}"),
        None => format!("the manifest of MetalLB from {place} is held against no digest; what came has {found}"),
    };
    let hint = format!("look at it, and if it is what you want, write `manifestDigest: {found}` beside `manifest` in the fleet file");
    Err(CliError::new(Exit::Config, message).hint(hint))
}

/// Text of the manifest that a fleet file in `folder` names by path or URL.
async fn manifest(place: &str, folder: &Path) -> Result<String, CliError> {
    if is_url(place) {
        return fetch_text(place).await.map_err(|error| {
            CliError::from_error(Exit::Failure, &error)
                .hint("save it beside the fleet file and name that file in `addons.metallb.manifest`")
        });
    }
    read_file(&folder.join(place), "the manifest of MetalLB")
}

fn read_file(path: &Path, what: &str) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failure };
        CliError::new(exit, format!("read {what} {}", path.display())).because(&error)
    })
}

/// Somebody may type it, or nobody ever end it: a thread waits for it, so that signals are heard.
async fn read_stdin() -> Result<String, CliError> {
    let reading = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()));
    let text = reading.await.unwrap_or_else(|crashed| Err(std::io::Error::other(crashed)));
    text.map_err(|error| CliError::new(Exit::Failure, "read the fleet file from standard input").because(&error))
}

fn folder_of(file: Option<&Path>) -> &Path {
    file.and_then(Path::parent).unwrap_or(Path::new(""))
}
