//! The charts alone: no engine, no cluster.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use kindmesh::domain::helm::Chart;
use kindmesh::domain::istio::{Charts, Member, install};
use serde_json::Value;

use super::command::spread;

const ROUNDS: usize = 50;

/// Milliseconds.
pub struct Rendering {
    /// Everything once: charts read from text, a member's objects made of them.
    pub first: f64,
    /// A member's objects, again and again: the middle.
    pub middle: f64,
    /// The slowest.
    pub most: f64,
}

/// Renders a member: base, istiod, and the gateway chart twice.
pub fn measure() -> Rendering {
    let folder = folder();
    let files = ["base", "istiod", "gateway"].map(|chart| read(&folder.join(chart)));
    let member = Member {
        cluster: "east".into(),
        network: "network-east".into(),
        mesh_id: "mesh1".into(),
        hub: "docker.io/istio".into(),
        tag: "1.31.1".into(),
        ingress: true,
        egress: false,
    };
    let milliseconds = |begun: Instant| begun.elapsed().as_secs_f64() * 1e3;
    let begun = Instant::now();
    let [base, istiod, gateway] = files.map(|files| Chart::from_files(files).expect("a chart"));
    let charts = Charts::new(base, istiod, gateway).expect("Istio's charts");
    let render = || install(&charts, &member, &Value::Null, &Value::Null).expect("a member's objects");
    let made = render();
    let first = milliseconds(begun);
    assert!(made.control_plane.len() > 10, "istiod and what belongs to it");
    let (middle, _, most) = spread((0..ROUNDS).map(|_| {
        let begun = Instant::now();
        std::hint::black_box(render());
        milliseconds(begun)
    }));
    Rendering { first, middle, most }
}

/// The charts, exported before if need be.
fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("KINDMESH_TEST_CHARTS") {
        return folder.into();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/get-charts");
    let output = Command::new(script).output().expect("run get-charts");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().into()
}

fn read(chart: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![chart.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of a chart") {
            let path = entry.expect("a file of a chart").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(chart).ok().and_then(Path::to_str).expect("a name in the chart").to_owned();
                files.insert(name, fs::read(&path).expect("a file of a chart"));
            }
        }
    }
    files
}
