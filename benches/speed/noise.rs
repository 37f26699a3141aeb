//! Images that nobody has seen, of noise that nothing can pack.

use std::sync::Arc;

use futures_util::StreamExt as _;
use kindmesh::domain::oci::sha256_digest;
use kindmesh::engine::Engine;
use kindmesh::engine::connect::{ConnectOptions, connect};
use serde_json::json;

/// Sizes of the layers, in MB: a base, a runtime, a program.
pub const LAYERS: [usize; 3] = [60, 50, 20];

/// Makes images in the engine, each one new.
pub struct Images {
    runtime: tokio::runtime::Runtime,
    engine: Arc<dyn Engine>,
    made: u64,
}

// === impl Images ===

impl Images {
    /// With the engine that answers.
    pub fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let options = ConnectOptions { docker_host: std::env::var("DOCKER_HOST").ok(), ..ConnectOptions::default() };
        let engine: Arc<dyn Engine> = runtime.block_on(connect(&options)).expect("an engine");
        Self { runtime, engine, made: 0 }
    }

    /// Does something with an image that nobody has seen; it is gone from the engine afterwards.
    pub fn with(&mut self, act: impl FnOnce(&str)) {
        self.made += 1;
        let name = format!("kindmesh-bench/load:{}", self.made);
        let archive = bytes::Bytes::from(archive(&name, self.made));
        let stream = futures_util::stream::iter([Ok(archive)]).boxed();
        self.runtime.block_on(self.engine.load_images(stream)).expect("load into the engine");
        act(&name);
        self.runtime.block_on(self.engine.remove_image(&name)).expect("remove from the engine");
    }
}

/// An image archive of noise, which nothing can pack.
fn archive(name: &str, seed: u64) -> Vec<u8> {
    let layers: Vec<Vec<u8>> = LAYERS
        .iter()
        .zip(1u64..)
        .map(|(megabytes, number)| {
            // As images are: some large files, many small ones.
            let large = (0..megabytes / 2).map(|at| (format!("data/{number}/large{at}"), 1_900_000));
            let small = (0..megabytes * 10).map(|at| (format!("data/{number}/small{at}"), 10_000));
            let files = large.chain(small).zip(1u64..).map(|((path, size), at)| (path, noise(size, (seed << 32) + (number << 20) + at)));
            let folders = [("data/".to_owned(), Vec::new()), (format!("data/{number}/"), Vec::new())];
            tar_of(folders.into_iter().chain(files))
        })
        .collect();
    let ids: Vec<String> = layers.iter().map(|layer| sha256_digest(layer)).collect();
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let history: Vec<_> = ids.iter().map(|_| json!({"created_by": "noise"})).collect();
    let config = json!({"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": ids}, "history": history});
    let paths: Vec<String> = (0..layers.len()).map(|number| format!("layer{number}.tar")).collect();
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": paths}]);
    let documents =
        [("config.json".to_owned(), config.to_string().into_bytes()), ("manifest.json".to_owned(), manifest.to_string().into_bytes())];
    tar_of(documents.into_iter().chain(paths.iter().cloned().zip(layers)))
}

fn tar_of(files: impl Iterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        header.set_entry_type(if path.ends_with('/') { tar::EntryType::Directory } else { tar::EntryType::Regular });
        builder.append_data(&mut header, path, content.as_slice()).expect("write to memory");
    }
    builder.into_inner().expect("write to memory")
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}
