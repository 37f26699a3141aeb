//! The scripts, as far as they can be tried without an engine.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

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
    for script in ["scripts/engine", "scripts/mesh-by-hand", "scripts/test", "scripts/test-vm"] {
        let output = run(script, &["nonsense"]);
        assert_eq!(output.status.code(), Some(2), "{script}: {}", stderr(&output));
        assert!(stderr(&output).contains("KINDMESH_"), "{script} shows its usage");
    }
    let output = run("scripts/engine", &["start", "19"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no engine '19'") && stderr(&output).contains("20 and 28"), "{}", stderr(&output));
}

/// Header of the table that `scripts/faults-table` writes.
const FAULTS_HEADER: [&str; 2] = ["| fault | tried | survived | date | machine |", "|---|---|---|---|---|"];

/// Lines of a page's table of faults.
fn faults_table(page: &str) -> Vec<&str> {
    let between = |line: &&str| *line != "<!-- faults: end -->";
    page.lines().skip_while(|line| *line != "<!-- faults: begin -->").skip(1).take_while(between).collect()
}

/// What nobody wrote by hand: five cells a row, counts that can be, kinds once and in order.
#[test]
fn the_table_of_faults_is_as_it_is_written_from_the_record() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let lines = faults_table(&readme);
    assert_eq!(lines[..2], FAULTS_HEADER);
    let mut kinds = Vec::new();
    for line in &lines[2..] {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [kind, tried, survived, date, machine] = cells[..] else { panic!("not five cells: {line}") };
        assert_eq!(*line, format!("| {kind} | {tried} | {survived} | {date} | {machine} |"));
        let count = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("'{text}' is no count: {line}"));
        assert!(count(tried) > 0 && count(survived) <= count(tried), "{line}");
        assert!(date.len() == 10 && date.matches('-').count() == 2, "'{date}' is no date: {line}");
        assert!(machine.contains("processors") && machine.contains("Linux"), "'{machine}' is no machine: {line}");
        kinds.push(kind);
    }
    assert!(kinds.len() > 10 && kinds.is_sorted_by(|a, b| a < b), "{kinds:?}");
}

#[test]
fn the_record_of_faults_becomes_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let row = |kind: &str, tried: u64, survived: u64, sample: bool| serde_json::json!({"kind": kind, "tried": tried, "survived": survived, "date": "2026-01-02", "machine": "m | 1", "sample": sample});
    let rows = [row("b", 4, 3, true), row("c", 5, 5, true), row("d", 5, 5, false)];
    fs::write(path("faults.json"), serde_json::json!({ "rows": rows }).to_string()).unwrap();
    let old = |kind: &str| format!("| {kind} | 9 | 9 | 2026-01-01 | old |");
    let page = |rows: &[String]| {
        let table = [&FAULTS_HEADER.map(str::to_owned)[..], rows].concat().join("\n");
        format!("# before\n<!-- faults: begin -->\n{table}\n<!-- faults: end -->\n\nafter\n")
    };
    fs::write(path("page.md"), page(&["a", "b", "c", "d"].map(old))).unwrap();
    let written = run("scripts/faults-table", &[&path("faults.json"), &path("page.md")]);
    assert!(written.status.success(), "{}", stderr(&written));
    // One that nothing is known of stays, and one that a smaller sample survived as well; failures do not wait.
    let new = |text: &str| format!("| {text} | 2026-01-02 | m / 1 |");
    let expected = page(&[old("a"), new("b | 4 | 3"), old("c"), new("d | 5 | 5")]);
    assert_eq!(fs::read_to_string(path("page.md")).unwrap(), expected);

    fs::write(path("page.md"), "no place").unwrap();
    let refused = run("scripts/faults-table", &[&path("faults.json"), &path("page.md")]);
    assert!(!refused.status.success() && stderr(&refused).contains("faults: begin"), "{}", stderr(&refused));
    assert_eq!(fs::read_to_string(path("page.md")).unwrap(), "no place");
}

/// Runs the start of a control plane in a folder that stands for a node, with programs that only say that they ran.
fn start_control_plane(node: &Path) -> std::process::Child {
    let path = |name: &str| node.join(name).to_str().unwrap().to_owned();
    let programs = format!("{}:{}", node.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.arg(root().join("src/ops/bootstrap/start.sh")).env("PATH", programs);
    command.args(["a-control-plane", "10.0.0.2", "", &path("kubeadm.conf"), "a: '%s'\n", "preflight"]);
    command.args(["started", "seeded", "lock", "held", "manifests", "serving", "own", "runtime"].map(path));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"#kindmesh kubelet\n-----BEGIN CERTIFICATE-----\nc\n-----END CERTIFICATE-----\n#kindmesh end\n")
        .unwrap();
    child
}

