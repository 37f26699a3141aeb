//! Exports of fleets on an engine in memory, and archives that mean no good.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::folder::Folder;
use super::unpack::{Limits, unpack};
use super::{ExportOptions, ExportReport};
use crate::domain::container::ContainerSpec;
use crate::domain::labels;
use crate::engine::fake::Verb;
use crate::engine::fake::{ExecReply, FakeEngine, Fault, When};
use crate::engine::{ByteStream, Engine as _, EngineErrorKind};
use crate::ops::{ErrorKind, Kindmesh};

const WIDE: Limits = Limits { total: 1 << 20, file: 1 << 20 };

async fn node(engine: &FakeEngine, cluster: &str, env: &[&str]) {
    let name = format!("{cluster}-control-plane");
    let of = [(labels::CLUSTER, cluster), (labels::ROLE, "control-plane"), (labels::FLEET, "duo")];
    let spec = ContainerSpec {
        image: "i".into(),
        network: "bridge".into(),
        env: env.iter().map(|entry| (*entry).to_owned()).collect(),
        labels: of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>(),
        ..ContainerSpec::default()
    };
    engine.create_container(&name, &spec).await.unwrap();
    engine.start_container(&name).await.unwrap();
    engine.log(&name, "Welcome to a node!\nAuthorization: Bearer abcdefghijklmnopqrst\n");
    engine.add_file(&name, "/var/log/pods/default_a_1/a/0.log", "hello\ntoken abcdef.0123456789abcdef\n");
    engine.add_file(&name, "/var/log/journal/1/system.journal", "LPKSHHRH");
}

/// Two nodes, the second of which has ended.
async fn duo() -> Arc<FakeEngine> {
    let engine = FakeEngine::new();
    engine.add_image("i", &[]);
    node(&engine, "a", &["HTTP_PROXY=http://me:hunter2@proxy", "container=docker"]).await;
    node(&engine, "b", &[]).await;
    engine.on_exec(|call| {
        let script = call.cmd.get(2)?;
        Some(match script.as_str() {
            "cat /kind/version" => ExecReply::stdout("v1.34.4\n"),
            script if script.starts_with("journalctl --no-pager |") => ExecReply::stdout("-- Journal begins\n"),
            "crictl images" => ExecReply::fails(1, "no runtime"),
            _ => ExecReply::stdout(""),
        })
    });
    engine.end_container("b-control-plane", 137);
    Arc::new(engine)
}

async fn export(engine: &Arc<FakeEngine>, folder: &Path) -> ExportReport {
    Kindmesh::new(engine.clone()).export_logs(folder, &ExportOptions::default()).await.unwrap()
}

