//! One kube-apiserver for all tests of this binary, and more for those that stop theirs.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use kindmesh::domain::manifest::{self, Object};
use kindmesh::k8s::{ApiServer, Applied, ApplyOptions, Deadline, Result, apply, wait};

/// Ends its command when its own input ends, which it does with the test process, however that ends.
const WATCHDOG: &str = r#"folder=$1; shift; "$@" <&- >"$folder/$$.log" 2>&1 & cat; kill -9 $!; wait; rm -rf "$folder""#;

/// Certificates, an etcd, and what it takes to start API servers on it.
struct Ground {
    folder: PathBuf,
    etcd_port: u16,
    /// Held for its input: its end ends etcd.
    _etcd: Child,
}

/// A running kube-apiserver.
pub struct Server {
    /// Kubeconfig of an administrator.
    pub kubeconfig: String,
    port: u16,
    prefix: String,
    process: Child,
}

/// Another running program.
pub struct Program {
    process: Child,
    /// What it says; gone when it is.
    pub log: PathBuf,
}

// === impl Program ===

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}

// === impl Ground ===

impl Ground {
    fn get() -> &'static Ground {
        static GROUND: OnceLock<Ground> = OnceLock::new();
        GROUND.get_or_init(|| {
            let program = binary("etcd");
            let folder = tempfile::Builder::new().prefix("kindmesh-apiserver-").tempdir().unwrap().keep();
            let (etcd_port, peer_port) = (free_port(), free_port());
            let url = format!("http://127.0.0.1:{etcd_port}");
            let peer = format!("http://127.0.0.1:{peer_port}");
            let mut etcd = Command::new(program);
            etcd.arg("--data-dir").arg(folder.join("etcd"));
            // Nothing here outlives the tests, so nothing has to reach the disk.
            etcd.args(["--unsafe-no-fsync", "--log-level=error"]);
            etcd.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
            etcd.args([
                "--listen-peer-urls",
                &peer,
                "--initial-advertise-peer-urls",
                &peer,
                "--initial-cluster",
                &format!("default={peer}"),
            ]);
            Ground { _etcd: watched(&etcd, &folder), folder, etcd_port }
        })
    }
}

// === impl Server ===

impl Server {
    /// The server all tests share.
    pub fn shared() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Server::start("shared"))
    }

    /// A server with data of its own. Returns when its process runs, which is before it answers.
    pub fn start(name: &str) -> Server {
        let ground = Ground::get();
        let port = free_port();
        let folder = ground.folder.join(name);
        fs::create_dir_all(&folder).unwrap();
        let config = folder.join("kubeadm.yaml");
        fs::write(&config, kubeadm_config(&folder, port)).unwrap();
        for phase in [["certs", "all"], ["kubeconfig", "super-admin"]] {
            let mut kubeadm = Command::new(binary("kubeadm"));
            kubeadm.args(["init", "phase"]).args(phase).arg("--config").arg(&config);
            if phase[0] == "kubeconfig" {
                kubeadm.arg("--kubeconfig-dir").arg(&folder);
            }
            let output = kubeadm.output().unwrap();
            assert!(output.status.success(), "kubeadm: {}", String::from_utf8_lossy(&output.stderr));
        }
        let kubeconfig = fs::read_to_string(folder.join("super-admin.conf")).unwrap();
        let process = run_apiserver(name, port);
        Server { kubeconfig, port, prefix: name.to_owned(), process }
    }

    /// Ends the process at once; connections to it break.
    pub fn stop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }

    /// Starts it again, on the same port and data.
    pub fn restart(&mut self) {
        self.process = run_apiserver(&self.prefix, self.port);
    }

    /// A kubeconfig of whoever bears the token.
    pub fn kubeconfig_with_token(&self, token: &str) -> String {
        let (head, _) = self.kubeconfig.split_once("users:").unwrap();
        let user = head.split("user: ").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
        format!("{head}users: [{{name: {user}, user: {{token: {token}}}}}]\n")
    }

    /// A handle in the runtime of the calling test; waits until the server is ready.
    pub async fn ready(&self) -> ApiServer {
        let server = ApiServer::from_kubeconfig(&self.kubeconfig).await.unwrap();
        wait::ready(&server, seconds(60), &|_| {}).await.unwrap();
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A handle on the shared server.
pub async fn shared() -> ApiServer {
    // Started outside the runtime: this blocks for a moment.
    let server = tokio::task::spawn_blocking(Server::shared).await.unwrap();
    server.ready().await
}

/// A handle on the shared server, and a namespace for one test alone.
pub async fn namespace(name: &str) -> ApiServer {
    let server = shared().await;
    let namespace = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}");
    run(&server, &namespace).await.unwrap();
    server
}

