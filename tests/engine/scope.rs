//! What a test works with: an engine, a small image, names of its own, and a sweep at the end.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use kindmesh::domain::container::ContainerSpec;
use kindmesh::domain::net::NetworkSpec;
use kindmesh::engine::connect::ConnectOptions;
use kindmesh::engine::{ByteStream, Engine, ExecOutput, ExecRequest};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

/// Label that every object of these tests bears; its value names the test.
const LABEL: &str = "dev.kindmesh.test";

/// The small image: a static busybox and nothing else. Its tag tells its content, so that it is
/// imported once per engine and never replaced.
pub static IMAGE: LazyLock<String> = LazyLock::new(|| {
    let digest = Sha256::digest(busybox_rootfs());
    let short: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("kindmesh-test/busybox:{short}")
});

/// A test's world.
#[derive(Clone)]
pub struct Scope {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// Name of the test and prefix of everything it makes.
    pub name: String,
}

/// Runs a test and sweeps up behind it.
pub async fn scoped<F, Fut>(test: &str, body: F)
where
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = ()>,
{
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("kmt-{test}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let scope = Scope { engine: connect().await, name };
    scope.ensure_image().await;
    let outcome = AssertUnwindSafe(body(scope.clone())).catch_unwind().await;
    scope.sweep().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// The engine, or a panic that says what to do.
pub async fn connect() -> Arc<dyn Engine> {
    let options = ConnectOptions {
        docker_host: std::env::var("DOCKER_HOST").ok(),
        docker_tls_verify: std::env::var("DOCKER_TLS_VERIFY").ok(),
        docker_cert_path: std::env::var("DOCKER_CERT_PATH").ok().map(Into::into),
        ..ConnectOptions::default()
    };
    match kindmesh::engine::connect::connect(&options).await {
        Ok(engine) => engine,
        Err(error) => panic!("these tests need an engine: {error}"),
    }
}

/// What `look` finds, as soon as it finds it; panics when that takes longer than engines take to hear of their containers.
pub async fn settled<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let looks = async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looks).await.unwrap_or_else(|_| panic!("not within 20 s: {what}"))
}

/// A stream of these bytes.
pub fn stream(bytes: Vec<u8>) -> ByteStream {
    let pieces: Vec<_> = bytes.chunks(32 * 1024).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    futures_util::stream::iter(pieces).boxed()
}

/// All bytes of a stream.
pub async fn gather(mut stream: ByteStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(piece) = stream.next().await {
        all.extend_from_slice(&piece.expect("a piece of the stream"));
    }
    all
}

/// A tar of files, each with its mode.
pub fn tar_of(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, mode, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        header.set_cksum();
        builder.append_data(&mut header, path, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// The root filesystem of the small image.
pub fn busybox_rootfs() -> Vec<u8> {
    let path = Path::new("/bin/busybox");
    let program = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}; install the package busybox-static", path.display()));
    let mut builder = tar::Builder::new(Vec::new());
    let mut append = |path: &str, kind: tar::EntryType, content: &[u8], target: Option<&str>| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        match target {
            Some(target) => builder.append_link(&mut header, path, target).unwrap(),
            None => builder.append_data(&mut header, path, content).unwrap(),
        }
    };
    for folder in ["bin/", "etc/", "tmp/", "run/", "data/"] {
        append(folder, tar::EntryType::Directory, &[], None);
    }
    append("bin/busybox", tar::EntryType::Regular, &program, None);
    for name in ["sh", "cat", "mkdir", "chmod", "mv", "rm", "wc", "sleep", "ls", "echo", "env", "stat", "head", "ps", "seq", "tail", "true"]
    {
        append(&format!("bin/{name}"), tar::EntryType::Symlink, &[], Some("/bin/busybox"));
    }
    builder.into_inner().unwrap()
}

// === impl Scope ===

impl Scope {
    /// A name of this test.
    pub fn named(&self, what: &str) -> String {
        format!("{}-{what}", self.name)
    }

    /// The label everything bears, as a filter.
    pub fn filter(&self) -> Vec<String> {
        vec![format!("{LABEL}={}", self.name)]
    }

    /// A container that sleeps until it is killed.
    pub fn sleeper(&self) -> ContainerSpec {
        self.container(&["sh", "-c", "sleep 100000 & wait"])
    }

    /// A container that runs this.
    pub fn container(&self, cmd: &[&str]) -> ContainerSpec {
        ContainerSpec {
            image: IMAGE.clone(),
            cmd: Some(cmd.iter().map(|word| (*word).to_owned()).collect()),
            labels: [(LABEL.to_owned(), self.name.clone())].into(),
            network: "none".to_owned(),
            ..Default::default()
        }
    }

    /// A network without wishes.
    pub fn network(&self, what: &str) -> NetworkSpec {
        NetworkSpec { name: self.named(what), labels: [(LABEL.to_owned(), self.name.clone())].into(), ..Default::default() }
    }

    /// Creates and starts a container; its name.
    pub async fn start(&self, what: &str, spec: &ContainerSpec) -> String {
        let name = self.named(what);
        self.engine.create_container(&name, spec).await.expect("create container");
        self.engine.start_container(&name).await.expect("start container");
        name
    }

    /// Runs a shell line in a container.
    pub async fn sh(&self, container: &str, line: &str) -> ExecOutput {
        self.engine.exec(container, ExecRequest::new(["sh", "-c", line]), &CancellationToken::new()).await.expect("exec")
    }

    async fn ensure_image(&self) {
        static ONCE: OnceCell<()> = OnceCell::const_new();
        let import = async {
            if self.engine.inspect_image(&IMAGE).await.expect("inspect image").is_none() {
                let changes = ["ENV PATH=/bin".to_owned(), "CMD [\"sh\"]".to_owned(), format!("LABEL {LABEL}=image")];
                self.engine.import_image(&IMAGE, &changes, stream(busybox_rootfs())).await.expect("import image");
            }
        };
        ONCE.get_or_init(|| import).await;
    }

    async fn sweep(&self) {
        for container in self.engine.list_containers(&self.filter()).await.expect("list containers") {
            if let Err(error) = self.engine.remove_container(&container.id).await {
                assert!(error.is_not_found(), "sweep: {error}");
            }
        }
        for network in self.engine.networks_labelled(&self.filter()).await.expect("list networks") {
            if let Err(error) = self.engine.remove_network(&network.id).await {
                assert!(error.is_not_found(), "sweep: {error}");
            }
        }
    }
}
