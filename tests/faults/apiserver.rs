//! An API server without a cluster behind it: objects as they were applied, workloads that are ready at once, and
//! requests that go wrong to order. It serves over TLS and knows one administrator, by a token.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::http::{self, Head};
use crate::webfaults::WebFaults;

/// What the administrator says to be let in.
pub const TOKEN: &str = "tok-0123456789abcdef-never-to-be-shown";
/// How often a watch looks for what is new, and how long it goes on at most.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: u32 = 1000;
/// How long workloads take to be ready when they take their time.
const LINGER: Duration = Duration::from_millis(500);

/// The server; it ends with its handle.
pub struct FakeApiServer {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    store: Mutex<Store>,
    faults: WebFaults,
}

#[derive(Default)]
struct Store {
    version: u64,
    /// Workloads that are not ready yet, and since when.
    pending: BTreeMap<String, Instant>,
    /// By path.
    objects: BTreeMap<String, Value>,
}

/// An authority and what the server shows for itself, as PEM.
struct Identity {
    authority: String,
    certificate: String,
    key: String,
    /// What the administrator shows, beside the token.
    client_certificate: String,
    client_key: String,
}

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let signed = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let client = KeyPair::generate().unwrap();
    let admitted = CertificateParams::new(vec!["administrator".to_owned()]).unwrap().signed_by(&client, &issuer).unwrap();
    Identity {
        authority,
        certificate: signed.pem(),
        key: key.serialize_pem(),
        client_certificate: admitted.pem(),
        client_key: client.serialize_pem(),
    }
});

/// Where kinds are served: group version, plural, kind, whether in namespaces.
const KINDS: [(&str, &str, &str, bool); 10] = [
    ("api/v1", "namespaces", "Namespace", false),
    ("api/v1", "nodes", "Node", false),
    ("api/v1", "pods", "Pod", true),
    ("api/v1", "services", "Service", true),
    ("api/v1", "configmaps", "ConfigMap", true),
    ("api/v1", "serviceaccounts", "ServiceAccount", true),
    ("apis/apps/v1", "deployments", "Deployment", true),
    ("apis/apps/v1", "daemonsets", "DaemonSet", true),
    ("apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", "ClusterRoleBinding", false),
    ("apis/storage.k8s.io/v1", "storageclasses", "StorageClass", false),
];

/// The administrator's private key.
pub fn client_key() -> String {
    IDENTITY.client_key.clone()
}

// === impl FakeApiServer ===

impl FakeApiServer {
    /// The server of a cluster whose first node has this name.
    pub fn start(listener: TcpListener, node: &str, faults: WebFaults) -> Self {
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(IDENTITY.certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(IDENTITY.key.as_bytes()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let shared = Arc::new(Shared { store: Mutex::new(Store::of_node(node)), faults });
        let of_all = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (shared, acceptor) = (of_all.clone(), acceptor.clone());
                tokio::spawn(async move {
                    if let Ok(client) = acceptor.accept(client).await {
                        // A client that goes away is no concern of a server's.
                        drop(serve(BufReader::new(client), &shared).await);
                    }
                });
            }
        });
        Self { port, shared, task }
    }

    /// A node has joined.
    pub fn join(&self, node: &str) {
        self.shared.store.lock().unwrap().join(node);
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> String {
        let [authority, certificate, key] =
            [&IDENTITY.authority, &IDENTITY.client_certificate, &IDENTITY.client_key].map(|text| STANDARD.encode(text));
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{{name: a, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{}', certificate-authority-data: {authority}}}}}]\n\
             users: [{{name: u, user: {{token: {TOKEN}, client-certificate-data: {certificate}, client-key-data: {key}}}}}]\n",
            self.port
        )
    }
}

impl Drop for FakeApiServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut client: BufReader<S>, shared: &Shared) -> io::Result<()> {
    while let Some(head) = http::read_head(&mut client).await? {
        let body = http::read_body(&mut client, &head).await?.plain;
        let watched = head.query("watch").is_some_and(|watch| watch == "true" || watch == "1");
        if let Some(fault) = shared.faults.strike(&head, watched) {
            if !fault.happen(&mut client).await? {
                return Ok(());
            }
            continue;
        }
        if watched {
            return watch(&mut client, &head, shared).await;
        }
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let (status, answer) = shared.store.lock().unwrap().answer(&head, &body, shared.faults.lingers());
        let text = match &answer {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        http::answer(&mut client, status, "application/json", text.as_bytes(), false).await?;
    }
    Ok(())
}

/// Tells what changes below a path until the client has seen enough.
async fn watch<S: AsyncRead + AsyncWrite + Unpin>(client: &mut BufReader<S>, head: &Head, shared: &Shared) -> io::Result<()> {
    client.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n").await?;
    client.flush().await?;
    let mut told: u64 = head.query("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
    for _ in 0..LOOKS {
        let news: Vec<Value> = {
            let mut store = shared.store.lock().unwrap();
            store.settle();
            let news = store.below(&head.path()).into_iter().filter(|object| version_of(object) > told).collect();
            told = store.version;
            news
        };
        for object in news {
            client.write_all(format!("{}\n", json!({"type": "MODIFIED", "object": object})).as_bytes()).await?;
        }
        client.flush().await?;
        let mut nothing = [0; 1];
        if let Ok(end) = tokio::time::timeout(LOOK, client.read(&mut nothing)).await {
            return end.map(drop);
        }
    }
    Ok(())
}

fn version_of(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

// === impl Store ===

impl Store {
    fn of_node(node: &str) -> Self {
        let ready = json!([{"type": "Ready", "status": "True"}]);
        let mut store = Self::default();
        store.join(node);
        for namespace in ["kube-system", "local-path-storage"] {
            let pod = json!({"apiVersion": "v1", "kind": "Pod", "status": {"phase": "Running", "conditions": ready}});
            store.put(&format!("/api/v1/namespaces/{namespace}/pods/some"), &pod);
        }
        let service = json!({"apiVersion": "v1", "kind": "Service", "spec": {"clusterIP": "10.96.0.1"}});
        store.put("/api/v1/namespaces/default/services/kubernetes", &service);
        store
    }

    fn join(&mut self, node: &str) {
        let ready = json!([{"type": "Ready", "status": "True"}]);
        let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"labels": {}}, "status": {"conditions": ready}});
        self.put(&format!("/api/v1/nodes/{node}"), &object);
    }

