//! What one node has to tell.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::folder::{Folder, parts};
use super::report::{ExportOptions, ExportedNode};
use super::unpack::{Limits, unpack};
use crate::engine::{ContainerInfo, Engine, ExecRequest};
use crate::ops::inventory::is_running;

/// How long one command in a node may take.
const COMMAND: Duration = Duration::from_secs(30);
/// The newest bytes of a journal that are taken.
const JOURNAL: usize = 16 << 20;
/// Bytes of the console that are taken.
const CONSOLE: u64 = 16 << 20;
/// Files that are written from elsewhere than the node's logs.
const OWN: [&str; 7] =
    ["inspect.json", "serial.log", "kubernetes-version.txt", "journal.log", "kubelet.log", "containerd.log", "images.log"];

/// Commands by the file that gets their output, as kind has them. `$1` is the most that may be printed.
const COMMANDS: [(&str, &str); 6] = [
    ("kubernetes-version.txt", "cat /kind/version"),
    ("journal.log", r#"journalctl --no-pager | tail -c "$1""#),
    ("kubelet.log", r#"journalctl --no-pager -u kubelet.service | tail -c "$1""#),
    ("containerd.log", r#"journalctl --no-pager -u containerd.service | tail -c "$1""#),
    ("images.log", "crictl images"),
    // Beside what kind writes: what runs, what is full, where packets go.
    (
        "state.log",
        "uptime; echo; crictl ps -a; echo; ps axo pid,ppid,rss,etime,args --sort=-rss 2>/dev/null | head -n 60; echo; df -h /var /; echo; cat /proc/meminfo | head -n 5; echo; ip address; ip route; exit 0",
    ),
];

/// Writes everything a node has to tell into its own folder, and returns what it could not tell. Takes no longer
/// than the options say.
pub(super) async fn export(
    engine: &dyn Engine,
    node: &ContainerInfo,
    folder: &Folder,
    options: &ExportOptions,
    cancel: &CancellationToken,
) -> (ExportedNode, Vec<String>) {
    let mut missing = Vec::new();
    match folder.inside(&node.name) {
        Err(error) => missing.push(format!("node {}: {error}", node.name)),
        Ok(own) => {
            let (work, mut told) = (Work { engine, node, folder: &own, options, cancel }, Vec::new());
            if tokio::time::timeout(options.deadline, work.all(&mut told)).await.is_err() {
                told.push(format!("the rest: not told within {} s", options.deadline.as_secs()));
            }
            missing.extend(told.into_iter().map(|what| format!("node {}: {what}", node.name)));
            let (files, bytes) = own.written();
            return (ExportedNode { name: node.name.clone(), state: state(node), files, bytes }, missing);
        }
    }
    (ExportedNode { name: node.name.clone(), state: state(node), files: 0, bytes: 0 }, missing)
}

struct Work<'a> {
    engine: &'a dyn Engine,
    node: &'a ContainerInfo,
    folder: &'a Folder,
    options: &'a ExportOptions,
    cancel: &'a CancellationToken,
}

// === impl Work ===

impl Work<'_> {
    /// The quickest first: a node that hangs has then told something.
    async fn all(&self, missing: &mut Vec<String>) {
        self.inspect(missing).await;
        self.console(missing).await;
        if is_running(self.node) {
            for (file, script) in COMMANDS {
                self.command(file, script, missing).await;
            }
        } else {
            missing.push(format!("journal and images: the node is {}", state(self.node)));
        }
        self.logs(missing).await;
    }

    async fn inspect(&self, missing: &mut Vec<String>) {
        match self.engine.describe_container(&self.node.id).await {
            Err(error) => missing.push(error.to_string()),
            Ok(mut described) => {
                hide_values(&mut described);
                let text = serde_json::to_string_pretty(&described).unwrap_or_default() + "\n";
                self.write("inspect.json", text.as_bytes(), missing);
            }
        }
    }

    /// What the node's first process said.
    async fn console(&self, missing: &mut Vec<String>) {
        let Ok(mut output) = self.folder.begin(&["serial.log"]) else {
            missing.push("serial.log: it cannot be written".to_owned());
            return;
        };
        let mut left = CONSOLE;
        match self.engine.container_logs(&self.node.id, false, None).await {
            Err(error) => missing.push(error.to_string()),
            Ok(mut console) => {
                while let Some(piece) = console.next().await {
                    match piece {
                        Ok(bytes) if left > 0 => {
                            let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                            left -= taken as u64;
                            if let Err(error) = output.push(&bytes[..taken]) {
                                missing.push(format!("serial.log: {error}"));
                                return;
                            }
                        }
                        Ok(_) => {
                            missing.push(format!("serial.log: what follows its first {CONSOLE} bytes"));
                            break;
                        }
                        Err(error) => {
                            missing.push(error.to_string());
                            break;
                        }
                    }
                }
            }
        }
        if let Err(error) = output.end() {
            missing.push(format!("serial.log: {error}"));
        }
    }

    async fn command(&self, file: &str, script: &str, missing: &mut Vec<String>) {
        let limit = JOURNAL.to_string();
        let request = ExecRequest::new(["sh", "-c", script, "sh", &limit]);
        // A command that hangs is killed in the node, as with every other.
        let cancel = self.cancel.child_token();
        let asked = self.engine.exec(&self.node.name, request, &cancel);
        match tokio::time::timeout(COMMAND.min(self.options.deadline), asked).await {
            Err(_) => missing.push(format!("{file}: the node did not tell within {} s", COMMAND.as_secs())),
            Ok(Err(error)) => missing.push(format!("{file}: {error}")),
            Ok(Ok(done)) => {
                if !done.success() {
                    missing.push(format!("{file}: exit code {}: {}", done.exit_code, done.tail(1)));
                }
                if !done.stdout.is_empty() {
                    self.write(file, &done.stdout[done.stdout.len().saturating_sub(JOURNAL)..], missing);
                }
            }
        }
    }

    /// The node's `/var/log`, taken from outside: that works with one that has ended or is suspended, too.
    async fn logs(&self, missing: &mut Vec<String>) {
        const ROOT: &str = "log";
        let running = is_running(self.node);
        let left_out = move |path: &str| {
            let first = path.split('/').next().unwrap_or_default();
            // The journal is there as text, unless the node cannot print it.
            (OWN.contains(&first) && parts(path).is_some_and(|parts| parts.len() == 1)) || (running && first == "journal")
        };
        match self.engine.get_archive(&self.node.id, "/var/log").await {
            Err(error) => missing.push(error.to_string()),
            Ok(archive) => {
                let limits = Limits { total: self.options.node_bytes, file: self.options.file_bytes };
                missing.extend(unpack(archive, ROOT, self.folder, limits, &left_out).await);
            }
        }
    }

    fn write(&self, file: &str, content: &[u8], missing: &mut Vec<String>) {
        if let Err(error) = self.folder.write(file, content) {
            missing.push(format!("{file}: {error}"));
        }
    }
}

/// Leaves the names of environment entries and takes their values: proxies have passwords.
fn hide_values(described: &mut Value) {
    const KNOWN: [&str; 4] = ["PATH", "container", "KUBECONFIG", "NO_PROXY"];
    let Some(Value::Array(entries)) = described.pointer_mut("/Config/Env") else { return };
    for entry in entries {
        if let Some((name, _)) = entry.as_str().and_then(|text| text.split_once('='))
            && !KNOWN.contains(&name)
        {
            *entry = Value::String(format!("{name}=(hidden)"));
        }
    }
}

pub(super) fn state(node: &ContainerInfo) -> String {
    format!("{:?}", node.state).to_lowercase()
}
