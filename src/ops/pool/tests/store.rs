use super::{Bench, description};
use crate::domain::fleet::Fleet;
use crate::domain::fleet_builder::MeshBuilder;
use crate::ops::ErrorKind;
use crate::ops::pool::store::Record;

#[tokio::test]
async fn a_record_comes_back_as_it_was_for_its_owner_alone() {
    let bench = Bench::new();
    let fleet = Fleet::builder("demo").clusters(3).mesh(MeshBuilder::default()).kubernetes_version("v1.34.4").build().unwrap();
    let store = bench.kindmesh().pool_store(&fleet.name).await.unwrap().unwrap();
    assert_eq!(store.record().unwrap(), None);
    let record = Record { size: 2, fleet };
    store.write(&record).unwrap();
    store.write(&record).unwrap();
    assert_eq!(store.record().unwrap(), Some(record));
    assert_eq!(bench.files().last().unwrap(), "fake0001/_pools/demo/pool.json");
    #[cfg(unix)]
    for (path, wanted) in [("fake0001/_pools", 0o700), ("fake0001/_pools/demo", 0o700), ("fake0001/_pools/demo/pool.json", 0o600)] {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(bench.state.path().join(path)).unwrap().permissions());
        assert_eq!(mode & 0o777, wanted, "{path}");
    }
    let log = async || bench.kindmesh().pool_log(&store.pool).await.unwrap();
    assert!(log().await.is_some_and(|log| log.ends_with("demo/fill.log")));
    assert!(store.forget().unwrap() && !store.forget().unwrap());
    assert_eq!(log().await, None, "nobody here can fill it");
    store.tidy().unwrap();
    assert_eq!(bench.files(), Vec::<String>::new());
}

#[tokio::test]
async fn a_damaged_record_is_told_with_its_place() {
    let bench = Bench::new();
    let pool = bench.pool(2, []).await;
    let path = bench.state.path().join("fake0001/_pools/demo/pool.json");
    let written = std::fs::read_to_string(&path).unwrap();
    let store = bench.kindmesh().pool_store(&pool).await.unwrap().unwrap();
    for damaged in [
        "{",
        &written.replace("\"cluster2\"", "\"cluster1\""),
        &written.replace("\"demo\"", "\"Demo\""),
        &written.replace("\"demo\"", "\"other\""),
    ] {
        std::fs::write(&path, damaged).unwrap();
        let error = store.record().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("pool.json") && error.hints()[0].contains("kindmesh down --fleet demo"), "{error}");
    }
    // As the hint says.
    assert_eq!(bench.kindmesh().down(&description().name).await.unwrap().pools, ["demo"]);
    assert_eq!(bench.files(), Vec::<String>::new());
}
