//! Check-ups on an engine in memory.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::DoctorReport;
use crate::domain::checkup::Level;
use crate::domain::net::NetworkSpec;
use crate::engine::fake::{FakeEngine, Fault, Verb, When};
use crate::engine::{Engine as _, EngineErrorKind};
use crate::ops::tests::{engine, fleet, helpers_end, node, without_a_capability};
use crate::ops::{ErrorKind, Kindmesh};

/// What a helper prints of a host without one capability, with few inotify instances, and a VPN over the pods' addresses.
const HOST: &str = "\
CapBnd:\t000001fffeffffff
== inotify
40
== memory
MemAvailable: 16000000 kB
== disk
Filesystem 1024-blocks Used Available Capacity Mounted on
overlay 100000000 40 60000000 40% /
== route
Iface Destination Gateway Flags RefCnt Use Metric Mask
wg0 0000000A 00000000 0001 0 0 0 000000FF 0 0 0
";

/// Looks, on an engine where helper containers end as real ones do.
async fn look(engine: &Arc<FakeEngine>, name: &str) -> DoctorReport {
    engine.edit_facts(|facts| facts.system_time = Some(SystemTime::now()));
    let (km, fleet) = (Kindmesh::new(engine.clone()), fleet(name));
    tokio::select! {
        report = km.doctor(&fleet) => report,
        never = helpers_end(engine, HOST, |_| {}) => match never {},
    }
}

fn level(report: &DoctorReport, name: &str) -> (Level, String) {
    let mut checks: Vec<_> = report.checks.iter().filter(|check| check.name == name).collect();
    checks.sort_by_key(|check| check.level);
    let worst = checks.last().unwrap_or_else(|| panic!("no {name}: {report:?}"));
    (worst.level, worst.why.clone())
}

