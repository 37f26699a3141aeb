//! `load` on an engine in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{LoadOutcome, LoadReport, LoadRequest, LoadSource};
use crate::domain::container::ContainerSpec;
use crate::domain::labels;
use crate::domain::oci::{chain_ids, sha256_digest};
use crate::engine::fake::{ExecCall, ExecReply, FakeEngine, Fault, Verb, When};
use crate::engine::{Engine as _, EngineErrorKind, ImageInfo};
use crate::ops::{ErrorKind, Kindmesh};

/// Only the command that makes images of unpacked layers has this.
const UNPACKS: &str = "read -r order";
const NAME: &str = "docker.io/library/shop:dev";

/// An image as an engine saves it.
struct Saved {
    id: String,
    layers: Vec<String>,
    tar: Vec<u8>,
}

/// Commands with their input, as the nodes got them.
type Heard = Arc<Mutex<Vec<ExecCall>>>;

fn layer(names: &[&str]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for name in names {
        let mut header = tar::Header::new_ustar();
        header.set_size(name.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, name.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn saved(layers: &[Vec<u8>]) -> Saved {
    let ids: Vec<String> = layers.iter().map(|layer| sha256_digest(layer)).collect();
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ids}}).to_string();
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |name: &str, content: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, content).unwrap();
    };
    let paths: Vec<String> = ids.iter().map(|id| format!("{}/layer.tar", &id[7..])).collect();
    for (path, layer) in paths.iter().zip(layers) {
        add(path, layer);
    }
    add("config.json", config.as_bytes());
    add("manifest.json", json!([{"Config": "config.json", "RepoTags": ["shop:dev"], "Layers": paths}]).to_string().as_bytes());
    Saved { id: sha256_digest(config.as_bytes()), layers: ids, tar: builder.into_inner().unwrap() }
}

/// Two one-node clusters of fleet `duo`, and the image on the engine.
async fn engine(image: &Saved) -> Arc<FakeEngine> {
    let engine = FakeEngine::new();
    engine.add_image("node", &[]);
    let info = ImageInfo {
        id: image.id.clone(),
        tags: vec!["shop:dev".into()],
        digests: Vec::new(),
        size: 1,
        labels: Default::default(),
        architecture: "amd64".into(),
        layers: image.layers.clone(),
        packed: false,
    };
    engine.add_saved_image(info, image.tar.clone());
    for cluster in ["a", "b"] {
        let labels = [(labels::CLUSTER, cluster), (labels::ROLE, "control-plane"), (labels::FLEET, "duo")];
        let spec = ContainerSpec {
            image: "node".into(),
            network: "bridge".into(),
            labels: labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            ..ContainerSpec::default()
        };
        let name = format!("{cluster}-control-plane");
        engine.create_container(&name, &spec).await.unwrap();
        engine.start_container(&name).await.unwrap();
    }
    engine.clear_calls();
    Arc::new(engine)
}

/// Nodes that hold these images (rows of `ctr images ls`), stacks and blobs; what they are sent is heard.
fn nodes(engine: &FakeEngine, images: String, survey: String) -> Heard {
    let heard = Heard::default();
    let ears = heard.clone();
    engine.on_exec(move |call| {
        let line = call.line();
        if line.contains("images ls") {
            return Some(ExecReply::stdout(format!("REF TYPE DIGEST SIZE\n{images}")));
        }
        if line.contains("uname -m") {
            return Some(ExecReply::stdout(format!("machine x86_64\nsnapshotter overlayfs\n{survey}")));
        }
        if !line.contains("mkdir \"$into\"") {
            ears.lock().unwrap().push(call.clone());
        }
        None
    });
    heard
}

fn request() -> LoadRequest {
    LoadRequest { source: LoadSource::Images(vec!["shop:dev".into()]), fleet: None, clusters: Vec::new(), nodes: Vec::new() }
}

fn outcomes(report: &LoadReport) -> Vec<LoadOutcome> {
    report.nodes.iter().flat_map(|node| &node.images).map(|image| image.outcome).collect()
}

