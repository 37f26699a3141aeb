//! Traffic: calls that are answered, and plain text that is not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::super::call::{Call, CallFault};
use super::super::cause::Cause;
use super::super::judge::Failure;
use super::super::names;
use super::super::view::{ClusterView, FleetView};
use super::gateway::probe;

/// What is wrong with calls of one kind: how many, and the first one's words.
type Faults = BTreeMap<Cause, (usize, String)>;

/// Attributes every answer to a pod, and looks who never answered.
pub fn calls(view: &FleetView, cluster: &ClusterView) -> Vec<Failure> {
    let calls = match cluster.client.as_ref().map(|client| client.calls.as_ref()) {
        Ok(Ok(calls)) => calls,
        Ok(Err(why)) | Err(why) => return vec![Failure::unseen("calls of the client", why)],
    };
    let mut failures = Vec::new();
    let wanted = view.calls_wanted.max(names::MIN_CALLS);
    if calls.len() < wanted {
        failures.push(Failure::new(Cause::TooFewCalls, format!("{} of {wanted} calls were made", calls.len())));
    }
    let mut faults = Faults::new();
    let (mut versions, mut clusters) = (BTreeSet::new(), BTreeSet::new());
    for call in calls {
        match attribute(view, call) {
            Ok((version, from)) => {
                versions.insert(version);
                clusters.insert(from);
            }
            Err((cause, message)) => faults.entry(cause).or_insert((0, message)).0 += 1,
        }
    }
    let told =
        |(cause, (count, first)): (Cause, (usize, String))| Failure::new(cause, format!("{count} of {} calls: {first}", calls.len()));
    failures.extend(faults.into_iter().map(told));
    for version in expected_versions(view).into_iter().filter(|version| !versions.contains(version)) {
        failures.push(Failure::new(Cause::MissingVersion, format!("no answer of version {version} in {} calls", calls.len())));
    }
    for other in view.clusters.iter().filter(|other| !clusters.contains(&other.name)) {
        let message = format!("no answer of a pod in {} in {} calls", other.name, calls.len());
        failures.push(Failure::new(Cause::ClusterNotReached, message).about(&other.name));
    }
    failures
}

/// Version and cluster of the pod that answered.
fn attribute(view: &FleetView, call: &Call) -> Result<(String, String), (Cause, String)> {
    let answer = call.answer().map_err(|fault| match fault {
        CallFault::NoAnswer(text) => (Cause::NoAnswer, text),
        CallFault::Untrusted(text) => (Cause::UntrustedCertificate, text),
        CallFault::Bad(text) => (Cause::BadAnswer, text),
    })?;
    match view.instance(&answer.instance) {
        None => Err((Cause::UnknownInstance, format!("no cluster has the pod {} that answered", answer.instance))),
        Some((cluster, pod)) if pod.version.as_deref() == Some(&answer.version) => Ok((answer.version, cluster.name.clone())),
        Some((cluster, pod)) => {
            let label = pod.version.as_deref().unwrap_or("none");
            Err((Cause::BadAnswer, format!("pod {} of {} says version {}, its label {label}", pod.name, cluster.name, answer.version)))
        }
    }
}

/// Versions that are to answer: all that are there, and two where there are two clusters.
fn expected_versions(view: &FleetView) -> BTreeSet<String> {
    let there = view.clusters.iter().flat_map(ClusterView::servers).filter_map(|pod| pod.version.clone());
    let sample = ["v1", "v2"].into_iter().take(view.clusters.len()).map(str::to_owned);
    there.chain(sample).collect()
}

/// Looks what the cluster's own pods do with plain text that came past the client's proxy.
pub fn mutual_tls(cluster: &ClusterView) -> Vec<Failure> {
    let mut failures = Vec::new();
    let mut asked = 0;
    for pod in cluster.ready_servers() {
        let Some(address) = pod.address else { continue };
        asked += 1;
        let target = SocketAddr::new(address, names::SERVICE_PORT).to_string();
        let what = format!("plain text to pod {}", pod.name);
        match probe(cluster, &target) {
            Err(why) => failures.push(Failure::unseen(&what, &why)),
            Ok(probe) if probe.answered() => {
                failures.push(Failure::new(Cause::PlaintextAccepted, format!("pod {} answers plain text: {}", pod.name, probe.describe())));
            }
            Ok(probe) if probe.refused() => {}
            // Neither an answer nor a refusal: it proves nothing.
            Ok(probe) => failures.push(Failure::unseen(&what, &probe.describe())),
        }
    }
    if asked == 0 {
        failures.push(Failure::unseen("plain text", "there is no pod to send it to"));
    }
    failures
}
