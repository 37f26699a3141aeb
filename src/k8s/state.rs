//! What the status of an object says, in words: `Ok` when it is as wanted, else why not.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ContainerStatus, Node, Pod, Service};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;

/// As wanted, or the reason why not.
pub(crate) type State = Result<(), String>;

/// Whether a node is ready; says what the kubelet complains about.
pub(crate) fn node(node: &Node) -> State {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.into_iter().flatten().find(|condition| condition.type_ == "Ready");
    match ready {
        Some(condition) if condition.status == "True" => Ok(()),
        Some(condition) => {
            let why = condition.message.as_deref().or(condition.reason.as_deref()).unwrap_or_default();
            Err(format!("node {} is not ready{}", node.name_any(), reason(why)))
        }
        None => Err(format!("node {} has not reported yet", node.name_any())),
    }
}

/// Whether a pod runs and is ready, or has done its work.
pub(crate) fn pod(pod: &Pod) -> State {
    let name = pod.name_any();
    let Some(status) = &pod.status else { return Err(format!("pod {name} has no status yet")) };
    let phase = status.phase.as_deref().unwrap_or("Pending");
    if phase == "Succeeded" {
        return Ok(());
    }
    let condition = |kind: &str| status.conditions.iter().flatten().find(|condition| condition.type_ == kind);
    if phase == "Running" && condition("Ready").is_some_and(|ready| ready.status == "True") {
        return Ok(());
    }
    let containers = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    if let Some(why) = containers.filter_map(container).next() {
        return Err(format!("pod {name}: {why}"));
    }
    if let Some(condition) = condition("PodScheduled").filter(|scheduled| scheduled.status != "True") {
        let why = condition.message.as_deref().or(condition.reason.as_deref()).unwrap_or_default();
        return Err(format!("pod {name} is not scheduled{}", reason(why)));
    }
    match phase {
        "Running" => Err(format!("pod {name} runs but is not ready")),
        phase => Err(format!("pod {name} is {phase}")),
    }
}

/// Whether what a pod says of itself is newer than the last start of its node.
pub(crate) fn pod_is_current(pod: &Pod, starts: &BTreeMap<String, i64>) -> State {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    let Some(start) = node.and_then(|node| starts.get(node)) else { return Ok(()) };
    let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let mut running = containers.filter_map(|container| container.state.as_ref()?.running.as_ref()?.started_at.as_ref());
    match running.any(|started| started.0.as_second() < *start) {
        true => Err(format!("pod {} has not reported since its node started", pod.name_any())),
        false => Ok(()),
    }
}

/// Whether a pod counts at all: one that is going, or that its controller has replaced, does not.
pub(crate) fn pod_counts(pod: &Pod) -> bool {
    if pod.metadata.deletion_timestamp.is_some() {
        return false;
    }
    let failed = pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Failed"));
    let replaced = pod.owner_references().iter().any(|owner| owner.controller == Some(true) && owner.kind != "Node");
    !(failed && replaced)
}

/// Whether a pod is only shown by the server, and run by a kubelet from a file.
pub(crate) fn is_static(pod: &Pod) -> bool {
    pod.annotations().contains_key("kubernetes.io/config.mirror")
}

/// Whether every replica of a Deployment's newest revision is available.
pub(crate) fn deployment(deployment: &Deployment) -> State {
    let name = deployment.name_any();
    let Some(status) = &deployment.status else { return Err(format!("deployment {name} has no status yet")) };
    if status.observed_generation < deployment.metadata.generation {
        return Err(format!("deployment {name} has not been looked at yet"));
    }
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let (updated, available) = (status.updated_replicas.unwrap_or(0), status.available_replicas.unwrap_or(0));
    if updated >= wanted && available >= wanted {
        return Ok(());
    }
    let failure = status.conditions.iter().flatten().find(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True");
    let why = failure.and_then(|condition| condition.message.as_deref()).unwrap_or_default();
    Err(format!("deployment {name}: {available} of {wanted} replicas available{}", reason(why)))
}

/// Whether a DaemonSet runs and is ready on every node that wants it. `some` also asks that there
/// be such a node.
pub(crate) fn daemon_set(daemon_set: &DaemonSet, some: bool) -> State {
    let name = daemon_set.name_any();
    let Some(status) = &daemon_set.status else { return Err(format!("daemonset {name} has no status yet")) };
    if status.observed_generation < daemon_set.metadata.generation {
        return Err(format!("daemonset {name} has not been looked at yet"));
    }
    let (wanted, ready) = (status.desired_number_scheduled, status.number_ready);
    let updated = status.updated_number_scheduled.unwrap_or(0);
    match wanted {
        0 if some => Err(format!("daemonset {name}: no node wants it")),
        _ if ready >= wanted && updated >= wanted => Ok(()),
        _ => Err(format!("daemonset {name}: ready on {ready} of {wanted} nodes")),
    }
}

/// Whether the server serves the kind a definition describes.
pub(crate) fn definition(definition: &CustomResourceDefinition) -> State {
    let conditions = || definition.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let condition = |kind: &str| conditions().find(|condition| condition.type_ == kind);
    if let Some(refused) = condition("NamesAccepted").filter(|accepted| accepted.status == "False") {
        let why = refused.message.as_deref().unwrap_or_default();
        return Err(format!("{}: names refused{}", definition.name_any(), reason(why)));
    }
    match condition("Established") {
        Some(established) if established.status == "True" => Ok(()),
        _ => Err(format!("{} is not established", definition.name_any())),
    }
}

/// First address a LoadBalancer service was given.
pub(crate) fn service_address(service: &Service) -> Option<&str> {
    let ingress = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?;
    ingress.iter().find_map(|ingress| ingress.ip.as_deref())
}

/// What a container waits for, when it does.
fn container(status: &ContainerStatus) -> Option<String> {
    let state = status.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let why = waiting.reason.as_deref().unwrap_or("waiting");
        // These pass by themselves and say nothing of interest.
        if ["ContainerCreating", "PodInitializing"].contains(&why) {
            return None;
        }
        return Some(format!("container {} {why}{}", status.name, reason(waiting.message.as_deref().unwrap_or_default())));
    }
    let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
    Some(format!("container {} ended with code {}", status.name, ended.exit_code))
}

