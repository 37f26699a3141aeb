use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::domain::pki::CaBundle;
use crate::k8s::mock::{self, Asked, failure};
use crate::k8s::{ApiServer, Deadline, K8sError};
use crate::ops::error::ErrorKind;
use crate::ops::mesh::ca;

const SECRET: &str = "/api/v1/namespaces/istio-system/secrets/cacerts";
const SELF_MADE: &str = "/api/v1/namespaces/istio-system/secrets/istio-ca-secret";

/// A cluster with this Secret, which takes another in its place.
fn cluster_with(files: Option<&[(&str, &str)]>, self_made: bool) -> (ApiServer, Asked) {
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let secret = |data: BTreeMap<String, String>| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cacerts", "resourceVersion": "1"}, "data": data});
    let data = files.map(|files| files.iter().map(|(name, text)| ((*name).to_owned(), encode(text))).collect());
    let stored: Option<Value> = data.map(secret);
    mock::server(move |method, path, _| match (method, path) {
        (_, "/api/v1") => {
            let secrets = json!({"name": "secrets", "singularName": "", "kind": "Secret", "namespaced": true, "verbs": []});
            (200, json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [secrets]}))
        }
        (&Method::PATCH, SECRET) => {
            (200, json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cacerts", "resourceVersion": "2"}}))
        }
        (&Method::GET, SECRET) => stored.clone().map_or_else(|| failure(404, "not found"), |secret| (200, secret)),
        (&Method::GET, SELF_MADE) if self_made => (200, secret(BTreeMap::new())),
        _ => failure(404, "not found"),
    })
}

fn writes(asked: &Asked) -> usize {
    asked.lock().unwrap().iter().filter(|(method, _)| *method == Method::PATCH).count()
}

fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

fn bundle(root: &Root) -> CaBundle {
    root.issue(&fleet(), &cluster("c1"), now()).unwrap()
}

async fn ensure(server: &ApiServer, root: &Root) -> crate::ops::error::Result<(CaBundle, bool)> {
    ca::ensure(server, root, (&fleet(), &cluster("c1")), now(), deadline(), &|_| {}).await.map(|given| (given.bundle, given.changed))
}

#[tokio::test]
async fn a_cluster_without_certificates_gets_some() {
    let root = root();
    let (server, asked) = cluster_with(None, false);
    let (given, changed) = ensure(&server, &root).await.unwrap();
    assert!(changed && given.check(now()).is_ok());
    assert_eq!(writes(&asked), 1);
}

#[tokio::test]
async fn good_certificates_stay_and_bad_ones_are_replaced() {
    let root = root();
    let have = bundle(&root);
    let (server, asked) = cluster_with(Some(&have.files()), false);
    assert_eq!(ensure(&server, &root).await.unwrap(), (have.clone(), false));
    assert_eq!(writes(&asked), 0);
    // One that is incomplete keeps istiod from starting.
    let (server, asked) = cluster_with(Some(&have.files()[..3]), false);
    let signing = ca::signing(&server, &root, &fleet(), &cluster("c1"), now()).await.unwrap();
    assert_eq!(signing.new.as_deref(), Some("the signing bundle is incomplete: root-cert.pem missing"));
    assert_eq!(writes(&asked), 0, "deciding changes nothing");
    assert!(ensure(&server, &root).await.unwrap().1);
}

#[tokio::test]
async fn another_root_is_never_replaced() {
    let (ours, theirs) = (root(), root());
    let (server, asked) = cluster_with(Some(&bundle(&theirs).files()), false);
    let error = ensure(&server, &ours).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    for root in [&ours, &theirs] {
        assert!(error.to_string().contains(&root.summary().fingerprint), "{error}");
    }
    let rotated = ca::rotate(&server, &ours, (&fleet(), &cluster("c1")), now(), deadline(), &|_| {}, async |_, _| Ok(1)).await;
    assert_eq!(rotated.unwrap_err().kind(), ErrorKind::Conflict);
    let (server, _) = cluster_with(None, true);
    let error = ensure(&server, &ours).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Conflict && error.hints()[0].contains("istio-ca-secret"), "{error:?}");
    assert_eq!(writes(&asked), 0);
}

