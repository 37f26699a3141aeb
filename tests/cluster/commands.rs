//! The commands for looking and reaching into a fleet, on one cluster: doctor, export, exec, events, status --watch,
//! evidence of a failure.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::secrets::nowhere_in;
use crate::support::{Bench, eventually};

const FLEET: &str = "cmds";
const NODE: &str = "cmds1-control-plane";
const DESCRIBED: &str = "clusterPrefix: cmds\nclusters: 1\n";
const EXIT_CONFLICT: i32 = 6;
const STEP: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn one_cluster_is_looked_at_from_every_side() {
    let bench = Bench::new(FLEET).await;
    bench.fleet_file(DESCRIBED);
    healthy_host(&bench);
    bench.kindmesh(["up", "-f", "kindmesh.yaml", "--evidence", "none"]).ok();
    assert!(!bench.dir.path().join("none").exists(), "evidence of nothing");

    exported(&bench).await;
    commands_in_nodes(&bench).await;
    followed(&bench).await;
    watched(&bench).await;
    failed_with_evidence(&bench).await;
    ended(&bench).await;
}

/// A fleet whose end is set when it is there already goes with it.
async fn ended(bench: &Bench) {
    bench.kindmesh(["prune"]).ok();
    assert_eq!(bench.containers().await, [NODE], "it has no end");
    bench.kindmesh(["up", "-f", "kindmesh.yaml", "--ttl", "1h"]).ok();
    bench.kindmesh(["prune"]).ok();
    assert_eq!(bench.containers().await, [NODE], "its end has not come");
    let up = bench.kindmesh(["up", "-f", "kindmesh.yaml", "--ttl", "1s", "-o", "json"]).json();
    assert_eq!(up["changed"], true, "{up:#}");
    eventually("its end", STEP, || async {
        let pruned = bench.kindmesh(["prune", "-o", "json"]).json();
        if pruned["fleets"].to_string().contains(FLEET) { Ok(()) } else { Err(pruned.to_string()) }
    })
    .await;
    assert_eq!(bench.containers().await, Vec::<String>::new());
    let volumes = bench.engine.list_volumes(&[format!("{}={FLEET}", kindmesh::domain::labels::FLEET)]).await.expect("volumes");
    assert_eq!(volumes.len(), 0, "{volumes:?}");
}

