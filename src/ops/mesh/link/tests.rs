//! The barrier before the first remote secret, and tokens that are made anew.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::domain::fleet::Timeouts;
use crate::domain::fleet_builder::MeshBuilder;
use crate::domain::mesh::objects::READER_TOKEN;
use crate::domain::pki::Root;
use crate::engine::fake::{ExecReply, FakeEngine};
use crate::k8s::mock::{self, Asked, failure};
use crate::ops::tests::server::{Server, answer};
use crate::ops::tests::{engine, node};

const SECRETS: &str = "/api/v1/namespaces/istio-system/secrets";
/// With the empty query that the client has in everything it makes.
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews?";
const REFUSED: &str = "bash: connect: Connection refused";

/// A cluster: the server that takes its objects, and what it was asked.
struct Cluster {
    name: ClusterName,
    server: ApiServer,
    asked: Asked,
    gateways: BTreeMap<GatewayKind, IpAddr>,
}

fn secret(name: &str, data: &Value) -> Value {
    let metadata = json!({"name": name, "namespace": "istio-system", "resourceVersion": "1"});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
}

// === impl Cluster ===

impl Cluster {
    /// One that takes every object. Its tokens are `<name>-token-1`, and after each deletion the next. It has a remote
    /// secret for a cluster that is gone. Tokens are tried at `address`.
    fn new(name: &str, gateway: &str, address: &str) -> Self {
        let ca = Root::generate(&"demo".parse().unwrap(), Timestamp::now()).unwrap().certificate().to_owned();
        let (made, token) = (AtomicUsize::new(1), name.to_owned());
        let (server, asked) = mock::server(move |method, path, _| match (method, path) {
            (_, "/api/v1") => {
                let secrets = json!({"name": "secrets", "singularName": "", "kind": "Secret", "namespaced": true, "verbs": []});
                (200, json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [secrets]}))
            }
            (&Method::GET, SECRETS) => {
                let token = format!("{token}-token-{}", made.load(Ordering::SeqCst));
                let data = json!({"token": STANDARD.encode(token), "ca.crt": STANDARD.encode(&ca)});
                let items = [secret(READER_TOKEN, &data), secret("istio-remote-secret-gone", &json!({}))];
                (200, json!({"apiVersion": "v1", "kind": "SecretList", "metadata": {"resourceVersion": "1"}, "items": items}))
            }
            (&Method::DELETE, _) => {
                made.fetch_add(usize::from(path.ends_with(READER_TOKEN)), Ordering::SeqCst);
                (200, json!({"apiVersion": "v1", "kind": "Status", "status": "Success", "metadata": {}}))
            }
            (&Method::PATCH, path) => (200, secret(last(path), &json!({}))),
            _ => failure(404, "not found"),
        });
        let server = ApiServer::new(server.client(), address);
        let gateways = [(GatewayKind::EastWest, gateway.parse().unwrap())].into();
        Self { name: name.parse().unwrap(), server, asked, gateways }
    }

    fn member(&self) -> Member<'_> {
        Member { name: &self.name, server: &self.server, gateways: &self.gateways }
    }

    /// Names of the objects that this was asked of.
    fn asked(&self, wanted: &Method) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(method, _)| method == wanted).map(|(_, path)| last(path).to_owned()).collect()
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// A server that knows these tokens and no others, and where it is.
async fn reviewer(known: &[&str]) -> (Server, String) {
    let server = Server::start().await;
    let json = "Content-Type: application/json\r\n";
    server.answer(REVIEWS, answer("401 Unauthorized", json, failure(401, "Unauthorized").1.to_string().as_bytes()));
    let review = json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "status": {}}).to_string();
    for token in known {
        server.answer(&format!("{REVIEWS} by Bearer {token}"), answer("201 Created", json, review.as_bytes()));
    }
    let address = format!("http://{}", server.host);
    (server, address)
}

/// Nodes that reach every gateway but the silent one, which answers from the `after`-th knock on; and how often was
/// knocked there.
async fn nodes(silent: &'static str, after: usize) -> (Arc<FakeEngine>, Arc<AtomicUsize>) {
    let (engine, knocks) = (engine(), Arc::new(AtomicUsize::new(0)));
    for cluster in ["east", "west"] {
        node(&engine, cluster, Some("demo"), "bridge").await;
    }
    let count = knocks.clone();
    engine.on_exec(move |call| {
        let knocked = call.line().contains(&format!("/dev/tcp/{silent}/15443"));
        (knocked && count.fetch_add(1, Ordering::SeqCst) + 1 < after).then(|| ExecReply::fails(1, REFUSED))
    });
    (engine, knocks)
}

