//! Endpoints: those that istiod knows, and those that the client's proxy sends requests to.

use std::collections::BTreeSet;

use super::super::cause::Cause;
use super::super::judge::Failure;
use super::super::names;
use super::super::view::{ClusterView, FleetView, IstiodView, ProxyHost};

/// Compares what a cluster's istiods know with the pods that are there.
pub fn endpoints(view: &FleetView, cluster: &ClusterView) -> Vec<Failure> {
    match &cluster.istiods {
        Err(why) => vec![Failure::unseen("istiod", why)],
        Ok(istiods) if istiods.is_empty() => vec![Failure::new(Cause::NoIstiod, "no istiod is ready")],
        Ok(istiods) => istiods.iter().flat_map(|istiod| of_istiod(view, istiod)).collect(),
    }
}

fn of_istiod(view: &FleetView, istiod: &IstiodView) -> Vec<Failure> {
    let mut failures = Vec::new();
    for cluster in &view.clusters {
        // What it has not read it cannot know; that is told where it belongs.
        if !istiod.has_read(&cluster.name) {
            continue;
        }
        if let Err(why) = &cluster.pods {
            failures.push(Failure::unseen(&format!("pods of {}", cluster.name), why).about(&cluster.name));
            continue;
        }
        let shard = istiod.shards.get(&cluster.name).map(Vec::as_slice).unwrap_or_default();
        let known: BTreeSet<String> = shard.iter().filter(|endpoint| endpoint.healthy).map(|endpoint| endpoint.address.clone()).collect();
        let there = pod_addresses(cluster);
        let mut tell = |cause, words: &str, addresses: Vec<&String>| {
            if !addresses.is_empty() {
                let addresses = addresses.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                failures.push(Failure::new(cause, format!("{} {words} {}: {addresses}", istiod.pod, cluster.name)).about(&cluster.name));
            }
        };
        tell(Cause::MissingEndpoints, "does not know pods of", there.difference(&known).collect());
        tell(Cause::UnexpectedEndpoints, "knows pods that are not there or not ready in", known.difference(&there).collect());
        tell(
            Cause::NotInjected,
            "sees no mutual TLS at pods of",
            shard.iter().filter(|endpoint| !endpoint.tls).map(|e| &e.address).collect(),
        );
        if there.is_empty() {
            failures.push(
                Failure::new(Cause::NoSample, format!("no pod of {} is ready in {}", names::SERVICE, cluster.name)).about(&cluster.name),
            );
        }
    }
    failures
}

/// Compares the hosts in the client's proxy with what they should be: the cluster's own pods, and the
/// gateway of every other cluster.
pub fn proxy(view: &FleetView, cluster: &ClusterView) -> Vec<Failure> {
    let client = match &cluster.client {
        Err(why) => return vec![Failure::unseen("the client", why)],
        Ok(client) => client,
    };
    let mut failures = Vec::new();
    let id = format!("{}.{}", client.pod, names::SAMPLE_NAMESPACE);
    let mut lagging = "";
    if let Ok(istiods) = &cluster.istiods {
        let states: Vec<bool> =
            istiods.iter().flat_map(|istiod| &istiod.proxies).filter(|state| state.proxy == id).map(|state| state.in_sync).collect();
        if states.is_empty() {
            failures.push(Failure::new(Cause::ProxyNotConnected, format!("no istiod knows the proxy of {id}")));
        } else if states.contains(&false) {
            // A push on its way is no fault by itself; it may explain one.
            lagging = " (it has not acknowledged all that istiod sent)";
        }
    }
    let hosts = match &client.proxy {
        Err(why) => {
            failures.push(Failure::unseen(&format!("the proxy of {id}"), why));
            return failures;
        }
        Ok(hosts) => hosts,
    };
    failures.extend(of_hosts(view, cluster, hosts).into_iter().map(|mut failure| {
        failure.message.push_str(lagging);
        failure
    }));
    failures
}

fn of_hosts(view: &FleetView, cluster: &ClusterView, hosts: &[ProxyHost]) -> Vec<Failure> {
    let mut failures = Vec::new();
    let mut expected: BTreeSet<(String, u16)> = pod_addresses(cluster).into_iter().map(|address| (address, names::SERVICE_PORT)).collect();
    for other in view.others(cluster) {
        // A gateway without an address is told where it belongs.
        expected.extend(other.gateway_address().map(|address| (address.to_string(), names::GATEWAY_PORT)));
    }
    let found: BTreeSet<(String, u16)> = hosts.iter().map(|host| (host.address.clone(), host.port)).collect();
    for (address, port) in expected.difference(&found) {
        let failure = match view.others(cluster).find(|other| other.gateway_address().is_some_and(|own| own.to_string() == *address)) {
            Some(other) => {
                let message = format!("the client's proxy does not know the gateway of {}, {address}:{port}", other.name);
                Failure::new(Cause::MissingEndpoints, message).about(&other.name)
            }
            None => Failure::new(Cause::MissingEndpoints, format!("the client's proxy does not know the pod {address}:{port}")),
        };
        failures.push(failure);
    }
    for (address, port) in found.difference(&expected) {
        let failure = match view.others(cluster).find(|other| pod_addresses(other).contains(address)) {
            Some(other) => {
                let message = format!("the client's proxy goes to pod {address}:{port} of {} without the gateway", other.name);
                Failure::new(Cause::UnexpectedEndpoints, message).about(&other.name)
            }
            None => Failure::new(Cause::UnexpectedEndpoints, format!("the client's proxy goes to {address}:{port}, which nobody knows")),
        };
        failures.push(failure);
    }
    for host in hosts {
        if let Err(why) = &host.healthy {
            let message = format!("the client's proxy sends nothing to {}:{}: {why}", host.address, host.port);
            failures.push(Failure::new(Cause::UnhealthyEndpoints, message));
        }
    }
    if expected.is_empty() {
        failures.push(Failure::new(Cause::MissingEndpoints, "there is nothing that the client's proxy could go to"));
    }
    failures
}

/// Addresses of the ready pods behind the sample's service.
fn pod_addresses(cluster: &ClusterView) -> BTreeSet<String> {
    cluster.ready_servers().filter_map(|pod| pod.address).map(|address| address.to_string()).collect()
}
