//! A mesh from nothing: installed through kills, proven, compared with what kubectl and curl show,
//! grown, shrunk and removed. One fleet for all of it, because a fleet is the expensive part.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use kindmesh::ops::VerifyReport;
use serde_json::{Value, json};

use crate::mesh_support::{green, of_both_versions};
use crate::support::{Bench, eventually, http_page};

const EXIT_CONFLICT: i32 = 6;
const EXIT_NOT_FOUND: i32 = 9;
const TWO: [&str; 2] = ["mesh1", "mesh2"];
const THREE: [&str; 3] = ["mesh1", "mesh2", "mesh3"];

#[tokio::test(flavor = "multi_thread")]
async fn a_mesh_from_nothing_to_three_clusters_and_back() {
    let mut bench = Bench::with_turns("mesh", 2).await;
    bench.mesh_file("clusterPrefix: mesh\nclusters: 2\n");
    // The last thing that happens in a cluster before all are joined is the start of its gateways.
    killed_when(&bench, "the CRDs are there", "kubectl get crd gateways.networking.istio.io").await;
    bench.done("killed once");
    killed_when(&bench, "istiod is there", "kubectl -n istio-system get deployment istiod").await;
    killed_when(&bench, "the gateway is there", "kubectl -n istio-system get deployment istio-eastwestgateway").await;
    bench.done("killed three times");
    let (up, said) = bench.mesh_up_aloud();
    bench.settled();
    bench.done("up");
    assert_eq!((&up["changed"], &up["mesh"]["changed"]), (&json!(true), &json!(true)));
    let proof: VerifyReport = serde_json::from_value(up["mesh"]["proof"].clone()).expect("up proves the mesh");
    green(&proof, &TWO);

    verified_for_ci(&bench);
    let shown = bench.kindmesh(["mesh", "ca", "-f", "kindmesh.yaml", "-o", "json"]).json();
    let roots = std::path::PathBuf::from(shown["folder"].as_str().expect("the folder of the root"));
    bench.secrets_stay_secret(&TWO, &roots, said).await;
    bench.done("sought");
    seen_by_hand(&bench, &up).await;
    bench.done("seen by hand");
    drawn(&bench, &up);
    through_the_ingress(&up).await;
    bench.done("seen from here");
    again_changes_nothing(&bench).await;
    bench.done("up again");
    certificates(&bench).await;
    bench.done("rotated");
    a_lost_root(&bench).await;
    bench.done("found again");
    a_restarted_node(&bench).await;
    bench.done("restarted");
    bench.another_turn().await;
    a_third_joins_and_leaves(&bench).await;
    bench.done("grown and shrunk");

    assert!(roots.starts_with(bench.dir.path().join(".local/state/kindmesh")) && roots.ends_with("mesh/ca"), "{}", roots.display());
    bench.kindmesh(["down", "--fleet", "mesh"]).ok();
    assert_eq!(bench.containers().await, Vec::<String>::new());
    assert!(!roots.exists() && !roots.parent().unwrap().exists(), "{} is left", roots.display());
}

/// Runs `up` and kills it as soon as this holds in the first cluster, whose mesh is then unfinished.
async fn killed_when(bench: &Bench, moment: &str, condition: &str) {
    let mut up = bench.command(["up", "-f", "kindmesh.yaml", "--mesh"]);
    let mut child = up.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start kindmesh");
    let node = "mesh1-control-plane";
    eventually(moment, Duration::from_secs(240), || async {
        match bench.engine.inspect_container(node).await {
            Ok(found) if found.pid > 0 => {}
            other => return Err(format!("{other:?}")),
        }
        match bench.in_node(node, &format!("timeout 5 sh -c 'until {condition}; do sleep 0.3; done' 2>&1")).await {
            (0, _) => Ok(()),
            (_, seen) => Err(seen),
        }
    })
    .await;
    child.kill().expect("kill kindmesh");
    child.wait().expect("reap it");
    let secrets = bench.kubectl("mesh1", "-n istio-system get secrets -l istio/multiCluster=true -o name").await;
    assert_eq!(secrets, "", "it was killed before the clusters were joined");
}