#[tokio::test]
async fn rotation_writes_a_new_certificate_and_waits_for_it() {
    let root = root();
    let have = bundle(&root);
    let (server, asked) = cluster_with(Some(&have.files()), false);
    let (log, mut taken) = (asked.clone(), None);
    let served = async |new: &CaBundle, _: &str| {
        assert_eq!(writes(&log), 1, "it is written before it is waited for");
        taken = Some(new.clone());
        Ok(1)
    };
    let rotation = ca::rotate(&server, &root, (&fleet(), &cluster("c1")), now(), deadline(), &|_| {}, served).await.unwrap();
    let new = taken.unwrap();
    assert_eq!(Some(&rotation.now), new.check(now()).unwrap().signing());
    assert_eq!(rotation.before.as_ref(), have.check(now()).unwrap().signing());
    assert_ne!(rotation.before.unwrap().fingerprint, rotation.now.fingerprint);
    assert_eq!(new.root_cert, have.root_cert);
    assert_eq!(new.check(now()).unwrap().root(), have.check(now()).unwrap().root());
}

#[tokio::test]
async fn a_rotation_that_is_not_taken_says_what_to_do() {
    let root = root();
    let (server, _) = cluster_with(Some(&bundle(&root).files()), false);
    let served = async |_: &CaBundle, _: &str| {
        let (awaited, last) = ("istiod".to_owned(), "pod a still signs with the certificate before".to_owned());
        Err(K8sError::Timeout { awaited, after: Duration::from_secs(9), last })
    };
    let error = ca::rotate(&server, &root, (&fleet(), &cluster("c1")), now(), deadline(), &|_| {}, served).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.one_line().contains("still signs") && error.hints()[0].contains("rollout restart"), "{error:?}");
    let (server, asked) = cluster_with(None, false);
    let error = ca::rotate(&server, &root, (&fleet(), &cluster("c1")), now(), deadline(), &|_| {}, async |_, _| Ok(1)).await.unwrap_err();
    assert_eq!((error.kind(), writes(&asked)), (ErrorKind::NotFound, 0));
}

#[test]
fn a_report_finds_different_roots_and_bad_chains() {
    let (root, other) = (root(), root());
    let files = |bundle: &CaBundle| bundle.files().iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    let judge = |name: &str, files: Option<&BTreeMap<String, Vec<u8>>>| ca::judge(name.to_owned(), files, now());
    let good = || judge("a", Some(&files(&bundle(&root))));
    let foreign = || judge("b", Some(&files(&bundle(&other))));
    let report = ca::report(&fleet(), Some(&root), None, vec![good(), good()]);
    assert!(report.healthy && report.clusters.iter().all(|cluster| cluster.problem.is_none()));

    let problems = |report: super::super::CaReport| -> Vec<Option<String>> {
        assert!(!report.healthy);
        report.clusters.into_iter().map(|cluster| cluster.problem).collect()
    };
    let told = problems(ca::report(&fleet(), Some(&root), None, vec![good(), foreign()]));
    assert_eq!(told, [None, Some("its root is another than the stored one: no call from or to it would succeed".to_owned())]);
    let told = problems(ca::report(&fleet(), None, None, vec![good(), foreign()]));
    assert_eq!(told[1].as_deref(), Some("its root is another than that of a: no call from or to it would succeed"));

    let mut some: BTreeMap<String, Vec<u8>> = files(&bundle(&root));
    let key = some.insert("ca-key.pem".to_owned(), bundle(&root).ca_key.expose().as_bytes().to_vec());
    let swapped = judge("c", Some(&some));
    assert!(key.is_some() && swapped.chain.is_some(), "a bad chain is shown all the same");
    let told = problems(ca::report(&fleet(), Some(&root), None, vec![judge("a", None), swapped]));
    assert_eq!(told[0].as_deref(), Some("it has no certificates: no mesh is installed here"));
    assert_eq!(told[1].as_deref(), Some("ca-key.pem is not the key of ca-cert.pem"));
}
