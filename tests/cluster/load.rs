//! Images into nodes: from the engine and from archives, only what is missing, and right to the last bit.

use std::io::Write as _;

use futures_util::StreamExt as _;
use kindmesh::domain::oci::sha256_digest;
use serde_json::{Value, json};

use crate::support::Bench;

const FIRST: &str = "kindmesh-test/load:1";
const SECOND: &str = "kindmesh-test/load:2";
const NODES: [&str; 2] = ["load1-control-plane", "load2-control-plane"];

/// A layer of some entries: path (a folder's ends with a slash), permission bits, owner, content; a link's
/// path has its target after an arrow.
fn layer(entries: &[(&str, u32, u64, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, mode, owner, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(*mode);
        header.set_uid(*owner);
        header.set_gid(*owner);
        header.set_mtime(1_000_000_000);
        header.set_size(content.len() as u64);
        match path.split_once(" -> ") {
            Some((path, target)) => {
                header.set_entry_type(tar::EntryType::Symlink);
                builder.append_link(&mut header, path, target).unwrap();
            }
            None => {
                header.set_entry_type(if path.ends_with('/') { tar::EntryType::Directory } else { tar::EntryType::Regular });
                builder.append_data(&mut header, path, *content).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

/// Bytes that no packing makes smaller.
fn noise(length: usize, mut seed: u64) -> Vec<u8> {
    let next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}

/// An archive as `docker save` writes it.
fn archive(name: &str, layers: &[Vec<u8>]) -> Vec<u8> {
    let ids: Vec<String> = layers.iter().map(|layer| sha256_digest(layer)).collect();
    let config = json!({
        "os": "linux",
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "config": {"Entrypoint": ["/bin/busybox"], "Cmd": ["sleep", "3600"]},
        "rootfs": {"type": "layers", "diff_ids": ids},
        "history": ids.iter().map(|_| json!({"created_by": "test"})).collect::<Vec<_>>(),
    })
    .to_string();
    let paths: Vec<String> = (0..layers.len()).map(|number| format!("layer{number}.tar")).collect();
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": paths}]).to_string();
    let mut files: Vec<(&str, u32, u64, &[u8])> = vec![("config.json", 0o644, 0, config.as_bytes())];
    files.extend(paths.iter().zip(layers).map(|(path, content)| (path.as_str(), 0o644, 0, content.as_slice())));
    files.push(("manifest.json", 0o644, 0, manifest.as_bytes()));
    layer(&files)
}

async fn onto_engine(bench: &Bench, archive: &[u8]) {
    let bytes = bytes::Bytes::copy_from_slice(archive);
    bench.engine.load_images(futures_util::stream::iter([Ok(bytes)]).boxed()).await.expect("load into the engine");
}

fn outcomes(report: &Value) -> Vec<(&str, &str)> {
    let nodes = report["nodes"].as_array().unwrap().iter();
    nodes.map(|node| (node["node"].as_str().unwrap(), node["images"][0]["outcome"].as_str().unwrap())).collect()
}

fn sent(report: &Value) -> Vec<u64> {
    report["nodes"].as_array().unwrap().iter().map(|node| node["sentBytes"].as_u64().unwrap()).collect()
}

/// Everything about the files of an image in a node, but the times of folders.
async fn files(bench: &Bench, node: &str, image: &str) -> String {
    let script = format!(
        "set -e; mkdir /tmp/look; ctr -n k8s.io images mount docker.io/{image} /tmp/look >/dev/null; cd /tmp/look
        find . -type d -printf '%p %M %U %G\\n' -o -printf '%p %M %U %G %l %s %T@\\n' | sort; find . -type f -exec sha256sum {{}} + | sort
        cd /; ctr -n k8s.io images unmount --rm /tmp/look >/dev/null; rmdir /tmp/look"
    );
    let (code, text) = bench.in_node(node, &script).await;
    assert_eq!(code, 0, "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn images_go_into_every_node_once() {
    let bench = Bench::new("load").await;
    bench.fleet_file("clusterPrefix: load\nclusters: 2\n");
    bench.kindmesh(["up", "-f", "kindmesh.yaml"]).ok();

    let busybox = std::fs::read("/bin/busybox").expect("a static busybox");
    let base = layer(&[
        ("bin/", 0o755, 0, b""),
        ("bin/busybox", 0o4755, 0, &busybox),
        ("bin/sh -> busybox", 0o777, 0, b""),
        ("srv/", 0o2750, 7, b""),
        ("srv/gone", 0o600, 7, b"deleted above"),
        ("srv/replaced", 0o600, 7, b"old"),
    ]);
    let middle = layer(&[("data/", 0o700, 9, b""), ("data/noise", 0o640, 9, &noise(20 << 20, 1))]);
    // A whiteout, and a folder that is not named: it keeps the attributes that it has below.
    let top = layer(&[("srv/.wh.gone", 0o644, 0, b""), ("srv/replaced", 0o644, 8, b"new"), ("srv/new", 0o644, 8, b"1")]);
    let other = layer(&[("srv/new", 0o644, 8, &noise(2 << 20, 2))]);
    let first = archive(FIRST, &[base.clone(), middle.clone(), top]);
    onto_engine(&bench, &first).await;
    onto_engine(&bench, &archive(SECOND, &[base, middle, other])).await;
    let load = |args: &[&str]| bench.kindmesh([&["load", "--fleet", "load", "-o", "json"], args].concat());

    // One node first, by containerd's own import, as a packed archive makes it; then the other as usual.
    let packed = bench.dir.path().join("first.tar.gz");
    let mut gzip = flate2::write::GzEncoder::new(std::fs::File::create(&packed).unwrap(), flate2::Compression::fast());
    gzip.write_all(&first).unwrap();
    gzip.finish().unwrap();
    let report = load(&["--archive", packed.to_str().unwrap(), "--node", NODES[1]]).json();
    assert_eq!(outcomes(&report), [(NODES[1], "loaded")]);
    let report = load(&[FIRST]).json();
    assert_eq!(outcomes(&report), [(NODES[0], "loaded"), (NODES[1], "present")]);
    assert!(sent(&report)[0] > 20 << 20 && sent(&report)[1] == 0, "{report:#}");
    assert_eq!(files(&bench, NODES[0], FIRST).await, files(&bench, NODES[1], FIRST).await, "as containerd unpacks it");
    let (code, left) = bench
        .in_node(NODES[0], "ls -d /var/lib/containerd/kindmesh-load* 2>/dev/null; ctr -n k8s.io snapshots ls | grep kindmesh-load")
        .await;
    assert_ne!(code, 0, "nothing is left: {left}");

    // Nothing is sent, and nothing read, when everything is there.
    let again = load(&[FIRST]).json();
    assert_eq!((again["changed"].as_bool(), again["readBytes"].as_u64()), (Some(false), Some(0)), "{again:#}");

    // Another top layer: only that one.
    let report = load(&[SECOND]).json();
    assert_eq!(outcomes(&report), [(NODES[0], "loaded"), (NODES[1], "loaded")]);
    assert!(sent(&report).iter().all(|bytes| (2 << 20..3 << 20).contains(bytes)), "{report:#}");
    assert_eq!(files(&bench, NODES[0], SECOND).await, files(&bench, NODES[1], SECOND).await);

    // Another name of what is there; a plain archive of it, on standard input too.
    bench.engine.tag_image(FIRST, "kindmesh-test/load:same").await.expect("tag");
    assert_eq!(outcomes(&load(&["kindmesh-test/load:same", "--node", NODES[0]]).json()), [(NODES[0], "tagged")]);
    let plain = bench.dir.path().join("first.tar");
    std::fs::write(&plain, &first).unwrap();
    assert_eq!(load(&["--archive", plain.to_str().unwrap()]).json()["changed"], false);
    let piped =
        bench.command(["load", "--cluster", "load1", "--archive", "-"]).stdin(std::fs::File::open(&plain).unwrap()).output().unwrap();
    assert!(piped.status.success(), "{}", String::from_utf8_lossy(&piped.stderr));

    // Pods run from them in both clusters, though no registry has them.
    for cluster in ["load1", "load2"] {
        for (pod, image) in [("one", FIRST), ("two", SECOND)] {
            bench.kubectl(cluster, &format!("run {pod} --image={image} --image-pull-policy=Never")).await;
        }
        bench.kubectl(cluster, "wait --for=condition=Ready pod/one pod/two --timeout=60s").await;
        let seen = bench.kubectl(cluster, "exec one -- /bin/busybox ls /srv").await;
        assert_eq!(seen.split_whitespace().collect::<Vec<_>>(), ["new", "replaced"]);
    }

    let refused = load(&["kindmesh-test/nope:1"]).failed(9);
    assert!(refused.contains("docker pull") && refused.contains("--archive"), "{refused}");
    for image in [FIRST, SECOND, "kindmesh-test/load:same"] {
        bench.engine.remove_image(image).await.expect("remove");
    }
}
