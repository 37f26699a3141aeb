//! What every test here needs: an engine, a fleet of its own that is gone afterwards, the binary.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use kindmesh::domain::labels;
use kindmesh::domain::version::EngineApiVersion;
use kindmesh::engine::connect::{ConnectOptions, connect};
use kindmesh::engine::{Engine, ExecRequest};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Fleets at once. Much of a fleet's start is waiting, so several take little longer than one; more
/// than these starve each other on a machine with two processors.
const AT_ONCE: usize = 3;

static TURN: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(AT_ONCE)));

/// A test's own fleet, kubeconfig and folder. Dropping it removes whatever is left of the fleet.
pub struct Bench {
    pub engine: Arc<dyn Engine>,
    pub dir: tempfile::TempDir,
    pub fleet: String,
    /// When it had its turn.
    pub begun: std::time::Instant,
    turn: OwnedSemaphorePermit,
}

impl Bench {
    /// Waits for its turn and removes what an earlier, killed run of the same test left.
    pub async fn new(fleet: &str) -> Self {
        Self::with_turns(fleet, 1).await
    }

    /// For a fleet whose start is the work of so many small ones; see [`Bench::settled`].
    pub async fn with_turns(fleet: &str, turns: u32) -> Self {
        let turn = TURN.clone().acquire_many_owned(turns).await.expect("nobody closes it");
        let host = std::env::var("DOCKER_HOST").ok();
        let options = ConnectOptions { docker_host: host, ..ConnectOptions::default() };
        let engine = connect(&options).await.expect("a container engine; start one with `make engine`");
        let bench =
            Self { engine, dir: tempfile::tempdir().expect("a folder"), fleet: fleet.to_owned(), begun: std::time::Instant::now(), turn };
        bench.kindmesh(["down", "--fleet", fleet]).ok();
        bench
    }

    /// Gives back all turns but one: what is up mostly waits.
    pub fn settled(&mut self) {
        let all = self.turn.num_permits();
        drop(self.turn.split(all - 1));
    }

    /// Takes another turn before there is much to do again.
    pub async fn another_turn(&mut self) {
        self.turn.merge(TURN.clone().acquire_owned().await.expect("nobody closes it"));
    }

    /// Whether the engine must be able to start privileged containers: old ones fail on capabilities that this machine
    /// may lack, unless their runtime is told to do without.
    pub async fn gives_privileges(&self) -> bool {
        std::env::var_os("KINDMESH_TEST_PRIVILEGED").is_some()
            || self.engine.facts().await.expect("facts").api_version >= EngineApiVersion { major: 1, minor: 44 }
    }

    /// Writes the fleet file. What it does not say of the profile, `KINDMESH_TEST_PROFILE` does.
    pub fn fleet_file(&self, body: &str) -> PathBuf {
        let path = self.dir.path().join("kindmesh.yaml");
        let profile = std::env::var("KINDMESH_TEST_PROFILE").ok().filter(|_| !body.contains("profile:"));
        let profile = profile.map(|profile| format!("profile: {profile}\n")).unwrap_or_default();
        let text = format!("apiVersion: kindmesh.dev/v1alpha1\nkind: Fleet\nname: {}\n{profile}{body}", self.fleet);
        std::fs::write(&path, text).expect("write the fleet file");
        path
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// The binary, sealed off from the user's home and environment.
    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kindmesh"));
        command.args(args).env_clear().env("HOME", self.dir.path()).env("KUBECONFIG", self.kubeconfig());
        if let Ok(host) = std::env::var("DOCKER_HOST") {
            command.env("DOCKER_HOST", host);
        }
        command.current_dir(self.dir.path());
        command
    }

    /// Runs the binary to its end.
    pub fn kindmesh<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        let output = self.command(args).output().expect("run kindmesh");
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs the binary on a terminal of 100 columns, and returns all that it drew there.
    pub fn on_a_terminal(&self, args: &str) -> String {
        let inner = format!("stty cols 100; exec {} {args}", env!("CARGO_BIN_EXE_kindmesh"));
        let mut command = Command::new("script");
        command.args(["-qec", &inner, "/dev/null"]).env_clear().env("PATH", "/usr/bin:/bin").env("TERM", "xterm");
        command.env("HOME", self.dir.path()).env("KUBECONFIG", self.kubeconfig()).current_dir(self.dir.path());
        if let Ok(host) = std::env::var("DOCKER_HOST") {
            command.env("DOCKER_HOST", host);
        }
        let output = command.stdin(std::process::Stdio::null()).output().expect("run script");
        let drawn = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{drawn}");
        drawn
    }

