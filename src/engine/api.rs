//! The verbs of an engine and the plain types they speak.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{AttachRequest, Attached, Result};
use crate::domain::container::{ContainerSpec, Protocol};
use crate::domain::facts::HostFacts;
use crate::domain::net::{NetworkInfo, NetworkSpec};

/// Bytes that arrive or leave piece by piece.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// A container engine. One handle per engine; cheap to share behind an `Arc`.
///
/// Every method may fail with an [`EngineError`](super::EngineError) that names verb and object.
/// Removing what is not there is `NotFound`; callers that tolerate it say so.
#[async_trait]
pub trait Engine: Send + Sync + fmt::Debug {
    /// Where the engine is, for messages (`unix:///var/run/docker.sock`).
    fn endpoint(&self) -> String;

    /// Host part that clients on this machine use to reach published ports: `None` when the engine
    /// runs on this machine, its address when it is remote.
    fn remote_host(&self) -> Option<String>;

    /// Reads version and host facts.
    async fn facts(&self) -> Result<HostFacts>;

    /// Networks with exactly this name (several on old engines), each inspected.
    async fn networks_named(&self, name: &str) -> Result<Vec<NetworkInfo>>;

    /// Networks carrying every one of these labels (`key` or `key=value`), each inspected.
    async fn networks_labelled(&self, labels: &[String]) -> Result<Vec<NetworkInfo>>;

    /// One network by ID or unique name.
    async fn inspect_network(&self, id: &str) -> Result<NetworkInfo>;

    /// Creates a network and returns its ID. A taken name is `Conflict`, on every engine version
    /// that can tell.
    async fn create_network(&self, spec: &NetworkSpec) -> Result<String>;

    /// Removes a network by ID.
    async fn remove_network(&self, id: &str) -> Result<()>;

    /// Attaches a container to a network, optionally at a fixed IPv4 address.
    async fn connect_network(&self, network: &str, container: &str, ipv4: Option<Ipv4Addr>) -> Result<()>;

    /// Detaches a container from a network.
    async fn disconnect_network(&self, network: &str, container: &str) -> Result<()>;

    /// Containers, running or not, carrying every one of these labels (`key` or `key=value`).
    async fn list_containers(&self, labels: &[String]) -> Result<Vec<ContainerInfo>>;

    /// One container by name or ID.
    async fn inspect_container(&self, id: &str) -> Result<ContainerInfo>;

    /// Everything the engine says of a container, in its own form: for people who look for a fault.
    /// May hold secrets (environment entries), so it is not shown as it is.
    async fn describe_container(&self, id: &str) -> Result<serde_json::Value>;

    /// Creates a container and returns its ID. A taken name is `Conflict`, a missing image `NotFound`.
    async fn create_container(&self, name: &str, spec: &ContainerSpec) -> Result<String>;

    /// Starts a container; starting a running one is no error.
    async fn start_container(&self, id: &str) -> Result<()>;

    /// Sends a signal to a container's first process (`SIGKILL`).
    async fn kill_container(&self, id: &str, signal: &str) -> Result<()>;

    /// Stops a container, killing it after `grace` seconds.
    async fn stop_container(&self, id: &str, grace: u32) -> Result<()>;

    /// Waits until a container has ended and returns its exit code.
    async fn wait_container(&self, id: &str) -> Result<i64>;

    /// Removes a container with its anonymous volumes, killing it first if it runs. A removal
    /// already under way is waited for.
    async fn remove_container(&self, id: &str) -> Result<()>;

    /// Suspends every process of a container.
    async fn pause_container(&self, id: &str) -> Result<()>;

    /// Lets a suspended container go on.
    async fn unpause_container(&self, id: &str) -> Result<()>;

    /// A container's output, both streams in order: all that it ever said or, with `since` (seconds
    /// since 1970, see [`ContainerInfo::started`]), what it said from then on. When `follow`, also what
    /// comes, until the container ends.
    async fn container_logs(&self, id: &str, follow: bool, since: Option<i64>) -> Result<ByteStream>;

    /// Runs a command in a container and waits for its end. When `cancel` fires, the command and
    /// all its children are killed in the container before this returns `Cancelled`.
    ///
    /// A non-zero exit code is no error here; a command that cannot be found has exit code 126 or 127.
    async fn exec(&self, container: &str, request: ExecRequest, cancel: &CancellationToken) -> Result<ExecOutput>;

