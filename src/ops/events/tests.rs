//! Events of fleets on an engine in memory, whose API servers do not answer.

use std::sync::Arc;
use std::time::Duration;

use super::{EventOptions, EventSource, FleetEvent};
use crate::engine::Engine as _;
use crate::engine::fake::{FakeEngine, Fault, Verb, When};
use crate::ops::tests::{IMAGE, node};
use crate::ops::{ErrorKind, Kindmesh};

async fn duo() -> (Arc<FakeEngine>, Kindmesh) {
    let engine = Arc::new(FakeEngine::new());
    engine.add_image(IMAGE, &[]);
    node(&engine, "a", Some("f"), "bridge").await;
    node(&engine, "b", Some("g"), "bridge").await;
    let km = Kindmesh::new(engine.clone());
    (engine, km)
}

fn of(fleet: &str) -> EventOptions {
    EventOptions { fleet: Some(fleet.parse().unwrap()), ..EventOptions::default() }
}

fn told(events: &[FleetEvent], source: EventSource) -> Vec<String> {
    events.iter().filter(|event| event.source == source).map(|event| format!("{} {}", event.reason, event.object)).collect()
}

#[tokio::test]
async fn what_is_remembered_is_of_the_fleet_alone_and_a_silent_cluster_says_so() {
    let (engine, km) = duo().await;
    engine.end_container("a-control-plane", 137);
    let events = km.past_events(&of("f")).await.unwrap();
    assert_eq!(
        told(&events, EventSource::Engine),
        ["create container a-control-plane", "start container a-control-plane", "die container a-control-plane"]
    );
    assert_eq!(told(&events, EventSource::Kindmesh), ["Silent cluster a"]);
    let none = km.past_events(&EventOptions::default()).await.unwrap_err();
    assert_eq!(none.kind(), ErrorKind::Config, "two fleets: {none}");
}

#[tokio::test(start_paused = true)]
async fn the_stream_goes_on_when_the_engine_closes_it_and_hears_clusters_that_come_later() {
    let (engine, km) = duo().await;
    engine.fault(When::Verb(Verb::Events, 1), Fault::Cut(1));
    let mut events = km.events(&of("f")).await.unwrap();
    let mut next = async |reason: &str, object: &str| {
        let found = async {
            loop {
                let event = events.next().await.expect("the stream goes on");
                if event.reason == reason && event.object == object {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), found).await.unwrap_or_else(|_| panic!("no {reason} {object}"));
    };
    // The first cannot be reached.
    next("Silent", "cluster a").await;
    engine.pause_container("a-control-plane").await.unwrap();
    next("pause", "container a-control-plane").await;
    // That was the last event before the stream broke.
    tokio::time::sleep(Duration::from_secs(3)).await;
    engine.unpause_container("a-control-plane").await.unwrap();
    next("unpause", "container a-control-plane").await;
    node(&engine, "c", Some("f"), "bridge").await;
    next("Silent", "cluster c").await;
}