fn text(call: &ExecCall) -> String {
    String::from_utf8_lossy(&call.stdin).into_owned()
}

fn lower_and_upper() -> Saved {
    saved(&[layer(&["bin"]), layer(&["etc/shop/settings"])])
}

#[tokio::test]
async fn one_read_feeds_every_node_and_layers_are_unpacked_in_order() {
    let image = lower_and_upper();
    let engine = engine(&image).await;
    let heard = nodes(&engine, String::new(), String::new());
    let report = Kindmesh::new(engine.clone()).load(&request()).await.unwrap();
    assert_eq!((outcomes(&report), report.changed), (vec![LoadOutcome::Loaded; 2], true));
    assert!(report.failure().is_none());
    assert_eq!(engine.count(Verb::SaveImages), 1);
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 2);
    let sent = text(&heard[0]);
    let stacks = chain_ids(&image.layers);
    let orders: Vec<&str> =
        sent.lines().filter(|line| ["layer ", "stack ", "folder ", "commit", "import"].iter().any(|order| line.contains(order))).collect();
    assert!(
        orders[0].starts_with("layer ") && sent.contains(&format!("stack {} - {}\ncommit\n", stacks[0], &image.layers[0][7..])),
        "{orders:?}"
    );
    let upper = format!("stack {} {} {}\nfolder etc\nfolder etc/shop\ncommit\nimport\n", stacks[1], stacks[0], &image.layers[1][7..]);
    let (_, layout) = sent.split_once(&upper).expect("the upper layer, then the image");
    assert!(layout.contains(NAME) && layout.contains("oci-layout") && !layout.contains("etc/shop/settings"));
    assert_eq!(heard[0].stdin, heard[1].stdin);
    // The engine unpacks the layers, each into its own folder.
    let unpacked: Vec<String> =
        engine.calls().iter().filter(|call| call.verb == Verb::PutArchive).map(|call| call.object.clone()).collect();
    for node in ["a-control-plane", "b-control-plane"] {
        for layer in &image.layers {
            let into = |object: &&String| {
                object.starts_with(&format!("{node}:/var/lib/containerd/kindmesh-load-")) && object.ends_with(&layer[7..])
            };
            assert_eq!(unpacked.iter().filter(into).count(), 1, "{unpacked:?}");
        }
    }
    let layers: usize = [layer(&["bin"]), layer(&["etc/shop/settings"])].iter().map(Vec::len).sum();
    assert_eq!(report.nodes[0].sent_bytes, (heard[0].stdin.len() + layers) as u64);
}

#[tokio::test]
async fn where_nothing_is_missing_no_archive_is_asked_for() {
    let image = lower_and_upper();
    let engine = engine(&image).await;
    let heard = nodes(&engine, format!("{NAME} t sha256:aa\n{} t sha256:aa\n", image.id), String::new());
    let report = Kindmesh::new(engine.clone()).load(&request()).await.unwrap();
    assert_eq!((outcomes(&report), report.changed, report.read_bytes), (vec![LoadOutcome::Present; 2], false, 0));
    assert_eq!((engine.count(Verb::SaveImages), engine.count(Verb::Exec), heard.lock().unwrap().len()), (0, 2, 0));
}

#[tokio::test]
async fn content_under_another_name_is_only_named() {
    let image = lower_and_upper();
    let engine = engine(&image).await;
    let heard = nodes(&engine, format!("{} t sha256:aa\n", image.id), String::new());
    let report = Kindmesh::new(engine.clone()).load(&request()).await.unwrap();
    assert_eq!((outcomes(&report), report.changed), (vec![LoadOutcome::Tagged; 2], true));
    assert_eq!(engine.count(Verb::SaveImages), 0);
    let lines: Vec<String> = heard.lock().unwrap().iter().map(ExecCall::line).collect();
    assert_eq!(lines[0], format!("ctr --namespace k8s.io images tag --force {} {NAME}", image.id));
}