    /// Starts a command in a container and hands out both ends of it, for people who talk to it.
    async fn attach_exec(&self, container: &str, request: AttachRequest) -> Result<Attached>;

    /// Unpacks a tar stream under `path` (a folder that exists and is no tmpfs) of a container.
    async fn put_archive(&self, container: &str, path: &str, tar: ByteStream) -> Result<()>;

    /// Packs a file or folder of a container, running or not, as a tar stream.
    async fn get_archive(&self, container: &str, path: &str) -> Result<ByteStream>;

    /// An image by reference or ID; `None` when it is not there.
    async fn inspect_image(&self, reference: &str) -> Result<Option<ImageInfo>>;

    /// Pulls an image. `progress` hears of it layer by layer.
    async fn pull_image(
        &self,
        reference: &str,
        credentials: Option<&RegistryCredentials>,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<()>;

    /// Whether the engine finds an image in its registry, without pulling it.
    async fn find_in_registry(&self, reference: &str, credentials: Option<&RegistryCredentials>) -> Result<bool>;

    /// Loads a `docker save` archive; returns the references and IDs it loaded.
    async fn load_images(&self, tar: ByteStream) -> Result<Vec<String>>;

    /// Saves images as one archive.
    async fn save_images(&self, references: &[String]) -> Result<ByteStream>;

    /// Makes an image of one layer from a root filesystem. `changes` are Dockerfile instructions
    /// (`ENTRYPOINT ["/init"]`). Returns the image's ID.
    async fn import_image(&self, reference: &str, changes: &[String], rootfs: ByteStream) -> Result<String>;

    /// Gives an image another reference.
    async fn tag_image(&self, source: &str, reference: &str) -> Result<()>;

    /// Removes a reference, and the image with its last one.
    async fn remove_image(&self, reference: &str) -> Result<()>;

    /// Creates an empty volume. One of this name that is there already stays as it is, which is no error.
    async fn create_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<()>;

    /// Volumes carrying every one of these labels (`key` or `key=value`).
    async fn list_volumes(&self, labels: &[String]) -> Result<Vec<VolumeInfo>>;

    /// Removes an anonymous or named volume.
    async fn remove_volume(&self, name: &str) -> Result<()>;

    /// Whether a volume exists.
    async fn volume_exists(&self, name: &str) -> Result<bool>;

    /// Events of containers and networks that carry every one of these labels, from now on.
    async fn events(&self, labels: &[String]) -> Result<BoxStream<'static, Result<EngineEvent>>>;

    /// Events of the same kind that happened between a time and now, as far as the engine remembers
    /// them (Docker: the last 256 of everything), oldest first.
    async fn past_events(&self, labels: &[String], since: SystemTime) -> Result<Vec<EngineEvent>>;
}

/// A volume as the engine lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeInfo {
    /// Name, which is its identity.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// When it was created, seconds since 1970; 0 when the engine does not tell.
    pub created: i64,
}

/// A container as the engine describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContainerInfo {
    /// Engine's ID.
    pub id: String,
    /// Name, without the leading slash.
    pub name: String,
    /// Image it was made from, as it was named.
    pub image: String,
    /// State.
    pub state: ContainerState,
    /// The engine's words for the state (`Up 2 minutes`, `Exited (137)`), when told.
    pub status: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// When it was created, seconds since 1970.
    pub created: i64,
    /// When it was last started, seconds since 1970; only from an inspect, `None` when it never was.
    pub started: Option<i64>,
    /// Exit code of the last end; only from an inspect.
    pub exit_code: Option<i64>,
    /// Networks it belongs to, by name.
    pub networks: BTreeMap<String, ContainerNetwork>,
    /// Published ports that are bound; empty for a stopped container.
    pub ports: Vec<BoundPort>,
    /// Anonymous and named volumes mounted; only from an inspect.
    pub volumes: Vec<String>,
    /// Main process in the engine's host namespace, 0 when not running; only from an inspect.
    pub pid: i64,
}

/// State of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerState {
    /// Created, never started.
    Created,
    /// Running.
    Running,
    /// Suspended.
    Paused,
    /// Restarting.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// Beyond repair.
    Dead,
}

