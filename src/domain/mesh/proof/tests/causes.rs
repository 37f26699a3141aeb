//! Each failure that happens in real life, as it shows, and the name it must have.

use super::super::cause::Cause;
use super::super::judge::{Check, Failure, judge};
use super::super::rest::{Rest, RestingNode, describe};
use super::super::view::*;
use super::fixture::{gateway_address, green, name};

/// The most telling cause after a change to a fleet of three, with its message.
fn told(change: impl FnOnce(&mut FleetView)) -> (Cause, String) {
    let mut view = green(3);
    change(&mut view);
    let verdict = judge(&view);
    assert!(!verdict.is_green());
    let (check, failure) = verdict.failures()[0];
    (failure.cause, format!("{}: {}", check.cluster.as_deref().unwrap_or_default(), failure.message))
}

fn istiod(view: &mut FleetView, index: usize) -> &mut IstiodView {
    &mut view.clusters[index].istiods.as_mut().unwrap()[0]
}

fn client(view: &mut FleetView, index: usize) -> &mut ClientView {
    view.clusters[index].client.as_mut().unwrap()
}

fn gateway(view: &mut FleetView, index: usize) -> &mut GatewayView {
    view.clusters[index].gateway.as_mut().unwrap().as_mut().unwrap()
}

/// Every call that went to this cluster fails, as it does when its gateway or trust is broken.
fn break_calls(view: &mut FleetView, to: usize, status: u16, body: &str) {
    let instance = super::fixture::server(to);
    for index in (0..3).filter(|index| *index != to) {
        for call in client(view, index).calls.as_mut().unwrap().iter_mut().filter(|call| call.body.contains(&instance)) {
            call.status = status;
            call.body = body.to_owned();
        }
    }
}

#[test]
fn not_synced() {
    let (cause, message) = told(|view| {
        istiod(view, 0).clusters[1].status = "timeout".into();
        istiod(view, 0).shards.remove("cluster2");
        istiod(view, 0).gateways.remove(1);
        client(view, 0).proxy.as_mut().unwrap().remove(1);
    });
    assert_eq!((cause, message.as_str()), (Cause::NotSynced, "cluster1: istiod-0 has not read cluster2: timeout"));
    let (cause, message) = told(|view| view.clusters[2].remote_secrets.as_mut().unwrap().clear());
    assert_eq!(cause, Cause::NotSynced);
    assert_eq!(message, "cluster3: it has no secret istio-remote-secret-cluster1 to read cluster1");
}

#[test]
fn no_network_label() {
    let (cause, message) = told(|view| {
        gateway(view, 1).network = None;
        for index in 0..3 {
            istiod(view, index).gateways.remove(1);
        }
    });
    assert_eq!(cause, Cause::NoNetworkLabel);
    assert_eq!(message, "cluster2: service istio-eastwestgateway has no label topology.istio.io/network=network-cluster2");
    let (cause, message) = told(|view| view.clusters[0].namespace_network = Ok(Some("other".into())));
    assert_eq!(cause, Cause::NoNetworkLabel);
    assert_eq!(message, "cluster1: namespace istio-system has the label topology.istio.io/network=other, not network-cluster1");
}

#[test]
fn no_injection() {
    let (cause, message) = told(|view| {
        view.clusters[1].pods.as_mut().unwrap()[0].injected = false;
        for index in 0..3 {
            istiod(view, index).shards.get_mut("cluster2").unwrap()[0].tls = false;
        }
        client(view, 0).proxy.as_mut().unwrap().remove(1);
    });
    assert_eq!(cause, Cause::NotInjected);
    assert_eq!(message, "cluster2: pod sample/helloworld-v2-1 has no proxy: it was made before injection worked, or without it");
    let (cause, _) = told(|view| view.clusters[1].namespace_injected = Ok(false));
    assert_eq!(cause, Cause::NotInjected);
}

#[test]
fn different_roots() {
    let other = b"-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n".to_vec();
    let (cause, message) = told(|view| {
        for root in view.clusters[0].roots.as_mut().unwrap().values_mut() {
            *root = Some(other.clone());
        }
        break_calls(view, 0, 503, "transport failure reason: TLS_error:|1:CERTIFICATE_VERIFY_FAILED");
    });
    assert_eq!(cause, Cause::DifferentRoots);
    assert!(message.starts_with("cluster1: the root in namespace istio-system (SHA-256 "), "the minority is named: {message}");
    assert!(message.contains("is not that of cluster2"), "{message}");
    let (cause, _) = told(|view| break_calls(view, 0, 503, "reason: TLS_error:|1:CERTIFICATE_VERIFY_FAILED"));
    assert_eq!(cause, Cause::UntrustedCertificate, "the same with equal ConfigMaps: proxies with old certificates");
}

