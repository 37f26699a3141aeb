//! containerd's store, filled by containerd itself in a helper container, and taken out unpacked.
//!
//! A node mounts the unpacked layers where containerd expects them: nothing is unpacked when a
//! cluster starts. Filling needs a real containerd, for only it writes its own database; and a
//! volume, for overlay mounts cannot stand on the container's own overlay.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::archive::ImageArchive;
use super::golang::OnLine;
use super::recipe::Store;
use super::stream::{StreamReader, stream_of};
use super::tarball::{Meta, Tarball, Written};
use super::{BuildError, Result};
use crate::domain::container::ContainerSpec;
use crate::domain::labels;
use crate::engine::{ContainerState, Engine, EngineError, EngineErrorKind, ExecRequest, Stdin};

/// How long containerd may take to answer.
const READY: Duration = Duration::from_secs(60);
/// Time between two questions whether it does.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// Seconds containerd has to close its database.
const STOP_GRACE: u32 = 30;
/// Paths below the store's folder that belong to one run of containerd, not to the store.
const TRANSIENT: [&str; 3] = ["io.containerd.content.v1.content/ingest/", "io.containerd.grpc.v1.introspection/", "tmpmounts/"];

/// A store to fill.
pub(super) struct Filling<'a> {
    pub engine: &'a dyn Engine,
    /// Image with containerd in it.
    pub image: &'a str,
    pub store: &'a Store,
    /// Images to put in.
    pub archives: Vec<Arc<ImageArchive>>,
    /// Makes the helper's name unlike any other's.
    pub suffix: String,
    pub on_line: OnLine<'a>,
    pub cancel: &'a CancellationToken,
}

// === impl Filling ===