fn healthy_host(bench: &Bench) {
    let ran = bench.kindmesh(["doctor", "-o", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    assert_eq!((ran.code, report["failed"].as_u64()), (Some(0), Some(0)), "{report:#}");
    let ok = |name: &str| report["checks"].as_array().unwrap().iter().any(|check| check["name"] == name && check["level"] != "fail");
    for name in
        ["engine", "cgroups", "image", "privileges", "inotify", "memory", "disk", "processors", "clock", "kubeconfig", "fleet", "routes"]
    {
        assert!(ok(name), "{name}: {report:#}");
    }
    // The probe saw the engine's own disk and clock.
    let why = |name: &str| report["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap()["why"].to_string();
    assert!(why("disk").contains("free"), "{report:#}");
    assert!(why("clock").contains("agree"), "{report:#}");
    let text = bench.kindmesh(["doctor"]).text();
    assert!(text.starts_with("ok    engine"), "{text}");
}

async fn exported(bench: &Bench) {
    let report = bench.kindmesh(["export", "logs", "logs", "--fleet", FLEET, "-o", "json"]).json();
    let folder = bench.dir.path().join("logs");
    let text = |path: &str| std::fs::read_to_string(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}; {report:#}"));
    assert_eq!(report["missing"], serde_json::json!([]), "{report:#}");
    assert!(text(&format!("{NODE}/journal.log")).len() > 1000);
    assert!(text(&format!("{NODE}/kubelet.log")).contains("kubelet"));
    assert!(text(&format!("{NODE}/containerd.log")).contains("containerd"));
    assert!(text(&format!("{NODE}/images.log")).contains("etcd"));
    assert!(text(&format!("{NODE}/kubernetes-version.txt")).starts_with('v'));
    assert!(text(&format!("{NODE}/inspect.json")).contains("io.x-k8s.kind.cluster"));
    assert!(text("kubernetes/cmds1/pods.txt").contains("kube-system/etcd-"));
    assert!(text("kubernetes/cmds1/events.log").contains("Normal"));
    let logs: Vec<_> = std::fs::read_dir(folder.join(NODE).join("containers")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(logs.len() >= 5 && logs.iter().all(|log| log.is_file() && !log.is_symlink()), "{logs:?}");

    let (_, runtime) = bench.in_node(NODE, "stat -f -c %T /sys/fs/cgroup; readlink -f /usr/local/sbin/runc").await;
    let expected = if runtime.starts_with("cgroup2fs") { "/usr/sbin/runc" } else { "/usr/bin/crun" };
    assert_eq!(runtime.trim().lines().last(), Some(expected), "what starts containers: {runtime}");

    // No key and no token of the cluster is in what was exported.
    let files = nowhere_in(&folder, &bench.secrets_of(NODE).await);
    assert_eq!(Some(files as u64), report["files"].as_u64().map(|count| count + logs.len() as u64), "second names count once");
}

async fn commands_in_nodes(bench: &Bench) {
    let ran = bench.kindmesh(["exec", "--fleet", FLEET, "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(7), "out\n", "err\n"));
    assert_eq!(bench.kindmesh(["exec", "--node", NODE, "--", "hostname"]).text().trim(), NODE);
    let mut piped =
        bench.command(["exec", "--cluster", "cmds1", "-i", "--", "wc", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    piped.stdin.take().unwrap().write_all(&vec![b'x'; 300_000]).unwrap();
    let output = piped.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "300000");
    // More than all that lies between holds: what comes back is taken while there is still more to send.
    let mut echoed =
        bench.command(["exec", "--cluster", "cmds1", "-i", "--", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, sent) = (echoed.stdin.take().unwrap(), vec![b'y'; 20 << 20]);
    let sending = std::thread::spawn(move || input.write_all(&sent).unwrap());
    let output = echoed.wait_with_output().unwrap();
    sending.join().unwrap();
    assert_eq!((output.stdout.len(), output.stdout.iter().all(|byte| *byte == b'y')), (20 << 20, true));
    let document = bench.kindmesh(["exec", "--fleet", FLEET, "-o", "json", "--", "cat", "/kind/version"]).json();
    assert_eq!((document["node"].as_str(), document["exitCode"].as_i64()), (Some(NODE), Some(0)));
    bench.kindmesh(["exec", "--fleet", FLEET, "-t", "--", "true"]).failed(2);
    bench.kindmesh(["exec", "--node", "nobody", "--", "true"]).failed(9);
    // Ctrl-C ends the command in the node, too.
    let running = Followed::spawn(bench, &["exec", "--fleet", FLEET, "--", "sh", "-c", "echo begun; exec sleep 3071"]);
    running.until("begun").await;
    assert_eq!(running.interrupted().await, Some(130));
    let left = bench
        .kindmesh([
            "exec",
            "--fleet",
            FLEET,
            "--",
            "sh",
            "-c",
            "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c '^3071$' || true",
        ])
        .text();
    assert_eq!(left.trim(), "0");
    // Who names the wrong fleet is told which there are.
    let wrong = bench.kindmesh(["down", "--fleet", "cmds-none"]);
    assert!(wrong.stderr.contains("there is no fleet cmds-none; there is: ") && wrong.stderr.contains(FLEET), "{wrong:?}");
    let internal = bench.kindmesh(["kubeconfig", "--cluster", "cmds1", "--internal"]).text();
    assert!(internal.contains(&format!("https://{NODE}:6443")), "no internal address");
}

async fn followed(bench: &Bench) {
    // An engine remembers its last few hundred events alone, those of all others here among them: it gets a new one.
    eventually("events of both sources", STEP, || async {
        bench.engine.pause_container(NODE).await.expect("pause");
        bench.engine.unpause_container(NODE).await.expect("unpause");
        let past = bench.kindmesh(["events", "--fleet", FLEET, "-o", "json"]).text();
        let events: Vec<Value> = past.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let times: Vec<&str> = events.iter().filter_map(|event| event["time"].as_str()).collect();
        assert!(times.is_sorted(), "{past}");
        let lacks = |source: &&str| !events.iter().any(|event| event["source"] == *source && event["cluster"] == "cmds1");
        match ["engine", "kubernetes"].iter().find(|source| lacks(source)) {
            None => Ok(()),
            Some(source) => Err(format!("none of {source}: {past}")),
        }
    })
    .await;

    let stream = Followed::spawn(bench, &["events", "--follow", "--fleet", FLEET]);
    // Once it is heard, everything that follows must be, over a restart of the node too.
    eventually("the first event", STEP, || async {
        bench.kubectl("cmds1", "delete pod one --ignore-not-found").await;
        bench.kubectl("cmds1", "run one --image=registry.k8s.io/pause:3.10 --image-pull-policy=Never").await;
        if stream.has("Scheduled Pod default/one") { Ok(()) } else { Err(stream.text()) }
    })
    .await;
    bench.kindmesh(["stop", "--fleet", FLEET]).ok();
    stream.until("die container cmds1-control-plane").await;
    stream.until("Silent cluster cmds1").await;
    live(&bench.on_a_terminal(&format!("start --fleet {FLEET}")));
    stream.until("start container cmds1-control-plane").await;
    stream.until("Heard cluster cmds1").await;
    bench.kubectl("cmds1", "run two --image=registry.k8s.io/pause:3.10 --image-pull-policy=Never").await;
    stream.until("Scheduled Pod default/two").await;
    stream.ends_without_a_word().await;
}

/// Lines of fleet and cluster that are drawn over again, and are gone in the end.
fn live(drawn: &str) {
    let up_and_clear = drawn.contains("\x1b[2K") || drawn.contains("\x1b[1A");
    assert!(up_and_clear && drawn.matches("cmds1").count() > 3, "{drawn:?}");
    let last = drawn.trim_end().lines().last().unwrap_or_default();
    assert!(last.contains("cmds") && !last.contains("…"), "{drawn:?}");
}

async fn watched(bench: &Bench) {
    let lines = Followed::spawn(bench, &["status", "--watch", "--fleet", FLEET]);
    lines.until(NODE).await;
    bench.kindmesh(["pause", "--fleet", FLEET]).ok();
    lines.until(&format!("nodes/{NODE}/state: running -> paused")).await;
    bench.kindmesh(["resume", "--fleet", FLEET]).ok();
    lines.until(&format!("nodes/{NODE}/state: paused -> running")).await;
    lines.ends_without_a_word().await;
    let documents = Followed::spawn(bench, &["status", "-w", "--fleet", FLEET, "-o", "json"]);
    documents.until("{\"fleets\":[").await;
    documents.ends_without_a_word().await;
}

async fn failed_with_evidence(bench: &Bench) {
    let secrets = bench.secrets_of(NODE).await;
    refused_with_evidence(bench, &secrets);
    bench.engine.kill_container(NODE, "SIGKILL").await.unwrap();
    let folder = bench.dir.path().join("evidence");
    let plain = bench.kindmesh(["resume", "--fleet", FLEET]);
    let kept = bench.kindmesh(["resume", "--fleet", FLEET, "--evidence", "evidence"]);
    assert!(plain.code != Some(0) && kept.code == plain.code, "{plain:?} {kept:?}");
    let told = |ran: &str| ran.lines().find(|line| line.starts_with("error:")).map(str::to_owned);
    assert_eq!(told(&kept.stderr), told(&plain.stderr), "the error is the same");
    assert!(kept.stderr.contains("what was seen is in evidence"), "{}", kept.stderr);
    let text = |path: &str| std::fs::read_to_string(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(text("failure.txt").starts_with("kindmesh resume failed: "));
    assert!(text("missing.log").contains("the node is exited"), "{}", text("missing.log"));
    assert!(!text(&format!("{NODE}/serial.log")).is_empty());
    assert!(folder.join(NODE).join("pods").is_dir(), "logs of pods are read from outside");
    text("steps.log");
    text("waits.log");
    assert!(nowhere_in(&folder, &secrets) > 10, "hardly anything was written");
}

/// Of an `up` that fails while the cluster runs: it can tell everything it knows, and tells no secret.
fn refused_with_evidence(bench: &Bench, secrets: &[String]) {
    bench.fleet_file("clusters:\n- name: cmds1\n  podSubnet: 10.77.0.0/16\n");
    let said = bench.kindmesh(["up", "-f", "kindmesh.yaml", "-vv", "--evidence", "refused"]).failed(EXIT_CONFLICT);
    bench.fleet_file(DESCRIBED);
    assert!(said.contains("--recreate cmds1") && said.contains("what was seen is in refused"), "{said}");
    assert!(secrets.iter().all(|secret| !said.contains(secret.as_str())), "a secret is told");
    let folder = bench.dir.path().join("refused");
    for file in ["failure.txt", "kubernetes/cmds1/pods.txt", &format!("{NODE}/journal.log"), &format!("{NODE}/kubelet.log")] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    assert!(nowhere_in(&folder, secrets) > 20, "hardly anything was written");
}

/// A command that goes on, and what it has printed.
struct Followed {
    child: Child,
    printed: Arc<Mutex<String>>,
    /// Of standard error.
    said: Arc<Mutex<String>>,
    /// Reads standard error to its end.
    hears: Option<JoinHandle<()>>,
}

impl Followed {
    fn spawn(bench: &Bench, args: &[&str]) -> Self {
        let mut child = bench.command(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (printed, _) = kept(child.stdout.take().unwrap());
        let (said, hears) = kept(child.stderr.take().unwrap());
        Self { child, printed, said, hears: Some(hears) }
    }

    fn text(&self) -> String {
        self.printed.lock().unwrap().clone()
    }

    fn has(&self, part: &str) -> bool {
        self.text().contains(part)
    }

    async fn until(&self, part: &str) {
        let end = std::time::Instant::now() + STEP;
        while !self.has(part) {
            assert!(std::time::Instant::now() < end, "no '{part}' in:\n{}", self.text());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Sends Ctrl-C to what is only ended so.
    async fn ends_without_a_word(mut self) {
        let (said, hears) = (self.said.clone(), self.hears.take().unwrap());
        assert_eq!(self.interrupted().await, Some(130));
        // The last words may be read after the end of who said them.
        hears.join().unwrap();
        let said = said.lock().unwrap();
        assert!(!["interrupt", "cancelled", "kube_"].iter().any(|word| said.contains(word)), "{said}");
    }

    /// Sends Ctrl-C; the exit code.
    async fn interrupted(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let end = std::time::Instant::now() + STEP;
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status.code(),
                None if std::time::Instant::now() > end => panic!("it goes on after Ctrl-C"),
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// What a stream holds, line by line as it comes, and who reads it to its end.
fn kept(stream: impl std::io::Read + Send + 'static) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let text = Arc::new(Mutex::new(String::new()));
    let into = text.clone();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            into.lock().unwrap().push_str(&(line + "\n"));
        }
    });
    (text, reader)
}

impl Drop for Followed {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
