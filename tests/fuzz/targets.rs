//! What is tried, and what must hold of it whatever comes in.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use kindmesh::domain::fleet_file;
use kindmesh::domain::kubeconfig::{ClusterEntry, Kubeconfig};
use kindmesh::domain::manifest;
use kindmesh::domain::net::pool::{PoolRequest, carve, reserved_of};
use kindmesh::domain::oci::Contents;
use kindmesh::domain::tar_stream::{TarKind, TarPiece, TarStream};
use kindmesh::engine::Engine;

use crate::served::Served;
use crate::{charts, node_logs};

/// Tries an input; says how that ended.
pub type Run = Box<dyn FnMut(&[u8]) -> String>;

/// Something that reads what comes from outside.
pub struct Target {
    pub name: &'static str,
    make: fn() -> Run,
}

pub const TARGETS: [Target; 9] = [
    Target { name: "fleet-file", make: || Box::new(fleet) },
    Target { name: "kubeconfig", make: || Box::new(kubeconfig) },
    Target { name: "archive", make: || Box::new(archive) },
    Target { name: "ipam", make: ipam },
    Target { name: "node-logs", make: node_logs::node_logs },
    Target { name: "chart-values", make: || Box::new(charts::operator) },
    Target { name: "chart-template", make: || Box::new(charts::template) },
    Target { name: "user-values", make: charts::values },
    Target { name: "manifest", make: || Box::new(manifests) },
];

// === impl Target ===

impl Target {
    pub fn run(&self) -> Run {
        (self.make)()
    }
}

/// How it ended, in words.
pub fn told<T>(result: Result<T, impl std::fmt::Display>) -> String {
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

/// An engine that answers with the input.
fn ipam() -> Run {
    let answer = Arc::new(Mutex::new(Vec::new()));
    let told = answer.clone();
    let served = Served::new(move |_| told.lock().unwrap().clone());
    Box::new(move |input| {
        *answer.lock().unwrap() = input.to_vec();
        served.block_on(networks(served.engine.as_ref()))
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

fn manifests(input: &[u8]) -> String {
    match manifest::parse(&String::from_utf8_lossy(input)) {
        Ok(objects) => format!("{} stages", manifest::stages(objects).len()),
        Err(error) => error.to_string(),
    }
}
