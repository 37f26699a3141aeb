//! Images of the engine in memory as its HTTP knows them: pulls, imports, loads and saves.

use std::sync::Mutex;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use kindmesh::engine::fake::FakeEngine;
use kindmesh::engine::{ByteStream, Engine as _, EngineError, PullProgress};
use serde_json::{Value, json};

use crate::http::Head;

/// A pull, or an import of what is in the body: what the engine says of it, line by line.
pub async fn create(engine: &FakeEngine, head: &Head, body: Vec<u8>) -> Result<Vec<Value>, EngineError> {
    let text = |name: &str| head.query(name).unwrap_or_default();
    if text("fromSrc") == "-" {
        let changes: Vec<String> = text("changes").lines().map(str::to_owned).collect();
        let id = engine.import_image(&named(&text("repo"), &text("tag")), &changes, stream(body)).await?;
        return Ok(vec![json!({"status": id})]);
    }
    let reference = named(&text("fromImage"), &text("tag"));
    let lines = Mutex::new(vec![json!({"status": format!("Pulling from {}", text("fromImage")), "id": text("tag")})]);
    let progress = |progress: PullProgress| {
        let layers = (0..progress.layers).map(|number| json!({"status": progress.status, "id": format!("{number:012x}")}));
        lines.lock().unwrap().extend(layers);
    };
    engine.pull_image(&reference, None, &progress).await?;
    let mut lines = lines.into_inner().unwrap();
    lines.push(json!({"status": format!("Status: Downloaded newer image for {reference}")}));
    Ok(lines)
}

/// An archive with images.
pub async fn load(engine: &FakeEngine, body: Vec<u8>) -> Result<Vec<Value>, EngineError> {
    let loaded = engine.load_images(stream(body)).await?;
    Ok(loaded.iter().map(|reference| json!({"stream": format!("Loaded image: {reference}\n")})).collect())
}

/// The images that are asked for, as one archive.
pub async fn save(engine: &FakeEngine, head: &Head) -> Result<Vec<u8>, EngineError> {
    let pieces: Vec<Bytes> = engine.save_images(&head.queries("names")).await?.try_collect().await?;
    Ok(pieces.concat())
}

/// Repository and tag, or digest, as one reference.
pub fn named(repository: &str, tag: &str) -> String {
    match tag {
        "" => repository.to_owned(),
        digest if digest.contains(':') => format!("{repository}@{digest}"),
        tag => format!("{repository}:{tag}"),
    }
}

fn stream(bytes: Vec<u8>) -> ByteStream {
    futures_util::stream::iter([Ok(Bytes::from(bytes))]).boxed()
}
