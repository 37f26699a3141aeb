//! One test, parametrised over Kubernetes versions and ways of bootstrapping: all of them at the same time, and a failure
//! names its parameters.
//!
//! ```text
//! KUBERNETES_VERSIONS="v1.33.13 v1.34.4" cargo test --example test_versions
//! ```

#![cfg_attr(not(test), expect(unused, reason = "the example is its test"))]

use std::error::Error;

use futures_util::future::join_all;
use kindmesh::domain::fleet::BootProfile;
use kindmesh::testing::TestFleet;

/// Used when the variable names none.
const DEFAULT: &str = "v1.34.4";
/// Each version is tried with each.
const PROFILES: [BootProfile; 2] = [BootProfile::Fast, BootProfile::Kind];

#[tokio::test(flavor = "multi_thread")]
async fn our_objects_are_accepted_by_every_version() {
    let named = std::env::var("KUBERNETES_VERSIONS").unwrap_or_default();
    // An empty variable names none, too.
    let versions = if named.trim().is_empty() { DEFAULT } else { named.as_str() };
    let parameters = versions.split_whitespace().flat_map(|version| PROFILES.map(|profile| (version, profile)));
    let results = join_all(parameters.map(|(version, profile)| async move {
        let accepted = objects_are_accepted(version, profile).await;
        accepted.map_err(|error| format!("{version}, {profile:?}: {error}"))
    }))
    .await;
    assert!(!results.is_empty(), "nothing was tried");
    let failures: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

async fn objects_are_accepted(version: &str, profile: BootProfile) -> Result<(), Box<dyn Error>> {
    let fleet = TestFleet::builder().kubernetes_version(version).describe(|fleet| fleet.profile(profile)).start().await?;
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
