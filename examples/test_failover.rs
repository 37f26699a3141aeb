//! A mesh of two clusters, of which one is lost: calls go on, and reach both again when it is back.
//!
//! ```text
//! cargo test --example test_failover
//! ```

#![cfg_attr(not(test), expect(unused, reason = "the example is its test"))]

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use kindmesh::testing::{TestCluster, TestFleet, wait_for};

/// The mesh's sample runs in every cluster: `v1` in the first, `v2` in the second.
const SAMPLE: &str = "http://helloworld.sample:5000/hello";
/// For proxies to notice what has become of others.
const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_on_when_a_cluster_is_lost() -> Result<(), Box<dyn Error>> {
    let fleet = TestFleet::builder().name("failover").clusters(2).mesh().start().await?;
    let here = fleet.cluster("cluster1");
    wait_for("answers of both clusters", SOON, || answers(here, &["v1", "v2"])).await?;

    // Cut off: its own version answers every call.
    let cut = fleet.partition("cluster1", "cluster2").await?;
    wait_for("calls to stay here", SOON, || answers(here, &["v1"])).await?;
    cut.undo().await?;
    wait_for("answers of both clusters again", SOON, || answers(here, &["v1", "v2"])).await?;

    // Frozen, for as long as the value lives.
    {
        let _frozen = fleet.pause("cluster2").await?;
        wait_for("calls to stay here", SOON, || answers(here, &["v1"])).await?;
    }
    fleet.verify().await?;
    Ok(())
}

/// Whether ten calls are answered by just these versions.
async fn answers(from: &TestCluster, wanted: &[&str]) -> Result<(), String> {
    let mut versions = BTreeSet::new();
    for _ in 0..10 {
        let called = from.run_in_pod("sample", "app=curl", &["curl", "-sS", "--max-time", "5", SAMPLE]).await;
        let called = called.map_err(|error| error.to_string())?;
        if !called.success() {
            return Err(called.describe());
        }
        versions.insert(if called.stdout.contains("version: v1") { "v1" } else { "v2" });
    }
    if versions == wanted.iter().copied().collect() { Ok(()) } else { Err(format!("answered by {versions:?}")) }
}

fn main() {}
