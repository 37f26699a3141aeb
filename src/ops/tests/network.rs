use std::sync::Arc;

use futures_util::future::join_all;

use super::{IMAGE, container, engine, fleet, kindmesh};
use crate::domain::container::ContainerSpec;
use crate::domain::fleet::{Fleet, Privileges};
use crate::domain::fleet_builder::NetworkBuilder;
use crate::domain::labels;
use crate::domain::net::NetworkSpec;
use crate::engine::fake::{FakeEngine, Fault, Verb, When};
use crate::engine::{Engine as _, EngineErrorKind};
use crate::ops::ErrorKind;

/// An engine that lets two creators of the same network both succeed, and such a network.
fn engine_with_duplicates() -> (Arc<FakeEngine>, NetworkSpec) {
    let engine = engine();
    engine.allow_duplicate_networks(true);
    (engine, NetworkSpec { name: "kind".to_owned(), ..NetworkSpec::default() })
}

#[tokio::test]
async fn made_as_kind_makes_it_and_found_again() {
    let engine = engine();
    let network = kindmesh(&engine).ensure_network(&fleet("f")).await.unwrap();
    assert_eq!(network.name, "kind");
    assert!(network.ipv6);
    assert_eq!(network.ipv6_entry().unwrap().subnet.to_string(), "fc00:f853:ccd:e793::/64");
    assert_eq!(network.options["com.docker.network.bridge.enable_ip_masquerade"], "true");
    assert_eq!(network.labels[labels::FLEET], "f");
    engine.clear_calls();
    let again = kindmesh(&engine).ensure_network(&fleet("other")).await.unwrap();
    assert_eq!((again.id, engine.changes()), (network.id, Vec::new()));
}

#[tokio::test]
async fn many_at_once_leave_one_even_where_names_are_not_unique() {
    let engine = engine();
    engine.allow_duplicate_networks(true);
    let (kindmesh, fleet) = (kindmesh(&engine), fleet("f"));
    let made = join_all((0..16).map(|_| kindmesh.ensure_network(&fleet))).await;
    let left = engine.networks_named("kind").await.unwrap();
    assert_eq!(left.len(), 1);
    // Whoever lost a race found a network all the same; at the latest the next look shows the winner.
    assert!(made.iter().all(Result::is_ok), "{made:?}");
}