/// `verify` says the same as `up`, in every form.
fn verified_for_ci(bench: &Bench) {
    bench.proven(&TWO, "0s");
    let text = bench.kindmesh(["verify", "-f", "kindmesh.yaml", "--junit", "report.xml"]).text();
    assert!(TWO.iter().all(|cluster| text.contains(cluster)) && text.contains("V1") && text.contains("V2"), "{text}");
    let junit = std::fs::read_to_string(bench.dir.path().join("report.xml")).expect("a report");
    // The fleet itself, and ten checks in each cluster.
    assert!(junit.contains(r#"tests="21" failures="0""#), "{junit}");
    assert_eq!(junit.matches("<testcase ").count(), 21, "{junit}");
}

/// The last steps of the manual way, done with kubectl and curl, agree with what was reported.
async fn seen_by_hand(bench: &Bench, up: &Value) {
    let status = bench.kindmesh(["status", "--fleet", "mesh", "-o", "json"]).json();
    let mut roots = BTreeSet::new();
    for (index, cluster) in TWO.into_iter().enumerate() {
        let other = TWO[1 - index];
        remote_secret(bench, cluster, other).await;

        let member = &up["mesh"]["clusters"][index];
        assert_eq!((&member["cluster"], &member["network"]), (&json!(cluster), &json!(format!("network-{cluster}"))));
        for (service, reported) in [("istio-eastwestgateway", "eastWestGateway"), ("istio-ingressgateway", "ingressGateway")] {
            let seen = bench.object(cluster, &format!("-n istio-system service {service}")).await;
            let address = &seen["status"]["loadBalancer"]["ingress"][0]["ip"];
            assert!(address.is_string() && *address == member[reported], "{service} of {cluster}: {address} in {member}");
            let listed = status["fleets"][0]["clusters"][index]["services"].as_array().expect("services");
            let listed = listed.iter().find(|listed| listed["name"] == service).unwrap_or_else(|| panic!("{service} in {status:#}"));
            assert_eq!(*address, listed["address"]);
        }
        for namespace in ["istio-system", "sample"] {
            let root = bench.object(cluster, &format!("-n {namespace} configmap istio-ca-root-cert")).await;
            roots.insert(root["data"]["root-cert.pem"].as_str().expect("a root").to_owned());
        }
        for pod in bench.object(cluster, "-n sample pods").await["items"].as_array().expect("pods") {
            let containers = [&pod["spec"]["containers"], &pod["spec"]["initContainers"]];
            let mut names = containers.iter().flat_map(|list| list.as_array()).flatten().map(|container| &container["name"]);
            assert!(names.any(|name| name == "istio-proxy"), "{pod:#}");
        }
        let answers = bench.call(cluster, 20).await;
        assert_eq!(answers.len(), 20, "{answers:#?}");
        of_both_versions(&answers);
    }
    assert_eq!(roots.len(), 1, "one root in all clusters and namespaces: {roots:#?}");
}

/// The secret by which one cluster reads another: its shape, and that it works from where it is used.
async fn remote_secret(bench: &Bench, cluster: &str, other: &str) {
    let found = bench.kubectl(cluster, "-n istio-system get secrets -l istio/multiCluster=true -o name").await;
    assert_eq!(found.trim(), format!("secret/istio-remote-secret-{other}"), "one for each other cluster, none for its own");
    let (secret, config) = bench.remote_kubeconfig(cluster, other).await;
    assert_eq!(secret["type"], "Opaque");
    assert_eq!(secret["metadata"]["annotations"]["networking.istio.io/cluster"], other);
    assert_eq!(secret["data"].as_object().expect("data").len(), 1);
    assert_eq!(config["current-context"], other);
    assert_eq!(config["contexts"], json!([{"name": other, "context": {"cluster": other, "user": other}}]));
    assert_eq!(config["clusters"][0]["name"], other);
    assert_eq!(config["clusters"][0]["cluster"]["server"], format!("https://{other}-control-plane:6443"));
    assert_eq!(config["users"][0]["name"], other);
    let script = format!(
        "cat >/tmp/remote.conf <<'EOF'\n{config}\nEOF\nkubectl --kubeconfig /tmp/remote.conf -n sample get service helloworld -o name"
    );
    assert_eq!(bench.in_node(&format!("{cluster}-control-plane"), &script).await, (0, "service/helloworld\n".to_owned()));
}

/// The picture of the fleet has everything in it, in both forms, and `status` the same.
fn drawn(bench: &Bench, up: &Value) {
    // Arrows: the shapes of their heads, and lines between clusters, are there without any calls, too.
    for (format, calls) in [("svg", "marker-end="), ("mermaid", "-->|")] {
        let picture = bench.kindmesh(["graph", "-f", "kindmesh.yaml", "--calls", "--format", format]).text();
        assert!(picture.contains(calls), "{picture}");
        for (cluster, member) in
            up["clusters"].as_array().expect("clusters").iter().zip(up["mesh"]["clusters"].as_array().expect("members"))
        {
            for part in [&cluster["name"], &cluster["pool"], &member["network"], &member["eastWestGateway"], &member["ingressGateway"]] {
                assert!(picture.contains(part.as_str().expect("a text")), "{part} is not drawn: {picture}");
            }
        }
    }
    let status = bench.kindmesh(["status", "--fleet", "mesh", "-o", "json"]).json();
    for (index, other) in [(0, TWO[1]), (1, TWO[0])] {
        let (told, member) = (&status["fleets"][0]["clusters"][index]["mesh"], &up["mesh"]["clusters"][index]);
        assert_eq!((&told["id"], &told["remoteClusters"]), (&json!("mesh1"), &json!([other])), "{told:#}");
        for part in ["network", "eastWestGateway", "ingressGateway"] {
            assert_eq!(told[part], member[part], "{part}");
        }
        assert!(told["problem"].is_null() && told["version"].is_string(), "{told:#}");
    }
}

/// From this machine, too, every cluster answers with both versions.
async fn through_the_ingress(up: &Value) {
    for member in up["mesh"]["clusters"].as_array().expect("members") {
        let address = member["ingressGateway"].as_str().expect("an address");
        let mut answers = Vec::new();
        for _ in 0..20 {
            answers.push(http_page(address, "/hello", Duration::from_secs(20)).await.trim().to_owned());
        }
        of_both_versions(&answers);
    }
}

async fn again_changes_nothing(bench: &Bench) {
    let before = all_pods(bench, &TWO).await;
    let again = bench.mesh_up();
    assert_eq!((&again["changed"], &again["mesh"]["changed"]), (&json!(false), &json!(false)), "{again:#}");
    assert_eq!(before, all_pods(bench, &TWO).await, "nothing was made anew or started again");
}

/// One root, shown and kept; an intermediate is replaced while the mesh runs.
async fn certificates(bench: &Bench) {
    let before = bench.kindmesh(["mesh", "ca", "-f", "kindmesh.yaml", "-o", "json"]).json();
    assert_eq!(before["healthy"], true, "{before:#}");
    let print = |report: &Value, cluster: usize, which: usize| {
        report["clusters"][cluster]["chain"]["certificates"][which]["fingerprint"].as_str().expect("a fingerprint").to_owned()
    };
    let root = before["root"]["fingerprint"].as_str().expect("the stored root");
    assert!((0..2).all(|cluster| print(&before, cluster, 1) == root), "{before:#}");
    assert_ne!(print(&before, 0, 0), print(&before, 1, 0), "each signs with its own");

    let pods = all_pods(bench, &TWO).await;
    let rotated = bench.kindmesh(["mesh", "ca", "rotate", "-f", "kindmesh.yaml", "--cluster", "mesh2", "-o", "json"]).json();
    assert_eq!(rotated["rotated"][0]["cluster"], "mesh2");
    let after = bench.kindmesh(["mesh", "ca", "-f", "kindmesh.yaml", "-o", "json"]).json();
    assert_eq!((print(&after, 0, 0), print(&after, 1, 1)), (print(&before, 0, 0), root.to_owned()), "nothing else changed");
    assert_ne!(print(&after, 1, 0), print(&before, 1, 0));
    assert_eq!(rotated["rotated"][0]["now"]["fingerprint"], print(&after, 1, 0));
    assert_eq!(pods, all_pods(bench, &TWO).await, "nothing was started again");
    bench.proven(&TWO, "0s");
}

/// Without the root's key nothing is made that the mesh would not trust, and nothing is lost: given back, all
/// goes on.
async fn a_lost_root(bench: &Bench) {
    let shown = bench.kindmesh(["mesh", "ca", "-f", "kindmesh.yaml", "-o", "json"]).json();
    let folder = std::path::PathBuf::from(shown["folder"].as_str().expect("the folder of the root"));
    let away = bench.dir.path().join("away");
    std::fs::rename(&folder, &away).expect("move the root away");
    let before = bench.containers().await;
    bench.mesh_file("clusterPrefix: mesh\nclusters: 3\n");
    let said = bench.kindmesh(["up", "-f", "kindmesh.yaml", "--mesh"]).failed(EXIT_NOT_FOUND);
    bench.mesh_file("clusterPrefix: mesh\nclusters: 2\n");
    let fingerprint = shown["root"]["fingerprint"].as_str().expect("a fingerprint");
    assert!(said.contains("not on this machine") && said.contains(fingerprint) && said.contains("--root-ca"), "{said}");
    assert!(!folder.exists(), "no other root was made");
    assert_eq!(before, bench.containers().await);

    let [certificate, key] = ["root-cert.pem", "root-key.pem"].map(|file| away.join(file).display().to_string());
    let up = ["up", "-f", "kindmesh.yaml", "--mesh", "--root-ca", certificate.as_str(), "--root-key", key.as_str()];
    bench.kindmesh(up).ok();
    assert!(folder.join("root-key.pem").is_file(), "what was given is kept");
    bench.proven(&TWO, "0s");
}

/// A node that went away comes back into the mesh.
async fn a_restarted_node(bench: &Bench) {
    bench.engine.stop_container("mesh2-control-plane", 2).await.expect("stop");
    bench.engine.start_container("mesh2-control-plane").await.expect("start");
    let up = bench.mesh_up();
    green(&serde_json::from_value(up["mesh"]["proof"].clone()).expect("a proof"), &TWO);
}

/// A cluster more touches only the others' remote secrets; a cluster less is asked for twice.
async fn a_third_joins_and_leaves(bench: &Bench) {
    let before = all_pods(bench, &TWO).await;
    bench.mesh_file("clusterPrefix: mesh\nclusters: 3\n");
    let up = bench.mesh_up();
    let changed: Vec<&Value> = (0..3).map(|index| &up["clusters"][index]["changed"]).collect();
    assert_eq!(changed, [&json!(false), &json!(false), &json!(true)], "{up:#}");
    assert_eq!(up["mesh"]["changed"], true);
    green(&serde_json::from_value(up["mesh"]["proof"].clone()).expect("a proof"), &THREE);
    bench.done("grown");
    let secrets = bench.kubectl("mesh1", "-n istio-system get secrets -l istio/multiCluster=true -o name").await;
    assert_eq!(secrets, "secret/istio-remote-secret-mesh2\nsecret/istio-remote-secret-mesh3\n");

    bench.mesh_file("clusterPrefix: mesh\nclusters: 2\n");
    let said = bench.kindmesh(["up", "-f", "kindmesh.yaml", "--mesh"]).failed(EXIT_CONFLICT);
    assert!(said.contains("mesh3") && said.contains("--prune"), "{said}");
    assert_eq!(bench.containers().await.len(), 3, "nothing was removed");

    let pruned = bench.kindmesh(["up", "-f", "kindmesh.yaml", "--mesh", "--prune", "-o", "json"]).json();
    assert_eq!(pruned["changed"], true);
    let containers: BTreeSet<String> = bench.containers().await.into_iter().collect();
    assert_eq!(containers, TWO.map(|cluster| format!("{cluster}-control-plane")).into());
    for (cluster, other) in [(TWO[0], TWO[1]), (TWO[1], TWO[0])] {
        remote_secret(bench, cluster, other).await;
    }
    bench.proven(&TWO, "0s");
    assert_eq!(before, all_pods(bench, &TWO).await, "the first two were left alone all the time");
}

async fn all_pods(bench: &Bench, clusters: &[&str]) -> BTreeSet<String> {
    let mut pods = BTreeSet::new();
    for cluster in clusters {
        pods.extend(bench.mesh_pods(cluster).await);
    }
    pods
}
