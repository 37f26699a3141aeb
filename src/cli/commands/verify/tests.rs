use super::super::super::style::Style;
use super::*;
use crate::domain::mesh::proof::{Cause, Check, Failure, Matrix, Verdict};
use crate::ops::VerifiedCluster;

fn cell(from: &str, version: &str, to: &str, calls: usize) -> Cell {
    let [p50, p95, max] = [3, 5, 12].map(Duration::from_millis);
    Cell { from: from.into(), version: version.into(), to: to.into(), calls, p50, p95, max }
}

fn report(failures: Vec<Failure>) -> VerifyReport {
    let cluster = |name: &str, last: u8| VerifiedCluster {
        name: name.into(),
        network: format!("network-{name}"),
        gateway: Some([172, 18, 255, last].into()),
        calls: 20,
    };
    let mut checks: Vec<Check> = CheckKind::OF_A_CLUSTER
        .into_iter()
        .flat_map(|check| ["a", "b"].map(|cluster| Check { check, cluster: Some(cluster.into()), failures: Vec::new() }))
        .collect();
    let ok = failures.is_empty();
    checks[6].failures = failures;
    let cells = vec![cell("a", "v1", "a", 7), cell("a", "v1", "c", 6), cell("a", "v2", "b", 7), cell("b", "v1", "a", 20)];
    VerifyReport {
        fleet: "duo".into(),
        ok,
        clusters: vec![cluster("a", 200), cluster("b", 216)],
        verdict: Verdict { checks, matrix: Matrix { cells } },
        converged_after: Some(Duration::from_secs(1)),
        took: Duration::from_secs(3),
    }
}

fn failure(cause: Cause, message: &str) -> Failure {
    Failure { cause, about: None, message: message.into(), next: cause.next_step().into() }
}

#[test]
fn the_matrix_counts_and_the_checks_are_named() {
    let report = report(vec![failure(Cause::NotSynced, "istiod-1 has not read b: timeout")]);
    insta::assert_snapshot!(text(&report), @r"
    FROM  NETWORK    GATEWAY               CALLS  V1             V2
    a     network-a  172.18.255.200:15443  20     13 (a 7, c 6)  7
    b     network-b  172.18.255.216:15443  20     20             0

    FROM  VERSION  ANSWERED IN  CALLS  P50    P95    MAX
    a     v1       a            7      3.0ms  5.0ms  12.0ms
    a     v1       c            6      3.0ms  5.0ms  12.0ms
    a     v2       b            7      3.0ms  5.0ms  12.0ms
    b     v1       a            20     3.0ms  5.0ms  12.0ms

    CHECK                             a       b
    the API server answers            ok      ok
    all clusters trust one root       ok      ok
    the gateway answers everywhere    ok      ok
    istiod has read all clusters      FAILED  ok
    istiod knows all gateways         ok      ok
    the sample runs with proxies      ok      ok
    istiod knows all endpoints        ok      ok
    the client's proxy knows them     ok      ok
    all versions and clusters answer  ok      ok
    plain text is refused             ok      ok
    ");
}

#[test]
fn a_proven_mesh_is_no_error() {
    assert_eq!(verdict(&report(Vec::new())), Ok(()));
}

#[test]
fn the_deepest_cause_comes_first_with_its_next_step() {
    let failures = vec![
        failure(Cause::MissingEndpoints, "istiod-1 does not know pods of b: 10.1.0.9"),
        failure(
            Cause::WrongServerAddress,
            "secret istio-remote-secret-b does not lead to b: https://127.0.0.1:6443 is the pod itself, wherever it runs",
        ),
    ];
    let error = verdict(&report(failures)).unwrap_err();
    insta::assert_snapshot!(error.text(Style::PLAIN), @r"
    error: the mesh of fleet duo is not proven
      caused by: a: wrongServerAddress: secret istio-remote-secret-b does not lead to b: https://127.0.0.1:6443 is the pod itself, wherever it runs
      caused by: a: missingEndpoints: istiod-1 does not know pods of b: 10.1.0.9
    hint: run `kindmesh up --mesh` again, which writes remote secrets with an address that pods of other clusters reach
    hint: they follow within seconds: try again with `kindmesh verify --wait 60s`; if it stays, look at the failures above this one first
    ");
    assert_eq!(error.kind.code(), 10);
}

#[test]
fn many_failures_are_counted() {
    let failures = (0..20).map(|index| failure(Cause::NotObserved, &format!("{index}"))).collect();
    let error = verdict(&report(failures)).unwrap_err();
    assert_eq!(error.causes.len(), TOLD + 1);
    assert_eq!(error.causes[TOLD], "and 8 more, all in `-o json`");
    assert_eq!(error.hints.len(), 1, "the same step is told once");
}

#[test]
fn a_fleet_without_a_mesh_is_told_in_one_line() {
    let mut report = report(vec![failure(Cause::NoIstiod, "no istiod is ready")]);
    let failing = |check: &mut Check, cause| check.failures = vec![failure(cause, "there is none")];
    for check in &mut report.verdict.checks {
        match check.check {
            CheckKind::Sync => failing(check, Cause::NoIstiod),
            CheckKind::Roots => failing(check, Cause::NoRoot),
            _ => failing(check, Cause::NotObserved),
        }
    }
    let error = verdict(&report).unwrap_err();
    assert_eq!((error.causes.len(), error.hints.len(), error.kind.code()), (0, 1, 10), "{error:?}");
    assert!(error.message.contains("fleet duo has no mesh") && error.hints[0].contains("--fleet duo"), "{error:?}");

    // One cluster that has lost its own is another matter.
    for check in report.verdict.checks.iter_mut().filter(|check| check.cluster.as_deref() == Some("b")) {
        check.failures.clear();
    }
    assert!(verdict(&report).unwrap_err().message.contains("is not proven"));
}
