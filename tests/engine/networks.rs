//! Networks: names, addresses, and what two creators at once get.

use kindmesh::domain::container::ContainerSpec;
use kindmesh::domain::fleet::Fleet;
use kindmesh::domain::fleet_builder::NetworkBuilder;
use kindmesh::domain::labels;
use kindmesh::domain::net::NetworkSpec;
use kindmesh::domain::net::ula::ula;
use kindmesh::domain::version::EngineApiVersion;
use kindmesh::ops::{ErrorKind, Kindmesh};

use crate::scope::{Scope, scoped};

fn own(scope: &Scope, octet: u8) -> NetworkSpec {
    NetworkSpec {
        ipv4_subnet: Some(format!("10.213.{octet}.0/24").parse().unwrap()),
        ip_range: Some(format!("10.213.{octet}.128/25").parse().unwrap()),
        gateway: Some(format!("10.213.{octet}.1").parse().unwrap()),
        ..scope.network("net")
    }
}

#[tokio::test]
async fn a_network_reads_back_as_it_was_made() {
    scoped("net", async |scope| {
        let mut spec = own(&scope, 1);
        spec.enable_ipv6 = true;
        spec.ipv6_subnet = Some("fc00:1234:5678:1::/64".parse().unwrap());
        spec.options.insert("com.docker.network.driver.mtu".to_owned(), "1400".to_owned());
        let id = scope.engine.create_network(&spec).await.unwrap();
        let found = scope.engine.networks_named(&spec.name).await.unwrap();
        assert_eq!(found.len(), 1);
        let network = &found[0];
        assert_eq!((network.id.as_str(), network.driver.as_str(), network.ipv6), (id.as_str(), "bridge", true));
        let v4 = network.ipv4().unwrap();
        assert_eq!(v4.subnet, "10.213.1.0/24".parse::<ipnetwork::IpNetwork>().unwrap());
        assert_eq!(v4.ip_range, Some("10.213.1.128/25".parse().unwrap()));
        assert_eq!(v4.gateway, Some("10.213.1.1".parse().unwrap()));
        assert_eq!(network.ipv6_entry().unwrap().subnet, "fc00:1234:5678:1::/64".parse::<ipnetwork::IpNetwork>().unwrap());
        assert_eq!(network.options["com.docker.network.driver.mtu"], "1400");
        assert_eq!(scope.engine.networks_labelled(&scope.filter()).await.unwrap(), found);
        // Neither a part of the name nor a pattern finds it.
        for name in [&spec.name[1..], "kmt.*", "none-such"] {
            assert!(scope.engine.networks_named(name).await.unwrap().is_empty(), "{name}");
        }
        scope.engine.remove_network(&id).await.unwrap();
        assert!(scope.engine.inspect_network(&id).await.unwrap_err().is_not_found());
        assert!(scope.engine.remove_network(&id).await.unwrap_err().is_not_found());
    })
    .await;
}