/// Applies a manifest with some patience.
pub async fn run(server: &ApiServer, text: &str) -> Result<Applied> {
    apply(server, objects(text), ApplyOptions::default(), seconds(30), &|_| {}).await
}

pub fn objects(text: &str) -> Vec<Object> {
    manifest::parse(text).unwrap()
}

pub fn seconds(seconds: u64) -> Deadline {
    Deadline::after(Duration::from_secs(seconds))
}

/// A program of the node image, run until the returned process is dropped with its input.
pub fn program(name: &str, arguments: &[String]) -> Program {
    let folder = Ground::get().folder.join(format!("program-{name}-{}", free_port()));
    let mut command = Command::new(binary(name));
    command.args(arguments);
    let process = watched(&command, &folder);
    let log = folder.join(format!("{}.log", process.id()));
    Program { process, log }
}

/// A port nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn run_apiserver(name: &str, port: u16) -> Child {
    let ground = Ground::get();
    let folder = ground.folder.join(name);
    let pki = |file: &str| folder.join("pki").join(file).display().to_string();
    let options = [
        format!("--etcd-servers=http://127.0.0.1:{}", ground.etcd_port),
        format!("--etcd-prefix=/{name}"),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/24".to_owned(),
        format!("--tls-cert-file={}", pki("apiserver.crt")),
        format!("--tls-private-key-file={}", pki("apiserver.key")),
        format!("--client-ca-file={}", pki("ca.crt")),
        format!("--service-account-key-file={}", pki("sa.pub")),
        format!("--service-account-signing-key-file={}", pki("sa.key")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        // No controller makes service accounts here.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
    ];
    let mut command = Command::new(binary("kube-apiserver"));
    command.args(options);
    watched(&command, &folder.join("run"))
}

fn kubeadm_config(folder: &Path, port: u16) -> String {
    // kubeadm refuses to advertise loopback; the address is written down and never used.
    format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: {}\ncertificatesDir: {}/pki\n\
         encryptionAlgorithm: ECDSA-P256\ncontrolPlaneEndpoint: 127.0.0.1:{port}\napiServer: {{certSANs: [127.0.0.1]}}\n---\n\
         apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n\
         localAPIEndpoint: {{advertiseAddress: 192.0.2.1, bindPort: {port}}}\n\
         nodeRegistration: {{name: none, criSocket: unix:///nonexistent}}\n",
        kubernetes_version(),
        folder.display(),
    )
}

fn kubernetes_version() -> String {
    let output = Command::new(binary("kube-apiserver")).arg("--version").output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().trim_start_matches("Kubernetes ").to_owned()
}

/// Runs a command under the watchdog; its folder is made, keeps its log, and goes with it.
fn watched(command: &Command, folder: &Path) -> Child {
    fs::create_dir_all(folder).unwrap();
    let mut watchdog = Command::new("sh");
    watchdog.args(["-c", WATCHDOG, "watchdog"]).arg(folder).arg(command.get_program()).args(command.get_args());
    watchdog.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

fn binary(name: &str) -> PathBuf {
    let folder = std::env::var_os("KINDMESH_TEST_BIN")
        .expect("KINDMESH_TEST_BIN must name a folder with kube-apiserver, etcd and kubeadm; `make test` builds them and sets it");
    let path = Path::new(&folder).join(name);
    assert!(path.exists(), "{} is missing; build the node image first (`make node-image`)", path.display());
    path
}
