//! From one source to all nodes: an archive is taken apart as it comes, and each node gets its own.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::domain::oci::{ArchiveImage, Blob, Contents, LAYOUT, LegacyLayers, Packing, blob_path, hex_of, index};
use crate::domain::tar_stream::{TarEntry, TarKind, TarPiece, TarStream, file_header, filler, trailer};
use crate::engine::ByteStream;

use super::archive::{MAX_DOCUMENT, is_document, packing};
use super::inner::InnerWatch;
use super::plan::{LayerName, Mode, Places, folder};
use super::sink::Sink;
use super::wanted::Wanted;

/// A source that says nothing for so long is told: an engine prepares its archive for some seconds.
const SILENCE: Duration = Duration::from_secs(10);

/// The pump, with what it has learned of the archive.
pub(super) struct Pump<'a> {
    wanted: &'a [Wanted],
    places: Places,
    legacy: LegacyLayers,
    contents: Contents,
    /// Folders that layers imply, by layer.
    implied: BTreeMap<String, Vec<String>>,
    sinks: &'a mut [Sink],
    /// Bytes read.
    pub(super) read: u64,
}

/// Why the pump stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PumpError {
    /// The source failed, stopped early or is no archive of images.
    Source(String),
    /// Every node's command has ended before its time; each tells why.
    Nobody,
}

/// The file of the archive that passes.
enum Passing {
    /// Not needed.
    Skipped,
    /// Not yet recognised; small enough to be kept until it is whole.
    Kept(TarEntry, BytesMut),
    Layer(Box<Layer>),
}

struct Layer {
    entry: TarEntry,
    name: LayerName,
    packing: Packing,
    hash: Sha256,
    watch: Option<InnerWatch>,
    /// Positions of the sinks that take it.
    takers: Vec<usize>,
}

// === impl Pump ===

impl<'a> Pump<'a> {
    /// For these images, whose layers are known by place where `places` says so.
    pub(super) fn new(wanted: &'a [Wanted], places: Places, sinks: &'a mut [Sink]) -> Self {
        let legacy = LegacyLayers::new(wanted.iter().map(|image| image.layers.as_slice()));
        Self { wanted, places, legacy, contents: Contents::default(), implied: BTreeMap::new(), sinks, read: 0 }
    }

    /// Reads the source to its end. Returns the images as their nodes know them, by name.
    ///
    /// # Errors
    /// Why it stopped; every node's command has failed then.
    pub(super) async fn run(&mut self, source: ByteStream, architecture: &str) -> Result<Vec<ArchiveImage>, PumpError> {
        let result = match self.pass(source).await {
            Ok(()) => self.finish(architecture).await.map_err(PumpError::Source),
            Err(error) => Err(error),
        };
        if let Err(PumpError::Source(reason)) = &result {
            self.give_up(reason).await;
        }
        for sink in &mut *self.sinks {
            sink.close();
        }
        result
    }

    /// Lets every node's command fail.
    pub(super) async fn give_up(&mut self, reason: &str) {
        for sink in &mut *self.sinks {
            sink.fail(reason).await;
        }
    }

    async fn pass(&mut self, mut source: ByteStream) -> Result<(), PumpError> {
        let broken = |error: &dyn std::fmt::Display| PumpError::Source(error.to_string());
        let (mut tar, mut pieces, mut passing) = (TarStream::default(), Vec::new(), Passing::Skipped);
        while let Some(bytes) = self.next(&mut source).await {
            let bytes = bytes.map_err(|error| broken(&error))?;
            self.read += bytes.len() as u64;
            tar.push(bytes, &mut pieces).map_err(|error| broken(&error))?;
            for piece in pieces.drain(..) {
                passing = match piece {
                    TarPiece::Entry(entry) => self.begin(entry),
                    TarPiece::Data(data) => self.go_on(passing, data).await.map_err(PumpError::Source)?,
                    TarPiece::End => self.end(passing).await.map_err(PumpError::Source)?,
                };
            }
            if self.sinks.iter().all(|sink| !sink.is_open()) {
                return Err(PumpError::Nobody);
            }
        }
        tar.finish().map_err(|error| broken(&error))
    }