/// A container's place on a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ContainerNetwork {
    /// ID of the network.
    pub network_id: String,
    /// IPv4 address; `None` while the container does not run.
    pub ipv4: Option<Ipv4Addr>,
    /// IPv6 address; `None` while the container does not run.
    pub ipv6: Option<Ipv6Addr>,
}

/// A published port as it is bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BoundPort {
    /// Port in the container.
    pub container_port: u16,
    /// Protocol.
    pub protocol: Protocol,
    /// Address on the engine's host.
    pub host_ip: IpAddr,
    /// Port on the engine's host.
    pub host_port: u16,
}

/// A command to run in a container.
#[derive(Clone, Default)]
pub struct ExecRequest {
    /// Program and arguments.
    pub cmd: Vec<String>,
    /// Fed to standard input, then closed; nothing is attached when `None`.
    pub stdin: Option<Stdin>,
    /// Environment entries, `KEY=value`.
    pub env: Vec<String>,
    /// Called with each complete line of output as it comes (progress); never holds secrets back,
    /// so do not log what it hears.
    pub on_line: Option<LineListener>,
}

/// Hears lines of output.
pub type LineListener = std::sync::Arc<dyn Fn(&str) + Send + Sync>;

/// What a command reads from standard input.
#[derive(Clone)]
pub enum Stdin {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A stream, read once; shared so that a request stays cheap to clone.
    Stream(std::sync::Arc<tokio::sync::Mutex<ByteStream>>),
}

/// What a command printed, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit code.
    pub exit_code: i64,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// An image as the engine describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageInfo {
    /// Image ID (digest of its configuration, or of its manifest with a containerd image store).
    pub id: String,
    /// Names it is known by.
    pub tags: Vec<String>,
    /// Digests it was pulled by.
    pub digests: Vec<String>,
    /// Size in bytes.
    pub size: u64,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Architecture in Go's spelling.
    pub architecture: String,
    /// Layers, lowest first, by digest of their unpacked content (diff IDs); empty when not told.
    pub layers: Vec<String>,
    /// Whether the engine keeps images in a containerd store, packed as they came.
    pub packed: bool,
}

/// Progress of a pull.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// Layers that are there.
    pub layers_done: usize,
    /// Layers known so far.
    pub layers: usize,
    /// Bytes received so far.
    pub bytes: u64,
    /// The engine's last word.
    pub status: String,
}

/// Credentials of a registry. The secret never shows in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryCredentials {
    /// User name; empty with an identity token.
    pub username: String,
    /// Password.
    pub password: String,
    /// Token in place of a password.
    pub identity_token: Option<String>,
    /// Registry they belong to.
    pub server: String,
}

/// Something that happened to a container or network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EngineEvent {
    /// When.
    pub time: SystemTime,
    /// `container` or `network`.
    pub object: String,
    /// `start`, `die`, `destroy`, `connect`…
    pub action: String,
    /// Name of the object, when told.
    pub name: String,
    /// Attributes, labels included.
    pub attributes: BTreeMap<String, String>,
}

// === impl ExecRequest ===

impl ExecRequest {
    /// A command without input.
    pub fn new<S: Into<String>>(cmd: impl IntoIterator<Item = S>) -> Self {
        Self { cmd: cmd.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Feeds these bytes to standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Bytes>) -> Self {
        self.stdin = Some(Stdin::Bytes(bytes.into()));
        self
    }
}

// === impl ExecOutput ===

impl ExecOutput {
    /// Whether the command ended with 0.
    pub fn success(&self) -> bool {
        self.exit_code == 0
    }

    /// Standard output as text.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The last lines of standard error, or of standard output when that is empty: what belongs in
    /// an error message.
    pub fn tail(&self, lines: usize) -> String {
        let source = if self.stderr.iter().all(u8::is_ascii_whitespace) { &self.stdout } else { &self.stderr };
        let text = String::from_utf8_lossy(source);
        let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl fmt::Debug for ExecRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecRequest").field("cmd", &self.cmd).field("stdin", &self.stdin).finish_non_exhaustive()
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The content may be a secret.
            Stdin::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Stdin::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl fmt::Debug for RegistryCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryCredentials").field("username", &self.username).field("server", &self.server).finish_non_exhaustive()
    }
}
