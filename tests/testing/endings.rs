//! How fleets end: with their value, with a panic, later, or not yet.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kindmesh::domain::labels;
use kindmesh::ops::Kindmesh;
use kindmesh::testing::{TestFleet, TestFleetBuilder, wait_for};

use crate::support::{engine, left_of, turn};

/// The tests of others that fail: started by the next one in processes of their own; alone it does nothing. On a runtime of
/// one thread, where nothing moves while a value is dropped.
#[tokio::test]
async fn panicking_child() {
    let Ok(name) = std::env::var("KINDMESH_TEST_PANIC") else { return };
    let fleet = TestFleet::builder().name(name).start().await.unwrap();
    println!("fleet {}", fleet.name());
    fleet.cluster("cluster1").apply(BROKEN).await.unwrap();
    let ill = || async {
        let pods = kube::Api::<k8s_openapi::api::core::v1::Pod>::default_namespaced(fleet.cluster("cluster1").client());
        let status = pods.get("broken").await.map_err(|error| error.to_string())?.status;
        let text = serde_json::to_string(&status).unwrap();
        if text.contains("ErrImageNeverPull") { Ok(()) } else { Err(text) }
    };
    wait_for("a pod that cannot run", Duration::from_secs(60), ill).await.unwrap();
    panic!("a test that fails");
}

const BROKEN: &str = "
{kind: Pod, apiVersion: v1, metadata: {name: broken}, spec: {containers: [{name: main, image: 'nobody/nothing:v1', imagePullPolicy: Never}]}}
";

/// Two at once, as test programs run side by side.
#[tokio::test(flavor = "multi_thread")]
async fn panics_of_tests_remove_their_fleets_and_tell_what_was_wrong() {
    let _turn = turn().await;
    let engine = engine().await;
    let folder = tempfile::tempdir().unwrap();
    let children = ["panic1", "panic2"].map(|name| {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["endings::panicking_child", "--exact", "--nocapture"]).env_remove("KINDMESH_KEEP");
        command.env("KINDMESH_TEST_PANIC", name).env("KINDMESH_EVIDENCE", folder.path().join(name));
        tokio::task::spawn_blocking(move || (name, command.output().unwrap()))
    });
    for child in children {
        let (name, output) = child.await.unwrap();
        let (out, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success() && said.contains("a test that fails"), "{out} {said}");
        let fleet = out.lines().find_map(|line| line.strip_prefix("fleet ")).unwrap();
        assert!(fleet.starts_with(name) && said.contains("ready"), "{fleet}: {said}");
        assert!(said.contains("pod default/broken on") && said.contains("ErrImageNeverPull"), "{said}");
        assert_eq!(left_of(engine.as_ref(), fleet).await, Vec::<String>::new());
        let mut kept = walk(&folder.path().join(name));
        kept.retain(|path| path.ends_with("journal.log") || path.ends_with("pods.txt"));
        assert_eq!(kept.len(), 2, "{kept:?}; {said}");
    }
}

/// Every file below a folder.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

/// A start that is given up in the middle: a test with a time limit.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_given_up_leaves_nothing() {
    let _turn = turn().await;
    let engine = engine().await;
    let start = TestFleet::builder().name("givenup").start();
    let given_up = tokio::time::timeout(Duration::from_secs(4), start).await;
    assert!(given_up.is_err(), "a cluster in four seconds");
    assert_eq!(left_of(engine.as_ref(), "givenup-").await, Vec::<String>::new());
}

fn reused() -> TestFleetBuilder {
    TestFleet::builder().name("reuse").ttl(Duration::from_secs(3600)).reuse()
}

/// Started by the next one in a process of its own, as an earlier run of the tests; alone it does nothing.
#[tokio::test]
async fn reusing_child() {
    if std::env::var_os("KINDMESH_TEST_REUSE").is_some() {
        let first = reused().start().await.unwrap();
        println!("fleet {}", first.name());
        first.cluster("cluster1").apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mark}\n").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_is_reused_by_the_next_run_and_kept_until_its_time_has_come() {
    let _turn = turn().await;
    let engine = engine().await;
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["endings::reusing_child", "--exact", "--nocapture"]).env_remove("KINDMESH_KEEP").env("KINDMESH_TEST_REUSE", "1");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let (out, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out} {said}");
    let name = out.lines().find_map(|line| line.strip_prefix("fleet ")).unwrap_or_else(|| panic!("no fleet: {out} {said}"));
    let containers = engine.list_containers(&[format!("{}={name}", labels::FLEET)]).await.unwrap();
    assert!(!containers.is_empty() && containers.iter().all(|one| one.labels.contains_key(labels::EXPIRES)), "{containers:?}");

    let begun = Instant::now();
    let again = reused().start().await.unwrap();
    assert_eq!(again.name(), name);
    assert!(begun.elapsed() < Duration::from_secs(8), "found, not made: {:?}", begun.elapsed());
    let api = kube::Api::<k8s_openapi::api::core::v1::ConfigMap>::default_namespaced(again.cluster("cluster1").client());
    api.get("mark").await.unwrap();

    // One that asks for something else gets another; this is told before anything is made.
    assert_ne!(TestFleet::builder().name("reuse").clusters(2).reuse().fleet_name().unwrap(), name);
    again.kindmesh().down(&again.description().name).await.unwrap();
    assert_eq!(left_of(engine.as_ref(), "reuse-").await, Vec::<String>::new());
}

/// Started by the next one in a process of its own; alone it does nothing.
#[tokio::test]
async fn kept_child() {
    if std::env::var_os("KINDMESH_TEST_KEPT").is_some() {
        TestFleet::builder().name("kept").start().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_variable_a_fleet_stays_and_how_to_reach_it_is_printed() {
    let _turn = turn().await;
    let engine = engine().await;
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["endings::kept_child", "--exact", "--nocapture"]).env("KINDMESH_TEST_KEPT", "1").env("KINDMESH_KEEP", "1");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let left = left_of(engine.as_ref(), "kept-").await;
    let name = left.iter().find_map(|one| one.strip_prefix("network ")).unwrap().to_owned();
    let kubeconfig = std::env::temp_dir().join(format!("kindmesh-{name}.kubeconfig"));
    let text = std::fs::read_to_string(&kubeconfig);
    Kindmesh::new(engine.clone()).down(&name.parse().unwrap()).await.unwrap();
    std::fs::remove_file(&kubeconfig).unwrap();
    assert!(output.status.success() && left.len() == 2, "{left:?}: {said}");
    assert!(said.contains(&format!("kindmesh down --fleet {name}")) && said.contains(&kubeconfig.display().to_string()), "{said}");
    assert!(text.unwrap().contains("current-context: kind-cluster1-"), "a kubeconfig");
    assert_eq!(left_of(engine.as_ref(), "kept-").await, Vec::<String>::new());
}
