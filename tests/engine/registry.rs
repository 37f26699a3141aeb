//! Pulling from a real registry on loopback: by tag, by digest, with credentials, with wrong ones,
//! and over connections that break.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::query_parameters::{PushImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::StreamExt;
use kindmesh::engine::registry::credentials_for;
use kindmesh::engine::{EngineErrorKind, ImageInfo, PullProgress, RegistryCredentials};

use crate::proxy::{Proxy, Target};
use crate::scope::{Scope, scoped, stream, tar_of};

const USER: &str = "tester";
const PASSWORD: &str = "correct horse";
/// `htpasswd -nbB` of the two.
const HTPASSWD: &str = "tester:$2y$05$3QADlJ7Tkkv5kwZZ/YyqjeKv5V/zEwXbYy5JvQp.6z7mI95s5jbje";

/// A registry process with its own storage; it ends with its handle.
struct Registry {
    address: SocketAddr,
    process: Child,
    _storage: tempfile::TempDir,
}

// === impl Registry ===

impl Registry {
    async fn start(with_password: bool) -> Self {
        let storage = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let htpasswd = storage.path().join("htpasswd");
        std::fs::write(&htpasswd, HTPASSWD).unwrap();
        let auth =
            if with_password { format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", htpasswd.display()) } else { String::new() };
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n{auth}",
            storage.path().join("data").display()
        );
        let config = storage.path().join("config.yml");
        std::fs::write(&config, text).unwrap();
        let process = Command::new("docker-registry").arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.unwrap_or_else(|error| panic!("docker-registry: {error}; install the package of that name"));
        let registry = Self { address, process, _storage: storage };
        let end = Instant::now() + Duration::from_secs(20);
        while tokio::net::TcpStream::connect(address).await.is_err() {
            assert!(Instant::now() < end, "the registry does not listen on {address}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        registry
    }

    /// Pushes an image as `<registry>/<name>:v1` and returns its digest in the registry.
    async fn push(&self, image: &str, name: &str, password: Option<&str>) -> String {
        let docker = Docker::connect_with_defaults().unwrap();
        let repo = format!("{}/{name}", self.address);
        docker.tag_image(image, Some(TagImageOptionsBuilder::default().repo(&repo).tag("v1").build())).await.unwrap();
        let credentials = DockerCredentials {
            username: password.map(|_| USER.to_owned()),
            password: password.map(str::to_owned),
            ..DockerCredentials::default()
        };
        let options = PushImageOptionsBuilder::default().tag("v1").build();
        let mut answers = docker.push_image(&repo, Some(options), Some(credentials)).boxed();
        while let Some(answer) = answers.next().await {
            answer.unwrap_or_else(|error| panic!("push {repo}: {error}"));
        }
        let image = docker.inspect_image(&format!("{repo}:v1")).await.unwrap();
        let digest =
            image.repo_digests.unwrap_or_default().into_iter().find_map(|name| name.strip_prefix(&format!("{repo}@")).map(str::to_owned));
        digest.expect("a digest after the push")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// An image whose layer is on no engine once it is removed: noise, which does not compress.
async fn unique_image(scope: &Scope, bytes: usize) -> String {
    let reference = format!("kindmesh-test/{}:src", scope.name);
    let mut seed = u64::from(std::process::id()) << 32
        ^ scope.name.bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    seed ^= u64::from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos()) << 16;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 24) as u8
    })
    .take(bytes)
    .collect();
    let root = tar_of(&[("noise", 0o644, &noise)]);
    scope.engine.import_image(&reference, &["LABEL dev.kindmesh.test=image".to_owned()], stream(root)).await.unwrap();
    reference
}

/// Removes every reference, so that a pull has to fetch the layers.
async fn forget(scope: &Scope, references: &[&str]) {
    for reference in references {
        match scope.engine.remove_image(reference).await {
            // The last tag of a repository takes its digests with it.
            Err(error) if error.is_not_found() => {}
            other => other.unwrap(),
        }
    }
}

/// Pulls, and returns the image and what was heard.
async fn pull(scope: &Scope, reference: &str, credentials: Option<&RegistryCredentials>) -> (ImageInfo, Vec<PullProgress>) {
    let heard = Mutex::new(Vec::new());
    let hear = |progress| heard.lock().unwrap().push(progress);
    scope.engine.pull_image(reference, credentials, &hear).await.unwrap_or_else(|error| panic!("{error:?}"));
    (scope.engine.inspect_image(reference).await.unwrap().unwrap(), heard.into_inner().unwrap())
}

async fn refused(scope: &Scope, reference: &str, credentials: Option<&RegistryCredentials>) -> (EngineErrorKind, String) {
    let error = scope.engine.pull_image(reference, credentials, &|_| {}).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("pull image {reference}: ")), "{error}");
    (error.kind, error.message)
}

