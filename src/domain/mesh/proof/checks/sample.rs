//! The sample's pods: there, ready, with proxies.

use super::super::cause::Cause;
use super::super::judge::Failure;
use super::super::names;
use super::super::view::{ClusterView, PodView};

/// Whether the cluster answers at all.
pub fn api_server(cluster: &ClusterView) -> Vec<Failure> {
    match &cluster.api_server {
        Ok(()) => Vec::new(),
        Err(why) => vec![Failure::new(Cause::ApiServerUnreachable, format!("the API server does not answer: {why}"))],
    }
}

/// Looks at server pods and the client.
pub fn sample(cluster: &ClusterView) -> Vec<Failure> {
    let mut failures = Vec::new();
    match &cluster.namespace_injected {
        Err(why) => failures.push(Failure::unseen(&format!("namespace {}", names::SAMPLE_NAMESPACE), why)),
        Ok(false) => {
            let message = format!("namespace {} is not labelled for injection", names::SAMPLE_NAMESPACE);
            failures.push(Failure::new(Cause::NotInjected, message));
        }
        Ok(true) => {}
    }
    match &cluster.pods {
        Err(why) => failures.push(Failure::unseen(&format!("pods of namespace {}", names::SAMPLE_NAMESPACE), why)),
        Ok(pods) => {
            for app in [names::SERVICE, names::CLIENT] {
                if !pods.iter().any(|pod| pod.app == app) {
                    failures
                        .push(Failure::new(Cause::NoSample, format!("there is no pod app={app} in namespace {}", names::SAMPLE_NAMESPACE)));
                }
            }
            failures.extend(pods.iter().flat_map(|pod| of_pod(names::SAMPLE_NAMESPACE, pod)));
        }
    }
    if let Err(why) = &cluster.client {
        failures.push(Failure::unseen("the client", why));
    }
    failures
}

/// What is wrong with one pod.
pub fn of_pod(namespace: &str, pod: &PodView) -> Vec<Failure> {
    let mut failures = Vec::new();
    if !pod.injected {
        let message = format!("pod {namespace}/{} has no proxy: it was made before injection worked, or without it", pod.name);
        failures.push(Failure::new(Cause::NotInjected, message));
    }
    if let Err(why) = &pod.ready {
        failures.push(Failure::new(Cause::NotReady, why.clone()));
    }
    if pod.ready.is_ok() && pod.address.is_none() {
        failures.push(Failure::unseen(&format!("the address of pod {namespace}/{}", pod.name), "it has none"));
    }
    failures
}
