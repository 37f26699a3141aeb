use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use super::*;

#[test]
fn phases_are_told_from_log_lines() {
    assert!(phase("[certs] Generating \"ca\" certificate and key").is_some());
    assert!(phase("[control-plane] Creating static Pod manifest").is_some());
    assert!(phase("I1122 15:00:00.000000  123 init.go:1] x").is_none());
    assert!(phase("[]").is_none());
    assert!(phase("[kubelet-start] No supported init system detected, won't make sure the kubelet is running properly.").is_none());
    assert!(phase("Your Kubernetes control-plane has initialized successfully!").is_none());
}

/// Runs the part of the script that takes keys, with these on its input. Whether it succeeded.
fn certify(folder: &std::path::Path, keys: &str) -> bool {
    let (from, to) = (START.find("keys=$(cat)").unwrap(), START.find("# In a process of its own").unwrap());
    let script = format!("set -e\nserving=$1 own=$2\n{}\ncertify", &START[from..to]);
    let mut command = Command::new("sh");
    let mut child = command
        .args(["-c", &script, "sh"])
        .args(["serving", "kubelet"].map(|name| folder.join(name)))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(keys.as_bytes()).unwrap();
    child.wait().unwrap().success()
}

#[test]
fn every_program_finds_its_own_key_that_nobody_else_may_read() {
    let folder = tempfile::tempdir().unwrap();
    assert!(certify(folder.path(), &keys("east-control-plane").unwrap()));
    let mut seen = std::collections::BTreeSet::new();
    let serving = SERVING_PROGRAMS.map(|program| format!("serving/{program}.pem"));
    for file in serving.iter().map(String::as_str).chain(["kubelet/kubelet.key"]) {
        let path = folder.path().join(file);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.matches("PRIVATE KEY-----").count(), 2, "{file}");
        assert_eq!(text.matches("CERTIFICATE-----").count(), if file.ends_with(".pem") { 2 } else { 0 }, "{file}");
        assert!(seen.insert(text), "{file} has the key of another one");
    }
    let certificate = std::fs::read_to_string(folder.path().join("kubelet/kubelet.crt")).unwrap();
    assert!(certificate.contains("BEGIN CERTIFICATE") && !certificate.contains("PRIVATE"));
    assert_eq!(std::fs::read_dir(folder.path().join("kubelet")).unwrap().count(), 2);
}

#[test]
fn keys_that_come_in_part_are_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys("east-control-plane").unwrap();
    for length in [0, 100, keys.len() / 2, keys.len() - 3] {
        assert!(!certify(folder.path(), &keys[..length]));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