#[tokio::test]
async fn by_tag_and_by_digest() {
    scoped("pull", async |scope| {
        let registry = Registry::start(false).await;
        let source = unique_image(&scope, 3_000_000).await;
        let id = scope.engine.inspect_image(&source).await.unwrap().unwrap().id;
        let digest = registry.push(&source, "a/b", None).await;
        let by_tag = format!("{}/a/b:v1", registry.address);
        forget(&scope, &[&source, &by_tag]).await;
        assert_eq!(scope.engine.inspect_image(&id).await.unwrap(), None, "the image is still here");

        let (image, heard) = pull(&scope, &by_tag, None).await;
        assert_eq!((image.id.as_str(), &image.tags[..]), (id.as_str(), &[by_tag.clone()][..]));
        let last = heard.last().unwrap();
        assert_eq!((last.layers_done, last.layers), (1, 1), "{last:?}");
        assert!(last.bytes > 1_000_000, "{last:?}");
        forget(&scope, &[&by_tag]).await;

        // With a tag beside the digest, as kind writes its images: the digest decides.
        for reference in [format!("{}/a/b@{digest}", registry.address), format!("{}/a/b:other@{digest}", registry.address)] {
            let (image, _) = pull(&scope, &reference, None).await;
            assert_eq!(image.id, id);
            assert!(image.digests.iter().any(|known| known.ends_with(&digest)), "{image:?}");
            assert!(image.tags.is_empty(), "{image:?}");
            forget(&scope, &[&image.id]).await;
        }

        for missing in ["a/b:none", "none:v1", "a/b@sha256:0000000000000000000000000000000000000000000000000000000000000000"] {
            let (kind, message) = refused(&scope, &format!("{}/{missing}", registry.address), None).await;
            assert_eq!(kind, EngineErrorKind::NotFound, "{missing}: {message}");
        }
    })
    .await;
}

#[tokio::test]
async fn with_credentials_and_with_wrong_ones() {
    scoped("auth", async |scope| {
        let registry = Registry::start(true).await;
        let source = unique_image(&scope, 100_000).await;
        registry.push(&source, "a", Some(PASSWORD)).await;
        let reference = format!("{}/a:v1", registry.address);
        forget(&scope, &[&source, &reference]).await;

        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.json");
        let registry_name = registry.address.to_string();
        let write = |password: &str| {
            use base64::Engine as _;
            let auth = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{password}"));
            std::fs::write(&config, format!(r#"{{"auths":{{"{registry_name}":{{"auth":"{auth}"}}}}}}"#)).unwrap();
            credentials_for(&config, &registry_name).unwrap().unwrap()
        };
        let (kind, message) = refused(&scope, &reference, None).await;
        assert_eq!(kind, EngineErrorKind::Unauthorized, "{message}");
        let (kind, message) = refused(&scope, &reference, Some(&write("wrong horse"))).await;
        assert_eq!(kind, EngineErrorKind::Unauthorized, "{message}");
        assert!(!message.contains("wrong horse"), "{message}");
        let (image, _) = pull(&scope, &reference, Some(&write(PASSWORD))).await;
        forget(&scope, &[&image.tags[0]]).await;
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_breaks_once_is_mended_by_the_engine() {
    scoped("mend", async |scope| {
        let registry = Registry::start(false).await;
        let proxy = Proxy::start(Target::Tcp(registry.address)).await;
        let source = unique_image(&scope, 4_000_000).await;
        registry.push(&source, "a", None).await;
        forget(&scope, &[&source, &format!("{}/a:v1", registry.address)]).await;
        proxy.break_after(1_500_000, 1);
        let (image, _) = pull(&scope, &format!("{}/a:v1", proxy.address), None).await;
        assert_eq!(proxy.broken(), 1);
        forget(&scope, &[&image.tags[0]]).await;
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_breaks_again_and_again_ends_as_interrupted() {
    scoped("cut", async |scope| {
        let registry = Registry::start(false).await;
        let proxy = Proxy::start(Target::Tcp(registry.address)).await;
        let source = unique_image(&scope, 4_000_000).await;
        let digest = registry.push(&source, "a", None).await;
        forget(&scope, &[&source, &format!("{}/a:v1", registry.address)]).await;
        // The engine resumes where it was cut: no try may bring the rest.
        proxy.break_after(20_000, i64::MAX);
        let reference = format!("{}/a:v1", proxy.address);
        let (kind, message) = refused(&scope, &reference, None).await;
        assert_eq!(kind, EngineErrorKind::Interrupted, "{message}");
        assert!(proxy.broken() >= 1);
        assert_eq!(scope.engine.inspect_image(&reference).await.unwrap(), None);

        // Mended, the same pull succeeds; and a registry that is gone is told as such.
        proxy.break_after(i64::MAX, 0);
        let (image, _) = pull(&scope, &format!("{}/a@{digest}", proxy.address), None).await;
        forget(&scope, &[&image.id]).await;
        let address = registry.address;
        drop(registry);
        let (kind, message) = refused(&scope, &format!("{address}/a:v1"), None).await;
        assert_eq!(kind, EngineErrorKind::Unreachable, "{message}");
    })
    .await;
}

#[tokio::test]
async fn the_node_image_built_here_passes_through_a_registry() {
    scoped("node", async |scope| {
        let node = std::env::var("KINDMESH_NODE_IMAGE")
            .unwrap_or_else(|_| kindmesh::domain::image::offline_image(&kindmesh::domain::image::default_version()).to_string());
        let Some(built) = scope.engine.inspect_image(&node).await.unwrap() else {
            // The engine's own tests need no node image; whoever names one means it.
            assert!(std::env::var("KINDMESH_NODE_IMAGE").is_err(), "{node} is not on the engine");
            return;
        };
        let registry = Registry::start(false).await;
        let digest = registry.push(&node, "kindest/node", None).await;
        let by_tag = format!("{}/kindest/node:v1", registry.address);
        let by_digest = format!("{}/kindest/node@{digest}", registry.address);
        forget(&scope, &[&by_tag]).await;
        for reference in [&by_tag, &by_digest] {
            let (image, heard) = pull(&scope, reference, None).await;
            assert_eq!(image.id, built.id);
            assert!(!heard.is_empty());
        }
        forget(&scope, &[&by_tag, &by_digest]).await;
    })
    .await;
}
