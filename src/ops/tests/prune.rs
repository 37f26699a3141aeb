use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{container, engine, kindmesh};
use crate::domain::labels;
use crate::domain::net::NetworkSpec;
use crate::domain::node::fleet_labels;
use crate::domain::ticket;
use crate::engine::Engine as _;
use crate::engine::fake::FakeEngine;
use crate::ops::holder;

fn ago(seconds: i64) -> String {
    Timestamp::from_second(Timestamp::now().as_second() - seconds).unwrap().to_string()
}

async fn node(engine: &FakeEngine, fleet: &str, more: &[(&str, &str)]) {
    let cluster = format!("{fleet}1");
    let mut of = vec![(labels::CLUSTER, cluster.as_str()), (labels::ROLE, "control-plane"), (labels::FLEET, fleet)];
    of.extend(more);
    container(engine, &format!("{cluster}-control-plane"), "bridge", &of).await;
}

#[tokio::test]
async fn what_is_over_goes_and_everything_else_stays() {
    let engine = engine();
    let (past, future) = (ago(5), ago(-500));
    node(&engine, "over", &[(labels::EXPIRES, &past)]).await;
    node(&engine, "later", &[(labels::EXPIRES, &future)]).await;
    node(&engine, "plain", &[]).await;
    node(&engine, "held", &[(labels::OWNER, "alive"), (labels::EXPIRES, &past)]).await;
    node(&engine, "orphan", &[(labels::OWNER, "dead")]).await;
    container(&engine, "holder", "bridge", &[(labels::HELPER, "holder"), (labels::OWNER, "alive")]).await;
    container(&engine, "foreign", "bridge", &[(labels::EXPIRES, &past)]).await;

    let told = kindmesh(&engine).prune(true).await.unwrap();
    let names = |report: &crate::ops::PruneReport| report.fleets.iter().map(|fleet| fleet.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&told), ["orphan", "over"]);
    assert!(told.fleets[0].why.contains("owner dead is gone") && told.fleets[1].why.contains("expired at"), "{told:?}");
    assert_eq!(engine.containers().len(), 7, "only looked");

    let done = kindmesh(&engine).prune(false).await.unwrap();
    assert_eq!((names(&done), done.down.clusters.len()), (names(&told), 2));
    assert_eq!(super::names(&engine), ["foreign", "held1-control-plane", "holder", "later1-control-plane", "plain1-control-plane"]);
    assert_eq!(kindmesh(&engine).prune(false).await.unwrap(), crate::ops::PruneReport::default());
}

#[tokio::test]
async fn locks_and_helpers_of_killed_processes_go() {
    let engine = engine();
    let fleet = "f".parse().unwrap();
    let me = holder::this("up");
    let dead = crate::domain::ticket::Holder { id: "dead".to_owned(), born: me.born + 1, ..me.clone() };
    for holder in [&me, &dead] {
        let mut labels: BTreeMap<String, String> = fleet_labels(&fleet);
        labels.insert(labels::LOCK.to_owned(), holder.to_label());
        engine.create_volume(&ticket::name(&fleet, &holder.id, 0), &labels).await.unwrap();
    }
    // The fake's clock stands still years ago.
    container(&engine, "probe", "bridge", &[(labels::HELPER, "probe")]).await;
    container(&engine, "lease", "bridge", &[(labels::HELPER, "lease")]).await;
    container(&engine, "holder", "bridge", &[(labels::HELPER, "holder"), (labels::OWNER, "dead")]).await;
    engine.kill_container("holder", "SIGKILL").await.unwrap();

    let done = kindmesh(&engine).prune(false).await.unwrap();
    assert_eq!((done.locks, done.helpers), (vec!["kindmesh-lock-f-dead-0".to_owned()], vec!["probe".to_owned(), "holder".to_owned()]));
    assert_eq!(super::names(&engine), ["lease"]);
    assert_eq!(engine.volumes().iter().filter(|name| name.starts_with("kindmesh-lock")).count(), 1, "the living one's");
}