    /// Runs kubectl in a cluster's first control plane, and returns what it prints.
    pub async fn kubectl(&self, cluster: &str, args: &str) -> String {
        let output = self.in_node(&format!("{cluster}-control-plane"), &format!("kubectl {args}")).await;
        assert!(output.0 == 0, "kubectl {args} in {cluster}: {}", output.1);
        output.1
    }

    /// Runs a shell command in a node; exit code and everything printed.
    pub async fn in_node(&self, node: &str, script: &str) -> (i64, String) {
        let output = self
            .engine
            .exec(node, ExecRequest::new(["sh", "-c", script]), &CancellationToken::new())
            .await
            .unwrap_or_else(|error| panic!("exec in {node}: {error}"));
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.exit_code, text)
    }

    /// Applies a manifest with kubectl.
    pub async fn apply(&self, cluster: &str, manifest: &str) {
        let request = ExecRequest::new(["kubectl", "apply", "-f", "-"]).stdin(manifest.to_owned());
        let node = format!("{cluster}-control-plane");
        let output = self.engine.exec(&node, request, &CancellationToken::new()).await.expect("exec kubectl apply");
        assert!(output.success(), "kubectl apply: {}", output.tail(5));
    }

    /// Names of all containers that carry the fleet's label.
    pub async fn containers(&self) -> Vec<String> {
        let label = format!("{}={}", labels::FLEET, self.fleet);
        self.engine.list_containers(&[label]).await.expect("list containers").into_iter().map(|c| c.name).collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        println!("{:>6.1} s  {}: at its end", self.begun.elapsed().as_secs_f64(), self.fleet);
        // A test that failed is easier to understand with its fleet still there.
        if std::thread::panicking() && std::env::var_os("KINDMESH_KEEP").is_some() {
            return;
        }
        let left = self.kindmesh(["down", "--fleet", self.fleet.as_str()]);
        if left.code != Some(0) && !std::thread::panicking() {
            panic!("down of {} failed: {}", self.fleet, left.stderr);
        }
    }
}

/// How a command ended.
#[derive(Debug)]
#[must_use = "check it with ok(), text(), failed() or json()"]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Panics unless the command succeeded.
    #[track_caller]
    pub fn ok(&self) {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
    }

    /// Panics unless the command succeeded; returns standard output.
    #[track_caller]
    pub fn text(self) -> String {
        self.ok();
        self.stdout
    }

    /// Panics unless the command failed with this exit code; returns what it said.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stderr
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

/// Tries until `look` finds something or the deadline passes; the last thing seen is in the panic.
pub async fn eventually<T, F: Future<Output = Result<T, String>>>(what: &str, deadline: Duration, mut look: impl FnMut() -> F) -> T {
    let end = tokio::time::Instant::now() + deadline;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if tokio::time::Instant::now() > end => panic!("{what}: not within {deadline:?}; last seen: {seen}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

/// Body of an HTTP answer.
pub async fn http_get(address: &str, deadline: Duration) -> String {
    http_page(address, "/", deadline).await
}

/// Body of a page.
pub async fn http_page(address: &str, path: &str, deadline: Duration) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    eventually(&format!("GET http://{address}{path}"), deadline, || async {
        let get = async {
            let mut stream = tokio::net::TcpStream::connect((address, 80)).await?;
            stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = tokio::time::timeout(Duration::from_secs(3), get).await.map_err(|_| "no answer in 3 s".to_owned())?;
        let answer = answer.map_err(|error| error.to_string())?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
            _ => Err(answer),
        }
    })
    .await
}

/// Whether a program of this name is in a folder of `PATH`, or named by the variable.
pub fn tool(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| Path::new(path).exists())
}
