//! `verify`: looks at a fleet's mesh, sends traffic through it, and judges.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::domain::mesh::proof::judge::converged;
use crate::domain::mesh::proof::{Verdict, judge, names};
use crate::domain::name::{ClusterName, FleetName};
use crate::k8s::Deadline;

use super::super::context::{Kindmesh, Outcome, Scope};
use super::super::error::Result;
use super::super::report::seconds;
use super::members;
use super::observe::{Look, Target, look};
use super::traffic;

/// Between two looks while waiting: endpoints follow a change within a tenth of a second to some
/// seconds, and a look makes every istiod print all it knows.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest time for the calls of all clients when everything looks right.
const CALLS: Duration = Duration::from_secs(30);
/// And when it does not: they only add to a list of failures then.
const HOPELESS_CALLS: Duration = Duration::from_secs(8);

const LOOK: &str = "look at the mesh";
const CALL: &str = "call the sample";

/// How a mesh is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Calls from each client, [`names::MIN_CALLS`] at least. More are made while a cluster has not
    /// answered by chance.
    pub calls: usize,
    /// How long everything may take to become right; zero looks once.
    pub wait: Duration,
    /// Clusters that must be there, in this order; without any, those that the engine has.
    pub clusters: Vec<ClusterName>,
}

/// What `verify` found. Serialized as documented JSON; times are seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyReport {
    /// Name of the fleet.
    pub fleet: String,
    /// Whether the mesh is proven.
    pub ok: bool,
    /// The clusters.
    pub clusters: Vec<VerifiedCluster>,
    /// The checks, and who answered whom.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How long it took until everything but the traffic was right; `None` when it never was.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional_seconds",
        deserialize_with = "from_optional_seconds",
        default
    )]
    pub converged_after: Option<Duration>,
    /// How long it took in all.
    #[serde(serialize_with = "seconds", deserialize_with = "from_seconds")]
    pub took: Duration,
}

/// A cluster of a [`VerifyReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedCluster {
    /// Name.
    pub name: String,
    /// Network in the mesh.
    pub network: String,
    /// Address of its gateway between networks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gateway: Option<IpAddr>,
    /// Calls its client made.
    pub calls: usize,
}

impl Kindmesh {
    /// Verifies a fleet's mesh. What is wrong with it is a part of the report.
    ///
    /// # Errors
    /// When the engine fails, there is no fleet of this name, or the operation is cancelled.
    pub async fn verify(&self, fleet: &FleetName, options: &VerifyOptions) -> Result<VerifyReport> {
        self.begin().prove(fleet, options).await
    }

    /// As [`Kindmesh::verify`], as a part of an operation that has begun before.
    pub(super) async fn prove(&self, fleet: &FleetName, options: &VerifyOptions) -> Result<VerifyReport> {
        let begun = Instant::now();
        let mut targets = self.targets(fleet, &options.clusters).await?;
        let scope = self.fleet_scope();
        let deadline = Deadline::after(options.wait);
        let mut converged_after = None;
        let (seen, verdict) = loop {
            let mut seen = self.until_converged(fleet, &mut targets, options, deadline, &scope).await?;
            let right = converged(&seen.view).is_ok();
            if right && converged_after.is_none() {
                converged_after = Some(begun.elapsed());
            }
            let verdict = send_and_judge(&mut seen, if right { CALLS } else { HOPELESS_CALLS }, &scope).await?;
            if verdict.is_green() || deadline.remaining().is_zero() {
                break (seen, verdict);
            }
            pause(deadline).await;
        };
        let clusters = seen.view.clusters.iter().map(|cluster| VerifiedCluster {
            name: cluster.name.clone(),
            network: cluster.network.clone(),
            gateway: cluster.gateway_address(),
            calls: cluster.client.iter().filter_map(|client| client.calls.as_ref().ok()).map(Vec::len).sum(),
        });
        Ok(VerifyReport {
            fleet: fleet.to_string(),
            ok: verdict.is_green(),
            clusters: clusters.collect(),
            verdict,
            converged_after,
            took: begun.elapsed(),
        })
    }