#[tokio::test]
async fn a_taken_name_is_a_conflict_on_every_engine() {
    scoped("taken", async |scope| {
        let spec = own(&scope, 2);
        scope.engine.create_network(&spec).await.unwrap();
        let error = scope.engine.create_network(&scope.network("net")).await.unwrap_err();
        assert!(error.is_conflict(), "{error:?}");
        assert_eq!(error.object, spec.name);
        assert_eq!(scope.engine.networks_named(&spec.name).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_overlapping_subnet_is_refused_with_the_engines_words() {
    scoped("overlap", async |scope| {
        scope.engine.create_network(&own(&scope, 3)).await.unwrap();
        let other = NetworkSpec { name: scope.named("other"), ..own(&scope, 3) };
        let error = scope.engine.create_network(&other).await.unwrap_err();
        assert_eq!(error.kind, kindmesh::engine::EngineErrorKind::Refused, "{error:?}");
        assert!(error.message.contains("Pool overlaps with other one on this address space"), "{error}");

        // A fleet that wants that subnet is told who has it.
        let wanted = NetworkBuilder::own("10.213.3.0/25").name(scope.named("own"));
        let fleet = Fleet::builder("overlap").network(wanted).build().unwrap();
        let error = Kindmesh::new(scope.engine.clone()).ensure_network(&fleet).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let taker = scope.named("net");
        assert!(error.to_string().ends_with(&format!("10.213.3.0/25 overlaps the network {taker}")), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_shared_network_takes_the_next_subnet_when_its_first_is_in_use() {
    scoped("next", async |scope| {
        let name = scope.named("shared");
        let first = ula(&name, 0);
        scope.engine.create_network(&NetworkSpec { enable_ipv6: true, ipv6_subnet: Some(first), ..own(&scope, 4) }).await.unwrap();
        let fleet = Fleet::builder(&scope.name).network(NetworkBuilder::shared().name(&name)).build().unwrap();
        let made = Kindmesh::new(scope.engine.clone()).ensure_network(&fleet).await;
        // It bears the fleet's label alone, so that the sweep does not know it.
        let filter = format!("{}={}", labels::FLEET, fleet.name);
        for network in scope.engine.networks_labelled(&[filter]).await.unwrap() {
            scope.engine.remove_network(&network.id).await.unwrap();
        }
        let subnet = made.unwrap().ipv6_entry().unwrap().subnet;
        assert_eq!(subnet, ipnetwork::IpNetwork::V6(ula(&name, 1)));
    })
    .await;
}

#[tokio::test]
async fn of_many_creators_at_once_the_losers_get_a_conflict_or_a_duplicate_that_is_listed() {
    scoped("many", async |scope| {
        let spec = scope.network("net");
        let results = futures_util::future::join_all((0..16).map(|_| scope.engine.create_network(&spec))).await;
        let made: Vec<&String> = results.iter().flatten().collect();
        for error in results.iter().filter_map(|result| result.as_ref().err()) {
            assert!(error.is_conflict(), "{error:?}");
        }
        let listed = scope.engine.networks_named(&spec.name).await.unwrap();
        assert_eq!(listed.len(), made.len(), "every success is a network, and every network a success");
        assert!(!made.is_empty());
        if scope.engine.facts().await.unwrap().api_version >= EngineApiVersion::new(1, 44) {
            assert_eq!(made.len(), 1, "names are unique from API 1.44 on");
        }
    })
    .await;
}

#[tokio::test]
async fn attached_containers_are_told_with_their_addresses() {
    scoped("attach", async |scope| {
        let spec = own(&scope, 5);
        let network = scope.engine.create_network(&spec).await.unwrap();
        let fixed = ContainerSpec { network: spec.name.clone(), ipv4_address: Some("10.213.5.50".parse().unwrap()), ..scope.sleeper() };
        let name = scope.start("fixed", &fixed).await;
        // Containers without a network cannot be given one.
        let late = scope.start("late", &ContainerSpec { network: "bridge".to_owned(), ..scope.sleeper() }).await;
        scope.engine.connect_network(&network, &late, Some("10.213.5.60".parse().unwrap())).await.unwrap();

        let attached = scope.engine.inspect_network(&network).await.unwrap().attached;
        let mut places: Vec<(&str, String)> = attached.iter().map(|one| (one.name.as_str(), one.ipv4.unwrap().to_string())).collect();
        places.sort();
        assert_eq!(places, [(name.as_str(), "10.213.5.50".to_owned()), (late.as_str(), "10.213.5.60".to_owned())]);
        let seen = scope.engine.inspect_container(&late).await.unwrap();
        assert_eq!(seen.networks[&spec.name].ipv4, Some("10.213.5.60".parse().unwrap()));
        assert_eq!(seen.networks[&spec.name].network_id, network);

        let error = scope.engine.remove_network(&network).await.unwrap_err();
        assert!(
            matches!(error.kind, kindmesh::engine::EngineErrorKind::Refused | kindmesh::engine::EngineErrorKind::Conflict),
            "{error:?}"
        );
        scope.engine.disconnect_network(&network, &late).await.unwrap();
        assert!(!scope.engine.inspect_container(&late).await.unwrap().networks.contains_key(&spec.name));
    })
    .await;
}
