//! A test with a cluster of its own: something is deployed, gets an address, and answers.
//!
//! ```text
//! cargo test --example test_plain
//! ```

#![cfg_attr(not(test), expect(unused, reason = "the example is its test"))]

use std::error::Error;
use std::time::Duration;

use kindmesh::testing::{TestFleet, wait_for};
use tokio::net::TcpStream;

/// Any web server does; this one is in kindmesh's own node images.
const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: 'docker.io/kindmesh/echo:v1', imagePullPolicy: IfNotPresent}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
";

#[tokio::test]
async fn the_shop_is_open() -> Result<(), Box<dyn Error>> {
    let fleet = TestFleet::builder().start().await?;
    let cluster = &fleet.clusters()[0];
    cluster.apply(WEB).await?;

    let address = cluster.address("default", "web").await?;
    wait_for("the shop to open", Duration::from_secs(60), || TcpStream::connect((address, 80))).await?;

    let called = cluster.run_in_pod("default", "app=web", &["/echo", "get", "http://web.default.svc.cluster.local/"]).await?;
    assert!(called.success(), "{}", called.describe());
    assert!(cluster.logs("default", "app=web").await?.contains("serving on port 8080"));
    // The fleet goes here, and would have gone as well had anything before failed.
    Ok(())
}

fn main() {}
