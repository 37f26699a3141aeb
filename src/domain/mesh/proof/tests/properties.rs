//! Whatever single thing is missing or wrong, the verdict is not green.

use proptest::prelude::*;

use super::super::judge::judge;
use super::super::view::*;
use super::fixture::green;

/// A way to spoil one cluster's view; returns false when there was nothing to spoil.
type Spoil = fn(&mut ClusterView, pick: usize, word: &str) -> bool;

fn lost<T>(seen: &mut Seen<T>, word: &str) -> bool {
    *seen = Err(word.to_owned());
    true
}

fn drop_one<T>(list: &mut Vec<T>, pick: usize) -> bool {
    if list.is_empty() {
        return false;
    }
    list.remove(pick % list.len());
    true
}

fn one<T>(list: &mut [T], pick: usize) -> Option<&mut T> {
    let count = list.len();
    list.get_mut(pick % count.max(1))
}

fn replace(text: &mut String, word: &str) -> bool {
    let differs = text != word;
    word.clone_into(text);
    differs
}

fn gateway(view: &mut ClusterView) -> &mut GatewayView {
    view.gateway.as_mut().unwrap().as_mut().unwrap()
}

fn istiod(view: &mut ClusterView) -> &mut IstiodView {
    &mut view.istiods.as_mut().unwrap()[0]
}

fn client(view: &mut ClusterView) -> &mut ClientView {
    view.client.as_mut().unwrap()
}

