//! Bad input and things in the way: refused with a clear word before anything is made.

use std::collections::BTreeMap;
use std::net::TcpListener;

use kindmesh::domain::container::ContainerSpec;
use kindmesh::domain::labels;
use kindmesh::domain::net::NetworkSpec;

use crate::support::Bench;

const EXIT_CONFIG: i32 = 3;
const EXIT_IMAGE: i32 = 5;
const EXIT_CONFLICT: i32 = 6;

/// Image that is surely there: the node image itself.
fn node_image() -> String {
    std::env::var("KINDMESH_NODE_IMAGE").unwrap_or_else(|_| "kindmesh/node:v1.34.4".to_owned())
}

async fn refused(bench: &Bench, body: &str, code: i32, words: &[&str]) {
    bench.fleet_file(body);
    let said = bench.kindmesh(["up", "-f", "kindmesh.yaml"]).failed(code);
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    assert_eq!(bench.containers().await, Vec::<String>::new(), "nothing was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_image_names_both_ways_out() {
    let bench = Bench::new("noimage").await;
    let body = "clusterPrefix: noimage\nclusters: 1\nimage: 127.0.0.1:1/nobody/node:v0.0.1\n";
    refused(&bench, body, EXIT_IMAGE, &["127.0.0.1:1/nobody/node:v0.0.1", "build node-image", "--image"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_cluster_name() {
    let bench = Bench::new("taken").await;
    let spec = ContainerSpec {
        image: node_image(),
        labels: BTreeMap::from([(labels::CLUSTER.to_owned(), "taken1".to_owned())]),
        network: "none".to_owned(),
        ..ContainerSpec::default()
    };
    let id = bench.engine.create_container("taken1-control-plane", &spec).await.expect("create");
    let result = bench.fleet_file("clusterPrefix: taken\nclusters: 1\n");
    let said = bench.kindmesh(["up", "-f", result.to_str().unwrap()]);
    bench.engine.remove_container(&id).await.expect("remove");
    let said = said.failed(EXIT_CONFLICT);
    assert!(said.contains("taken1") && said.contains("taken"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use() {
    let bench = Bench::new("port").await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("its number").port();
    let body = format!("clusters:\n- name: port1\n  apiServerPort: {port}\n");
    refused(&bench, &body, EXIT_CONFLICT, &["port1", &port.to_string(), "apiServerPort"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_network_of_the_same_name() {
    let bench = Bench::new("foreign").await;
    let spec = NetworkSpec {
        name: "foreign-net".to_owned(),
        ipv4_subnet: Some("172.30.20.0/24".parse().expect("a subnet")),
        ..NetworkSpec::default()
    };
    let id = bench.engine.create_network(&spec).await.expect("create the network");
    bench.fleet_file("clusters: 1\nclusterPrefix: foreign\nnetwork:\n  name: foreign-net\n  subnet: 172.30.21.0/24\n");
    let ran = bench.kindmesh(["up", "-f", "kindmesh.yaml"]);
    let still = bench.engine.inspect_network(&id).await;
    bench.engine.remove_network(&id).await.expect("remove the network");
    let said = ran.failed(EXIT_CONFLICT);
    assert!(said.contains("foreign-net") && said.contains("172.30.20.0/24") && said.contains("172.30.21.0/24"), "{said}");
    assert!(still.is_ok(), "it was left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_that_do_not_fit() {
    let bench = Bench::new("tight").await;
    let body = "clusters: 2\nclusterPrefix: tight\npoolSize: 10\nnetwork:\n  name: tight-net\n  subnet: 172.30.22.0/28\n";
    // Known from the file alone, or from the network: both say the numbers.
    bench.fleet_file(body);
    let ran = bench.kindmesh(["up", "-f", "kindmesh.yaml"]);
    assert!(matches!(ran.code, Some(EXIT_CONFIG | EXIT_CONFLICT)), "{ran:?}");
    assert!(ran.stderr.contains("172.30.22.0/28") && ran.stderr.contains("20"), "{}", ran.stderr);
    assert!(bench.engine.networks_named("tight-net").await.expect("list").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_in_the_wanted_pool_is_avoided() {
    let bench = Bench::new("squat").await;
    let network = NetworkSpec {
        name: "squat-net".to_owned(),
        ipv4_subnet: Some("172.30.23.0/24".parse().expect("a subnet")),
        ..NetworkSpec::default()
    };
    let id = bench.engine.create_network(&network).await.expect("create the network");
    let squatter = ContainerSpec {
        image: node_image(),
        entrypoint: Some(vec!["/bin/sleep".to_owned(), "600".to_owned()]),
        cmd: Some(Vec::new()),
        labels: BTreeMap::from([(labels::HELPER.to_owned(), "test".to_owned())]),
        network: "squat-net".to_owned(),
        ipv4_address: Some("172.30.23.250".parse().expect("an address")),
        ..ContainerSpec::default()
    };
    let container = bench.engine.create_container("squatter", &squatter).await.expect("create the squatter");
    bench.engine.start_container(&container).await.expect("start the squatter");
    bench.fleet_file("clusters: 1\nclusterPrefix: squat\nnetwork:\n  name: squat-net\n  subnet: 172.30.23.0/24\n");
    let ran = bench.kindmesh(["up", "-f", "kindmesh.yaml", "-o", "json"]);
    let down = bench.kindmesh(["down", "--fleet", "squat"]);
    bench.engine.remove_container(&container).await.expect("remove the squatter");
    let still = bench.engine.inspect_network(&id).await;
    bench.engine.remove_network(&id).await.expect("remove the network");
    let pool = ran.json()["clusters"][0]["pool"].as_str().expect("a pool").to_owned();
    assert_eq!(pool, "172.30.23.225-172.30.23.249");
    down.ok();
    assert!(still.is_ok(), "a network that others made is left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_kubeconfig_is_left_untouched() {
    let bench = Bench::new("corrupt").await;
    let text = "clusters: [\nsecret: hunter2\n";
    std::fs::write(bench.kubeconfig(), text).expect("write");
    bench.fleet_file("clusterPrefix: corrupt\nclusters: 1\n");
    let said = bench.kindmesh(["up", "-f", "kindmesh.yaml"]).failed(EXIT_CONFIG);
    assert!(said.contains("kubeconfig") && !said.contains("hunter2"), "{said}");
    assert_eq!(std::fs::read_to_string(bench.kubeconfig()).expect("read"), text);
    assert_eq!(bench.containers().await, Vec::<String>::new());
    // The fleet's own clean-up must not trip over it.
    std::fs::remove_file(bench.kubeconfig()).expect("remove");
}
