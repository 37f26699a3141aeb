//! More than one node, fixed addresses, both privilege profiles.

use std::time::Duration;

use kindmesh::domain::labels;

use crate::support::{Bench, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_on_a_network_of_their_own() {
    let bench = Bench::new("trio").await;
    let file = |nodes: u32| {
        bench.fleet_file(&format!(
            "network:\n  name: trio-net\n  subnet: 172.30.9.0/24\n  ipRange: 172.30.9.64/26\n  gateway: 172.30.9.254\n  mtu: 1400\nclusters:\n- name: trio\n  nodes: {nodes}\n  poolSize: 16\n"
        ))
    };
    file(2);
    bench.kindmesh(["up", "-f", "kindmesh.yaml"]).ok();
    // Grown in place: the first two nodes are not touched.
    let first = bench.engine.inspect_container("trio-worker").await.expect("worker").pid;
    file(3);
    let up = bench.kindmesh(["up", "-f", "kindmesh.yaml", "-o", "json"]).json();
    assert_eq!(up["clusters"][0]["nodes"], serde_json::json!(["trio-control-plane", "trio-worker", "trio-worker2"]));
    assert_eq!(first, bench.engine.inspect_container("trio-worker").await.expect("worker").pid);

    let nodes = bench.kubectl("trio", "get nodes --no-headers").await;
    assert_eq!(nodes.lines().filter(|line| line.split_whitespace().nth(1) == Some("Ready")).count(), 3, "{nodes}");

    // Addresses are fixed, and outside the range the engine hands out.
    let network = bench.engine.inspect_network("trio-net").await.expect("network");
    let entry = network.ipv4().expect("an IPv4 subnet");
    let range = entry.ip_range.expect("a range for the engine");
    assert_eq!((range.to_string().as_str(), entry.gateway), ("172.30.9.64/26", Some("172.30.9.254".parse().unwrap())));
    let (_, mtu) = bench.in_node("trio-worker", "cat /sys/class/net/eth0/mtu").await;
    assert_eq!(mtu.trim(), "1400");
    for name in bench.containers().await {
        let node = bench.engine.inspect_container(&name).await.expect("node");
        let address = node.networks["trio-net"].ipv4.expect("an address");
        assert_eq!(node.labels[labels::ADDRESS], address.to_string());
        assert!(!range.contains(address.into()), "{address} is in {range}");
    }

    // A pod on each node; each reaches each.
    bench.apply("trio", EVERYWHERE).await;
    bench.kubectl("trio", "rollout status daemonset/everywhere --timeout=90s").await;
    let pods = bench
        .kubectl("trio", "get pods -l app=everywhere -o jsonpath='{range .items[*]}{.metadata.name}={.status.podIP}{\"\\n\"}{end}'")
        .await;
    let pods: Vec<(&str, &str)> = pods.lines().filter_map(|line| line.split_once('=')).collect();
    assert_eq!(pods.len(), 3, "{pods:?}");
    for (from, _) in &pods {
        for (to, address) in &pods {
            let page = bench.kubectl("trio", &format!("exec {from} -- /echo get http://{address}:8080/")).await;
            assert!(page.contains(to), "{from} asked {to}: {page}");
        }
    }
    bench.kindmesh(["down", "--fleet", "trio"]).ok();
    assert!(bench.engine.inspect_network("trio-net").await.expect_err("the fleet's own network").is_not_found());
}

const EVERYWHERE: &str = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: everywhere}
spec:
  selector: {matchLabels: {app: everywhere}}
  template:
    metadata: {labels: {app: everywhere}}
    spec:
      terminationGracePeriodSeconds: 0
      tolerations: [{operator: Exists}]
      containers:
      - name: echo
        image: docker.io/kindmesh/echo:v1
        imagePullPolicy: IfNotPresent
        env: [{name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
";

#[tokio::test(flavor = "multi_thread")]
async fn the_privileged_profile_boots_a_cluster_or_is_refused_before_anything_is_made() {
    let bench = Bench::new("full").await;
    bench.fleet_file("clusterPrefix: full\nclusters: 1\nprivileges: privileged\n");
    let ran = bench.kindmesh(["up", "-f", "kindmesh.yaml", "-o", "json"]);
    if ran.code == Some(0) || bench.gives_privileges().await {
        assert_eq!(ran.json()["privileges"], "privileged");
        let nodes = bench.kubectl("full1", "get nodes --no-headers").await;
        assert!(nodes.contains(" Ready "), "{nodes}");
    } else {
        assert!(ran.stderr.contains("refuses privileged containers"), "{}", ran.stderr);
        assert!(ran.stderr.contains("--privileges"), "the way out is named: {}", ran.stderr);
        assert_eq!(bench.containers().await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_node_repairs_itself_and_a_stopped_one_comes_back_with_up() {
    let bench = Bench::new("back").await;
    bench.fleet_file("clusterPrefix: back\nclusters: 1\n");
    bench.kindmesh(["up", "-f", "kindmesh.yaml"]).ok();
    bench.engine.stop_container("back1-control-plane", 20).await.expect("stop");
    bench.engine.start_container("back1-control-plane").await.expect("start");
    eventually("the node is Ready again", Duration::from_secs(120), || async {
        match bench.in_node("back1-control-plane", "kubectl get nodes --no-headers").await {
            (0, nodes) if nodes.contains(" Ready ") => Ok(()),
            (_, seen) => Err(seen),
        }
    })
    .await;

    bench.engine.stop_container("back1-control-plane", 10).await.expect("stop the node");
    let up = bench.kindmesh(["up", "-f", "kindmesh.yaml", "-o", "json"]).json();
    assert_eq!(up["changed"], true);
    let pods = bench.kubectl("back1", "get pods -A --no-headers").await;
    assert!(pods.lines().all(|line| line.split_whitespace().nth(3) == Some("Running")), "{pods}");

    // With control groups of version 1 no signal ends what is frozen, and the engine waits for it in vain.
    let (code, frozen) = bench.in_node("back1-control-plane", FREEZE).await;
    assert_eq!(code, 0, "nothing was frozen: {frozen}");
    bench.kindmesh(["down"]).ok();
    assert_eq!(bench.containers().await, Vec::<String>::new());
}

/// Freezes the processes of one container of a pod.
const FREEZE: &str = "for state in $(find /sys/fs/cgroup -path '*kubepods*' '(' -name freezer.state -o -name cgroup.freeze ')'); do
  grep -q . ${state%/*}/cgroup.procs || continue
  case $state in *.state) echo FROZEN >$state ;; *) echo 1 >$state ;; esac
  echo ${state%/*}
  exit 0
done
exit 1";