#[tokio::test]
async fn a_layer_that_is_there_is_not_sent() {
    let image = lower_and_upper();
    let engine = engine(&image).await;
    let heard = nodes(&engine, String::new(), format!("snapshot {}\n", image.layers[0]));
    Kindmesh::new(engine.clone()).load(&request()).await.unwrap();
    let sent = text(&heard.lock().unwrap()[0]);
    assert!(!sent.contains(&format!("layer {}", &image.layers[0][7..])) && sent.contains(&format!("layer {}", &image.layers[1][7..])));
    assert_eq!(sent.matches("stack ").count(), 1);

    // Packed layers are containerd's: the rest is imported.
    let engine = self::engine(&image).await;
    let heard = nodes(&engine, String::new(), format!("content {}\n", image.layers[1]));
    Kindmesh::new(engine.clone()).load(&request()).await.unwrap();
    let call = &heard.lock().unwrap()[0];
    assert!(call.line().contains("images import") && !call.line().contains(UNPACKS), "{}", call.line());
    let mut names = Vec::new();
    for entry in tar::Archive::new(call.stdin.as_slice()).entries().unwrap() {
        names.push(entry.unwrap().path().unwrap().display().to_string());
    }
    let blob = |digest: &str| names.contains(&format!("blobs/sha256/{}", &digest[7..]));
    assert!(blob(&image.layers[0]) && !blob(&image.layers[1]) && blob(&image.id), "{names:?}");
    assert!(names.ends_with(&["index.json".to_owned(), "oci-layout".to_owned()]), "{names:?}");
}

#[tokio::test]
async fn a_node_that_cannot_unpack_gets_everything_by_import() {
    let image = saved(&[layer(&["bin"]), layer(&["etc/.wh..wh..opq"])]);
    let engine = engine(&image).await;
    let heard = nodes(&engine, String::new(), format!("snapshot {}\n", image.layers[0]));
    let report = Kindmesh::new(engine.clone()).load(&request()).await.unwrap();
    assert_eq!(outcomes(&report), [LoadOutcome::Loaded; 2]);
    assert_eq!(engine.count(Verb::SaveImages), 2);
    let heard = heard.lock().unwrap();
    let imported: Vec<&ExecCall> = heard.iter().filter(|call| call.line().contains("exec ctr")).collect();
    assert_eq!(imported.len(), 2);
    assert!(image.layers.iter().all(|layer| text(imported[0]).contains(&format!("blobs/sha256/{}", &layer[7..]))));
}

#[tokio::test]
async fn where_the_engine_cannot_unpack_containerd_imports() {
    let image = lower_and_upper();
    // At the first layer and at the second of both nodes; and where there is no room for layers.
    for fault in [When::Verb(Verb::PutArchive, 1), When::Verb(Verb::PutArchive, 3)] {
        let engine = engine(&image).await;
        let heard = nodes(&engine, String::new(), String::new());
        engine.fault(fault, Fault::Fail(EngineErrorKind::Failed, "invalid symlink".to_owned()));
        let report = Kindmesh::new(engine.clone()).load(&request()).await.unwrap();
        assert_eq!(outcomes(&report), [LoadOutcome::Loaded; 2]);
        assert_eq!(heard.lock().unwrap().iter().filter(|call| call.line().contains("exec ctr")).count(), 1);
    }
    let engine = engine(&image).await;
    let heard = nodes(&engine, String::new(), String::new());
    engine.on_exec(|call| call.line().contains("mkdir \"$into\"").then(|| ExecReply::fails(1, "read-only file system")));
    let report = Kindmesh::new(engine.clone()).load(&request()).await.unwrap();
    assert_eq!((outcomes(&report), engine.count(Verb::PutArchive)), (vec![LoadOutcome::Loaded; 2], 0));
    let heard = heard.lock().unwrap();
    assert_eq!(heard.iter().filter(|call| call.line().contains("exec ctr")).count(), 2);
    assert_eq!(heard.iter().filter(|call| call.line().contains("rm -rf")).count(), 2, "what was begun is tidied up");
}