    /// Looks until everything but the traffic is right, or the deadline has passed.
    async fn until_converged(
        &self,
        fleet: &FleetName,
        targets: &mut Vec<Target>,
        options: &VerifyOptions,
        deadline: Deadline,
        scope: &Scope,
    ) -> Result<Look> {
        // A look has limits of its own; the step's only guards against a mistake there.
        let limit = deadline.remaining() + Duration::from_secs(30);
        scope
            .step(LOOK, limit, async {
                loop {
                    let seen = look(fleet, targets, options.calls).await;
                    // A look is never there already: it is always made.
                    let Err(failure) = converged(&seen.view) else { return Ok(Outcome::changed(seen)) };
                    scope.progress(LOOK, failure.message);
                    if deadline.remaining().is_zero() || scope.cancel.is_cancelled() {
                        return Ok(Outcome::changed(seen));
                    }
                    pause(deadline).await;
                    // A cluster that was down may have been started, and one that was there put to rest.
                    if seen.view.clusters.iter().any(|cluster| cluster.api_server.is_err()) {
                        *targets = self.targets(fleet, &options.clusters).await?;
                    }
                }
            })
            .await
    }

    /// The clusters to look at: those asked for first, then what else the fleet has.
    async fn targets(&self, fleet: &FleetName, wanted: &[ClusterName]) -> Result<Vec<Target>> {
        let (inventory, mut there) = members::read(self, fleet).await?;
        there.retain(|name| !wanted.contains(name));
        let clusters = wanted.iter().chain(&there);
        Ok(join_all(clusters.map(|cluster| Target::connect(self.engine.as_ref(), &inventory, cluster))).await)
    }
}

async fn send_and_judge(seen: &mut Look, limit: Duration, scope: &Scope) -> Result<Verdict> {
    scope
        .step(CALL, limit + Duration::from_secs(30), async {
            let clients = seen.clients.iter().flatten().count();
            scope.progress(CALL, format!("{clients} clients, {} calls each", seen.view.calls_wanted.max(names::MIN_CALLS)));
            traffic::send(seen, limit).await;
            Ok(Outcome::changed(judge(&seen.view)))
        })
        .await
}

/// Waits for the next look, but not beyond the deadline.
async fn pause(deadline: Deadline) {
    tokio::time::sleep(PAUSE.min(deadline.remaining())).await;
}

// === impl VerifyOptions ===

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { calls: names::MIN_CALLS, wait: Duration::ZERO, clusters: Vec::new() }
    }
}

fn optional_seconds<S: serde::Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => seconds(duration, serializer),
        None => serializer.serialize_none(),
    }
}

fn from_seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn from_optional_seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    from_seconds(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::fake::FakeEngine;
    use crate::ops::ErrorKind;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let report = VerifyReport {
            fleet: "duo".into(),
            ok: false,
            clusters: vec![VerifiedCluster { name: "a".into(), network: "network-a".into(), gateway: None, calls: 0 }],
            verdict: judge(&Default::default()),
            converged_after: Some(Duration::from_millis(1500)),
            took: Duration::from_secs(2),
        };
        let text = serde_json::to_string(&report).unwrap();
        assert!(
            text.starts_with(
                r#"{"fleet":"duo","ok":false,"clusters":[{"name":"a","network":"network-a","calls":0}],"checks":[{"check":"fleet""#
            ),
            "{text}"
        );
        assert!(text.ends_with(r#""matrix":[],"convergedAfter":1.5,"took":2.0}"#), "{text}");
        assert_eq!(serde_json::from_str::<VerifyReport>(&text).unwrap(), report);
    }

    #[tokio::test]
    async fn a_fleet_that_is_not_there_is_an_error() {
        let engine = Arc::new(FakeEngine::new());
        let error = Kindmesh::new(engine).verify(&"duo".parse().unwrap(), &VerifyOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
