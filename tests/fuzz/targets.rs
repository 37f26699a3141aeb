//! What is tried, and what must hold of it whatever comes in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use kindmesh::domain::fleet_file;
use kindmesh::domain::helm::{Chart, Release, render_files};
use kindmesh::domain::istio::Operator;
use kindmesh::domain::kubeconfig::{ClusterEntry, Kubeconfig};
use kindmesh::domain::manifest;
use kindmesh::domain::net::pool::{PoolRequest, carve, reserved_of};
use kindmesh::domain::oci::Contents;
use kindmesh::domain::tar_stream::{TarKind, TarPiece, TarStream};
use kindmesh::engine::Engine;
use kindmesh::engine::connect::{ConnectOptions, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

/// Tries an input; says how that ended.
pub type Run = Box<dyn FnMut(&[u8]) -> String>;

/// Something that reads what comes from outside.
pub struct Target {
    pub name: &'static str,
    make: fn() -> Run,
}

pub const TARGETS: [Target; 7] = [
    Target { name: "fleet-file", make: || Box::new(fleet) },
    Target { name: "kubeconfig", make: || Box::new(kubeconfig) },
    Target { name: "archive", make: || Box::new(archive) },
    Target { name: "ipam", make: ipam },
    Target { name: "chart-values", make: || Box::new(values) },
    Target { name: "chart-template", make: || Box::new(template) },
    Target { name: "manifest", make: || Box::new(manifests) },
];

// === impl Target ===

impl Target {
    pub fn run(&self) -> Run {
        (self.make)()
    }
}

fn told<T>(result: Result<T, impl std::fmt::Display>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "fine".to_owned())
}

fn fleet(input: &[u8]) -> String {
    told(fleet_file::parse_with_mesh(&String::from_utf8_lossy(input), "kindmesh.yaml"))
}

/// What was read can be written and read again; what was put in can be taken out.
fn kubeconfig(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let mut file = match Kubeconfig::parse(&text) {
        Ok(file) => file,
        Err(error) => return error.to_string(),
    };
    let entry = ClusterEntry::with_token("fuzzed", "https://127.0.0.1:1", "ca", "token");
    file.upsert(&entry, false);
    let written = file.to_yaml();
    let again = Kubeconfig::parse(&written).unwrap_or_else(|error| panic!("what was written cannot be read: {error}\n{written}"));
    assert!(again == file, "what was written is something else:\n{written}");
    assert!(file.has("fuzzed"));
    file.remove("fuzzed");
    assert!(!file.has("fuzzed"));
    // Names alone: whatever else is in it is nobody's business.
    assert_eq!(format!("{file:?}"), format!("Kubeconfig {{ contexts: {:?}, .. }}", file.contexts()));
    format!("{} contexts; {}", file.contexts().len(), told(ClusterEntry::from_admin_conf(&text, "c")))
}

/// Pieces never promise more than comes, and images are only what an archive has.
fn archive(input: &[u8]) -> String {
    let mut stream = TarStream::default();
    let (mut contents, mut open) = (Contents::default(), None);
    let mut kinds = String::new();
    // In pieces, as from a connection; of odd sizes, so that headers are torn.
    for piece in input.chunks(700) {
        let mut out = Vec::new();
        if let Err(error) = stream.push(Bytes::copy_from_slice(piece), &mut out) {
            return error.to_string();
        }
        for piece in out {
            match piece {
                TarPiece::Entry(entry) => {
                    kinds.push_str(&format!("{:?} ", entry.kind));
                    match entry.kind {
                        TarKind::Symlink => contents.link(&entry.path, &entry.link),
                        TarKind::File => open = Some((entry.path, Vec::new(), entry.size)),
                        _ => {}
                    }
                }
                TarPiece::Data(bytes) => {
                    if let Some((_, content, size)) = &mut open {
                        content.extend_from_slice(&bytes);
                        assert!(content.len() as u64 <= *size, "more content than the header says");
                    }
                }
                TarPiece::End => {
                    if let Some((path, content, _)) = open.take() {
                        contents.document(&path, Bytes::from(content));
                    }
                }
            }
        }
    }
    format!("{kinds}{}; {}", told(stream.finish()), told(contents.images("amd64")))
}

/// An engine that answers with the input, through the client that is used for a real one.
fn ipam() -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    let answer = Arc::new(Mutex::new(Vec::new()));
    let engine = runtime.block_on(async {
        let listener = UnixListener::bind(&socket).unwrap();
        let answer = answer.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let read = client.read(&mut request).await.unwrap_or(0);
                let version = request[..read].windows(8).any(|part| part == b"/version");
                let body = if version { br#"{"ApiVersion":"1.47"}"#.to_vec() } else { answer.lock().unwrap().clone() };
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                // A client that has seen enough goes away.
                let _ = client.write_all(&[head.as_bytes(), &body].concat()).await;
            }
        });
        connect(&ConnectOptions::to_host(format!("unix://{}", socket.display()))).await.unwrap()
    });
    Box::new(move |input| {
        // Kept as long as the engine's socket is needed.
        let _folder = &folder;
        *answer.lock().unwrap() = input.to_vec();
        runtime.block_on(networks(engine.as_ref()))
    })
}

async fn networks(engine: &dyn Engine) -> String {
    let container = told(engine.inspect_container("c").await);
    match engine.inspect_network("n").await {
        Err(error) => format!("{error} {container}"),
        Ok(network) => {
            let reserved = reserved_of(&network);
            let requests: Vec<PoolRequest> =
                ["a", "b"].map(|cluster| PoolRequest { cluster: cluster.to_owned(), size: 16, existing: None }).into();
            let carved = network.ipv4().map(|entry| match entry.subnet {
                ipnetwork::IpNetwork::V4(subnet) => told(carve(subnet, &reserved, &requests)),
                ipnetwork::IpNetwork::V6(_) => "v6".to_owned(),
            });
            format!("{} subnets {carved:?} {container}", network.ipam.len())
        }
    }
}

fn values(input: &[u8]) -> String {
    told(Operator::parse(&String::from_utf8_lossy(input), "operator.yaml"))
}

/// Values, a line of dashes and dots, and a template.
fn template(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let (values, template) = text.split_once("-----\n").unwrap_or(("", &text));
    let file = |path: &str, text: &str| (path.to_owned(), text.as_bytes().to_vec());
    let files = BTreeMap::from([
        file("Chart.yaml", "name: c\nversion: 1.0.0\n"),
        file("values.yaml", values),
        file("templates/a.yaml", template),
        file("templates/_b.tpl", "{{ define \"b\" }}{{ . }}{{ end }}"),
    ]);
    let release = Release { name: "r".to_owned(), namespace: "n".to_owned() };
    match Chart::from_files(files) {
        Ok(chart) => told(render_files(&chart, &release, &serde_json::Value::Null)),
        Err(error) => error.to_string(),
    }
}

fn manifests(input: &[u8]) -> String {
    match manifest::parse(&String::from_utf8_lossy(input)) {
        Ok(objects) => format!("{} stages", manifest::stages(objects).len()),
        Err(error) => error.to_string(),
    }
}
