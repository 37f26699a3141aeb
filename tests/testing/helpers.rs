//! What tests do with a cluster: apply, wait, call, run, read, forward.

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kindmesh::testing::TestFleet;
use kube::api::{Api, ListParams};

use crate::support::{WEB, engine, left_of, page, turn};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_fleet_in_three_lines_and_everything_one_does_with_it() {
    let turn = turn().await;
    let fleet = TestFleet::builder().name("help").start().await.unwrap();
    drop(turn);
    let cluster = fleet.cluster("cluster1");
    assert!(cluster.full_name().starts_with("cluster1-") && fleet.name().starts_with("help-"));
    fleet.verify().await.unwrap();

    let nodes = Api::<Node>::all(cluster.client()).list(&ListParams::default()).await.unwrap();
    assert_eq!(nodes.items.len(), 1);

    cluster.apply(WEB).await.unwrap();
    let address = cluster.address("default", "web").await.unwrap();
    assert!(matches!(address, std::net::IpAddr::V4(v4) if cluster.pool().contains(v4)), "{address}");
    assert!(page(format!("{address}:80"), SOON).await.unwrap().contains("\"cluster\":\"mine\""));

    let ran = cluster.run_in_pod("default", "app=web", &["/echo", "get", "http://web.default.svc.cluster.local/"]).await.unwrap();
    assert!(ran.success() && ran.stdout.contains("mine"), "{ran:?}");
    let failed = cluster.run_in_pod("default", "app=web", &["/echo", "nonsense"]).await.unwrap();
    assert!(!failed.success(), "{failed:?}");

    assert_eq!(cluster.logs("default", "app=web").await.unwrap().trim(), "serving on port 8080");

    let forward = cluster.port_forward("default", "app=web", 8080).await.unwrap();
    assert!(page(forward.address(), SOON).await.unwrap().contains("mine"));
    let closed = forward.address();
    drop(forward);
    assert!(tokio::net::TcpStream::connect(closed).await.is_err(), "the port is closed with the value");

    // What is wrong is told, not only that something is.
    let missing = cluster.apply("kind: Nonsense\napiVersion: v1\nmetadata: {name: a}\n").await.unwrap_err();
    assert!(missing.to_string().contains("Nonsense"), "{missing}");
    cluster.apply(&WEB.replace("echo:v1", "missing:v1").replace("name: web", "name: broken")).await.unwrap();
    let evidence = kindmesh::testing::wait_for("evidence of a missing image", SOON, || async {
        let text = fleet.evidence().await;
        if text.contains("broken-") && text.contains("ErrImage") || text.contains("ImagePullBackOff") { Ok(text) } else { Err(text) }
    });
    assert!(evidence.await.unwrap().contains("warning: Pod default/broken-"));

    let name = fleet.name().to_owned();
    fleet.remove().await.unwrap();
    assert_eq!(left_of(engine().await.as_ref(), &name).await, Vec::<String>::new());
}
