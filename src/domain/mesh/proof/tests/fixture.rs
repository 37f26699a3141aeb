//! Fleets in perfect order.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::super::call::{Call, Probe};
use super::super::names;
use super::super::view::*;

/// A fleet of this many clusters in which everything is as it should be.
pub fn green(count: usize) -> FleetView {
    FleetView { name: "trio".into(), clusters: (0..count).map(|index| cluster(index, count)).collect(), calls_wanted: 20 }
}

pub fn name(index: usize) -> String {
    format!("cluster{}", index + 1)
}

fn network(index: usize) -> String {
    format!("network-{}", name(index))
}

fn version(index: usize) -> String {
    format!("v{}", index % 2 + 1)
}

pub fn server(index: usize) -> String {
    format!("helloworld-{}-{index}", version(index))
}

fn pod_address(index: usize) -> IpAddr {
    [10, 10 + index as u8, 0, 9].into()
}

pub fn gateway_address(index: usize) -> IpAddr {
    [172, 18, 255, 200 + index as u8].into()
}

fn pod(app: &str, name: String, version: Option<String>, address: IpAddr) -> PodView {
    PodView { name, app: app.into(), version, address: Some(address), ready: Ok(()), injected: true }
}

fn cluster(index: usize, count: usize) -> ClusterView {
    let root = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    let others = || (0..count).filter(move |other| *other != index);
    let client = format!("curl-{index}");
    ClusterView {
        name: name(index),
        network: network(index),
        api_hosts: BTreeSet::from([format!("{}-control-plane", name(index)), format!("172.18.0.{}", index + 2)]),
        resting: Vec::new(),
        api_server: Ok(()),
        namespace_network: Ok(Some(network(index))),
        namespace_injected: Ok(true),
        gateway: Ok(Some(GatewayView {
            network: Some(network(index)),
            address: Some(gateway_address(index)),
            listens: true,
            announced: Ok(Announced::By(vec![format!("{}-control-plane", name(index))])),
            pods: vec![pod("istio-eastwestgateway", format!("gateway-{index}"), None, [10, 10 + index as u8, 0, 3].into())],
        })),
        roots: Ok([names::SYSTEM_NAMESPACE, names::SAMPLE_NAMESPACE].map(|space| (space.to_owned(), Some(root.clone()))).into()),
        remote_secrets: Ok(others()
            .map(|other| RemoteSecret {
                name: names::remote_secret(&name(other)),
                cluster: name(other),
                server: Ok(format!("https://{}-control-plane:6443", name(other))),
            })
            .collect()),
        istiods: Ok(vec![istiod(index, count, &client)]),
        pods: Ok(vec![
            pod(names::SERVICE, server(index), Some(version(index)), pod_address(index)),
            pod(names::CLIENT, client.clone(), None, [10, 10 + index as u8, 0, 7].into()),
        ]),
        client: Ok(ClientView { pod: client, proxy: Ok(hosts(index, count)), calls: Ok(calls(count)), probes: Ok(probes(index, count)) }),
    }
}

fn istiod(index: usize, count: usize, client: &str) -> IstiodView {
    let shard = |of: usize| vec![ShardEndpoint { address: pod_address(of).to_string(), healthy: true, tls: true }];
    IstiodView {
        pod: format!("istiod-{index}"),
        clusters: (0..count).map(|of| SyncState { cluster: name(of), status: names::SYNCED.into() }).collect(),
        gateways: (0..count)
            .map(|of| NetworkGateway {
                network: network(of),
                cluster: name(of),
                address: gateway_address(of).to_string(),
                port: names::GATEWAY_PORT,
            })
            .collect(),
        shards: (0..count).map(|of| (name(of), shard(of))).collect::<BTreeMap<_, _>>(),
        proxies: vec![ProxyState { proxy: format!("{client}.{}", names::SAMPLE_NAMESPACE), in_sync: true }],
    }
}

fn hosts(index: usize, count: usize) -> Vec<ProxyHost> {
    let host = |of: usize| match of == index {
        true => (pod_address(of), names::SERVICE_PORT),
        false => (gateway_address(of), names::GATEWAY_PORT),
    };
    (0..count).map(host).map(|(address, port)| ProxyHost { address: address.to_string(), port, healthy: Ok(()) }).collect()
}

/// Twenty calls that go around.
fn calls(count: usize) -> Vec<Call> {
    (0..20)
        .map(|number| Call {
            exit: 0,
            message: String::new(),
            status: 200,
            body: format!("Hello version: {}, instance: {}\n", version(number % count), server(number % count)),
            took: Duration::from_millis(number as u64 + 1),
        })
        .collect()
}

fn probes(index: usize, count: usize) -> Vec<Probe> {
    let reset = |target: String| Probe { target, connected: true, status: 0, exit: 56, message: "Connection reset by peer".into() };
    let gateways = (0..count).map(|of| format!("{}:{}", gateway_address(of), names::GATEWAY_PORT));
    gateways.chain([format!("{}:{}", pod_address(index), names::SERVICE_PORT)]).map(reset).collect()
}
