//! One test, parametrised over Kubernetes versions: all of them at the same time, and a failure names its version.
//!
//! ```text
//! KUBERNETES_VERSIONS="v1.33.13 v1.34.4" cargo test --example test_versions
//! ```

#![cfg_attr(not(test), expect(unused, reason = "the example is its test"))]

use std::error::Error;

use futures_util::future::join_all;
use kindmesh::testing::TestFleet;

/// Used when the variable names none.
const DEFAULT: &str = "v1.34.4";

#[tokio::test(flavor = "multi_thread")]
async fn our_objects_are_accepted_by_every_version() {
    let versions = std::env::var("KUBERNETES_VERSIONS").unwrap_or_else(|_| DEFAULT.to_owned());
    let results = join_all(versions.split_whitespace().map(|version| async move {
        let accepted = objects_are_accepted(version).await;
        accepted.map_err(|error| format!("{version}: {error}"))
    }));
    let failures: Vec<String> = results.await.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

async fn objects_are_accepted(version: &str) -> Result<(), Box<dyn Error>> {
    let fleet = TestFleet::builder().kubernetes_version(version).start().await?;
    let cluster = &fleet.clusters()[0];
    assert_eq!(cluster.kubernetes_version(), version);
    let budget = "
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: shop}
spec: {minAvailable: 1, unhealthyPodEvictionPolicy: AlwaysAllow, selector: {matchLabels: {app: shop}}}
";
    cluster.apply(budget).await?;
    Ok(())
}

fn main() {}