    fn answer(&mut self, head: &Head, body: &Value, lingers: bool) -> (u16, Value) {
        self.settle();
        let path = head.path();
        if ["/livez", "/readyz"].contains(&path.as_str()) {
            return (200, json!("ok"));
        }
        if path == "/version" {
            return (
                200,
                json!({"major": "1", "minor": "34", "gitVersion": "v1.34.4", "gitCommit": "", "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}),
            );
        }
        let groups: Vec<_> = KINDS.iter().filter(|(group, ..)| path == format!("/{group}")).collect();
        if let Some((group, ..)) = groups.first() {
            let resource = |(_, plural, kind, namespaced): &&(&str, &str, &str, bool)| json!({"name": plural, "singularName": "", "kind": kind, "namespaced": namespaced, "verbs": []});
            let version = group.trim_start_matches("apis/").trim_start_matches("api/");
            let list: Vec<Value> = groups.iter().map(resource).collect();
            return (200, json!({"kind": "APIResourceList", "groupVersion": version, "resources": list}));
        }
        let is_collection =
            KINDS.iter().any(|(_, plural, ..)| path.rsplit('/').next() == Some(plural)) && !path.ends_with("/namespaces/nodes");
        match head.method() {
            "GET" if is_collection => {
                let items = self.below(&path);
                (
                    200,
                    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": self.version.to_string()}, "items": items}),
                )
            }
            "GET" => match self.objects.get(&path) {
                Some(object) => (200, object.clone()),
                None => (404, status(404, "NotFound", &format!("{path} not found"))),
            },
            "PATCH" => {
                let fresh = !self.objects.contains_key(&path);
                if lingers && fresh {
                    self.pending.insert(path.clone(), Instant::now());
                }
                (200, self.put(&path, body))
            }
            "DELETE" => match self.objects.remove(&path) {
                Some(object) => (200, object),
                None => (404, status(404, "NotFound", &format!("{path} not found"))),
            },
            _ => (405, status(405, "MethodNotAllowed", "no such method here")),
        }
    }

    /// Makes ready what has taken its time.
    fn settle(&mut self) {
        let due: Vec<String> = self.pending.iter().filter(|(_, since)| since.elapsed() > LINGER).map(|(path, _)| path.clone()).collect();
        for path in due {
            self.pending.remove(&path);
            self.put(&path, &json!({}));
        }
    }

    /// Objects of a collection, in one namespace or all.
    fn below(&self, collection: &str) -> Vec<Value> {
        let (root, plural) = collection.rsplit_once('/').unwrap_or(("", collection));
        let inside = |path: &str| {
            let Some((rest, _name)) = path.rsplit_once('/') else { return false };
            rest == collection || (rest.starts_with(&format!("{root}/namespaces/")) && rest.ends_with(&format!("/{plural}")))
        };
        self.objects.iter().filter(|(path, _)| inside(path)).map(|(_, object)| object.clone()).collect()
    }

    /// Lays an object over what is there; workloads are ready at once.
    fn put(&mut self, path: &str, body: &Value) -> Value {
        let before = self.objects.get(path).cloned();
        let mut object = before.clone().unwrap_or_else(|| json!({"metadata": {"generation": 1, "uid": path}}));
        merge(&mut object, body);
        let parts: Vec<&str> = path.split('/').collect();
        object["metadata"]["name"] = json!(parts.last());
        if let Some(at) = parts.iter().position(|part| *part == "namespaces")
            && parts.len() > at + 2
        {
            object["metadata"]["namespace"] = json!(parts[at + 1]);
        }
        match object["kind"].as_str() {
            _ if self.pending.contains_key(path) => {}
            Some("Deployment") => {
                let replicas = object["spec"]["replicas"].as_i64().unwrap_or(1);
                object["status"] =
                    json!({"observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas, "availableReplicas": replicas});
            }
            Some("DaemonSet") => {
                object["status"] = json!({"observedGeneration": 1, "desiredNumberScheduled": 1, "currentNumberScheduled": 1, "numberMisscheduled": 0, "numberReady": 1, "updatedNumberScheduled": 1});
            }
            _ => {}
        }
        if before.as_ref() != Some(&object) {
            self.version += 1;
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        }
        self.objects.insert(path.to_owned(), object.clone());
        object
    }
}

/// A failure in a server's form.
pub fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message, "metadata": {}})
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    into.remove(key);
                } else {
                    merge(into.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (into, from) => *into = from.clone(),
    }
}
