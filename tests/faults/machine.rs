//! What happens in the containers of the engine in memory: helpers that end, nodes that boot, a kubeadm that starts
//! an API server.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use kindmesh::domain::labels;
use kindmesh::engine::fake::{ExecCall, ExecReply, FakeEngine};
use kindmesh::engine::{ContainerInfo, EngineError, EngineErrorKind};

use crate::apiserver::FakeApiServer;
use crate::webfaults::WebFaults;

const DONE: &str = "/kind/kindmesh-bootstrapped";
const STARTED: &str = "/kind/kindmesh-started";
const KUBEADM: &str = "/kind/kubeadm.conf";
/// What kubeadm prints as its add-ons.
const ADDONS: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: coredns, namespace: kube-system}\nspec: {replicas: 2, selector: \
                      {matchLabels: {a: b}}, template: {spec: {containers: [{name: coredns}]}}}\n---\napiVersion: apps/v1\nkind: DaemonSet\n\
                      metadata: {name: kube-proxy, namespace: kube-system}\nspec: {selector: {matchLabels: {a: b}}, template: {spec: {containers: \
                      [{name: kube-proxy}]}}}\n";
const NETWORK: &str = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: kindnet, namespace: kube-system}\nspec: {selector: {matchLabels: \
                       {a: b}}, template: {spec: {containers: [{name: kindnet}]}}}\n";
const STORAGE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: local-path-storage}\n";

/// The containers' insides.
#[derive(Clone)]
pub struct Machine {
    engine: FakeEngine,
    /// By the node's name: what its API server listens with, and the server when it was started.
    ports: Arc<Mutex<HashMap<String, TcpListener>>>,
    servers: Arc<Mutex<HashMap<String, FakeApiServer>>>,
    faults: WebFaults,
}

// === impl Machine ===

impl Machine {
    /// The insides of an engine's containers.
    pub fn new(engine: &FakeEngine, faults: WebFaults) -> Self {
        let machine = Self { engine: engine.clone(), ports: Arc::default(), servers: Arc::default(), faults };
        let inside = machine.clone();
        engine.on_exec(move |call| inside.run(call));
        machine
    }

    /// A container was created: it has what its image has.
    pub fn created(&self, name: &str) {
        self.engine.add_file(name, "/kind/version", "v1.34.4");
        self.engine.add_file(name, "/kind/manifests/default-cni.yaml", NETWORK);
        self.engine.add_file(name, "/kind/manifests/default-storage.yaml", STORAGE);
    }

    /// A container was started: a helper says its piece and ends, a node boots and listens at its port.
    pub fn started(&self, info: &ContainerInfo) -> Result<(), EngineError> {
        if info.labels.contains_key(labels::HELPER) {
            self.engine.log(&info.name, "1024\n");
            self.engine.end_container(&info.name, 0);
            return Ok(());
        }
        let mut ports = self.ports.lock().unwrap();
        let listens = ports.contains_key(&info.name) || self.servers.lock().unwrap().contains_key(&info.name);
        if let (false, Some(port)) = (listens, info.ports.first()) {
            let Ok(listener) = TcpListener::bind((port.host_ip, port.host_port)) else {
                self.engine.end_container(&info.name, 128);
                let words =
                    format!("driver failed programming external connectivity: Bind for {}: port is already allocated", port.host_port);
                return Err(EngineError::new("start container", &info.name, EngineErrorKind::Failed, words));
            };
            ports.insert(info.name.clone(), listener);
        }
        self.engine.log(&info.name, "[  OK  ] Reached target Multi-User System.\n");
        Ok(())
    }

    /// A container is gone, and what ran in it.
    pub fn removed(&self, info: &ContainerInfo) {
        self.ports.lock().unwrap().remove(&info.name);
        self.servers.lock().unwrap().remove(&info.name);
    }

    /// Answers commands; none for those that the engine itself knows.
    fn run(&self, call: &ExecCall) -> Option<ExecReply> {
        let has = |path: &str| self.engine.file(&call.container, path).is_some();
        let line = call.line();
        if let ["cat", "/etc/kubernetes/admin.conf" | "/etc/kubernetes/super-admin.conf"] =
            call.cmd.iter().map(String::as_str).collect::<Vec<_>>()[..]
        {
            let servers = self.servers.lock().unwrap();
            return Some(match servers.get(&call.container) {
                Some(server) => ExecReply::stdout(server.kubeconfig()),
                None => ExecReply::fails(1, "cat: no such file or directory"),
            });
        }
        if line.contains("pgrep -x kubeadm") {
            let state = [(DONE, "done"), (STARTED, "started")].into_iter().find(|(mark, _)| has(mark)).map_or("fresh", |(_, word)| word);
            return Some(ExecReply::stdout(format!("{state}\nv1.34.4\n")));
        }
        let begins = call.cmd.get(3).is_some_and(|word| word == "start.sh");
        if line.contains("--print-manifest") && !begins {
            return Some(ExecReply::stdout(ADDONS));
        }
        let finishes = line.contains(&format!("touch {DONE}"));
        if finishes && !has(KUBEADM) {
            return Some(ExecReply::fails(1, format!("unable to read config from {KUBEADM}")));
        }
        if begins {
            if let Some(listener) = self.ports.lock().unwrap().remove(&call.container) {
                let server = FakeApiServer::start(listener, &call.container, self.faults.clone());
                self.servers.lock().unwrap().insert(call.container.clone(), server);
            }
            self.engine.add_file(&call.container, KUBEADM, call.cmd[8].clone());
            self.engine.add_file(&call.container, STARTED, "");
            let servers = self.servers.lock().unwrap();
            let kubeconfig = servers.get(&call.container).map(FakeApiServer::kubeconfig).unwrap_or_default();
            return Some(ExecReply::stdout(format!(
                "[certs] Generating keys\n#kindmesh addons\n{ADDONS}\n#kindmesh network\n{NETWORK}\n#kindmesh storage\n{STORAGE}\n\
                 #kindmesh super-admin\n{kubeconfig}\n#kindmesh admin\n{kubeconfig}\n#kindmesh end\n"
            )));
        }
        if finishes {
            if line.contains("kubeadm join") {
                self.join(&call.container);
            }
            self.engine.add_file(&call.container, DONE, "");
            return Some(ExecReply::stdout(""));
        }
        None
    }

    /// A node joins the server of its cluster.
    fn join(&self, node: &str) {
        let containers = self.engine.containers();
        let cluster = |name: &str| containers.iter().find(|one| one.name == name).and_then(|one| one.labels.get(labels::CLUSTER));
        for (name, server) in self.servers.lock().unwrap().iter() {
            if cluster(name) == cluster(node) {
                server.join(node);
            }
        }
    }
}
