//! The scripts, as far as they can be tried without an engine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use super::source::{files, root};

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(root().join(program)).args(arguments).env("KINDMESH_RUNC", "true").output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_begins_like_a_program_is_executable() {
    for source in files(&["scripts/", ".ci/", "node-images/node/"]).iter().filter(|source| source.text.starts_with("#!")) {
        let mode = fs::metadata(root().join(&source.path)).unwrap().permissions().mode();
        assert!(mode & 0o111 == 0o111, "{} is not executable", source.path);
    }
}

#[test]
fn every_make_target_is_in_the_help() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let help = Command::new("make").arg("help").current_dir(root()).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let targets: Vec<&str> = makefile.lines().filter_map(|line| line.strip_prefix(".PHONY: ")).collect();
    assert!(targets.contains(&"demo") && targets.contains(&"test"), "{targets:?}");
    for target in targets {
        assert!(help.contains(&format!("make {target} ")), "{target} has no `## text` in the Makefile");
    }
}

#[test]
fn wrong_arguments_are_answered_with_the_usage() {
    for script in ["scripts/engine", "scripts/mesh-by-hand", "scripts/test"] {
        let output = run(script, &["nonsense"]);
        assert_eq!(output.status.code(), Some(2), "{script}: {}", stderr(&output));
        assert!(stderr(&output).contains("KINDMESH_"), "{script} shows its usage");
    }
    let output = run("scripts/engine", &["start", "19"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no engine '19'") && stderr(&output).contains("20 and 28"), "{}", stderr(&output));
}

/// What was started by a process that was killed goes on in the node, and the next one starts it again.
#[test]
fn a_control_plane_is_started_once_however_many_start_it() {
    let node = tempfile::tempdir().unwrap();
    let path = |name: &str| node.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("kubeadm"), format!("#!/bin/sh\necho begin >>{log}\nsleep 0.3\necho end >>{log}\n", log = path("log"))).unwrap();
    fs::set_permissions(path("kubeadm"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(path("seeded"), "").unwrap();
    let start = || {
        let programs = format!("{}:{}", node.path().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.arg(root().join("src/ops/bootstrap/start.sh")).env("PATH", programs).stdout(std::process::Stdio::piped());
        command.args(["a-control-plane", "10.0.0.2", "", "/kind/kubeadm.conf", "preflight"]);
        command.args([path("started"), path("seeded"), path("lock")]).spawn().unwrap()
    };
    for started in [start(), start()] {
        let output = started.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().last(), Some(path("seeded").as_str()), "both tell how it began");
    }
    assert_eq!(fs::read_to_string(path("log")).unwrap(), "begin\nend\n");
}

#[test]
fn the_shim_takes_out_one_capability_and_negative_scores() {
    let bundle = tempfile::tempdir().unwrap();
    let config = bundle.path().join("config.json");
    let capabilities = r#"{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"],"effective":["CAP_SYS_RESOURCE"]}"#;
    fs::write(&config, format!(r#"{{"process":{{"args":["a"],"capabilities":{capabilities},"oomScoreAdj":-500}},"root":{{}}}}"#)).unwrap();
    let process = bundle.path().join("process.json");
    fs::write(&process, format!(r#"{{"args":["b"],"capabilities":{capabilities},"oomScoreAdj":100}}"#)).unwrap();

    let folder = bundle.path().to_str().unwrap();
    let created = run("scripts/shim", &["--root", "/run/create", "--log", "log", "create", "--bundle", folder, "id"]);
    assert!(created.status.success(), "{}", stderr(&created));
    let expected = r#"{"process":{"args":["a"],"capabilities":{"bounding":["CAP_CHOWN"],"effective":[]},"oomScoreAdj":0},"root":{}}"#;
    assert_eq!(fs::read_to_string(&config).unwrap(), expected);

    let executed = run("scripts/shim", &["--root", "/run", "exec", "--process", process.to_str().unwrap(), "id"]);
    assert!(executed.status.success(), "{}", stderr(&executed));
    let expected = r#"{"args":["b"],"capabilities":{"bounding":["CAP_CHOWN"],"effective":[]},"oomScoreAdj":100}"#;
    assert_eq!(fs::read_to_string(&process).unwrap(), expected);
}