    /// The source's next bytes; while there are none, that is told.
    async fn next(&mut self, source: &mut ByteStream) -> Option<crate::engine::Result<Bytes>> {
        let begun = Instant::now();
        loop {
            match tokio::time::timeout(SILENCE, source.next()).await {
                Ok(bytes) => return bytes,
                Err(_) => self.sinks.iter().for_each(|sink| sink.tell_silence(begun.elapsed())),
            }
        }
    }

    fn begin(&mut self, entry: TarEntry) -> Passing {
        match entry.kind {
            TarKind::File => Passing::Kept(entry, BytesMut::new()),
            TarKind::Symlink => {
                self.contents.link(&entry.path, &entry.link);
                Passing::Skipped
            }
            _ => Passing::Skipped,
        }
    }

    async fn go_on(&mut self, passing: Passing, data: Bytes) -> Result<Passing, String> {
        match passing {
            Passing::Skipped => Ok(Passing::Skipped),
            Passing::Kept(entry, mut kept) => {
                kept.extend_from_slice(&data);
                // What is larger than a document is recognised by its first bytes.
                if entry.size > MAX_DOCUMENT && kept.len() >= 512 {
                    let packing = packing(&kept).unwrap_or(Packing::Plain);
                    return self.layer(entry, packing, kept.freeze()).await;
                }
                Ok(Passing::Kept(entry, kept))
            }
            Passing::Layer(mut layer) => {
                self.forward(&mut layer, data).await?;
                Ok(Passing::Layer(layer))
            }
        }
    }

    async fn end(&mut self, passing: Passing) -> Result<Passing, String> {
        let passing = match passing {
            Passing::Kept(entry, kept) if is_document(&kept) => {
                self.document(&entry.path, kept.freeze());
                Passing::Skipped
            }
            Passing::Kept(entry, kept) => match packing(&kept) {
                Some(packing) => self.layer(entry, packing, kept.freeze()).await?,
                None => Passing::Skipped,
            },
            passing => passing,
        };
        if let Passing::Layer(layer) = passing {
            self.layer_end(*layer).await?;
        }
        Ok(Passing::Skipped)
    }

    fn document(&mut self, path: &str, content: Bytes) {
        if let Some(folder) = path.strip_suffix("/json")
            && let Ok(text) = std::str::from_utf8(&content)
            && let Some(layer) = self.legacy.identify(folder, text)
        {
            let name = LayerName { diff_id: Some(layer.to_owned()), digest: Some(layer.to_owned()) };
            self.places.insert(format!("{folder}/layer.tar"), name);
        }
        self.contents.document(path, content);
    }

    /// What is known of the layer at a path: by its place, or by a digest in its name.
    fn name(&self, path: &str, packing: Packing) -> LayerName {
        if let Some(name) = self.places.get(path) {
            return name.clone();
        }
        let awaited = |digest: &str| self.wanted.iter().any(|image| image.layers.iter().any(|layer| layer == digest));
        let blob = path.strip_prefix("blobs/sha256/").map(|hex| format!("sha256:{hex}"));
        let word = path.trim_end_matches("/layer.tar").trim_end_matches(".tar");
        let diff_id = blob.clone().or_else(|| Some(format!("sha256:{word}"))).filter(|digest| packing == Packing::Plain && awaited(digest));
        LayerName { digest: blob.or_else(|| diff_id.clone()), diff_id }
    }

    async fn layer(&mut self, entry: TarEntry, packing: Packing, first: Bytes) -> Result<Passing, String> {
        let name = self.name(&entry.path, packing);
        let mut takers = Vec::new();
        for (at, sink) in self.sinks.iter_mut().enumerate().filter(|(_, sink)| sink.is_open() && sink.plan.takes(&name)) {
            match (sink.plan.mode, &name.diff_id) {
                (Mode::Import, _) => {
                    // containerd goes by the content; the path only has to be unlike any other.
                    let path = name.digest.as_deref().map_or_else(|| format!("blobs/{}", self.read), blob_path);
                    sink.send(file_header(&path, entry.size)).await;
                }
                (Mode::Unpack, Some(diff_id)) => sink.begin_layer(folder(diff_id)),
                (Mode::Unpack, None) => {
                    sink.fail("a layer comes in another form than the engine told").await;
                    continue;
                }
            }
            takers.push(at);
        }
        let unpacks = takers.iter().any(|at| self.sinks[*at].plan.mode == Mode::Unpack);
        let watch = unpacks.then(InnerWatch::default);
        let mut layer = Box::new(Layer { entry, name, packing, hash: Sha256::new(), watch, takers });
        self.forward(&mut layer, first).await?;
        Ok(Passing::Layer(layer))
    }