#[test]
fn address_not_announced() {
    let unreached = |view: &mut FleetView, from: &[usize]| {
        for index in from {
            let target = format!("{}:15443", gateway_address(1));
            let probes = client(view, *index).probes.as_mut().unwrap();
            let probe = probes.iter_mut().find(|probe| probe.target == target).unwrap();
            (probe.connected, probe.exit, probe.message) = (false, 7, "No route to host".into());
        }
        break_calls(view, 1, 503, "upstream connect error: connection timeout");
    };
    let (cause, message) = told(|view| unreached(view, &[0, 2]));
    assert_eq!(cause, Cause::AddressNotAnnounced);
    assert_eq!(message, "cluster2: 172.18.255.201:15443 is not reached from cluster1: not connected (curl 7: No route to host)");
    let (cause, _) = told(|view| unreached(view, &[0, 1, 2]));
    assert_eq!(cause, Cause::GatewayDown, "when it does not even answer at home");
    let (cause, message) = told(|view| gateway(view, 1).announced = Ok(Announced::Nobody));
    assert_eq!((cause, message.as_str()), (Cause::AddressNotAnnounced, "cluster2: no node announces 172.18.255.201"));
}

#[test]
fn wrong_server_address() {
    let with = |server: &str| {
        let server = server.to_owned();
        told(|view| {
            view.clusters[0].remote_secrets.as_mut().unwrap()[0].server = Ok(server);
            istiod(view, 0).clusters[1].status = "timeout".into();
        })
    };
    let cases = [
        ("https://127.0.0.1:41234", "https://127.0.0.1:41234 is the pod itself, wherever it runs"),
        ("https://cluster3-control-plane:6443", "https://cluster3-control-plane:6443 is cluster cluster3"),
        (
            "https://10.0.0.1:6443",
            "https://10.0.0.1:6443 is not where pods of other clusters reach it (172.18.0.3, cluster2-control-plane)",
        ),
        ("https://172.18.0.3:41234", "https://172.18.0.3:41234 has another port than 6443"),
        ("cluster2", "cluster2 is no https address"),
    ];
    for (server, why) in cases {
        let (cause, message) = with(server);
        assert_eq!(cause, Cause::WrongServerAddress, "{server}");
        assert_eq!(message, format!("cluster1: secret istio-remote-secret-cluster2 does not lead to cluster2: {why}"));
    }
}

#[test]
fn endpoints_that_bypass_the_gateway() {
    let (cause, message) = told(|view| {
        let host = &mut client(view, 0).proxy.as_mut().unwrap()[1];
        (host.address, host.port) = ("10.11.0.9".into(), 5000);
    });
    assert_eq!(cause, Cause::MissingEndpoints);
    assert_eq!(message, "cluster1: the client's proxy does not know the gateway of cluster2, 172.18.255.201:15443");
    let mut view = green(2);
    client(&mut view, 0).proxy.as_mut().unwrap().push(ProxyHost { address: "10.11.0.9".into(), port: 5000, healthy: Ok(()) });
    let verdict = judge(&view);
    let message = &verdict.failures()[0].1.message;
    assert_eq!(message, "the client's proxy goes to pod 10.11.0.9:5000 of cluster2 without the gateway");
}

#[test]
fn answers_of_strangers() {
    let (cause, message) = told(|view| client(view, 0).calls.as_mut().unwrap()[0].body = "Hello version: v1, instance: stranger\n".into());
    assert_eq!(
        (cause, message.as_str()),
        (Cause::UnknownInstance, "cluster1: 1 of 20 calls: no cluster has the pod stranger that answered")
    );
    let (cause, message) = told(|view| {
        client(view, 0).calls.as_mut().unwrap()[0].body = "Hello version: v9, instance: helloworld-v1-0\n".into();
    });
    assert_eq!(cause, Cause::BadAnswer);
    assert_eq!(message, "cluster1: 1 of 20 calls: pod helloworld-v1-0 of cluster1 says version v9, its label v1");
}

#[test]
fn what_is_never_reached() {
    let (cause, message) = told(|view| {
        let calls = client(view, 0).calls.as_mut().unwrap();
        let local = calls[0].clone();
        calls.fill(local);
    });
    assert_eq!((cause, message.as_str()), (Cause::MissingVersion, "cluster1: no answer of version v2 in 20 calls"));
    let (cause, _) = told(|view| {
        let calls = client(view, 0).calls.as_mut().unwrap();
        let (first, second) = (calls[0].clone(), calls[1].clone());
        calls.fill(first);
        calls[1] = second;
    });
    assert_eq!(cause, Cause::ClusterNotReached, "both versions answered, but not the third cluster");
    let (cause, _) = told(|view| client(view, 0).calls.as_mut().unwrap().clear());
    assert_eq!(cause, Cause::MissingVersion);
}