async fn link(engine: &Arc<FakeEngine>, mesh_ready: Duration, clusters: &[Cluster]) -> Result<bool> {
    let timeouts = Timeouts { mesh_ready, ..Timeouts::default() };
    let fleet = Fleet::builder("demo").clusters(2).mesh(MeshBuilder::new()).timeouts(timeouts).build().unwrap();
    let km = Kindmesh::new(engine.clone());
    let members: Vec<Member<'_>> = clusters.iter().map(Cluster::member).collect();
    ensure(&km, &fleet, &members, &km.fleet_scope()).await
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_does_not_answer_keeps_all_clusters_apart() {
    let (engine, knocks) = nodes("10.0.0.2", usize::MAX).await;
    let clusters = [Cluster::new("east", "10.0.0.1", "mock"), Cluster::new("west", "10.0.0.2", "mock")];
    let error = link(&engine, Duration::from_secs(5), &clusters).await.unwrap_err();
    let told = format!("the east-west gateway of west does not answer east-control-plane at 10.0.0.2:15443: {REFUSED}");
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::Timeout, told));
    assert!(error.hints()[0].contains("servicel2statuses"), "{:?}", error.hints());
    assert!(knocks.load(Ordering::SeqCst) > 10, "it was tried until the deadline");
    for cluster in &clusters {
        assert_eq!(*cluster.asked.lock().unwrap(), [], "nothing is written into {}", cluster.name);
    }
}

#[tokio::test]
async fn secrets_follow_the_last_gateway() {
    let (engine, knocks) = nodes("10.0.0.2", 3).await;
    let (_reviewer, address) = reviewer(&["east-token-1", "west-token-1"]).await;
    let clusters = [Cluster::new("east", "10.0.0.1", &address), Cluster::new("west", "10.0.0.2", &address)];
    // What the clusters had been asked when somebody still knocked at a gateway.
    let early = Arc::new(AtomicUsize::new(0));
    let (seen, logs) = (early.clone(), [clusters[0].asked.clone(), clusters[1].asked.clone()]);
    engine.on_exec(move |_| {
        seen.fetch_add(logs.iter().map(|asked| asked.lock().unwrap().len()).sum(), Ordering::SeqCst);
        None
    });
    assert!(link(&engine, Duration::from_secs(30), &clusters).await.unwrap());
    assert_eq!((knocks.load(Ordering::SeqCst), early.load(Ordering::SeqCst)), (3, 0));
    for (cluster, other) in clusters.iter().zip(["istio-remote-secret-west", "istio-remote-secret-east"]) {
        assert_eq!(cluster.asked(&Method::PATCH), [READER_TOKEN, other]);
        assert_eq!(cluster.asked(&Method::DELETE), ["istio-remote-secret-gone"]);
    }
}

#[tokio::test]
async fn a_member_without_a_gateway_is_named() {
    let (engine, _) = nodes("10.0.0.2", 0).await;
    let mut clusters = [Cluster::new("east", "10.0.0.1", "mock"), Cluster::new("west", "10.0.0.2", "mock")];
    clusters[1].gateways.clear();
    let error = link(&engine, Duration::from_secs(30), &clusters).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Cluster, "cluster west has no east-west gateway"));
}

#[tokio::test]
async fn a_token_that_is_refused_is_made_anew() {
    let (server, address) = reviewer(&["east-token-2"]).await;
    let east = Cluster::new("east", "10.0.0.1", &address);
    let told = Mutex::new(Vec::new());
    let seen = |state: &str| told.lock().unwrap().push(state.to_owned());
    let given = access(&east.member(), Deadline::after(Duration::from_secs(30)), &seen).await.unwrap();
    assert_eq!((given.token.as_str(), given.server.as_str()), ("east-token-2", "https://east-control-plane:6443"));
    assert_eq!(server.asked(), [1, 2].map(|number| format!("{REVIEWS} by Bearer east-token-{number}")));
    assert_eq!(east.asked(&Method::DELETE), [READER_TOKEN]);
    assert_eq!(east.asked(&Method::PATCH), [READER_TOKEN, READER_TOKEN]);
    let told = told.lock().unwrap().join("\n");
    assert!(told.contains("cluster east no longer accepts its token; making a new one") && !told.contains("token-1"), "{told}");
}

#[tokio::test]
async fn a_cluster_that_refuses_every_token_is_an_error() {
    let (server, address) = reviewer(&[]).await;
    let east = Cluster::new("east", "10.0.0.1", &address);
    let error = access(&east.member(), Deadline::after(Duration::from_secs(30)), &|_| {}).await.unwrap_err();
    let told = "cluster east does not accept the token that it made itself";
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Cluster, told));
    assert_eq!(server.asked().len(), 2);
    assert_eq!(east.asked(&Method::DELETE), [READER_TOKEN], "it is made anew once");
}