#[tokio::test]
async fn what_was_begun_and_not_ended_is_told() {
    let engine = engine();
    let of = |fleet: &str| fleet_labels(&fleet.parse().unwrap());
    let network = |name: &str| NetworkSpec { name: name.to_owned(), labels: of(name), ..NetworkSpec::default() };
    engine.create_network(&network("old")).await.unwrap();
    engine.create_volume("old-note", &of("old")).await.unwrap();
    node(&engine, "old", &[]).await;
    let since = engine.list_containers(&[]).await.unwrap()[0].created + 1;
    engine.create_network(&network("new")).await.unwrap();
    engine.create_network(&NetworkSpec { name: "foreign".to_owned(), ..NetworkSpec::default() }).await.unwrap();
    node(&engine, "new", &[]).await;
    engine.create_volume("new-note", &of("new")).await.unwrap();
    for (name, holder) in [("new-x-0", holder::this("up")), ("new-y-0", other())] {
        let mut labels: BTreeMap<String, String> = of("new");
        labels.insert(labels::LOCK.to_owned(), holder.to_label());
        engine.create_volume(&format!("kindmesh-lock-{name}"), &labels).await.unwrap();
    }
    node(&engine, "beside", &[]).await;
    let of_all = kindmesh(&engine).begun_since(since, None).await.unwrap();
    assert_eq!(of_all[0], "container beside1-control-plane (running)");
    let left = kindmesh(&engine).begun_since(since, Some(&"new".parse().unwrap())).await.unwrap();
    assert_eq!(of_all[1..], left);
    let expected = ["container new1-control-plane (running)", "lock kindmesh-lock-new-x-0", "network new", "volume new-note"];
    assert_eq!(left.len(), expected.len(), "{left:?}");
    assert!(left.iter().zip(expected).all(|(left, expected)| left.starts_with(expected)), "{left:?}");
}

/// A process that is not this one.
fn other() -> ticket::Holder {
    let me = holder::this("up");
    ticket::Holder { id: "y".to_owned(), born: me.born + 1, ..me }
}

#[tokio::test]
async fn a_network_goes_with_its_last_user() {
    let engine = engine();
    let fleet = super::fleet("f");
    let made = crate::ops::network::ensure(engine.as_ref(), &fleet).await.unwrap().value;
    for (name, of) in [("g1", Some("g")), ("h1", Some("h"))] {
        super::node(&engine, name, of, &made.name).await;
    }
    let kept = kindmesh(&engine).down(&fleet.name).await.unwrap();
    assert_eq!(kept.networks_kept, std::slice::from_ref(&made.name));
    let left = kindmesh(&engine).down(&"g".parse().unwrap()).await.unwrap();
    assert_eq!(left.networks, Vec::<String>::new(), "h uses it");
    assert_eq!(kindmesh(&engine).prune(false).await.unwrap().networks, Vec::<String>::new());
    let last = kindmesh(&engine).down(&"h".parse().unwrap()).await.unwrap();
    assert_eq!(last.networks, std::slice::from_ref(&made.name));
    assert!(!engine.networks().iter().any(|network| network.name == made.name));
}

#[tokio::test]
async fn a_network_whose_last_user_was_no_fleet_is_pruned() {
    let engine = engine();
    let fleet = super::fleet("f");
    let made = crate::ops::network::ensure(engine.as_ref(), &fleet).await.unwrap().value;
    super::node(&engine, "kind", None, &made.name).await;
    kindmesh(&engine).down(&fleet.name).await.unwrap();
    engine.remove_container("kind-control-plane").await.unwrap();
    assert_eq!(kindmesh(&engine).prune(true).await.unwrap().networks, std::slice::from_ref(&made.name));
    assert!(engine.networks().iter().any(|network| network.name == made.name), "only looked");
    assert_eq!(kindmesh(&engine).prune(false).await.unwrap().networks, std::slice::from_ref(&made.name));
    assert!(!engine.networks().iter().any(|network| network.name == made.name));
}
