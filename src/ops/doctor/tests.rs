//! Check-ups on an engine in memory.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::DoctorReport;
use crate::domain::checkup::Level;
use crate::engine::EngineErrorKind;
use crate::engine::fake::{ExecReply, FakeEngine, Fault, Verb, When};
use crate::ops::tests::{IMAGE, engine, fleet};
use crate::ops::{ErrorKind, Kindmesh};

async fn look(engine: &Arc<FakeEngine>, clusters: &str) -> DoctorReport {
    engine.edit_facts(|facts| facts.system_time = Some(SystemTime::now()));
    Kindmesh::new(engine.clone()).doctor(&fleet(clusters)).await
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
    for name in ["engine", "cgroups", "image", "privileges", "clock", "kubeconfig", "fleet"] {
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
    engine.add_to_registry("kindest/node:v1.34.4", None);
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
    let engine = engine();
    assert!(engine.images().iter().any(|image| image.tags.iter().any(|tag| tag == IMAGE)));
    // A helper that prints nothing: what this machine knows is used where the engine is on it.
    engine.on_exec(|_| Some(ExecReply::stdout("")));
    let report = look(&engine, "f").await;
    assert!(engine.calls().iter().any(|call| call.verb == Verb::CreateContainer), "{report:?}");
    assert!(report.checks.iter().any(|check| check.name == "inotify"));
}