#[tokio::test]
async fn a_node_that_fails_is_named_and_the_other_gets_its_images() {
    let image = lower_and_upper();
    let engine = engine(&image).await;
    nodes(&engine, String::new(), String::new());
    engine.on_exec(|call| {
        let sends = call.container == "b-control-plane" && call.line().contains("images import");
        sends.then(|| ExecReply::fails(1, "no space left on device"))
    });
    let report = Kindmesh::new(engine.clone()).load(&request()).await.unwrap();
    assert_eq!(outcomes(&report), [LoadOutcome::Loaded, LoadOutcome::Failed]);
    let error = report.failure().unwrap();
    assert_eq!(error.kind(), ErrorKind::Cluster);
    assert!(error.to_string().contains("b-control-plane") && error.to_string().contains("no space left"), "{error}");
    assert!(!error.to_string().contains("a-control-plane"), "{error}");
}

#[tokio::test]
async fn a_cut_archive_is_an_error_and_nothing_is_taken_over() {
    let image = lower_and_upper();
    for at in [700, image.tar.len() - 1024] {
        let engine = engine(&image).await;
        let heard = nodes(&engine, String::new(), String::new());
        engine.fault(When::Verb(Verb::SaveImages, 1), Fault::Cut(at));
        let error = Kindmesh::new(engine.clone()).load(&request()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Engine);
        assert!(error.to_string().contains("broke in the middle"), "{error}");
        assert!(heard.lock().unwrap().iter().all(|call| !call.line().contains(UNPACKS)), "no command got its whole input");
    }
}

