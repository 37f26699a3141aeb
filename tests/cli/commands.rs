//! The commands for looking and reaching into fleets, as far as they go without an engine.

use serde_json::Value;

use crate::support::Sealed;

#[test]
fn doctor_tells_an_engine_that_is_not_there_as_its_first_finding() {
    let sealed = Sealed::new();
    let ran = sealed.run(&["doctor"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stdout.starts_with("fail  engine  no container engine answers"), "{}", ran.stdout);
    assert!(ran.stdout.contains("fix: start an engine"), "{}", ran.stdout);
    assert!(ran.stderr.contains("1 check fails for fleet kindmesh"), "{}", ran.stderr);
    let ran = sealed.run(&["doctor", "-o", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((report["failed"].as_u64(), report["checks"][0]["level"].as_str()), (Some(1), Some("fail")));
}

#[test]
fn doctor_refuses_a_fleet_file_that_is_none() {
    let sealed = Sealed::new();
    sealed.write("bad.yaml", "kind: Fleet\n");
    sealed.run(&["doctor", "-f", "bad.yaml"]).failed(3);
}

#[test]
fn a_failure_leaves_its_evidence_and_stays_what_it_is() {
    let sealed = Sealed::new();
    let plain = sealed.run(&["up"]).failed(4);
    let kept = sealed.run(&["up", "--evidence", "deep/evidence"]).failed(4);
    let error = |text: &str| text.lines().find(|line| line.starts_with("error:")).map(str::to_owned);
    assert_eq!(error(&plain), error(&kept));
    assert!(kept.contains("hint: what was seen is in deep/evidence"), "{kept}");
    let text = std::fs::read_to_string(sealed.home().join("deep/evidence/failure.txt")).unwrap();
    assert!(text.starts_with("kindmesh up failed: no container engine answers"), "{text}");
    let json = sealed.run(&["up", "--evidence", "more", "-o", "json"]).json_error(4);
    assert_eq!(json["kind"], "engine");
    let document: Value = serde_json::from_slice(&std::fs::read(sealed.home().join("more/failure.json")).unwrap()).unwrap();
    assert_eq!(document["message"], json["message"]);
}

#[test]
fn evidence_that_cannot_be_written_is_told_before_anything_is_done() {
    let sealed = Sealed::new();
    sealed.write("file", "");
    let told = sealed.run(&["up", "--evidence", "file/x"]).failed(1);
    assert!(told.contains("no cluster was touched"), "{told}");
}

#[test]
fn an_export_without_an_engine_leaves_no_folder() {
    let sealed = Sealed::new();
    let text = sealed.home().join("tmp");
    std::fs::create_dir(&text).unwrap();
    sealed.run(&["export", "logs", "logs"]).failed(4);
    assert!(!sealed.home().join("logs").exists());
}

#[test]
fn what_cannot_be_meant_is_a_usage_error() {
    let sealed = Sealed::new();
    for line in ["exec", "exec ls", "events --since soon", "status --watch=yes", "export", "export logs a b", "kubeconfig a"] {
        let ran = sealed.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.code, Some(2), "{line}: {ran:?}");
    }
    let told = sealed.run(&["exec", "-t", "--", "sh"]).failed(2);
    assert!(told.contains("standard input is no terminal"), "{told}");
    for line in ["exec -- ls", "events", "events --follow", "status --watch", "kubeconfig --internal"] {
        sealed.run(&line.split(' ').collect::<Vec<_>>()).failed(4);
    }
}

#[test]
fn doctor_refuses_a_mesh_where_up_does() {
    let sealed = Sealed::new();
    sealed.write("bare.yaml", "apiVersion: kindmesh.dev/v1alpha1\nkind: Fleet\nclusters: 1\naddons:\n  metallb: false\n");
    for command in ["doctor", "up"] {
        let said = sealed.run(&[command, "-f", "bare.yaml", "--mesh"]).failed(3);
        assert!(said.contains("mesh needs MetalLB"), "{command}: {said}");
    }
}