    async fn forward(&mut self, layer: &mut Layer, data: Bytes) -> Result<(), String> {
        // What nobody takes is hashed only when its digest is told nowhere.
        if !layer.takers.is_empty() || layer.name.digest.is_none() {
            layer.hash.update(&data);
        }
        if let Some(watch) = &mut layer.watch
            && let Err(reason) = watch.push(&data)
        {
            layer.watch = None;
            for at in &layer.takers {
                if self.sinks[*at].plan.mode == Mode::Unpack {
                    self.sinks[*at].fail(&format!("layer {}: {reason}", layer.entry.path)).await;
                }
            }
        }
        for at in &layer.takers {
            self.sinks[*at].send_layer(data.clone()).await;
        }
        Ok(())
    }

    async fn layer_end(&mut self, layer: Layer) -> Result<(), String> {
        let hashed = !layer.takers.is_empty() || layer.name.digest.is_none();
        let digest = if hashed { hex_of(&layer.hash.finalize()) } else { layer.name.digest.clone().unwrap_or_default() };
        if layer.name.digest.as_ref().is_some_and(|told| *told != digest) {
            return Err(format!("the layer {} is damaged: its content has another digest than it should", layer.entry.path));
        }
        if let (Some(watch), Some(diff_id)) = (layer.watch, layer.name.diff_id) {
            self.implied.insert(diff_id, watch.implied_folders());
        }
        for at in &layer.takers {
            match self.sinks[*at].plan.mode {
                Mode::Import => self.sinks[*at].send(filler(layer.entry.size)).await,
                Mode::Unpack => self.sinks[*at].end_layer().await,
            }
        }
        self.contents.blob(&layer.entry.path, Blob { size: layer.entry.size, digest, packing: layer.packing });
        Ok(())
    }

    /// Sends what makes images of the layers.
    async fn finish(&mut self, architecture: &str) -> Result<Vec<ArchiveImage>, String> {
        let mut images = self.contents.images(architecture).map_err(|error| error.to_string())?;
        for image in &mut images {
            if let Some(wanted) = self.wanted.iter().find(|wanted| wanted.is(image)) {
                image.names.clone_from(&wanted.names);
            }
            if image.names.is_empty() {
                return Err("an image of the archive has no name; save it by its name: `docker save NAME:TAG`".to_owned());
            }
        }
        for sink in self.sinks.iter_mut().filter(|sink| sink.is_open()) {
            let mut own = Vec::new();
            match &sink.plan.images {
                None => own.extend(&images),
                Some(positions) => {
                    for wanted in positions.iter().filter_map(|at| self.wanted.get(*at)) {
                        let found = images.iter().find(|image| wanted.is(image));
                        own.push(found.ok_or_else(|| format!("the archive does not hold {}", wanted.names.join(", ")))?);
                    }
                }
            }
            for commit in &sink.plan.commits.clone() {
                let below = commit.below.as_deref().unwrap_or("-");
                sink.send(format!("stack {} {below} {}\n", commit.stack, folder(&commit.layer)).into()).await;
                for path in self.implied.get(&commit.layer).into_iter().flatten() {
                    sink.send(format!("folder {path}\n").into()).await;
                }
                sink.send(Bytes::from_static(b"commit\n")).await;
            }
            if sink.plan.mode == Mode::Unpack {
                sink.send(Bytes::from_static(b"import\n")).await;
            }
            for (digest, document) in own.iter().flat_map(|image| &image.documents) {
                file(sink, &blob_path(digest), document.clone()).await;
            }
            let named = own.iter().flat_map(|image| image.names.iter().map(|name| (name.as_str(), &image.descriptor)));
            let index = index(named);
            file(sink, "index.json", index.into()).await;
            file(sink, "oci-layout", Bytes::from_static(LAYOUT.as_bytes())).await;
            sink.send(trailer()).await;
        }
        Ok(images)
    }
}

async fn file(sink: &mut Sink, path: &str, content: Bytes) {
    let size = content.len() as u64;
    sink.send(file_header(path, size)).await;
    sink.send(content).await;
    sink.send(filler(size)).await;
}