impl Filling<'_> {
    /// Fills the store and writes it to `target` as a layer. The helper is gone afterwards, whatever
    /// happened.
    pub async fn run(&self, target: PathBuf) -> Result<Written> {
        (self.on_line)("starting containerd");
        let mut refused = None;
        for spec in self.containers() {
            let name = format!("kindmesh-build-{}", self.suffix);
            let id = match self.engine.create_container(&name, &spec).await {
                Ok(id) => id,
                Err(error) if is_refusal(&error) => {
                    refused = Some(error);
                    continue;
                }
                Err(error) => return Err(BuildError::engine("create the build container")(error)),
            };
            let started = self.engine.start_container(&id).await;
            let result = match &started {
                Ok(()) => self.fill(&id, &target).await,
                Err(error) => Err(BuildError::Helper { what: "containerd did not start".to_owned(), message: error.to_string() }),
            };
            let result = self.removed(&name, &id, result).await;
            match started {
                Err(error) if is_refusal(&error) => refused = Some(error),
                _ => return result,
            }
        }
        let message = refused.map(|error| error.to_string()).unwrap_or_default();
        Err(BuildError::Helper { what: "no set of privileges that containerd needs is allowed".to_owned(), message })
    }

    /// Removes the helper and keeps the verdict on what it did.
    async fn removed<T>(&self, name: &str, id: &str, result: Result<T>) -> Result<T> {
        match (result, self.engine.remove_container(id).await) {
            (result, Err(error)) if error.is_not_found() => result,
            (Ok(_), Err(error)) => Err(BuildError::engine("remove the build container")(error)),
            (Err(first), Err(error)) => {
                Err(BuildError::Cleanup { first: Box::new(first), left: format!("container {name} is still there: {error}") })
            }
            (result, Ok(())) => result,
        }
    }

    async fn fill(&self, id: &str, target: &Path) -> Result<Written> {
        self.await_ready(id).await?;
        for archive in &self.archives {
            self.import(id, archive).await?;
        }
        (self.on_line)("labelling");
        self.exec(id, "label the images", ExecRequest::new(["/bin/sh", "-c", &self.label_script()])).await?;
        (self.on_line)("copying the store");
        self.engine.stop_container(id, STOP_GRACE).await.map_err(BuildError::engine("stop the build container"))?;
        let archive =
            self.engine.get_archive(id, &self.store.containerd_root).await.map_err(BuildError::engine("read the filled store"))?;
        let reader = StreamReader::new(archive, self.cancel.clone());
        let (path, dropped) = (self.store.path.clone(), self.dropped());
        let (file, cancel) = (target.to_path_buf(), self.cancel.clone());
        let copying = tokio::task::spawn_blocking(move || reroot(reader, &path, &dropped, &file, cancel));
        copying.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(BuildError::io("write the image store", target))
    }

    /// The helper with every right, and with those an engine gives that cannot give every right: old
    /// ones must be told which is missing, newer ones refuse to be told.
    fn containers(&self) -> [ContainerSpec; 3] {
        let unconfined = ContainerSpec {
            cap_add: vec!["ALL".to_owned()],
            security_opt: vec!["seccomp=unconfined".to_owned(), "apparmor=unconfined".to_owned()],
            masked_paths: Some(Vec::new()),
            readonly_paths: Some(Vec::new()),
            ..self.container()
        };
        let cut = ContainerSpec { cap_drop: vec!["SYS_RESOURCE".to_owned()], ..unconfined.clone() };
        [ContainerSpec { privileged: true, ..self.container() }, cut, unconfined]
    }

    fn container(&self) -> ContainerSpec {
        // The CRI plugin would change the images behind our back; everything else of it is not needed.
        let script = "printf 'version = 2\\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\\n' > /etc/containerd/build.toml && \
            exec containerd --config /etc/containerd/build.toml --root \"$1\" --state /run/containerd";
        let command = ["/bin/sh", "-c", script, "containerd", &self.store.containerd_root];
        ContainerSpec {
            image: self.image.to_owned(),
            entrypoint: Some(command.map(str::to_owned).into()),
            cmd: Some(Vec::new()),
            labels: BTreeMap::from([(labels::HELPER.to_owned(), "build".to_owned())]),
            anonymous_volumes: vec![self.store.containerd_root.clone()],
            network: "none".to_owned(),
            init: Some(false),
            ..ContainerSpec::default()
        }
    }

    /// Waits until containerd answers. It ends by itself when it cannot start.
    async fn await_ready(&self, id: &str) -> Result<()> {
        let begun = Instant::now();
        loop {
            let answer = self.engine.exec(id, ExecRequest::new(["ctr", "version"]), self.cancel).await;
            let last = match answer {
                Ok(output) if output.success() => return Ok(()),
                Ok(output) => output.tail(2),
                Err(error) => self.dead_or(id, error).await?,
            };
            if begun.elapsed() > READY {
                return Err(BuildError::Helper { what: format!("containerd did not answer within {} s", READY.as_secs()), message: last });
            }
            tokio::select! {
                () = self.cancel.cancelled() => return Err(BuildError::Cancelled),
                () = tokio::time::sleep(ASK_EVERY) => {}
            }
        }
    }

    /// An exec fails when the container has just ended: then its log tells why.
    async fn dead_or(&self, id: &str, error: EngineError) -> Result<String> {
        let info = self.engine.inspect_container(id).await.map_err(BuildError::engine("look at the build container"))?;
        if info.state == ContainerState::Running {
            return Ok(error.message);
        }
        let reader = StreamReader::new(
            self.engine.container_logs(id, false, None).await.map_err(BuildError::engine("read the build container's log"))?,
            self.cancel.clone(),
        );
        let log = tokio::task::spawn_blocking(move || {
            let mut text = Vec::new();
            // What could be read is what can be told.
            let _ = { reader }.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let log = log.await.unwrap_or_default();
        let last = log.lines().rev().take(3).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
        Err(BuildError::Helper { what: "containerd ended".to_owned(), message: if last.is_empty() { error.message } else { last } })
    }

    async fn import(&self, id: &str, archive: &Arc<ImageArchive>) -> Result<()> {
        let name = archive.references.first().map_or("", String::as_str);
        (self.on_line)(name);
        let (content, stop) = (Arc::clone(archive), self.cancel.clone());
        let stream = stream_of("import image", self.cancel.clone(), move |out| content.write_to(out, &[], &stop));
        let command = ["ctr", "--namespace", &self.store.namespace, "images", "import", "--snapshotter", &self.store.snapshotter, "-"];
        let request = ExecRequest { stdin: Some(Stdin::Stream(Arc::new(Mutex::new(stream)))), ..ExecRequest::new(command) };
        self.exec(id, &format!("import {name}"), request).await
    }

    /// Labels every image, gives it its second name (the one the CRI plugin looks it up by, which it
    /// would otherwise write at every node's first start), and forgets packed layers.
    fn label_script(&self) -> String {
        let ctr = format!("ctr --namespace {}", self.store.namespace);
        let labels: Vec<String> = self.store.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut script = String::from("set -e\n");
        let mut named = BTreeSet::new();
        for archive in &self.archives {
            for name in &archive.references {
                script += &format!("{ctr} images label {name} {} >/dev/null\n", labels.join(" "));
                let id = archive.config_digest();
                if named.insert(id.clone()) {
                    script += &format!("{ctr} images tag {name} {id} >/dev/null\n");
                    script += &format!("{ctr} images label {id} {} >/dev/null\n", labels.join(" "));
                }
            }
        }
        let dropped: Vec<String> = self.dropped().into_iter().map(|digest| format!("sha256:{digest}")).collect();
        if !dropped.is_empty() {
            script += &format!("{ctr} content rm {} >/dev/null\n", dropped.join(" "));
        }
        script
    }

    /// Digests of packed layers that do not go into the image.
    fn dropped(&self) -> BTreeSet<String> {
        let layers = self.archives.iter().flat_map(|archive| &archive.layers).map(|(_, layer)| layer.diff_id.clone());
        if self.store.drop_layer_blobs { layers.collect() } else { BTreeSet::new() }
    }

    async fn exec(&self, id: &str, what: &str, request: ExecRequest) -> Result<()> {
        let output = self.engine.exec(id, request, self.cancel).await.map_err(BuildError::engine(what))?;
        if output.success() {
            return Ok(());
        }
        Err(BuildError::Helper { what: what.to_owned(), message: format!("exit code {}: {}", output.exit_code, output.tail(5)) })
    }
}

/// Whether the engine will not give the privileges, as opposed to being broken or gone.
fn is_refusal(error: &EngineError) -> bool {
    match error.kind {
        EngineErrorKind::Refused => true,
        // A runtime that cannot apply what was asked for is reported as the engine's own failure.
        EngineErrorKind::Failed | EngineErrorKind::Conflict => {
            ["operation not permitted", "capabilit", "caps"].iter().any(|word| error.message.contains(word))
        }
        _ => false,
    }
}

/// Copies the store's archive (whose first folder is the store's own) under another path.
fn reroot(source: impl Read, path: &str, dropped: &BTreeSet<String>, target: &Path, cancel: CancellationToken) -> io::Result<Written> {
    let path = path.trim_matches('/');
    let mut tarball = Tarball::new(BufWriter::with_capacity(1 << 20, File::create(target)?), cancel);
    for (end, _) in path.match_indices('/') {
        tarball.folder(&path[..end], Meta::root(0o755))?;
    }
    let rename = |name: &str| {
        let name = name.trim_start_matches("./").trim_matches('/');
        let below = name.split_once('/').map_or("", |(_, below)| below);
        let blob = below.strip_prefix("io.containerd.content.v1.content/blobs/sha256/");
        let left_out = TRANSIENT.iter().any(|start| below.starts_with(start)) || blob.is_some_and(|digest| dropped.contains(digest));
        let new = if below.is_empty() { path.to_owned() } else { format!("{path}/{below}") };
        (!left_out).then_some(new)
    };
    for entry in tar::Archive::new(source).entries()? {
        let entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if let Some(name) = rename(&name) {
            tarball.copy(&name, entry, rename)?;
        }
    }
    let (out, written) = tarball.finish()?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_moves_without_packed_layers_and_traces_of_the_run() {
        let mut source = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(1);
        let blobs = "containerd/io.containerd.content.v1.content/blobs/sha256";
        let names = [
            format!("{blobs}/aa"),
            format!("{blobs}/bb"),
            "containerd/io.containerd.content.v1.content/ingest/x/data".to_owned(),
            "containerd/io.containerd.grpc.v1.introspection/uuid".to_owned(),
            "containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs/pause".to_owned(),
        ];
        for name in &names {
            source.append_data(&mut header, name, b"x".as_slice()).unwrap();
        }
        let source = source.into_inner().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("layer.tar");
        let written = reroot(source.as_slice(), "/kind/store", &["aa".to_owned()].into(), &target, CancellationToken::new()).unwrap();
        let names: Vec<&str> = written.listing.iter().map(|(path, _)| path).collect();
        assert_eq!(
            names,
            [
                "kind",
                "kind/store/io.containerd.content.v1.content/blobs/sha256/bb",
                "kind/store/io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs/pause",
            ]
        );
        assert_eq!(std::fs::metadata(&target).unwrap().len(), written.size);
    }
}
