//! A fleet of one node or two on an engine in memory, reached over a socket through a proxy.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kindmesh::domain::fleet::{Fleet, Timeouts};
use kindmesh::engine::connect::{ConnectOptions, connect};
use kindmesh::engine::{Deadlines, Engine};
use kindmesh::ops::{Kindmesh, KubeconfigTarget};

use crate::engine::EngineServer;
use crate::proxy::Proxy;

pub const IMAGE: &str = "kindmesh/node:v1.34.4";
/// Deadline of a call; what is late comes after it.
pub const DEADLINE: Duration = Duration::from_secs(5);
const LATE: Duration = Duration::from_millis(5500);
/// What waits for something that never comes waits so long.
const PATIENCE: Duration = Duration::from_secs(8);

/// One engine, one proxy, one fleet.
pub struct Bench {
    pub server: EngineServer,
    pub proxy: Proxy,
    pub fleet: Fleet,
    pub dir: tempfile::TempDir,
}

/// How an operation failed, as the program would tell it: on one line, and its class.
pub type Failure = String;

// === impl Bench ===

impl Bench {
    /// One for a fleet of this name.
    pub fn new(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = EngineServer::start(&dir.path().join("engine.sock"), IMAGE);
        let proxy = Proxy::start(&dir.path().join("proxy.sock"), &server.socket, LATE);
        Self { server, proxy, fleet: fleet(name), dir }
    }

    /// One for a fleet of this name whose cluster has a worker.
    pub fn with_worker(name: &str) -> Self {
        Self { fleet: fleet_of(name, 2), ..Self::new(name) }
    }

    /// The engine behind the proxy.
    pub async fn engine(&self) -> Result<Arc<dyn Engine>, Failure> {
        let options = ConnectOptions {
            deadlines: Deadlines { call: DEADLINE, transfer: DEADLINE },
            connect_timeout: DEADLINE,
            ..ConnectOptions::to_host(format!("unix://{}", self.proxy.socket.display()))
        };
        connect(&options).await.map_err(|error| error.to_string())
    }

    /// A handle on it.
    pub async fn kindmesh(&self) -> Result<Kindmesh, Failure> {
        let engine = self.engine().await?;
        let kubeconfig = self.dir.path().join("kubeconfig");
        Ok(Kindmesh::new(engine).kubeconfig_files(KubeconfigTarget { write: kubeconfig.clone(), all: vec![kubeconfig] }))
    }

    pub async fn up(&self) -> Result<(), Failure> {
        self.kindmesh().await?.up(&self.fleet).await.map(drop).map_err(|error| error.one_line())
    }

    pub async fn down(&self) -> Result<(), Failure> {
        self.kindmesh().await?.down(&self.fleet.name).await.map(drop).map_err(|error| error.one_line())
    }

    /// Returns when no late call is under way any more.
    pub async fn quiet(&self) {
        while self.proxy.busy() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What is left on the engine, and in the kubeconfig.
    pub fn left(&self) -> Vec<String> {
        let containers = self.server.engine.containers().into_iter().map(|one| format!("container {}", one.name));
        let networks = self.server.engine.networks().into_iter().map(|one| format!("network {}", one.name));
        let volumes = self.server.engine.volumes().into_iter().map(|one| format!("volume {one}"));
        let text = std::fs::read_to_string(self.dir.path().join("kubeconfig")).unwrap_or_default();
        let entry = text.contains("kind-").then(|| "an entry of the kubeconfig".to_owned());
        containers.chain(networks).chain(volumes).chain(entry).collect()
    }
}

/// One cluster of one node, without add-ons.
pub fn fleet(name: &str) -> Fleet {
    fleet_of(name, 1)
}

fn fleet_of(name: &str, nodes: u32) -> Fleet {
    let timeouts = Timeouts { node_boot: PATIENCE, cluster_ready: PATIENCE, addon_ready: PATIENCE, mesh_ready: PATIENCE };
    let builder = Fleet::builder(name).cluster_prefix(name).clusters(1).nodes(nodes).metallb(None);
    builder.timeouts(timeouts).image(IMAGE).build().unwrap()
}

/// Runs every case in a runtime of its own, so many at once, and returns what failed.
pub fn at_once<C: Copy + Send + Sync, F: Future<Output = Result<(), String>>>(
    count: usize,
    cases: &[C],
    attempt: impl Fn(C) -> F + Sync,
) -> Vec<String> {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    let done = runtime.block_on(attempt(*case));
                    failures.lock().unwrap().extend(done.err());
                    // Whatever still runs in it is of no more interest.
                    runtime.shutdown_background();
                }
            });
        }
    });
    failures.into_inner().unwrap()
}
