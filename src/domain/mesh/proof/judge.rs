//! The verdict: every check for every cluster, each with what is wrong.

use serde::{Deserialize, Serialize};

use super::cause::Cause;
use super::checks;
use super::matrix::Matrix;
use super::rest;
use super::view::{ClusterView, FleetView};

/// The outcome of all checks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Every check of every cluster.
    pub checks: Vec<Check>,
    /// Who answered whom.
    pub matrix: Matrix,
}

/// One check in one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What was checked.
    pub check: CheckKind,
    /// Where; `None` for the fleet as a whole.
    pub cluster: Option<String>,
    /// What is wrong; nothing when the check passed.
    pub failures: Vec<Failure>,
}

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum CheckKind {
    /// There are clusters at all.
    Fleet,
    /// The API server answers.
    ApiServer,
    /// The root certificate is every other cluster's.
    Roots,
    /// The gateway between networks has its label and an address, is announced, and answers in every
    /// cluster.
    Gateway,
    /// Every istiod of the cluster has read all clusters, by secrets that lead to them.
    Sync,
    /// Every istiod of the cluster knows one gateway for each network.
    Networks,
    /// The sample's pods are there, ready, and have proxies.
    Sample,
    /// Every istiod of the cluster knows the sample's pods of all clusters.
    Endpoints,
    /// The client's proxy has the cluster's own pods and the gateways of the others, all healthy.
    Proxy,
    /// Calls from the client are answered by every version and every cluster.
    Calls,
    /// The sample's pods refuse plain text.
    MutualTls,
}

/// Something wrong: where, what, why, what next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Its name.
    pub cause: Cause,
    /// The other cluster it is about, when there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub about: Option<String>,
    /// What was seen.
    pub message: String,
    /// What to do next.
    pub next: String,
}

/// Judges a fleet by what was seen of it.
pub fn judge(view: &FleetView) -> Verdict {
    let fleet = if view.clusters.is_empty() { vec![Failure::new(Cause::NoClusters, "the fleet has no clusters")] } else { Vec::new() };
    let mut checks = vec![Check { check: CheckKind::Fleet, cluster: None, failures: fleet }];
    for check in CheckKind::OF_A_CLUSTER {
        for cluster in &view.clusters {
            checks.push(Check { check, cluster: Some(cluster.name.clone()), failures: check.run(view, cluster) });
        }
    }
    for cluster in &view.clusters {
        let mut of_cluster = checks.iter_mut().filter(|check| check.cluster.as_ref() == Some(&cluster.name));
        if let Some(failure) = rest::failure(view, cluster)
            && let Some(first) = of_cluster.find(|check| !check.passed())
        {
            first.failures.insert(0, failure);
        }
    }
    Verdict { checks, matrix: Matrix::of(view) }
}