/// ` (why)`, on one line and not longer than a person reads.
fn reason(why: &str) -> String {
    const LONGEST: usize = 200;
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    if why.is_empty() {
        return why;
    }
    match why.char_indices().nth(LONGEST) {
        Some((end, _)) => format!(" ({}…)", &why[..end]),
        None => format!(" ({why})"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn nodes() {
        let case = |status: Value| node(&of(json!({"metadata": {"name": "n"}, "status": status})));
        assert_eq!(case(json!({"conditions": [{"type": "Ready", "status": "True"}]})), Ok(()));
        assert_eq!(case(json!({})).unwrap_err(), "node n has not reported yet");
        let waiting = json!({"conditions": [{"type": "Ready", "status": "False", "message": "cni plugin\n not initialized"}]});
        assert_eq!(case(waiting).unwrap_err(), "node n is not ready (cni plugin not initialized)");
    }

    #[test]
    fn pods() {
        let case = |status: Value| pod(&of(json!({"metadata": {"name": "p"}, "status": status})));
        assert_eq!(case(json!({"phase": "Succeeded"})), Ok(()));
        assert_eq!(case(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})), Ok(()));
        assert_eq!(
            case(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]})).unwrap_err(),
            "pod p runs but is not ready"
        );
        let unscheduled = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]});
        assert_eq!(case(unscheduled).unwrap_err(), "pod p is not scheduled (0/1 nodes)");
        let status = |state: Value| json!({"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        let pull = json!({"waiting": {"reason": "ErrImagePull", "message": "no such host"}});
        let pull = json!({"phase": "Pending", "containerStatuses": [status(pull)]});
        assert_eq!(case(pull).unwrap_err(), "pod p: container c ErrImagePull (no such host)");
        let creating = json!({"phase": "Pending", "containerStatuses": [status(json!({"waiting": {"reason": "ContainerCreating"}}))]});
        assert_eq!(case(creating).unwrap_err(), "pod p is Pending");
    }

    #[test]
    fn pods_that_do_not_count() {
        let owner = |kind: &str| json!([{"apiVersion": "v1", "kind": kind, "name": "o", "uid": "u", "controller": true}]);
        let case = |kind: &str, phase: &str| {
            pod_counts(&of(json!({"metadata": {"name": "p", "ownerReferences": owner(kind)}, "status": {"phase": phase}})))
        };
        assert!(case("ReplicaSet", "Running") && case("Node", "Failed"));
        assert!(!case("ReplicaSet", "Failed"), "its controller has made another one");
    }

    #[test]
    fn deployments() {
        let case = |status: Value| {
            deployment(&of(json!({"metadata": {"name": "d", "generation": 2}, "status": status,
                "spec": {"replicas": 2, "selector": {}, "template": {}}})))
        };
        assert_eq!(case(json!({"observedGeneration": 2, "updatedReplicas": 2, "availableReplicas": 2})), Ok(()));
        assert_eq!(
            case(json!({"observedGeneration": 1, "updatedReplicas": 2, "availableReplicas": 2})).unwrap_err(),
            "deployment d has not been looked at yet"
        );
        assert_eq!(
            case(json!({"observedGeneration": 2, "updatedReplicas": 1, "availableReplicas": 2})).unwrap_err(),
            "deployment d: 2 of 2 replicas available"
        );
        assert_eq!(case(json!({"observedGeneration": 2, "updatedReplicas": 2})).unwrap_err(), "deployment d: 0 of 2 replicas available");
    }

    #[test]
    fn daemon_sets() {
        let case = |wanted: i32, ready: i32, some: bool| {
            let status = json!({"observedGeneration": 1, "desiredNumberScheduled": wanted, "numberReady": ready, "updatedNumberScheduled": wanted,
                "currentNumberScheduled": wanted, "numberMisscheduled": 0});
            daemon_set(&of(json!({"metadata": {"name": "d", "generation": 1}, "status": status})), some)
        };
        assert_eq!(case(2, 2, true), Ok(()));
        assert_eq!(case(0, 0, false), Ok(()));
        assert_eq!(case(0, 0, true).unwrap_err(), "daemonset d: no node wants it");
        assert_eq!(case(2, 1, true).unwrap_err(), "daemonset d: ready on 1 of 2 nodes");
    }

    #[test]
    fn reasons_are_short() {
        assert_eq!(reason(&"ä".repeat(300)).chars().count(), 204);
    }
}