#[tokio::test]
async fn a_sound_host_fails_nothing_and_nothing_is_left_behind() {
    let engine = engine();
    let report = look(&engine, "f").await;
    assert_eq!((report.failure(), report.failed), (None, 0), "{report:?}");
    for name in ["engine", "cgroups", "image", "privileges", "memory", "disk", "clock", "kubeconfig", "fleet"] {
        assert_eq!(level(&report, name).0, Level::Ok, "{report:?}");
    }
    assert!(engine.containers().is_empty() && engine.networks().is_empty());
    assert!(report.checks.iter().all(|check| !check.why.contains('\n') && (check.level == Level::Ok) == check.fix.is_none()), "{report:?}");
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_fix() {
    let engine = Arc::new(FakeEngine::new());
    engine.edit_facts(|facts| {
        facts.cgroup_version = 1;
        facts.memory_bytes = 512 << 20;
    });
    let km = Kindmesh::new(engine.clone());
    engine.edit_facts(|facts| facts.system_time = SystemTime::now().checked_sub(Duration::from_secs(600)));
    let report = km.doctor(&fleet("f")).await;
    assert_eq!(level(&report, "cgroups").0, Level::Warn);
    assert_eq!(level(&report, "image").0, Level::Fail);
    assert_eq!(level(&report, "privileges").0, Level::Warn, "nothing to try it with");
    assert_eq!(level(&report, "memory").0, Level::Fail);
    assert!(level(&report, "clock").1.contains("behind"));
    assert_eq!(report.failure(), Some(ErrorKind::Image), "the first that fails");
    assert_eq!(engine.changes(), [], "nothing was made");
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_the_only_thing_told() {
    let engine = engine();
    engine.fault(When::Every(Verb::Facts), Fault::Fail(EngineErrorKind::Unreachable, "connection refused".into()));
    let report = Kindmesh::new(engine.clone()).doctor(&fleet("f")).await;
    assert_eq!((report.checks.len(), report.failure()), (1, Some(ErrorKind::Engine)));
    assert!(report.checks[0].why.contains("connection refused"));
}

#[tokio::test]
async fn the_engines_own_kernel_is_asked_and_not_this_machines() {
    let report = look(&engine(), "f").await;
    let (seen, why) = level(&report, "inotify");
    assert!(seen == Level::Warn && why.contains("has 40 inotify instances"), "{report:?}");
    assert!(level(&report, "disk").1.contains("57.2 GiB free"), "{report:?}");
}

#[tokio::test]
async fn a_vpn_that_has_the_pods_addresses_is_told() {
    let report = look(&engine(), "f").await;
    let (seen, why) = level(&report, "routes");
    assert!(seen == Level::Warn && why.contains("10.0.0.0/8 on wg0, a VPN"), "{report:?}");
    let fixes: Vec<_> = report.checks.iter().filter(|check| check.name == "routes").filter_map(|check| check.fix.clone()).collect();
    assert!(fixes.iter().any(|fix| fix.contains("podSubnet")), "{fixes:?}");
}

/// The fix of a check, of the one that is worst.
fn fix(report: &DoctorReport, name: &str) -> String {
    let worst = report.checks.iter().filter(|check| check.name == name).max_by_key(|check| check.level);
    worst.and_then(|check| check.fix.clone()).unwrap_or_else(|| panic!("no fix for {name}: {report:?}"))
}

#[tokio::test]
async fn a_network_without_room_is_told_in_numbers_with_a_way_out() {
    let engine = engine();
    let small = NetworkSpec { name: "kind".to_owned(), ipv4_subnet: Some("172.30.0.0/28".parse().unwrap()), ..NetworkSpec::default() };
    engine.create_network(&small).await.unwrap();
    let report = look(&engine, "f").await;
    let (seen, why) = level(&report, "fleet");
    assert_eq!((seen, report.failure()), (Level::Fail, Some(ErrorKind::Conflict)), "{report:?}");
    // Sixteen but for the network, broadcast, the gateway and the two nodes.
    for part in [
        "no pools on network kind: the subnet 172.30.0.0/28 is too full: 2 new pools need 50 addresses in all",
        "11 of its 14 host addresses were free",
        "the longest free block has 11 of the 25 it needs",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert!(fix(&report, "fleet").contains("smaller `poolSize`"), "{report:?}");

    // Nothing is left for the nodes themselves.
    for index in 1..=13 {
        node(&engine, &format!("other{index}"), Some("other"), "kind").await;
    }
    engine.clear_calls();
    let report = look(&engine, "f").await;
    let (seen, why) = level(&report, "fleet");
    let told =
        "network kind: the subnet 172.30.0.0/28 has no address left for the node f1-control-plane: 2 nodes need one each, and 0 were free";
    assert!(seen == Level::Fail && why.contains(told), "{report:?}");
    assert!(fix(&report, "fleet").contains("larger `network.subnet`"), "{report:?}");
    assert_eq!(engine.containers().len(), 13, "nothing is made of it");
}

#[tokio::test]
async fn an_engine_without_privileged_containers_has_the_reduced_profile() {
    let engine = engine();
    without_a_capability(&engine);
    let report = look(&engine, "f").await;
    let told = "the engine starts no privileged containers (its host lacks SYS_RESOURCE): nodes get the reduced profile";
    assert_eq!(level(&report, "privileges"), (Level::Ok, told.to_owned()));
    assert!(engine.containers().is_empty());

    // Neither the one nor the other: no node can be made.
    engine.on_start(|_, spec| match spec.privileged || spec.cap_add == ["ALL"] {
        true => Err("operation not permitted".to_owned()),
        false => Ok(()),
    });
    let report = look(&engine, "f").await;
    let (seen, why) = level(&report, "privileges");
    assert!(seen == Level::Fail && why.contains("neither privileged nor reduced containers"), "{report:?}");
    assert!(fix(&report, "privileges").contains("SYS_ADMIN"), "{report:?}");
}

#[tokio::test]
async fn an_image_that_can_be_pulled_fails_nothing() {
    let engine = Arc::new(FakeEngine::new());
    let wanted = crate::domain::fleet::Fleet::builder("f").image("registry.example/node:v1").build().unwrap();
    engine.add_to_registry("registry.example/node:v1", None);
    let report = Kindmesh::new(engine.clone()).doctor(&wanted).await;
    let (seen, why) = level(&report, "image");
    assert!(seen == Level::Ok && why.contains("can be pulled"), "{report:?}");
    assert_eq!(engine.changes(), [], "it was not");
}