/// Whether everything but the traffic is as it should be: what has to converge before calls are of
/// any use.
///
/// # Errors
/// The most telling failure.
pub fn converged(view: &FleetView) -> Result<(), Failure> {
    let traffic = [CheckKind::Calls, CheckKind::MutualTls];
    let checks = judge(view).checks.into_iter().filter(|check| !traffic.contains(&check.check));
    let mut failures: Vec<Failure> = checks.flat_map(|check| check.failures).filter(|failure| !awaits_traffic(view, failure)).collect();
    failures.sort_by_key(|failure| failure.cause);
    match failures.into_iter().next() {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// Whether something was not seen only because nothing was sent yet: a client tries the ways to the
/// gateways when it makes its calls.
fn awaits_traffic(view: &FleetView, failure: &Failure) -> bool {
    let untried = |name: &String| {
        let client = view.clusters.iter().find(|cluster| cluster.name == *name).and_then(|cluster| cluster.client.as_ref().ok());
        client.is_some_and(|client| client.probes.is_err())
    };
    failure.cause == Cause::NotObserved && failure.about.as_ref().is_some_and(untried)
}

// === impl Verdict ===

impl Verdict {
    /// Whether the mesh is proven.
    pub fn is_green(&self) -> bool {
        let clusters = self.checks.iter().filter(|check| check.check == CheckKind::ApiServer).count();
        let all = 1 + clusters * CheckKind::OF_A_CLUSTER.len();
        clusters > 0 && self.checks.len() == all && self.checks.iter().all(Check::passed)
    }

    /// Everything wrong, the most telling first, each with the check it belongs to.
    pub fn failures(&self) -> Vec<(&Check, &Failure)> {
        let mut failures: Vec<(&Check, &Failure)> =
            self.checks.iter().flat_map(|check| check.failures.iter().map(move |failure| (check, failure))).collect();
        failures.sort_by_key(|(check, failure)| (failure.cause, check.check));
        failures
    }

    /// The failures that are worth telling: all, or those of nodes that do not run, as long as there are
    /// any. What else is wrong then most likely follows from them.
    pub fn telling(&self) -> Vec<(&Check, &Failure)> {
        let mut failures = self.failures();
        let resting = |(_, failure): &(&Check, &Failure)| failure.cause == Cause::NodeNotRunning;
        if failures.iter().any(resting) {
            failures.retain(resting);
        }
        failures
    }
}

// === impl Check ===

impl Check {
    /// Whether nothing is wrong.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

// === impl CheckKind ===

impl CheckKind {
    /// The checks that every cluster gets, in an order that goes from what others rest on to what
    /// rests on others.
    pub const OF_A_CLUSTER: [CheckKind; 10] = [
        CheckKind::ApiServer,
        CheckKind::Roots,
        CheckKind::Gateway,
        CheckKind::Sync,
        CheckKind::Networks,
        CheckKind::Sample,
        CheckKind::Endpoints,
        CheckKind::Proxy,
        CheckKind::Calls,
        CheckKind::MutualTls,
    ];

    /// What it promises, in words.
    pub fn title(self) -> &'static str {
        match self {
            CheckKind::Fleet => "the fleet has clusters",
            CheckKind::ApiServer => "the API server answers",
            CheckKind::Roots => "all clusters trust one root",
            CheckKind::Gateway => "the gateway answers everywhere",
            CheckKind::Sync => "istiod has read all clusters",
            CheckKind::Networks => "istiod knows all gateways",
            CheckKind::Sample => "the sample runs with proxies",
            CheckKind::Endpoints => "istiod knows all endpoints",
            CheckKind::Proxy => "the client's proxy knows them",
            CheckKind::Calls => "all versions and clusters answer",
            CheckKind::MutualTls => "plain text is refused",
        }
    }

    fn run(self, view: &FleetView, cluster: &ClusterView) -> Vec<Failure> {
        match self {
            CheckKind::Fleet => Vec::new(),
            CheckKind::ApiServer => checks::api_server(cluster),
            CheckKind::Roots => checks::roots(view, cluster),
            CheckKind::Gateway => checks::gateway(view, cluster),
            CheckKind::Sync => checks::sync(view, cluster),
            CheckKind::Networks => checks::networks(view, cluster),
            CheckKind::Sample => checks::sample(cluster),
            CheckKind::Endpoints => checks::endpoints(view, cluster),
            CheckKind::Proxy => checks::proxy(view, cluster),
            CheckKind::Calls => checks::calls(view, cluster),
            CheckKind::MutualTls => checks::mutual_tls(cluster),
        }
    }
}

// === impl Failure ===

impl Failure {
    pub(super) fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, about: None, message: message.into(), next: cause.next_step().to_owned() }
    }

    pub(super) fn about(mut self, cluster: &str) -> Self {
        self.about = Some(cluster.to_owned());
        self
    }

    pub(super) fn unseen(what: &str, why: &str) -> Self {
        Self::new(Cause::NotObserved, format!("{what} could not be looked at: {why}"))
    }
}
