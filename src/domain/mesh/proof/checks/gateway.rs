//! The gateways between networks: their labels, their addresses, and who knows them.

use super::super::call::Probe;
use super::super::cause::Cause;
use super::super::judge::Failure;
use super::super::names;
use super::super::view::{Announced, ClusterView, FleetView, GatewayView, IstiodView};
use super::sample::of_pod;

/// Looks at a cluster's own gateway, from everywhere.
pub fn gateway(view: &FleetView, cluster: &ClusterView) -> Vec<Failure> {
    let mut failures = Vec::new();
    match &cluster.namespace_network {
        Err(why) => failures.push(Failure::unseen(&format!("namespace {}", names::SYSTEM_NAMESPACE), why)),
        Ok(label) => failures.extend(wrong_label(&format!("namespace {}", names::SYSTEM_NAMESPACE), label.as_deref(), &cluster.network)),
    }
    let service = format!("service {}", names::GATEWAY);
    match &cluster.gateway {
        Err(why) => failures.push(Failure::unseen(&service, why)),
        Ok(None) => failures.push(Failure::new(Cause::NoNetworkGateway, format!("there is no {service} in {}", names::SYSTEM_NAMESPACE))),
        Ok(Some(gateway)) => {
            failures.extend(wrong_label(&service, gateway.network.as_deref(), &cluster.network));
            failures.extend(of_service(view, cluster, gateway));
        }
    }
    failures
}

fn wrong_label(object: &str, label: Option<&str>, network: &str) -> Option<Failure> {
    let message = match label {
        Some(label) if label == network => return None,
        Some(label) => format!("{object} has the label {}={label}, not {network}", names::NETWORK_LABEL),
        None => format!("{object} has no label {}={network}", names::NETWORK_LABEL),
    };
    Some(Failure::new(Cause::NoNetworkLabel, message))
}

fn of_service(view: &FleetView, cluster: &ClusterView, gateway: &GatewayView) -> Vec<Failure> {
    let mut failures = Vec::new();
    let no_gateway = |message: String| Failure::new(Cause::NoNetworkGateway, message);
    if !gateway.listens {
        failures.push(no_gateway(format!("service {} has no port {}", names::GATEWAY, names::GATEWAY_PORT)));
    }
    if !gateway.pods.iter().any(|pod| pod.ready.is_ok()) {
        let why = gateway.pods.iter().find_map(|pod| pod.ready.clone().err()).unwrap_or_else(|| "it has no pods".to_owned());
        failures.push(Failure::new(Cause::GatewayDown, format!("no pod of {} is ready: {why}", names::GATEWAY)));
    }
    failures.extend(gateway.pods.iter().filter(|pod| !pod.injected).flat_map(|pod| of_pod(names::SYSTEM_NAMESPACE, pod)));
    let Some(address) = gateway.address else {
        failures.push(no_gateway(format!("service {} has no address", names::GATEWAY)));
        return failures;
    };
    match &gateway.announced {
        Err(why) => failures.push(Failure::unseen(&format!("who announces {address}"), why)),
        Ok(Announced::Nobody) => failures.push(Failure::new(Cause::AddressNotAnnounced, format!("no node announces {address}"))),
        // Whether that is true is seen from the other clusters.
        Ok(Announced::By(_) | Announced::Untold) => {}
    }
    // Inside its own cluster an address works without being announced: it tells whether the gateway is up.
    let own = probe(cluster, &target(cluster)).ok().map(|probe| probe.connected);
    for client in &view.clusters {
        match probe(client, &target(cluster)) {
            Err(why) => failures.push(Failure::unseen(&format!("the way from {} to {address}", client.name), &why).about(&client.name)),
            Ok(probe) if probe.connected => {}
            Ok(probe) => {
                let cause = if own == Some(false) { Cause::GatewayDown } else { Cause::AddressNotAnnounced };
                let message = format!("{address}:{} is not reached from {}: {}", names::GATEWAY_PORT, client.name, probe.describe());
                failures.push(Failure::new(cause, message).about(&client.name));
            }
        }
    }
    failures
}

/// `host:port` of a cluster's gateway, as probes name it; nothing without an address.
pub fn target(cluster: &ClusterView) -> String {
    let address = cluster.gateway_address().map(|address| std::net::SocketAddr::new(address, names::GATEWAY_PORT));
    address.map(|address| address.to_string()).unwrap_or_default()
}

/// What became of a client's probe to this target.
pub fn probe<'a>(cluster: &'a ClusterView, target: &str) -> Result<&'a Probe, String> {
    let probes = cluster.client.as_ref().map_err(Clone::clone)?.probes.as_ref().map_err(Clone::clone)?;
    probes.iter().find(|probe| probe.target == target).ok_or_else(|| "nobody tried".to_owned())
}

/// Looks at the gateways that a cluster's istiods know.
pub fn networks(view: &FleetView, cluster: &ClusterView) -> Vec<Failure> {
    match &cluster.istiods {
        Err(why) => vec![Failure::unseen("istiod", why)],
        Ok(istiods) if istiods.is_empty() => vec![Failure::new(Cause::NoIstiod, "no istiod is ready")],
        Ok(istiods) => istiods.iter().flat_map(|istiod| known_gateways(view, istiod)).collect(),
    }
}

fn known_gateways(view: &FleetView, istiod: &IstiodView) -> Vec<Failure> {
    let mut failures = Vec::new();
    for cluster in &view.clusters {
        // What it has not read it cannot know; that is told where it belongs.
        if !istiod.has_read(&cluster.name) {
            continue;
        }
        let known: Vec<_> = istiod.gateways.iter().filter(|gateway| gateway.network == cluster.network).collect();
        let expected = cluster.gateway_address().map(|address| address.to_string());
        let told = || known.iter().map(|gateway| format!("{}:{}", gateway.address, gateway.port)).collect::<Vec<_>>().join(", ");
        let message = match (known.as_slice(), expected) {
            ([], _) => format!("{} knows no gateway into {}", istiod.pod, cluster.network),
            ([one], Some(address)) if one.address == address && one.port == names::GATEWAY_PORT && one.cluster == cluster.name => continue,
            (_, Some(address)) => format!(
                "{} goes into {} by {}, but the gateway is {address}:{} in {}",
                istiod.pod,
                cluster.network,
                told(),
                names::GATEWAY_PORT,
                cluster.name
            ),
            (_, None) => format!("{} goes into {} by {}, but no gateway has an address there", istiod.pod, cluster.network, told()),
        };
        failures.push(Failure::new(Cause::NoNetworkGateway, message).about(&cluster.name));
    }
    failures
}
