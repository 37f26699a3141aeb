//! Events of labelled containers and networks.

use std::time::Duration;

use futures_util::StreamExt;
use kindmesh::domain::container::ContainerSpec;
use kindmesh::domain::net::NetworkSpec;

use crate::scope::scoped;

#[tokio::test]
async fn nothing_is_missed_and_nothing_foreign_is_told() {
    scoped("events", async |scope| {
        let before = scope.network("before");
        let old = scope.engine.create_network(&before).await.unwrap();
        let mut events = scope.engine.events(&scope.filter()).await.unwrap();

        // All of this happens before the stream is read for the first time.
        let foreign = NetworkSpec { name: scope.named("foreign"), ..NetworkSpec::default() };
        let foreign = scope.engine.create_network(&foreign).await.unwrap();
        scope.engine.remove_network(&foreign).await.unwrap();
        let network = scope.network("net");
        let id = scope.engine.create_network(&network).await.unwrap();
        let name = scope.start("c", &ContainerSpec { network: network.name.clone(), ..scope.sleeper() }).await;
        scope.engine.kill_container(&name, "SIGKILL").await.unwrap();
        scope.engine.wait_container(&name).await.unwrap();
        scope.engine.remove_container(&name).await.unwrap();
        scope.engine.remove_network(&old).await.unwrap();

        let mut seen: Vec<(String, String, String)> = Vec::new();
        let last = ("network".to_owned(), "destroy".to_owned(), before.name.clone());
        while seen.last() != Some(&last) {
            let event = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
            let event = event.unwrap_or_else(|_| panic!("only {seen:?}")).unwrap().unwrap();
            assert!(event.time.elapsed().unwrap_or_default() < Duration::from_secs(60), "{event:?}");
            seen.push((event.object, event.action, event.name));
        }
        let has = |object: &str, action: &str, name: &str| seen.contains(&(object.to_owned(), action.to_owned(), name.to_owned()));
        for action in ["create", "start", "kill", "die", "destroy"] {
            assert!(has("container", action, &name), "no {action} in {seen:?}");
        }
        assert!(!has("network", "create", &before.name), "told of what was before");
        assert!(seen.iter().all(|(_, _, name)| !name.ends_with("foreign")), "{seen:?}");
        // The creation of a network that is still there when it is read is known to be ours.
        assert!(has("network", "create", &network.name), "{seen:?}");
        scope.engine.remove_network(&id).await.unwrap();
    })
    .await;
}
