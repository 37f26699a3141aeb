use super::*;
use crate::engine::fake::ExecReply;
use crate::ops::ErrorKind;

fn name(fleet: &str) -> crate::domain::name::FleetName {
    fleet.parse().unwrap()
}

#[tokio::test]
async fn a_fleet_that_is_not_there_has_no_certificates() {
    let engine = engine();
    node(&engine, "c", Some("other"), "bridge").await;
    for error in [
        kindmesh(&engine).mesh_ca(&name("demo")).await.unwrap_err(),
        kindmesh(&engine).mesh_ca_rotate(&name("demo"), None).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.hints(), ["there are: other; name one with --fleet"]);
    }
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_a_part_of_the_report() {
    let engine = engine();
    engine.on_exec(|call| call.line().starts_with("cat ").then(|| ExecReply::fails(1, "no such file")));
    node(&engine, "c", Some("demo"), "bridge").await;
    let state = tempfile::tempdir().unwrap();
    let kindmesh = kindmesh(&engine).state_dir(state.path().to_path_buf());
    let report = kindmesh.mesh_ca(&name("demo")).await.unwrap();
    assert!(!report.healthy && report.root.is_none() && report.clusters[0].chain.is_none());
    assert!(report.clusters[0].problem.is_some(), "{report:?}");
    assert_eq!(report.folder, Some(state.path().join("fake0001/demo/ca").display().to_string()));
}

#[tokio::test]
async fn rotation_needs_the_root_and_a_cluster_of_the_fleet() {
    let engine = engine();
    node(&engine, "c", Some("demo"), "bridge").await;
    let stateless = kindmesh(&engine);
    assert_eq!(stateless.mesh_ca_rotate(&name("demo"), None).await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(stateless.mesh_root(&name("demo"), None).await.unwrap_err().kind(), ErrorKind::Config);
    let state = tempfile::tempdir().unwrap();
    let kindmesh = kindmesh(&engine).state_dir(state.path().to_path_buf());
    let error = kindmesh.mesh_ca_rotate(&name("demo"), None).await.unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains("demo/ca is missing"), "{error}");
    assert!(kindmesh.mesh_root(&name("demo"), None).await.unwrap().1);
    let error = kindmesh.mesh_ca_rotate(&name("demo"), Some(&"x".parse().unwrap())).await.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.hints()), ("fleet demo has no cluster x", &["there are: c".to_owned()][..]));
    let error = kindmesh.mesh_ca_rotate(&name("demo"), None).await.unwrap_err();
    assert!(error.to_string().starts_with("cluster c: "), "{error}");
}
