//! All clusters that are asked for, at once.

use std::path::Path;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream;

use super::folder::Folder;
use super::report::{ExportOptions, ExportReport, ExportedCluster};
use super::{cluster, node};
use crate::domain::name::Role;
use crate::engine::ContainerInfo;
use crate::ops::context::Kindmesh;
use crate::ops::error::{Error, ErrorKind, Result};
use crate::ops::inventory::{Inventory, role};
use crate::ops::selection;

/// Nodes that tell at the same time: each may bring some megabytes of journal.
const AT_ONCE: usize = 4;

/// Folder of what API servers tell; no node can have this name.
const KUBERNETES: &str = "kubernetes";

impl Kindmesh {
    /// Writes what nodes and API servers can tell into a folder, in the layout of kind's `export logs`:
    ///
    /// - `kind-version.txt`, `docker-info.txt`: this library, the engine and its host;
    /// - `<node>/`: `inspect.json`, `serial.log`, `kubernetes-version.txt`, `journal.log`, `kubelet.log`,
    ///   `containerd.log`, `images.log`, and the node's `/var/log` (`pods/`, `containers/`, …); beyond kind's,
    ///   `state.log`;
    /// - beyond kind's, `kubernetes/<cluster>/`: `events.log`, `nodes.txt`, `pods.txt`.
    ///
    /// Folders and files are their owner's alone. Values of the nodes' environment are left out, and what looks
    /// like a token, a key or a password is covered with asterisks. Nothing is ever written outside of the folder,
    /// and no more than the options say. What could not be had is a part of the report: clusters are
    /// exported most of all when something is wrong with them.
    ///
    /// # Errors
    /// When the engine cannot list the nodes, there is no such fleet or cluster, or the folder cannot be written.
    pub async fn export_logs(&self, folder: &Path, options: &ExportOptions) -> Result<ExportReport> {
        let inventory = Inventory::read(self.engine.as_ref()).await?;
        let clusters = selection::clusters(&inventory, options.fleet.as_ref(), &options.clusters)?;
        let root = Folder::create(folder).map_err(|error| unwritable(folder, error))?;
        let mut missing = self.describe(&root).await;
        let nodes: Vec<(&str, &ContainerInfo)> = clusters
            .iter()
            .flat_map(|name| inventory.nodes(name).iter().map(move |node| (name.as_str(), node)))
            .filter(|(_, node)| matches!(role(node), Some(Role::ControlPlane | Role::Worker)))
            .collect();
        let (engine, cancel, root) = (self.engine.as_ref(), &self.cancel, &root);
        let told = nodes.iter().map(|(name, node)| async move { (*name, node::export(engine, node, root, options, cancel).await) });
        let told = stream::iter(told).buffered(AT_ONCE).collect::<Vec<_>>();
        let inventory = &inventory;
        let asked = join_all(clusters.iter().map(|name| async move {
            let own = root.inside(&format!("{KUBERNETES}/{name}")).map_err(|error| vec![format!("cluster {name}: {error}")]);
            match own {
                Ok(own) => (cluster::export(engine, name, inventory, &own).await, own.written()),
                Err(error) => (Err(error), (0, 0)),
            }
        }));
        let (told, asked) = tokio::join!(told, asked);
        if self.cancel.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "cancelled: export logs")
                .hint(format!("what was told by then is in {}", folder.display())));
        }
        let (mut files, mut bytes) = root.written();
        let mut report = Vec::new();
        for (name, (kubernetes, written)) in clusters.iter().zip(asked) {
            files += written.0;
            bytes += written.1;
            report.push(ExportedCluster { name: name.clone(), nodes: Vec::new(), kubernetes: kubernetes.is_ok() });
            missing.extend(kubernetes.err().into_iter().flatten());
        }
        for (name, (node, lacks)) in told {
            files += node.files;
            bytes += node.bytes;
            missing.extend(lacks);
            if let Some(cluster) = report.iter_mut().find(|cluster| cluster.name == name) {
                cluster.nodes.push(node);
            }
        }
        if files == 0 {
            let error = Error::new(ErrorKind::File, format!("nothing could be written into {}", folder.display()));
            return Err(missing.into_iter().take(5).fold(error, Error::hint));
        }
        Ok(ExportReport { folder: folder.to_owned(), clusters: report, files, bytes, missing })
    }

    /// This library and the engine.
    async fn describe(&self, folder: &Folder) -> Vec<String> {
        let mut missing = Vec::new();
        let mut write =
            |name: &str, text: String| missing.extend(folder.write(name, text.as_bytes()).err().map(|error| format!("{name}: {error}")));
        write("kind-version.txt", format!("kindmesh v{}\n", env!("CARGO_PKG_VERSION")));
        match self.engine.facts().await {
            Ok(facts) => {
                let text = serde_json::to_string_pretty(&facts).unwrap_or_default();
                write("docker-info.txt", format!("Endpoint: {}\n{text}\n", self.engine.endpoint()));
            }
            Err(error) => missing.push(error.to_string()),
        }
        missing
    }
}

pub(super) fn unwritable(folder: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::File, format!("write into folder {}", folder.display()))
        .because(error)
        .hint("name a folder that may be written to, or one that can be made")
}