fn text(folder: &Path, path: &str) -> String {
    fs::read_to_string(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Everything below a folder, as one text.
fn everything(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all += &if path.is_dir() { everything(&path) } else { String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned() };
    }
    all
}

#[tokio::test]
async fn a_fleet_with_a_dead_node_is_exported_without_its_secrets() {
    let (engine, home) = (duo().await, tempfile::tempdir().unwrap());
    let folder = home.path().join("logs");
    let report = export(&engine, &folder).await;
    assert_eq!(text(&folder, "a-control-plane/kubernetes-version.txt"), "v1.34.4\n");
    assert_eq!(text(&folder, "a-control-plane/journal.log"), "-- Journal begins\n");
    assert!(text(&folder, "a-control-plane/serial.log").starts_with("Welcome"));
    assert!(text(&folder, "a-control-plane/pods/default_a_1/a/0.log").starts_with("hello\n"));
    assert!(text(&folder, "a-control-plane/inspect.json").contains("HTTP_PROXY=(hidden)"));
    assert!(!folder.join("a-control-plane/journal").exists(), "it is there as text");
    // The dead one: what is to be had from outside.
    assert_eq!(text(&folder, "b-control-plane/journal/1/system.journal"), "LPKSHHRH");
    assert!(folder.join("b-control-plane/pods/default_a_1/a/0.log").exists());
    let all = everything(&folder);
    for secret in ["hunter2", "0123456789abcdef", "abcdefghijklmnopqrst"] {
        assert!(!all.contains(secret), "{secret}");
    }
    let states: Vec<(&str, &str)> =
        report.clusters.iter().flat_map(|cluster| &cluster.nodes).map(|node| (node.name.as_str(), node.state.as_str())).collect();
    assert_eq!(states, [("a-control-plane", "running"), ("b-control-plane", "exited")]);
    for reason in
        ["images.log: exit code 1: no runtime", "journal and images: the node is exited", "cluster b: node b-control-plane does not run"]
    {
        assert!(report.missing.iter().any(|missing| missing.contains(reason)), "{reason}: {:?}", report.missing);
    }
    assert!(report.files > 8 && report.bytes > 0);
}

#[tokio::test]
async fn an_export_is_written_over_an_older_one_and_fails_only_when_nothing_can_be_had() {
    let (engine, home) = (duo().await, tempfile::tempdir().unwrap());
    fs::create_dir_all(home.path().join("a-control-plane")).unwrap();
    fs::write(home.path().join("a-control-plane/serial.log"), "x".repeat(10_000)).unwrap();
    export(&engine, home.path()).await;
    assert!(text(home.path(), "a-control-plane/serial.log").starts_with("Welcome"));
    let km = Kindmesh::new(engine.clone());
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = km.export_logs(&file.join("logs"), &ExportOptions::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::File, "{refused}");
    let options = ExportOptions { clusters: vec!["c".into()], ..ExportOptions::default() };
    assert_eq!(km.export_logs(home.path(), &options).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_hangs_costs_its_deadline_and_no_more() {
    let (engine, home) = (duo().await, tempfile::tempdir().unwrap());
    engine.on_exec(|_| Some(ExecReply::Hang));
    engine.fault(When::Every(Verb::GetArchive), Fault::Fail(EngineErrorKind::Failed, "broken".into()));
    let begun = tokio::time::Instant::now();
    let options = ExportOptions { deadline: Duration::from_secs(40), ..ExportOptions::default() };
    let report = Kindmesh::new(engine).export_logs(home.path(), &options).await.unwrap();
    assert!(begun.elapsed() <= Duration::from_secs(41), "{:?}", begun.elapsed());
    assert!(report.missing.iter().any(|missing| missing.contains("the rest: not told within 40 s")), "{:?}", report.missing);
    assert!(home.path().join("a-control-plane/serial.log").exists());
}

// --- archives ---

fn pieces(bytes: &[u8]) -> ByteStream {
    stream::iter(bytes.chunks(100).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect::<Vec<_>>()).boxed()
}

/// An entry as it is written, whatever its name says.
fn entry(archive: &mut Vec<u8>, path: &str, kind: tar::EntryType, link: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o777);
    header.set_cksum();
    archive.extend_from_slice(header.as_bytes());
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(512), 0);
}

async fn unpacked(archive: &[u8], limits: Limits) -> (tempfile::TempDir, Vec<String>) {
    let home = tempfile::tempdir().unwrap();
    let folder = Folder::create(&home.path().join("node")).unwrap();
    let missing = unpack(pieces(archive), "log", &folder, limits, &|_| false).await;
    (home, missing)
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type().unwrap())).unwrap();
        assert!(kind.is_dir() || kind.is_file(), "{} is a link or a device", path.display());
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match kind.is_dir() {
            true => found.extend(files(&path).into_iter().map(|inner| format!("{name}/{inner}"))),
            false => found.push(name),
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn an_archive_cannot_leave_its_folder() {
    use tar::EntryType::{Block, Char, Directory, Fifo, Link, Regular, Symlink};
    let mut archive = Vec::new();
    for path in ["../up", "/etc/absolute", "log/../../up", "log/a/../../../up", "other/file"] {
        entry(&mut archive, path, Regular, "", b"evil");
    }
    // A link to a folder outside, and a file that would go through it.
    entry(&mut archive, "log/out", Symlink, "/tmp", b"");
    entry(&mut archive, "log/out/through", Regular, "", b"stays inside");
    entry(&mut archive, "log/passwd", Link, "/etc/passwd", b"");
    entry(&mut archive, "log/passwd2", Symlink, "/etc/passwd", b"");
    entry(&mut archive, "log/up", Symlink, "../../../../etc/passwd", b"");
    for (path, kind) in [("log/char", Char), ("log/block", Block), ("log/pipe", Fifo)] {
        entry(&mut archive, path, kind, "", b"");
    }
    entry(&mut archive, "log/pods", Directory, "", b"");
    entry(&mut archive, "log/pods/0.log", Regular, "", b"good");
    archive.resize(archive.len() + 1024, 0);
    let (home, missing) = unpacked(&archive, WIDE).await;
    assert_eq!(files(home.path()), ["node/out/through", "node/pods/0.log"]);
    assert!(!Path::new("/tmp/through").exists());
    for told in ["../up: a path outside of log", "pipe: neither a file nor a folder", "passwd: a link to somewhere else"] {
        assert!(missing.iter().any(|missing| missing == told), "{told}: {missing:?}");
    }
}

#[tokio::test]
async fn links_to_files_of_the_archive_become_second_names() {
    use tar::EntryType::{Regular, Symlink};
    let mut archive = Vec::new();
    entry(&mut archive, "log/containers/a.log", Symlink, "/var/log/pods/p/a/0.log", b"");
    entry(&mut archive, "log/containers/b.log", Symlink, "../pods/p/a/0.log", b"");
    entry(&mut archive, "log/containers/chain.log", Symlink, "a.log", b"");
    entry(&mut archive, "log/containers/circle", Symlink, "circle", b"");
    entry(&mut archive, "log/containers/gone.log", Symlink, "/var/log/pods/gone/0.log", b"");
    entry(&mut archive, "log/pods/p/a/0.log", Regular, "", b"line");
    archive.resize(archive.len() + 1024, 0);
    let (home, missing) = unpacked(&archive, WIDE).await;
    assert_eq!(missing, Vec::<String>::new());
    let found = files(&home.path().join("node"));
    assert_eq!(found, ["containers/a.log", "containers/b.log", "containers/chain.log", "pods/p/a/0.log"]);
    assert_eq!(text(home.path(), "node/containers/chain.log"), "line");
}

#[tokio::test]
async fn an_archive_is_bounded_and_one_that_breaks_off_is_kept_as_far_as_it_came() {
    let mut archive = Vec::new();
    for name in ["log/a", "log/b", "log/c"] {
        entry(&mut archive, name, tar::EntryType::Regular, "", &[b'x'; 3000]);
    }
    let (home, missing) = unpacked(&archive, WIDE).await;
    assert_eq!(files(&home.path().join("node")), ["a", "b", "c"]);
    assert!(missing[0].contains("cut off"), "{missing:?}");
    let (home, missing) = unpacked(&archive, Limits { total: 2500, file: 2000 }).await;
    let size = |name: &str| fs::metadata(home.path().join("node").join(name)).unwrap().len();
    assert_eq!((size("a"), size("b"), home.path().join("node/c").exists()), (2000, 500, false));
    assert!(missing.iter().any(|missing| missing.contains("the limit of 2500 bytes is reached")), "{missing:?}");
    let (home, missing) = unpacked(&[7; 4096], WIDE).await;
    assert!(files(home.path()).is_empty() && missing[0].contains("breaks off"), "{missing:?}");
    // A file where a folder should be, and the other way round.
    let mut archive = Vec::new();
    for name in ["log/a", "log/a/b", "log/d/e", "log/d"] {
        entry(&mut archive, name, tar::EntryType::Regular, "", b"x");
    }
    archive.resize(archive.len() + 1024, 0);
    let (home, missing) = unpacked(&archive, WIDE).await;
    assert_eq!((files(&home.path().join("node")).join(","), missing.len()), ("a,d/e".to_owned(), 2));
}
