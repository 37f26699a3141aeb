use super::{container, engine, fleet, kindmesh, node};
use crate::domain::fleet::Fleet;
use crate::domain::fleet_builder::ClusterBuilder;
use crate::engine::fake::{Call, FakeEngine, Verb};
use crate::ops::{ErrorKind, KubeconfigTarget};

/// What was changed, but for the ticket of who works on the fleet, which is gone again.
fn made(engine: &FakeEngine) -> Vec<Call> {
    let lock = |name: &str| name.starts_with("kindmesh-lock-f-");
    assert!(!engine.volumes().iter().any(|name| lock(name)), "{:?}", engine.volumes());
    let ticket = |call: &Call| matches!(call.verb, Verb::CreateVolume | Verb::RemoveVolume) && lock(&call.object);
    engine.changes().into_iter().filter(|call| !ticket(call)).collect()
}

#[tokio::test]
async fn a_taken_cluster_name_is_refused_before_anything_is_made() {
    let engine = engine();
    node(&engine, "f2", None, "bridge").await;
    engine.clear_calls();
    let error = kindmesh(&engine).up(&fleet("f")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("f2") && !error.hints().is_empty(), "{error}");
    assert_eq!(made(&engine), Vec::new());
}

#[tokio::test]
async fn a_taken_container_name_is_refused_before_anything_is_made() {
    let engine = engine();
    container(&engine, "f1-control-plane", "bridge", &[]).await;
    engine.clear_calls();
    let error = kindmesh(&engine).up(&fleet("f")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("f1-control-plane"), "{error}");
    assert_eq!(made(&engine), Vec::new());
}

#[tokio::test]
async fn a_port_in_use_is_refused_before_anything_is_made() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let engine = engine();
    let wanted = Fleet::builder("f").cluster(ClusterBuilder::new("f1").api_server_port(port)).build().unwrap();
    let error = kindmesh(&engine).up(&wanted).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    assert_eq!(made(&engine), Vec::new());
}

#[tokio::test]
async fn what_this_process_may_not_listen_on_the_engine_may() {
    // An address for documentation, which is not this machine's.
    let cluster = ClusterBuilder::new("f1").api_server_port(6443).api_server_address("192.0.2.1");
    let wanted = Fleet::builder("f").cluster(cluster).build().unwrap();
    let km = kindmesh(&engine());
    let inventory = crate::ops::inventory::Inventory::read(km.engine().as_ref()).await.unwrap();
    crate::ops::preflight::check(&km, &wanted, &inventory, &[]).await.unwrap();
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_written_is_told_before_anything_is_made() {
    let engine = engine();
    let path = std::path::PathBuf::from("/proc/kindmesh/config");
    let files = KubeconfigTarget { write: path.clone(), all: vec![path] };
    let error = kindmesh(&engine).kubeconfig_files(files).up(&fleet("f")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::File);
    assert!(error.hints().iter().any(|hint| hint.contains("--kubeconfig")), "{:?}", error.hints());
    assert_eq!(made(&engine), Vec::new());
}

#[tokio::test]
async fn a_missing_image_names_both_ways_out() {
    let engine = engine();
    let wanted = Fleet::builder("f").image("nobody/node:v0").build().unwrap();
    let error = kindmesh(&engine).up(&wanted).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Image);
    let hints = error.hints().join("\n");
    assert!(
        error.to_string().contains("nobody/node:v0") && hints.contains("build node-image") && hints.contains("--image"),
        "{error}: {hints}"
    );
    assert!(engine.containers().is_empty() && engine.networks().iter().all(|network| network.name != "kind"));
}

#[tokio::test]
async fn a_corrupt_kubeconfig_is_refused_and_left_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    std::fs::write(&path, "clusters: [\ntoken: hunter2\n").unwrap();
    let engine = engine();
    let files = KubeconfigTarget { write: path.clone(), all: vec![path.clone()] };
    let error = kindmesh(&engine).kubeconfig_files(files).up(&fleet("f")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!error.one_line().contains("hunter2"), "{}", error.one_line());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "clusters: [\ntoken: hunter2\n");
    assert_eq!(made(&engine), Vec::new());
}

#[tokio::test(start_paused = true)]
async fn a_kubeconfig_that_stays_locked_is_told_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    std::fs::write(dir.path().join("config.lock"), "").unwrap();
    let engine = engine();
    let files = KubeconfigTarget { write: path.clone(), all: vec![path] };
    let error = kindmesh(&engine).kubeconfig_files(files).up(&fleet("f")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("config.lock") && error.hints().iter().any(|hint| hint.contains("remove")), "{error}");
    assert_eq!(made(&engine), Vec::new());
    assert!(dir.path().join("config.lock").exists(), "it is somebody's");
}