const SPOILS: &[(&str, Spoil)] = &[
    ("api server lost", |view, _, word| lost(&mut view.api_server, word)),
    ("namespace network lost", |view, _, word| lost(&mut view.namespace_network, word)),
    ("namespace network none", |view, _, _| view.namespace_network.as_mut().unwrap().take().is_some()),
    ("namespace network other", |view, _, word| replace(view.namespace_network.as_mut().unwrap().as_mut().unwrap(), word)),
    ("injection lost", |view, _, word| lost(&mut view.namespace_injected, word)),
    ("injection off", |view, _, _| std::mem::replace(view.namespace_injected.as_mut().unwrap(), false)),
    ("gateway lost", |view, _, word| lost(&mut view.gateway, word)),
    ("gateway none", |view, _, _| view.gateway.as_mut().unwrap().take().is_some()),
    ("gateway network none", |view, _, _| gateway(view).network.take().is_some()),
    ("gateway network other", |view, _, word| replace(gateway(view).network.as_mut().unwrap(), word)),
    ("gateway address none", |view, _, _| gateway(view).address.take().is_some()),
    ("gateway address other", |view, _, _| gateway(view).address.replace([192, 0, 2, 1].into()).is_some()),
    ("gateway deaf", |view, _, _| std::mem::replace(&mut gateway(view).listens, false)),
    ("announcement lost", |view, _, word| lost(&mut gateway(view).announced, word)),
    ("announced by nobody", |view, _, _| {
        gateway(view).announced = Ok(Announced::Nobody);
        true
    }),
    ("gateway pods none", |view, pick, _| drop_one(&mut gateway(view).pods, pick)),
    ("gateway pod not ready", |view, pick, word| lost(&mut one(&mut gateway(view).pods, pick).unwrap().ready, word)),
    ("gateway pod not injected", |view, pick, _| std::mem::replace(&mut one(&mut gateway(view).pods, pick).unwrap().injected, false)),
    ("roots lost", |view, _, word| lost(&mut view.roots, word)),
    ("root dropped", |view, pick, _| {
        let roots = view.roots.as_mut().unwrap();
        let key = roots.keys().nth(pick % 2).cloned().unwrap();
        roots.remove(&key).is_some()
    }),
    ("root none", |view, pick, _| view.roots.as_mut().unwrap().values_mut().nth(pick % 2).unwrap().take().is_some()),
    ("root cut", |view, pick, _| {
        let root = view.roots.as_mut().unwrap().values_mut().nth(pick % 2).unwrap().as_mut().unwrap();
        root.pop().is_some()
    }),
    ("secrets lost", |view, _, word| lost(&mut view.remote_secrets, word)),
    ("secret dropped", |view, pick, _| drop_one(view.remote_secrets.as_mut().unwrap(), pick)),
    ("secret of another", |view, pick, word| {
        one(view.remote_secrets.as_mut().unwrap(), pick).is_some_and(|secret| replace(&mut secret.cluster, word))
    }),
    ("secret without server", |view, pick, word| {
        one(view.remote_secrets.as_mut().unwrap(), pick).is_some_and(|secret| lost(&mut secret.server, word))
    }),
    ("secret to elsewhere", |view, pick, word| {
        one(view.remote_secrets.as_mut().unwrap(), pick).is_some_and(|secret| replace(secret.server.as_mut().unwrap(), word))
    }),
    ("istiods lost", |view, _, word| lost(&mut view.istiods, word)),
    ("istiod dropped", |view, pick, _| drop_one(view.istiods.as_mut().unwrap(), pick)),
    ("sync dropped", |view, pick, _| drop_one(&mut istiod(view).clusters, pick)),
    ("sync status", |view, pick, word| replace(&mut one(&mut istiod(view).clusters, pick).unwrap().status, word)),
    ("sync id", |view, pick, word| replace(&mut one(&mut istiod(view).clusters, pick).unwrap().cluster, word)),
    ("network gateway dropped", |view, pick, _| drop_one(&mut istiod(view).gateways, pick)),
    ("network gateway network", |view, pick, word| replace(&mut one(&mut istiod(view).gateways, pick).unwrap().network, word)),
    ("network gateway cluster", |view, pick, word| replace(&mut one(&mut istiod(view).gateways, pick).unwrap().cluster, word)),
    ("network gateway address", |view, pick, word| replace(&mut one(&mut istiod(view).gateways, pick).unwrap().address, word)),
    ("network gateway port", |view, pick, _| std::mem::replace(&mut one(&mut istiod(view).gateways, pick).unwrap().port, 1) != 1),
    ("network gateway twice", |view, pick, word| {
        let mut again = one(&mut istiod(view).gateways, pick).unwrap().clone();
        again.address = word.to_owned();
        istiod(view).gateways.push(again);
        true
    }),
    ("shard dropped", |view, pick, _| {
        let shards = &mut istiod(view).shards;
        let key = shards.keys().nth(pick % shards.len()).cloned().unwrap();
        shards.remove(&key).is_some()
    }),
    ("shard emptied", |view, pick, _| {
        let shards = &mut istiod(view).shards;
        let count = shards.len();
        drop_one(shards.values_mut().nth(pick % count).unwrap(), pick)
    }),
    ("shard address", |view, _, word| replace(&mut istiod(view).shards.values_mut().next().unwrap()[0].address, word)),
    ("shard unhealthy", |view, _, _| std::mem::replace(&mut istiod(view).shards.values_mut().next().unwrap()[0].healthy, false)),
    ("shard without tls", |view, _, _| std::mem::replace(&mut istiod(view).shards.values_mut().next().unwrap()[0].tls, false)),
    ("proxy unknown to istiod", |view, pick, _| drop_one(&mut istiod(view).proxies, pick)),
    ("proxy renamed", |view, _, word| replace(&mut istiod(view).proxies[0].proxy, word)),
    ("pods lost", |view, _, word| lost(&mut view.pods, word)),
    ("pod dropped", |view, pick, _| drop_one(view.pods.as_mut().unwrap(), pick)),
    ("pod renamed", |view, _, word| replace(&mut view.pods.as_mut().unwrap()[0].name, word)),
    ("pod of another app", |view, pick, word| replace(&mut one(view.pods.as_mut().unwrap(), pick).unwrap().app, word)),
    ("pod without version", |view, _, _| view.pods.as_mut().unwrap()[0].version.take().is_some()),
    ("pod of another version", |view, _, word| replace(view.pods.as_mut().unwrap()[0].version.as_mut().unwrap(), word)),
    ("pod without address", |view, pick, _| one(view.pods.as_mut().unwrap(), pick).unwrap().address.take().is_some()),
    ("pod at another address", |view, _, _| view.pods.as_mut().unwrap()[0].address.replace([192, 0, 2, 1].into()).is_some()),
    ("pod not ready", |view, pick, word| lost(&mut one(view.pods.as_mut().unwrap(), pick).unwrap().ready, word)),
    ("pod not injected", |view, pick, _| std::mem::replace(&mut one(view.pods.as_mut().unwrap(), pick).unwrap().injected, false)),
    ("client lost", |view, _, word| lost(&mut view.client, word)),
    ("client renamed", |view, _, word| replace(&mut client(view).pod, word)),
    ("proxy lost", |view, _, word| lost(&mut client(view).proxy, word)),
    ("host dropped", |view, pick, _| drop_one(client(view).proxy.as_mut().unwrap(), pick)),
    ("host address", |view, pick, word| replace(&mut one(client(view).proxy.as_mut().unwrap(), pick).unwrap().address, word)),
    ("host port", |view, pick, _| std::mem::replace(&mut one(client(view).proxy.as_mut().unwrap(), pick).unwrap().port, 1) != 1),
    ("host unhealthy", |view, pick, word| lost(&mut one(client(view).proxy.as_mut().unwrap(), pick).unwrap().healthy, word)),
    ("host too many", |view, _, word| {
        client(view).proxy.as_mut().unwrap().push(ProxyHost { address: word.to_owned(), port: 5000, healthy: Ok(()) });
        true
    }),
    ("calls lost", |view, _, word| lost(&mut client(view).calls, word)),
    ("call dropped", |view, pick, _| drop_one(client(view).calls.as_mut().unwrap(), pick)),
    ("call body", |view, pick, word| replace(&mut one(client(view).calls.as_mut().unwrap(), pick).unwrap().body, word)),
    ("call status", |view, pick, _| std::mem::replace(&mut one(client(view).calls.as_mut().unwrap(), pick).unwrap().status, 503) != 503),
    ("call exit", |view, pick, _| std::mem::replace(&mut one(client(view).calls.as_mut().unwrap(), pick).unwrap().exit, 7) != 7),
    ("probes lost", |view, _, word| lost(&mut client(view).probes, word)),
    ("probe dropped", |view, pick, _| drop_one(client(view).probes.as_mut().unwrap(), pick)),
    ("probe elsewhere", |view, pick, word| replace(&mut one(client(view).probes.as_mut().unwrap(), pick).unwrap().target, word)),
    ("probe not connected", |view, pick, _| {
        std::mem::replace(&mut one(client(view).probes.as_mut().unwrap(), pick).unwrap().connected, false)
    }),
    ("plain text answered", |view, _, _| {
        client(view).probes.as_mut().unwrap().last_mut().unwrap().status = 200;
        true
    }),
    ("plain text unanswered in time", |view, _, _| {
        client(view).probes.as_mut().unwrap().last_mut().unwrap().exit = 28;
        true
    }),
];

#[test]
fn every_single_thing_counts_in_every_cluster() {
    for count in 1..=4 {
        for index in 0..count {
            for (what, spoil) in SPOILS {
                for pick in 0..20 {
                    let mut view = green(count);
                    if spoil(&mut view.clusters[index], pick, "x") {
                        assert!(!judge(&view).is_green(), "{what}, {pick}, in cluster {index} of {count}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_dropped_cluster_counts() {
    for count in 2..=4 {
        for index in 0..count {
            let mut view = green(count);
            view.clusters.remove(index);
            assert!(!judge(&view).is_green(), "without cluster {index} of {count}");
        }
    }
}

proptest! {
    /// Faults in several clusters do not cancel each other out.
    #[test]
    fn nothing_wrong_makes_up_for_something_else(
        spoils in prop::collection::vec((0..SPOILS.len(), 0usize..20, "[a-z0-9:. /-]{0,12}"), 2..5),
    ) {
        let mut view = green(spoils.len());
        let mut spoilt = false;
        for (cluster, (what, pick, word)) in view.clusters.iter_mut().zip(&spoils) {
            spoilt |= SPOILS[*what].1(cluster, *pick, word);
        }
        prop_assume!(spoilt);
        prop_assert!(!judge(&view).is_green());
    }
}