#[tokio::test]
async fn a_damaged_layer_is_told() {
    let mut image = lower_and_upper();
    let at = image.tar.windows(3).position(|bytes| bytes == b"bin").unwrap();
    // In the layer's content, not in its header.
    let at = at + image.tar[at + 3..].windows(3).position(|bytes| bytes == b"bin").unwrap() + 3;
    image.tar[at] = b'B';
    let engine = engine(&image).await;
    nodes(&engine, String::new(), String::new());
    let error = Kindmesh::new(engine).load(&request()).await.unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_told_with_ways_out() {
    let engine = engine(&lower_and_upper()).await;
    nodes(&engine, String::new(), String::new());
    let kindmesh = Kindmesh::new(engine);
    let unknown = LoadRequest { source: LoadSource::Images(vec!["nope".into()]), ..request() };
    let error = kindmesh.load(&unknown).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.hints().iter().any(|hint| hint.contains("docker pull nope")) && error.hints().iter().any(|hint| hint.contains("--archive"))
    );
    let error = kindmesh.load(&LoadRequest { nodes: vec!["c".into()], ..request() }).await.unwrap_err();
    assert!(error.hints()[0].contains("a-control-plane, b-control-plane"), "{:?}", error.hints());
    let error = kindmesh.load(&LoadRequest { clusters: vec!["c".into()], ..request() }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn chosen_nodes_only_and_a_stopped_one_is_an_obstacle() {
    let image = lower_and_upper();
    let engine = engine(&image).await;
    let heard = nodes(&engine, String::new(), String::new());
    let kindmesh = Kindmesh::new(engine.clone());
    kindmesh.load(&LoadRequest { nodes: vec!["b-control-plane".into()], ..request() }).await.unwrap();
    assert!(heard.lock().unwrap().iter().all(|call| call.container == "b-control-plane"));
    engine.stop_container("a-control-plane", 1).await.unwrap();
    let report = kindmesh.load(&request()).await.unwrap();
    assert_eq!(report.nodes[1].images[0].outcome, LoadOutcome::Loaded);
    let said = |report: &LoadReport| report.failure().unwrap().to_string();
    assert!(said(&report).contains("the node is stopped; start it: `kindmesh start --fleet duo`"), "{report:?}");
    engine.start_container("a-control-plane").await.unwrap();
    engine.pause_container("a-control-plane").await.unwrap();
    let report = kindmesh.load(&request()).await.unwrap();
    assert!(said(&report).contains("the node is paused; let it go on: `kindmesh resume --fleet duo`"), "{report:?}");
}

/// A source that never says anything, as an engine that is stuck.
#[tokio::test(start_paused = true)]
async fn a_silent_source_is_left_after_the_deadline() {
    let image = lower_and_upper();
    let engine = engine(&image).await;
    nodes(&engine, String::new(), String::new());
    engine.fault(When::Every(Verb::SaveImages), Fault::Delay(Duration::from_secs(1_000_000)));
    let begun = tokio::time::Instant::now();
    let report = Kindmesh::new(engine.clone()).load(&request()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10_000), "{:?}", begun.elapsed());
    let said = report.failure().unwrap().to_string();
    assert!(said.contains("not done after 3600 s") && said.contains("the source has said nothing for"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_load_ends_and_says_so() {
    let image = lower_and_upper();
    let engine = engine(&image).await;
    nodes(&engine, String::new(), String::new());
    engine.on_exec(|call| call.line().contains(UNPACKS).then_some(ExecReply::Hang));
    let cancel = CancellationToken::new();
    let kindmesh = Kindmesh::new(engine.clone()).cancellation(cancel.clone());
    let stop = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        cancel.cancel();
    };
    let request = request();
    let (result, ()) = tokio::join!(kindmesh.load(&request), stop);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(engine.count(Verb::SaveImages), 1, "nothing is tried again");
}

#[tokio::test]
async fn an_archive_is_known_before_it_is_read_and_a_packed_one_is_not() {
    use std::io::Write as _;

    let image = lower_and_upper();
    let engine = engine(&image).await;
    let folder = tempfile::tempdir().unwrap();
    let (plain, packed) = (folder.path().join("shop.tar"), folder.path().join("shop.tar.gz"));
    std::fs::write(&plain, &image.tar).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(std::fs::File::create(&packed).unwrap(), flate2::Compression::fast());
    gzip.write_all(&image.tar).unwrap();
    gzip.finish().unwrap();
    let of = |path: &std::path::Path| LoadRequest { source: LoadSource::Archive(path.to_owned()), ..request() };

    let heard = nodes(&engine, String::new(), format!("snapshot {}\n", image.layers[0]));
    let report = Kindmesh::new(engine.clone()).load(&of(&plain)).await.unwrap();
    assert_eq!((outcomes(&report), report.nodes[0].images[0].name.as_str()), (vec![LoadOutcome::Loaded; 2], NAME));
    let sent = text(&heard.lock().unwrap()[0]);
    assert!(!sent.contains(&format!("layer {}", &image.layers[0][7..])) && sent.contains("import\n"));
    heard.lock().unwrap().clear();

    let report = Kindmesh::new(engine.clone()).load(&of(&packed)).await.unwrap();
    assert_eq!((outcomes(&report), report.nodes[0].images[0].name.as_str()), (vec![LoadOutcome::Loaded; 2], NAME));
    assert!(heard.lock().unwrap()[0].line().contains("exec ctr"));

    // There already: not a byte is read.
    nodes(&engine, format!("{NAME} t sha256:aa\n{} t sha256:aa\n", image.id), String::new());
    let report = Kindmesh::new(engine.clone()).load(&of(&plain)).await.unwrap();
    assert_eq!((outcomes(&report), report.read_bytes), (vec![LoadOutcome::Present; 2], 0));

    std::fs::write(&plain, &image.tar[..image.tar.len() / 2]).unwrap();
    let error = Kindmesh::new(engine.clone()).load(&of(&plain)).await.unwrap_err();
    assert!([ErrorKind::File, ErrorKind::Config].contains(&error.kind()), "{error:?}");
    let error = Kindmesh::new(engine.clone()).load(&of(&folder.path().join("gone"))).await.unwrap_err();
    assert_eq!((error.kind(), engine.count(Verb::SaveImages)), (ErrorKind::NotFound, 0));
}

#[tokio::test]
async fn an_engine_that_fails_is_told() {
    let engine = engine(&lower_and_upper()).await;
    nodes(&engine, String::new(), String::new());
    engine.fault(When::Every(Verb::SaveImages), Fault::Fail(EngineErrorKind::Failed, "disk full".to_owned()));
    let error = Kindmesh::new(engine).load(&request()).await.unwrap_err();
    assert!(error.to_string().contains("disk full"), "{error}");
}
