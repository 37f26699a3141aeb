//! A fleet on a real engine, made and removed by the program as users run it, and what the engine holds besides.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::report;

/// One fleet at a time: what an engine holds is compared before and after.
static TURN: Mutex<()> = Mutex::new(());
/// No run on fleets of one node takes so long, unless it waits for something that was left behind.
const SLOW: Duration = Duration::from_secs(25);

/// A fleet of a test's own.
pub struct Real {
    pub dir: tempfile::TempDir,
    pub name: String,
    /// Where the engine is, when not at the usual place.
    pub host: Option<String>,
    before: BTreeSet<String>,
    _turn: MutexGuard<'static, ()>,
}

/// Where in a run of the program to kill it: after so many beginnings and ends of steps, and then after a while.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub boundary: usize,
    pub after: Duration,
}

// === impl Real ===

impl Real {
    /// Waits for its turn, and writes the fleet file.
    pub fn new(name: &str, body: &str) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let image =
            std::env::var("KINDMESH_NODE_IMAGE").expect("KINDMESH_NODE_IMAGE names a node image of the engine; `make faults` sets it");
        let text = format!(
            "apiVersion: kindmesh.dev/v1alpha1\nkind: Fleet\nname: {name}\nclusterPrefix: {name}\nimage: {image}\nnetwork: {{name: {name}}}\n{body}"
        );
        std::fs::write(dir.path().join("kindmesh.yaml"), text).unwrap();
        let host = std::env::var("DOCKER_HOST").ok();
        let mut real = Self { dir, name: name.to_owned(), host, before: BTreeSet::new(), _turn: turn };
        // What an earlier, killed run left.
        real.run(&["down", "--fleet", name]);
        real.before = real.holds();
        real
    }

    /// The program, sealed off from the user's home and environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kindmesh"));
        command.args(arguments).env_clear().env("HOME", self.dir.path()).env("KUBECONFIG", self.dir.path().join("kubeconfig"));
        if let Some(host) = &self.host {
            command.env("DOCKER_HOST", host);
        }
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs it; its errors when it fails.
    pub fn try_run(&self, arguments: &[&str]) -> Result<String, String> {
        let begun = Instant::now();
        let output = self.run(arguments);
        if begun.elapsed() > SLOW {
            // Where the time went is in its closing line.
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let waits = said.lines().rfind(|line| line.contains("longest waits")).unwrap_or_default();
            println!("kindmesh {} took {:.1} s: {waits}", arguments.join(" "), begun.elapsed().as_secs_f64());
        }
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(format!("kindmesh {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// Runs it to its end; what it says failed and why, without its steps and hints, when it does not succeed.
    pub fn failure(&self, arguments: &[&str]) -> Option<String> {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let told = said.lines().skip_while(|line| !line.starts_with("error:")).take_while(|line| !line.trim_start().starts_with("hint:"));
        (!output.status.success()).then(|| told.collect::<Vec<_>>().join("\n"))
    }

    /// Takes from the program what it remembers of the engine.
    pub fn forgets(&self) {
        let cache = self.dir.path().join(".cache/kindmesh");
        if cache.exists() {
            std::fs::remove_dir_all(cache).unwrap();
        }
    }

    /// Runs it to its end. Returns the boundaries that it passes: `started start nodes`.
    pub fn boundaries(&self, arguments: &[&str]) -> Vec<String> {
        let (passed, ended, _) = self.follow(arguments, |_, _| true);
        assert!(ended.success(), "kindmesh {arguments:?} failed: {ended}");
        passed
    }

    /// Runs it and kills it at a moment. Returns the boundary it was killed at; none when it ended before.
    pub fn killed(&self, arguments: &[&str], moment: Moment) -> Option<String> {
        const KILL: i32 = 9;
        let (passed, ended, _) = self.follow(arguments, |passed, child| {
            if passed.len() != moment.boundary {
                return true;
            }
            std::thread::sleep(moment.after);
            // Of one that has ended meanwhile its end tells.
            child.kill().unwrap();
            false
        });
        (ended.signal() == Some(KILL)).then(|| passed.last().cloned().unwrap_or_default())
    }

    /// Runs it to its end, and tells which boundaries it has passed, at each of them. The error that it ended with.
    pub fn watched(&self, arguments: &[&str], told: impl Fn(&[String])) -> Option<String> {
        let went_on = |passed: &[String], _: &mut Child| {
            told(passed);
            true
        };
        let (_, ended, error) = self.follow(arguments, went_on);
        (!ended.success()).then(|| error.to_string())
    }

    /// Runs it as long as `go_on` says so at each boundary, and until it ends: what it passed, how it ended, and its error.
    fn follow(&self, arguments: &[&str], mut go_on: impl FnMut(&[String], &mut Child) -> bool) -> (Vec<String>, ExitStatus, Value) {
        let mut child = self.command(arguments).args(["-o", "json"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut passed, mut error) = (Vec::new(), Value::Null);
        for line in BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok) {
            let event: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
            if event.get("error").is_some_and(Value::is_object) {
                error = event["error"].clone();
            }
            if !matches!(event["event"].as_str(), Some("started" | "finished")) {
                continue;
            }
            passed.push(format!("{} {}", event["event"].as_str().unwrap_or_default(), event["step"].as_str().unwrap_or_default()));
            if !go_on(&passed, &mut child) {
                break;
            }
        }
        let ended = child.wait().unwrap();
        (passed, ended, error)
    }

    /// Notes what was tried and survived on this engine.
    #[track_caller]
    pub fn row(&self, kind: &str, tried: usize, failures: &[String]) {
        report::row_on(&self.version(), kind, tried, failures);
    }

    /// The engine's name and version, as far as they matter.
    fn version(&self) -> String {
        let version = self.ask("/version")["Version"].as_str().unwrap_or_default().to_owned();
        let parts: Vec<&str> = version.split('.').take(2).collect();
        format!("Engine {}", parts.join("."))
    }

    /// `up` completes, every node is ready, nothing is changed by another one; `down` leaves nothing.
    pub fn mends(&self) -> Result<(), String> {
        self.comes()?;
        self.stays()?;
        self.goes()
    }

    /// Another `up` finds nothing to do.
    pub fn stays(&self) -> Result<(), String> {
        let report: Value = serde_json::from_str(&self.try_run(&["up", "-f", "kindmesh.yaml", "-o", "json"])?).unwrap_or(Value::Null);
        match report["changed"] == false {
            true => Ok(()),
            false => Err(format!("another up of what was mended changed something: {report}")),
        }
    }

    /// `up` completes, and every node says that it is ready.
    pub fn comes(&self) -> Result<(), String> {
        self.try_run(&["up", "-f", "kindmesh.yaml"])?;
        let status: Value = serde_json::from_str(&self.try_run(&["status", "--fleet", &self.name, "-o", "json"])?).unwrap_or(Value::Null);
        let text = status.to_string();
        match text.contains("\"ready\":true") && !text.contains("\"ready\":false") && !text.contains("\"error\"") {
            true => Ok(()),
            false => Err(format!("after up, status says: {text}")),
        }
    }

    /// The mesh is proven.
    pub fn verifies(&self) -> Result<(), String> {
        self.try_run(&["verify", "-f", "kindmesh.yaml"]).map(drop)
    }

    /// `down` leaves nothing.
    pub fn goes(&self) -> Result<(), String> {
        self.try_run(&["down", "--fleet", &self.name])?;
        let begun = Instant::now();
        // An engine frees a network a moment after it has said so.
        while !self.left().is_empty() && begun.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(200));
        }
        let text = std::fs::read_to_string(self.dir.path().join("kubeconfig")).unwrap_or_default();
        match self.left() {
            left if left.is_empty() && !text.contains("kind-") => Ok(()),
            left => Err(format!("down left {left:?}; the kubeconfig: {} bytes", text.len())),
        }
    }

    /// What the engine holds that it did not hold before.
    pub fn left(&self) -> Vec<String> {
        self.holds().difference(&self.before).cloned().collect()
    }

    /// Containers, networks and volumes of the engine.
    pub fn holds(&self) -> BTreeSet<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |value: Value| value.as_array().cloned().unwrap_or_default();
        let containers = list(self.ask("/containers/json?all=1")).into_iter().map(|one| format!("container {}", text(&one["Names"][0])));
        let networks = list(self.ask("/networks")).into_iter().map(|one| format!("network {}", text(&one["Name"])));
        let volumes = list(self.ask("/volumes")["Volumes"].clone()).into_iter().map(|one| format!("volume {}", text(&one["Name"])));
        containers.chain(networks).chain(volumes).collect()
    }

    /// What the engine answers, asked without kindmesh.
    fn ask(&self, path: &str) -> Value {
        let mut stream = UnixStream::connect(self.socket()).expect("an engine's socket; start one with `make engine`");
        stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: engine\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap_or_default().1).unwrap_or(Value::Null)
    }

    /// The engine's socket.
    pub fn socket(&self) -> PathBuf {
        let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        PathBuf::from(host.strip_prefix("unix://").expect("these tests want an engine at a Unix socket"))
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        self.host = std::env::var("DOCKER_HOST").ok();
        self.run(&["down", "--fleet", &self.name]);
    }
}