/// A folder that stands for a node whose database is seeded or not.
fn node_for_start(seeded: bool) -> tempfile::TempDir {
    let node = tempfile::tempdir().unwrap();
    let path = |name: &str| node.path().join(name).display().to_string();
    fs::create_dir(path("manifests")).unwrap();
    let (log, manifests) = (path("log"), path("manifests"));
    let programs = [
        (
            "kubeadm",
            format!(
                "case \"$*\" in *print-manifest*) echo \"kind: $4\"; exit;; esac\necho begin >>{log}\n/bin/sleep 0.3\n\
                 for p in etcd kube-scheduler kube-controller-manager; do echo pod >{manifests}/$p.yaml; done\necho end >>{log}"
            ),
        ),
        ("crun", String::new()),
        ("systemctl", format!("echo \"$*\" >>{log}")),
        ("cat", "case \"$1\" in /etc/* | /kind/*) echo \"of $1\";; *) exec /bin/cat \"$@\";; esac".to_owned()),
    ];
    for (program, does) in programs {
        fs::write(path(program), format!("#!/bin/sh\n{does}\n")).unwrap();
        fs::set_permissions(path(program), fs::Permissions::from_mode(0o755)).unwrap();
    }
    if seeded {
        fs::write(path("seeded"), "").unwrap();
        // As images of kind's kind have it.
        std::os::unix::fs::symlink("/usr/sbin/runc", path("runtime")).unwrap();
    }
    node
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What was started by a process that was killed goes on in the node, and the next one starts it again.
#[test]
fn a_control_plane_is_started_once_however_many_start_it() {
    let node = node_for_start(true);
    for output in [start_control_plane(node.path()), start_control_plane(node.path())].map(|one| one.wait_with_output().unwrap()) {
        assert!(output.status.success(), "{output:?}");
        let told = String::from_utf8(output.stdout).unwrap();
        let sections: Vec<&str> = told.lines().filter(|line| line.starts_with("#kindmesh")).collect();
        let all = ["seeded", "addons", "network", "storage", "super-admin", "admin", "end"].map(|name| format!("#kindmesh {name}"));
        assert_eq!(sections, all, "both tell all of it: {told}");
        assert!(told.contains("kind: coredns\n---\nkind: kube-proxy\n") && told.contains("of /etc/kubernetes/admin.conf"), "{told}");
    }
    assert_eq!(fs::read_to_string(node.path().join("log")).unwrap(), "begin\nend\nrestart --no-block kubelet\n");
    let config = node.path().join("kubeadm.conf");
    assert_eq!(fs::read_to_string(&config).unwrap(), "a: '%s'\n");
    assert_eq!(fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(&node.path().join("manifests")), ["etcd.yaml"]);
    assert_eq!(names(&node.path().join("held")), ["kube-controller-manager.yaml", "kube-scheduler.yaml"]);
    assert_eq!(names(&node.path().join("own")), ["kubelet.crt", "kubelet.key"]);
    assert_eq!(names(&node.path().join("serving")), ["controller-manager.pem", "scheduler.pem"]);
    // Only with control groups of version 1, and where there is one.
    let version_2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let expected = if version_2 { "/usr/sbin/runc".into() } else { node.path().join("crun") };
    assert_eq!(fs::read_link(node.path().join("runtime")).unwrap(), expected);
}

/// Its API server is waited for until it calls itself ready, and the controller manager waits with it.
#[test]
fn without_a_seed_only_the_scheduler_is_held_back() {
    let node = node_for_start(false);
    let output = start_control_plane(node.path()).wait_with_output().unwrap();
    assert!(output.status.success() && !String::from_utf8_lossy(&output.stdout).contains("seeded"), "{output:?}");
    assert_eq!(names(&node.path().join("manifests")), ["etcd.yaml", "kube-controller-manager.yaml"]);
    assert_eq!(names(&node.path().join("held")), ["kube-scheduler.yaml"]);
}

#[test]
fn an_image_without_kubeadm_is_told() {
    let node = node_for_start(false);
    fs::remove_file(node.path().join("kubeadm")).unwrap();
    let output = start_control_plane(node.path()).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(127), "{output:?}");
    assert!(stderr(&output).contains("no kubeadm"), "{}", stderr(&output));
    assert!(!node.path().join("started").exists());
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
