use super::{Bench, texts};
use crate::domain::kubeconfig::ClusterEntry;
use crate::domain::labels;
use crate::domain::net::NetworkSpec;
use crate::engine::Engine as _;
use crate::engine::EngineErrorKind;
use crate::engine::fake::{Fault, Verb, When};
use crate::ops::ErrorKind;
use crate::ops::pool::lease::{Pool, take};
use crate::ops::pool::lease_file::LeaseFile;

/// Leases the first warm member, but for waking it.
async fn lease(bench: &Bench, file: Option<&str>) -> std::path::PathBuf {
    let (km, name) = (bench.kindmesh(), "demo".parse().unwrap());
    let pool = Pool::read(&km, &name).await.unwrap();
    let named = file.map(|file| LeaseFile::new(&bench.state.path().join(file), &name).unwrap());
    let (member, file) = take(&km, &pool, named).await.unwrap();
    let path = file.path().to_path_buf();
    file.fill(&member.fleet, &[ClusterEntry::with_token("cluster1", "https://127.0.0.1:1", "ca", "token")]).unwrap();
    path
}

#[tokio::test]
async fn down_ends_a_lease_with_marker_and_file() {
    let bench = Bench::new();
    bench.pool(2, [1, 2]).await;
    let (default, named) = (lease(&bench, None).await, lease(&bench, Some("k")).await);
    assert!(default.ends_with("demo/demo-w1.kubeconfig") && named.ends_with("k"));
    let marker = bench.engine.inspect_container("kindmesh-lease-demo-w1").await.unwrap().id;
    let report = bench.kindmesh().down(&"demo-w1".parse().unwrap()).await.unwrap();
    assert_eq!((report.kubeconfigs, report.volumes), (vec![default.display().to_string()], 2));
    let removed: Vec<String> =
        bench.engine.calls().into_iter().filter(|call| call.verb == Verb::RemoveContainer).map(|call| call.object).collect();
    assert!(bench.engine.containers().iter().all(|one| one.labels[labels::FLEET] == "demo-w2"));
    assert!(named.exists() && !default.exists());
    assert_eq!((removed.len(), removed.last()), (3, Some(&marker)), "after the nodes: {removed:?}");
    bench.kindmesh().down(&"demo-w2".parse().unwrap()).await.unwrap();
    assert!(!named.exists());
    assert_eq!(bench.containers(), Vec::<String>::new());
    assert_eq!(bench.only().await.size, Some(2), "the pool is still one");
}

#[tokio::test]
async fn a_file_that_is_somebody_elses_by_now_stays() {
    let bench = Bench::new();
    bench.pool(1, [1]).await;
    let file = lease(&bench, Some("k")).await;
    bench.member(2, true).await;
    let empty = lease(&bench, Some("e")).await;
    std::fs::write(&file, "apiVersion: v1\nkind: Config\n").unwrap();
    std::fs::write(&empty, "").unwrap();
    for member in ["demo-w1", "demo-w2"] {
        let report = bench.kindmesh().down(&member.parse().unwrap()).await.unwrap();
        assert!(report.kubeconfigs.is_empty(), "{report:?}");
    }
    assert!(file.exists() && empty.exists());
}

/// While its nodes go, a member must look like what it is to those who fill the pool and lease.
#[tokio::test]
async fn the_marker_is_the_last_to_go() {
    let bench = Bench::new();
    bench.pool(2, [1, 2]).await;
    lease(&bench, None).await;
    for (member, state) in [("demo-w1", "lease"), ("demo-w2", "discard")] {
        let second = bench.engine.count(Verb::RemoveContainer) + 2;
        bench.engine.fault(When::Verb(Verb::RemoveContainer, second), Fault::Fail(EngineErrorKind::Failed, "device busy".to_owned()));
        bench.kindmesh().down(&member.parse().unwrap()).await.unwrap_err();
        let marker = bench.engine.container_spec(&format!("kindmesh-lease-{member}")).unwrap();
        assert_eq!(marker.labels[labels::HELPER], state);
    }
    // What was given up half way is removed by the next filler, and what is leased is not.
    let report = bench.kindmesh().warm(&super::description(), 0).await.unwrap();
    assert_eq!((report.removed, report.leased), (texts(&["demo-w2"]), texts(&["demo-w1"])));
}

#[tokio::test]
async fn a_pool_goes_by_its_name_and_leases_stay() {
    let bench = Bench::new();
    let pool = bench.pool(3, [1, 2]).await;
    bench.member(3, false).await;
    let network = NetworkSpec {
        name: "kind".to_owned(),
        labels: [(labels::FLEET.to_owned(), "demo-w9".to_owned())].into(),
        ..NetworkSpec::default()
    };
    bench.engine.create_network(&network).await.unwrap();
    let file = lease(&bench, None).await;
    let report = bench.kindmesh().down(&pool).await.unwrap();
    assert_eq!((report.pools, report.leases_kept, report.networks), (texts(&["demo"]), texts(&["demo-w1"]), texts(&["kind"])));
    assert_eq!(bench.containers(), ["cluster1-w1-control-plane", "cluster2-w1-control-plane", "kindmesh-lease-demo-w1"]);
    assert!(file.exists());
    assert_eq!(bench.only().await.size, None);
    let again = bench.kindmesh().down(&pool).await.unwrap();
    assert_eq!((again.leases_kept, again.containers), (texts(&["demo-w1"]), Vec::<String>::new()));

    bench.kindmesh().down(&"demo-w1".parse().unwrap()).await.unwrap();
    assert_eq!((bench.containers(), bench.files()), (Vec::new(), Vec::new()));
    let error = bench.kindmesh().warm(&super::description(), 0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(bench.kindmesh().down(&pool).await.unwrap(), crate::ops::DownReport::default());
}

#[tokio::test]
async fn nothing_is_left_behind_by_all() {
    let bench = Bench::new();
    bench.pool(3, [1, 2]).await;
    bench.member(3, false).await;
    let (default, named) = (lease(&bench, None).await, lease(&bench, Some("k")).await);
    // A leaser that was killed before it wrote more than whose the file is to be.
    bench.member(4, true).await;
    let killed = bench.state.path().join("killed");
    let name = "demo".parse().unwrap();
    let (km, file) = (bench.kindmesh(), LeaseFile::new(&killed, &name).unwrap());
    let (member, file) = take(&km, &Pool::read(&km, &name).await.unwrap(), Some(file)).await.unwrap();
    std::mem::forget(file);
    assert_eq!((member.fleet.as_str(), killed.exists()), ("demo-w4", true));
    let log = bench.kindmesh().pool_log(&"demo".parse().unwrap()).await.unwrap().unwrap();
    std::fs::write(log, "said").unwrap();
    let report = bench.kindmesh().down_all().await.unwrap();
    assert_eq!(report.pools, ["demo"]);
    assert!(!default.exists() && !named.exists() && !killed.exists());
    assert_eq!((bench.containers(), bench.files(), bench.engine.volumes()), (Vec::new(), Vec::new(), Vec::new()));
    assert!(bench.kindmesh().pools().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_last_cluster_takes_the_marker_with_it() {
    let bench = Bench::new();
    bench.pool(1, [1]).await;
    lease(&bench, None).await;
    bench.kindmesh().delete_cluster("cluster1-w1").await.unwrap();
    assert_eq!(bench.only().await.leased, ["demo-w1"]);
    bench.kindmesh().delete_cluster("cluster2-w1").await.unwrap();
    assert_eq!(bench.containers(), Vec::<String>::new());
}