/// An `up` of one cluster whose network is taken away while its node is being started, and made by somebody else where they are
/// `faster`. The engine answers that start as told, and all others with "enough is seen".
async fn network_lost(faster: bool, answer: Result<(), String>) -> Arc<FakeEngine> {
    let engine = engine();
    let fleet = Fleet::builder("f").clusters(1).privileges(Privileges::Privileged).build().unwrap();
    let starts = std::sync::atomic::AtomicUsize::new(0);
    let networks = engine.clone();
    engine.on_start(move |_, spec| {
        if spec.network == "none" {
            return Ok(());
        }
        match starts.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => answer.clone(),
            _ => Err("enough is seen".to_owned()),
        }
    });
    engine.fault(When::Verb(Verb::StartContainer, 2), Fault::Delay(std::time::Duration::from_millis(50)));
    let watcher = async {
        loop {
            for one in networks.containers() {
                if one.labels.contains_key(labels::HELPER) {
                    networks.end_container(&one.name, 0);
                }
            }
            // While the node is being started, the other fleet's `down` does its work.
            let starts = networks.calls().iter().filter(|call| call.verb == Verb::StartContainer).count();
            if starts == 2
                && let Some(network) = networks.networks_named("kind").await.unwrap().first()
                && networks.calls().iter().filter(|call| call.verb == Verb::RemoveNetwork).count() == 0
            {
                networks.remove_network(&network.id).await.unwrap();
                if faster {
                    networks.create_network(&NetworkSpec { name: "kind".to_owned(), ..NetworkSpec::default() }).await.unwrap();
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    let error = tokio::select! {
        result = async { kindmesh(&engine).up(&fleet).await } => result.unwrap_err(),
        () = watcher => unreachable!("the watcher goes on for ever"),
    };
    assert!(error.one_line().contains("enough is seen"), "{error}");
    let made = engine.calls().iter().filter(|call| call.verb == Verb::CreateNetwork).count();
    assert_eq!(made, 2, "made again");
    assert_eq!(engine.networks_named("kind").await.unwrap().len(), 1);
    engine
}

#[tokio::test]
async fn a_network_that_goes_down_with_its_maker_is_made_again() {
    // The first node that starts finds its network gone, as the engine tells it.
    network_lost(false, Err("network kind not found".to_owned())).await;
}

/// So it is with two networks of the name, of which somebody takes back the one that pools were carved from.
#[tokio::test]
async fn a_node_that_began_on_another_network_of_the_name_is_made_anew() {
    let engine = network_lost(true, Ok(())).await;
    let of_node = |verb| engine.calls().iter().filter(|call| call.verb == verb && call.object.contains("control-plane")).count();
    assert_eq!((of_node(Verb::CreateContainer), of_node(Verb::StartContainer)), (2, 2));
}

#[tokio::test]
async fn a_lost_answer_is_no_second_network() {
    let engine = engine();
    engine.fault(When::Verb(Verb::CreateNetwork, 1), Fault::LoseAnswer);
    let error = kindmesh(&engine).ensure_network(&fleet("f")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Engine);
    kindmesh(&engine).ensure_network(&fleet("f")).await.unwrap();
    assert_eq!(engine.networks_named("kind").await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_subnet_in_use_is_followed_by_the_next_and_ipv6_that_cannot_be_by_none() {
    let overlap = || Fault::Fail(EngineErrorKind::Refused, "Pool overlaps with other one on this address space".to_owned());
    let engine = engine();
    engine.fault(When::Verb(Verb::CreateNetwork, 1), overlap());
    let network = kindmesh(&engine).ensure_network(&fleet("f")).await.unwrap();
    assert_eq!(network.ipv6_entry().unwrap().subnet.to_string(), "fc00:8866:27d0:bd7e::/64");

    let engine = super::engine();
    engine.fault(When::Every(Verb::CreateNetwork), overlap());
    let error = kindmesh(&engine).ensure_network(&fleet("f")).await.unwrap_err();
    assert!(error.to_string().contains("network kind") && !error.hints().is_empty(), "{error}");

    // Every subnet is held by somebody who is not listed yet, and may never be.
    let engine = super::engine();
    for attempt in 1..=7 {
        engine.fault(When::Verb(Verb::CreateNetwork, attempt), overlap());
    }
    kindmesh(&engine).ensure_network(&fleet("f")).await.unwrap();

    // Who holds it is told at once, when the engine lists them.
    let engine = super::engine();
    let spec = NetworkSpec { name: "theirs".to_owned(), ipv4_subnet: Some("172.30.0.0/16".parse().unwrap()), ..NetworkSpec::default() };
    engine.create_network(&spec).await.unwrap();
    engine.fault(When::Every(Verb::CreateNetwork), overlap());
    let wanted = Fleet::builder("f").network(NetworkBuilder::own("172.30.2.0/24").name("own")).build().unwrap();
    let error = kindmesh(&engine).ensure_network(&wanted).await.unwrap_err();
    assert_eq!(error.to_string(), "network own: its subnet 172.30.2.0/24 overlaps the network theirs");
    assert_eq!(engine.calls().iter().filter(|call| call.verb == Verb::CreateNetwork).count(), 2);

    let engine = super::engine();
    let no_ipv6 = Fault::Fail(EngineErrorKind::Failed, "Cannot read IPv6 setup for bridge br-0".to_owned());
    engine.fault(When::Verb(Verb::CreateNetwork, 1), no_ipv6);
    let network = kindmesh(&engine).ensure_network(&fleet("f")).await.unwrap();
    assert!(!network.ipv6 && network.ipv6_entry().is_none());

    // Neither can IPv6 be, nor is the subnet free at once.
    let engine = super::engine();
    engine.fault(
        When::Verb(Verb::CreateNetwork, 1),
        Fault::Fail(EngineErrorKind::Failed, "Cannot read IPv6 setup for bridge br-0".to_owned()),
    );
    engine.fault(When::Verb(Verb::CreateNetwork, 2), overlap());
    let network = kindmesh(&engine).ensure_network(&fleet("f")).await.unwrap();
    assert!(!network.ipv6 && network.ipv6_entry().is_none());
}

/// An old engine lists a network it is about to refuse: nobody may take it for the winner and
/// remove the good one.
#[tokio::test(start_paused = true)]
async fn what_is_gone_at_the_next_look_wins_nothing() {
    let (engine, spec) = engine_with_duplicates();
    let first = engine.create_network(&spec).await.unwrap();
    let second = engine.create_network(&spec).await.unwrap();
    let (refused, stays) = (std::cmp::min(&first, &second), std::cmp::max(&first, &second));
    let engine_takes_back = async {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        engine.remove_network(refused).await.unwrap();
    };
    let fleet = fleet("f");
    let kindmesh = kindmesh(&engine);
    let (found, ()) = tokio::join!(kindmesh.ensure_network(&fleet), engine_takes_back);
    assert_eq!(&found.unwrap().id, stays);
}

/// Of two creators the first may have looked before the second came, and start its nodes while there are two.
#[tokio::test(start_paused = true)]
async fn a_second_network_of_the_name_keeps_no_node_from_starting() {
    let (engine, spec) = engine_with_duplicates();
    let first = engine.create_network(&spec).await.unwrap();
    let created = ContainerSpec { image: IMAGE.to_owned(), network: "kind".to_owned(), ..ContainerSpec::default() };
    engine.create_container("node", &created).await.unwrap();
    let node = engine.inspect_container("node").await.unwrap();
    engine.create_network(&spec).await.unwrap();
    assert!(engine.start_container("node").await.unwrap_err().message.contains("ambiguous"));

    assert!(crate::ops::boot::ensure_started(engine.as_ref(), &node).await.unwrap());
    let left = engine.networks_named("kind").await.unwrap();
    assert_eq!(left.iter().map(|one| &one.id).collect::<Vec<_>>(), [&first]);
}

/// That of a node that rests has the addresses of its pool, whatever its ID.
#[tokio::test(start_paused = true)]
async fn of_two_networks_that_of_a_container_at_rest_stays() {
    let (engine, spec) = engine_with_duplicates();
    let first = engine.create_network(&spec).await.unwrap();
    let second = engine.create_network(&spec).await.unwrap();
    assert!(first < second, "by their IDs the first would stay");
    container(&engine, "guest", "bridge", &[]).await;
    engine.connect_network(&second, "guest", None).await.unwrap();
    engine.stop_container("guest", 0).await.unwrap();
    let kept = kindmesh(&engine).ensure_network(&fleet("f")).await.unwrap();
    assert_eq!(kept.id, second);
    assert_eq!(engine.networks_named("kind").await.unwrap().len(), 1);
}

/// Neither can do without its own, whether it runs or not.
#[tokio::test(start_paused = true)]
async fn two_networks_that_containers_belong_to_both_stay_and_are_told() {
    let (engine, spec) = engine_with_duplicates();
    for name in ["runs", "rests"] {
        let network = engine.create_network(&spec).await.unwrap();
        container(&engine, name, "bridge", &[]).await;
        engine.connect_network(&network, name, None).await.unwrap();
    }
    engine.stop_container("rests", 0).await.unwrap();
    let error = kindmesh(&engine).ensure_network(&fleet("f")).await.unwrap_err();
    assert!(error.to_string().contains("several networks kind") && !error.hints().is_empty(), "{error}");
    assert_eq!(engine.networks_named("kind").await.unwrap().len(), 2);
}

#[tokio::test]
async fn removed_only_by_its_maker_and_only_when_unused() {
    let engine = engine();
    let spec = NetworkSpec { name: "kind".to_owned(), ..NetworkSpec::default() };
    engine.create_network(&spec).await.unwrap();
    kindmesh(&engine).ensure_network(&fleet("f")).await.unwrap();
    let report = kindmesh(&engine).down(&"f".parse().unwrap()).await.unwrap();
    assert_eq!(report.networks, Vec::<String>::new(), "somebody else made it");
    assert_eq!(engine.networks_named("kind").await.unwrap().len(), 1);

    let engine = super::engine();
    kindmesh(&engine).ensure_network(&fleet("f")).await.unwrap();
    container(&engine, "guest", "kind", &[]).await;
    let report = kindmesh(&engine).down(&"f".parse().unwrap()).await.unwrap();
    assert_eq!((report.networks, report.networks_kept), (vec![], vec!["kind".to_owned()]));
    engine.remove_container("guest").await.unwrap();
    let report = kindmesh(&engine).down(&"f".parse().unwrap()).await.unwrap();
    assert_eq!(report.networks, ["kind"]);
}

#[tokio::test]
async fn a_foreign_network_of_the_wanted_name_is_refused_and_left_alone() {
    let engine = engine();
    let spec = NetworkSpec { name: "own".to_owned(), ipv4_subnet: Some("172.30.1.0/24".parse().unwrap()), ..NetworkSpec::default() };
    engine.create_network(&spec).await.unwrap();
    engine.clear_calls();
    let wanted = Fleet::builder("f").network(NetworkBuilder::own("172.30.2.0/24").name("own")).build().unwrap();
    let error = kindmesh(&engine).ensure_network(&wanted).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("172.30.1.0/24") && error.to_string().contains("172.30.2.0/24"), "{error}");
    assert_eq!(engine.changes(), Vec::new());
}