#[test]
fn plain_text_that_is_answered() {
    let plain = |connected: bool, status: u16, exit: i32| {
        told(move |view| {
            let probe = client(view, 0).probes.as_mut().unwrap().last_mut().unwrap();
            (probe.connected, probe.status, probe.exit) = (connected, status, exit);
        })
    };
    assert_eq!(plain(true, 200, 0).0, Cause::PlaintextAccepted);
    assert_eq!(plain(true, 503, 0).0, Cause::PlaintextAccepted, "even a refusal in HTTP was read in plain text");
    assert_eq!(plain(false, 0, 7).0, Cause::NotObserved, "who was not reached did not refuse");
    assert_eq!(plain(true, 0, 28).0, Cause::NotObserved, "nor did who was silent");
    assert_eq!(plain(true, 0, 0).0, Cause::NotObserved);
}

#[test]
fn a_cluster_that_does_not_answer() {
    let (cause, message) = told(|view| {
        let mut unseen = ClusterView::unseen(name(1), "network-cluster2", "connection refused");
        unseen.api_hosts = view.clusters[1].api_hosts.clone();
        view.clusters[1] = unseen;
    });
    assert_eq!(cause, Cause::ApiServerUnreachable);
    assert_eq!(message, "cluster2: the API server does not answer: connection refused");
}

/// Nodes of a cluster that rest; nothing is seen of it when one is its control plane.
fn put_to_rest(view: &mut FleetView, index: usize, nodes: &[(&str, Rest)]) {
    let resting: Vec<RestingNode> =
        nodes.iter().map(|(node, rest)| RestingNode { name: format!("{}-{node}", name(index)), rest: *rest }).collect();
    if nodes.iter().any(|(node, _)| *node == "control-plane") {
        let why = describe(&resting).unwrap();
        let unseen = ClusterView::unseen(name(index), format!("network-{}", name(index)), &why);
        view.clusters[index] = ClusterView { api_hosts: view.clusters[index].api_hosts.clone(), ..unseen };
    }
    view.clusters[index].resting = resting;
}

fn all_told(view: &FleetView) -> Vec<String> {
    let verdict = judge(view);
    let line = |(check, failure): (&Check, &Failure)| {
        format!("{}: {}: {}; {}", check.cluster.as_deref().unwrap_or_default(), failure.cause, failure.message, failure.next)
    };
    verdict.telling().into_iter().map(line).collect()
}

#[test]
fn a_fleet_at_rest_is_one_cause_for_each_cluster() {
    let mut view = green(2);
    put_to_rest(&mut view, 0, &[("control-plane", Rest::Paused)]);
    put_to_rest(&mut view, 1, &[("control-plane", Rest::Paused), ("worker", Rest::Paused)]);
    assert_eq!(
        all_told(&view),
        [
            "cluster1: nodeNotRunning: node cluster1-control-plane is paused; let it go on: `kindmesh resume --fleet trio`",
            "cluster2: nodeNotRunning: nodes cluster2-control-plane, cluster2-worker are paused; let it go on: `kindmesh resume --fleet trio`",
        ]
    );
    assert!(judge(&view).failures().len() > 10, "the document has everything");
    // What resume refuses, start does.
    put_to_rest(&mut view, 1, &[("control-plane", Rest::Stopped)]);
    assert!(all_told(&view).iter().all(|line| line.ends_with("start it: `kindmesh start --fleet trio`")), "{:?}", all_told(&view));
    put_to_rest(&mut view, 1, &[("control-plane", Rest::Unstarted)]);
    assert!(all_told(&view)[1].contains("node cluster2-control-plane is not started yet; run `kindmesh up`"), "{:?}", all_told(&view));
}

#[test]
fn one_cluster_at_rest_explains_what_the_others_miss() {
    let mut view = green(3);
    put_to_rest(&mut view, 1, &[("control-plane", Rest::Stopped)]);
    let told = all_told(&view);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("cluster2: nodeNotRunning: node cluster2-control-plane is stopped"), "{told:?}");
}

#[test]
fn a_worker_at_rest_is_told_where_something_is_missing_and_only_there() {
    let mut view = green(2);
    put_to_rest(&mut view, 0, &[("worker", Rest::Stopped)]);
    assert!(judge(&view).is_green(), "nothing of the mesh was on it");
    view.clusters[0].pods.as_mut().unwrap()[0].ready = Err("node lost".into());
    let told = all_told(&view);
    assert_eq!(told, ["cluster1: nodeNotRunning: node cluster1-worker is stopped; start it: `kindmesh start --fleet trio`"]);
}

#[test]
fn what_is_left_of_a_removed_cluster() {
    let mut view = green(3);
    view.clusters.pop();
    let verdict = judge(&view);
    assert_eq!(verdict.failures()[0].1.cause, Cause::UnknownCluster);
    assert_eq!(
        verdict.failures()[0].1.message,
        "secret istio-remote-secret-cluster3 is for cluster cluster3, which the fleet does not have"
    );
}
