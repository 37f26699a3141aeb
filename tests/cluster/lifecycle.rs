//! Two clusters with LoadBalancer addresses, from one command, and gone without a trace.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Bench, eventually, http_get};

const CLUSTERS: [&str; 2] = ["life1", "life2"];

#[tokio::test(flavor = "multi_thread")]
async fn up_status_sample_up_again_down() {
    let bench = Bench::new("life").await;
    bench.fleet_file("clusterPrefix: life\nclusters: 2\naddons:\n  sample: true\n");

    let ran = bench.kindmesh(["up", "-f", "kindmesh.yaml", "-o", "json"]);
    let events: Vec<Value> = ran.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let up = ran.json();
    assert_eq!(up["changed"], true);
    made_at_once(&events);
    let pools: Vec<(u32, u32)> = clusters(&up).iter().map(|cluster| range(&cluster["pool"])).collect();
    assert!(pools[0].1 < pools[1].0 || pools[1].1 < pools[0].0, "pools overlap: {up:#}");

    // Every node Ready and every system pod running, as kubectl sees it.
    for cluster in CLUSTERS {
        let nodes = bench.kubectl(cluster, "get nodes --no-headers").await;
        assert!(nodes.lines().all(|line| line.split_whitespace().nth(1) == Some("Ready")), "{nodes}");
        let pods = bench.kubectl(cluster, "get pods -A --no-headers").await;
        assert!(pods.lines().count() >= 9, "{pods}");
        assert!(pods.lines().all(|line| line.split_whitespace().nth(3) == Some("Running")), "{pods}");
    }

    // Each sample answers as its own cluster, from here and from a pod of the other.
    for (cluster, pool) in clusters(&up).iter().zip(&pools) {
        let name = cluster["name"].as_str().unwrap();
        let address = cluster["sampleAddress"].as_str().unwrap();
        let number = u32::from(address.parse::<std::net::Ipv4Addr>().unwrap());
        assert!((pool.0..=pool.1).contains(&number), "{address} is not of the pool {}", cluster["pool"]);
        let page: Value = serde_json::from_str(&http_get(address, Duration::from_secs(20)).await).unwrap();
        assert_eq!((&page["cluster"], &page["node"]), (&Value::from(name), &Value::from(format!("{name}-control-plane"))));
        assert!(page["pod"].as_str().is_some_and(|pod| pod.starts_with("echo-")), "{page}");
        let other = CLUSTERS.iter().find(|other| **other != name).unwrap();
        let page = bench.kubectl(other, &format!("-n kindmesh-sample exec deploy/echo -- /echo get http://{address}/")).await;
        assert_eq!(serde_json::from_str::<Value>(&page).unwrap()["cluster"], name, "from a pod of {other}");
    }

    let status = bench.kindmesh(["status", "-o", "json"]).json();
    let text = status.to_string();
    assert!(CLUSTERS.iter().all(|cluster| text.contains(cluster)), "{text}");

    // The kubeconfig works from here and from a pod's network; contexts are kind's.
    for cluster in CLUSTERS {
        let config = bench.kindmesh(["get", "kubeconfig", "--cluster", cluster]).text();
        assert!(config.contains(&format!("kind-{cluster}")), "{cluster}");
        let internal = bench.kindmesh(["get", "kubeconfig", "--cluster", cluster, "--internal"]).text();
        let other = CLUSTERS.iter().find(|other| **other != cluster).unwrap();
        let script = format!("cat > /tmp/other.conf <<'EOF'\n{internal}\nEOF\nkubectl --kubeconfig /tmp/other.conf get nodes -o name");
        let (code, seen) = bench.in_node(&format!("{other}-control-plane"), &script).await;
        assert_eq!((code, seen.trim()), (0, format!("node/{cluster}-control-plane").as_str()));
    }

    let started = started_at(&bench).await;
    let again = bench.kindmesh(["up", "-f", "kindmesh.yaml", "-o", "json"]).json();
    assert_eq!(again["changed"], false, "{again:#}");
    assert_eq!(pools, clusters(&again).iter().map(|cluster| range(&cluster["pool"])).collect::<Vec<_>>());
    assert_eq!(started, started_at(&bench).await, "no container was touched");

    // Pools of other sizes, in their place: the samples keep their addresses.
    let samples: Vec<&Value> = clusters(&up).iter().map(|cluster| &cluster["sampleAddress"]).collect();
    for size in [30, 6] {
        bench.fleet_file(&format!("clusterPrefix: life\nclusters: 2\npoolSize: {size}\naddons:\n  sample: true\n"));
        let resized = bench.kindmesh(["up", "-f", "kindmesh.yaml", "-o", "json"]).json();
        assert_eq!(samples, clusters(&resized).iter().map(|cluster| &cluster["sampleAddress"]).collect::<Vec<_>>());
        for cluster in clusters(&resized) {
            let (name, pool) = (cluster["name"].as_str().unwrap(), cluster["pool"].as_str().unwrap());
            let count: u32 = pool.split(',').map(|part| range(&Value::from(part))).map(|(first, last)| last - first + 1).sum();
            assert_eq!((count, &cluster["changed"]), (size, &Value::Bool(true)), "{resized:#}");
            let told = bench.kubectl(name, "-n metallb-system get ipaddresspools -o jsonpath={.items[*].spec.addresses[*]}").await;
            assert_eq!(told.trim().replace(' ', ","), pool);
            http_get(cluster["sampleAddress"].as_str().unwrap(), Duration::from_secs(20)).await;
        }
        let again = bench.kindmesh(["diff", "--exit-code", "-f", "kindmesh.yaml", "-o", "json"]).json();
        assert_eq!(again["changed"], false, "{again:#}");
    }
    assert_eq!(started, started_at(&bench).await, "no container was touched");

    bench.kindmesh(["down", "--fleet", "life"]).ok();
    assert_eq!(bench.containers().await, Vec::<String>::new());
    let kubeconfig = std::fs::read_to_string(bench.kubeconfig()).unwrap_or_default();
    assert!(!kubeconfig.contains("life"), "{kubeconfig}");
    assert_eq!(of_the_clusters(&bench).await, BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_more_changes_nothing_for_the_first() {
    let bench = Bench::new("more").await;
    // Made as kind makes them; the other tests have the quick way.
    bench.fleet_file("clusterPrefix: more\nprofile: kind\nclusters: 1\n");
    let one = bench.kindmesh(["up", "-f", "kindmesh.yaml", "-o", "json"]).json();
    bench.fleet_file("clusterPrefix: more\nprofile: kind\nclusters: 2\n");
    let two = bench.kindmesh(["up", "-f", "kindmesh.yaml", "-o", "json"]).json();
    assert_eq!(clusters(&one)[0]["pool"], clusters(&two)[0]["pool"]);
    assert_eq!(clusters(&two)[0]["changed"], false, "{two:#}");
    assert_eq!(clusters(&two)[1]["changed"], true, "{two:#}");
    let dns = bench.kubectl("more2", "-n kube-system get deployment coredns -o jsonpath={.spec.replicas}").await;
    assert_eq!(dns, "2", "as kind has it");
    let manifest = bench.in_node("more2-control-plane", "cat /etc/kubernetes/manifests/kube-controller-manager.yaml").await.1;
    assert!(manifest.contains("--leader-elect=true") && !manifest.contains("kube-api-qps"), "{manifest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_up_that_was_killed_is_finished_by_the_next() {
    let bench = Bench::new("killed").await;
    bench.fleet_file("clusters:\n- name: killed\n  nodes: 2\n");
    // In the middle of `kubeadm init`, which goes on without us: the next `up` waits for its end.
    kill_up_when(&bench, "killed-control-plane", "/etc/kubernetes/pki/ca.crt", "true").await;
    // In the middle of `kubeadm join`, and that dies too, at once, for it is soon done: the node starts over.
    kill_up_when(&bench, "killed-worker", "/etc/kubernetes/bootstrap-kubelet.conf", "pkill -9 -x kubeadm").await;
    let worker = bench.engine.inspect_container("killed-worker").await.expect("worker").id;
    let up = bench.kindmesh(["up", "-f", "kindmesh.yaml", "-o", "json"]).json();
    assert_eq!(up["changed"], true);
    assert_ne!(worker, bench.engine.inspect_container("killed-worker").await.expect("worker").id, "the worker was replaced");
    let nodes = bench.kubectl("killed", "get nodes --no-headers").await;
    assert_eq!(nodes.lines().filter(|line| line.split_whitespace().nth(1) == Some("Ready")).count(), 2, "{nodes}");
    let again = bench.kindmesh(["up", "-f", "kindmesh.yaml", "-o", "json"]).json();
    assert_eq!(again["changed"], false, "{again:#}");
}

/// Runs `up` and kills it as soon as this file is in this node, whose bootstrap is then unfinished, and where this is
/// done first.
async fn kill_up_when(bench: &Bench, node: &str, file: &str, first: &str) {
    let mut up = bench.command(["up", "-f", "kindmesh.yaml"]);
    let said = bench.dir.path().join("killed.log");
    let mut child = up.stdout(Stdio::null()).stderr(std::fs::File::create(&said).expect("a file")).spawn().expect("start kindmesh");
    eventually(&format!("{file} in {node}"), Duration::from_secs(90), || async {
        match bench.engine.inspect_container(node).await {
            Ok(found) if found.pid > 0 => {}
            other => return Err(format!("{other:?}")),
        }
        match bench.in_node(node, &format!("timeout 5 sh -c 'until [ -e {file} ]; do sleep 0.05; done; {first}'")).await {
            (0, _) => Ok(()),
            (_, seen) => Err(format!("{seen}{}", std::fs::read_to_string(&said).expect("what `up` said"))),
        }
    })
    .await;
    child.kill().expect("kill kindmesh");
    child.wait().expect("reap it");
    let (code, seen) = bench.in_node(node, "ls /kind/kindmesh-bootstrapped").await;
    assert_ne!(code, 0, "{node} was finished before the kill: {seen}");
}

/// No cluster waits for another: the nodes of all are being started before the first API server answers.
fn made_at_once(events: &[Value]) {
    let is = |told: &Value, event: &str, step: &str| told["event"] == event && told["step"] == step;
    let answered = events.iter().position(|told| is(told, "finished", "wait for the API server")).expect("an API server answers");
    let started = events[..answered].iter().filter(|told| is(told, "started", "start nodes"));
    let clusters: BTreeSet<&str> = started.filter_map(|told| told["cluster"].as_str()).collect();
    assert_eq!(clusters, BTreeSet::from(CLUSTERS), "{events:#?}");
}

fn clusters(report: &Value) -> &Vec<Value> {
    report["clusters"].as_array().expect("clusters")
}

fn range(pool: &Value) -> (u32, u32) {
    let (first, last) = pool.as_str().and_then(|pool| pool.split_once('-')).expect("a range");
    let number = |text: &str| u32::from(text.parse::<std::net::Ipv4Addr>().expect("an address"));
    (number(first), number(last))
}

/// Containers on the whole engine that are called like nodes of these clusters, labelled or not. That
/// nothing else is left either is looked at when all tests are through: others run beside this one.
async fn of_the_clusters(bench: &Bench) -> BTreeSet<String> {
    let containers = bench.engine.list_containers(&[]).await.expect("list containers");
    let mine = |name: &String| CLUSTERS.iter().any(|cluster| name.starts_with(cluster));
    containers.into_iter().map(|container| container.name).filter(mine).collect()
}

async fn started_at(bench: &Bench) -> Vec<i64> {
    let mut pids = Vec::new();
    for name in bench.containers().await {
        pids.push(bench.engine.inspect_container(&name).await.expect("inspect").pid);
    }
    pids
}
