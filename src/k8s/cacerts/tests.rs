use http::Method;
use rcgen::{CertificateParams, Issuer, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::super::mock::{self, failure};
use super::*;
use crate::domain::pki::Root;

fn bundle(root: &Root) -> CaBundle {
    root.issue(&"demo".parse().unwrap(), &"c1".parse().unwrap(), jiff::Timestamp::now()).unwrap()
}

fn root() -> Root {
    Root::generate(&"demo".parse().unwrap(), jiff::Timestamp::now()).unwrap()
}

/// What istiod serves with: its own certificate, signed by its authority, and the chain of that.
fn istiod(bundle: &CaBundle) -> TlsAcceptor {
    let issuer = Issuer::from_ca_cert_pem(&bundle.ca_cert, KeyPair::from_pem(bundle.ca_key.expose()).unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![NAME.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let mut chain = vec![leaf.der().clone(), bundle.signing_der().unwrap().into()];
    chain.extend(bundle.root_ders().unwrap().into_iter().map(CertificateDer::from));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()))
}

/// What a client for `trusted` sees of an istiod that signs with `served`.
async fn seen(trusted: &CaBundle, served: &CaBundle) -> Result<Vec<Vec<u8>>, String> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let acceptor = istiod(served);
    let answering = tokio::spawn(async move { acceptor.accept(far).await.map(|_| ()) });
    let chain = chain_over(near, Arc::new(client(trusted).unwrap())).await;
    let _ended = answering.await;
    chain
}

#[tokio::test]
async fn what_istiod_signs_with_is_seen_in_its_own_certificate() {
    let root = root();
    let (before, after) = (bundle(&root), bundle(&root));
    let chain = seen(&after, &before).await.unwrap();
    assert!(chain.contains(&before.signing_der().unwrap()) && !chain.contains(&after.signing_der().unwrap()));
    assert!(seen(&after, &after).await.unwrap().contains(&after.signing_der().unwrap()));
}

#[tokio::test]
async fn an_istiod_under_another_root_is_told() {
    let error = seen(&bundle(&root()), &bundle(&root())).await.unwrap_err();
    assert!(error.contains("invalid peer certificate"), "{error}");
}

#[tokio::test]
async fn the_secret_is_read_raw_and_may_be_missing() {
    let (server, asked) = mock::server(|_, path, _| match path {
        "/api/v1/namespaces/istio-system/secrets/cacerts" => {
            (200, json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cacerts"}, "data": {"ca-cert.pem": "aGVsbG8="}}))
        }
        _ => failure(404, "not found"),
    });
    let files = read(&server).await.unwrap().unwrap();
    assert_eq!(files, BTreeMap::from([("ca-cert.pem".to_owned(), b"hello".to_vec())]));
    assert!(!self_made(&server).await.unwrap());
    assert_eq!(asked.lock().unwrap()[1].1, "/api/v1/namespaces/istio-system/secrets/istio-ca-secret");
}

#[tokio::test]
async fn the_secret_is_applied_whole() {
    let bundle = bundle(&root());
    let object = secret(&bundle).unwrap();
    let decode = |name: &str| {
        let text = object.value()["data"][name].as_str().unwrap();
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
    };
    for (name, text) in bundle.files() {
        assert_eq!(decode(name), text);
    }
    assert_eq!(object.value()["type"], "Opaque");
    assert!(!format!("{object:?}").contains("data"), "an object's content is not for logs");

    let (server, asked) = mock::server(|method, path, _| match (method, path) {
        (_, "/api/v1") => {
            let secrets = json!({"name": "secrets", "singularName": "", "kind": "Secret", "namespaced": true, "verbs": []});
            (200, json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [secrets]}))
        }
        (&Method::GET, _) => failure(404, "not found"),
        _ => (200, json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cacerts", "resourceVersion": "1"}})),
    });
    let change = write(&server, &bundle, Deadline::after(Duration::from_secs(5)), &|_| {}).await.unwrap();
    assert_eq!(change, Change::Created);
    let last = asked.lock().unwrap().last().cloned().unwrap();
    assert_eq!(last, (Method::PATCH, "/api/v1/namespaces/istio-system/secrets/cacerts".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_istiod_that_never_changes_ends_at_the_deadline_with_what_is_seen() {
    let told = Mutex::new(Vec::new());
    let observer = |state: &str| told.lock().unwrap().push(state.to_owned());
    let deadline = Deadline::after(Duration::from_secs(60));
    let looks = Mutex::new(0);
    let error = until_all("istiod", deadline, &observer, || async {
        *looks.lock().unwrap() += 1;
        Err::<(), _>("pod a still signs with the certificate before".to_owned())
    })
    .await
    .unwrap_err();
    assert_eq!(error.to_string(), "waited 60 s for istiod; last seen: pod a still signs with the certificate before");
    assert_eq!(told.lock().unwrap().len(), 1);
    assert!(*looks.lock().unwrap() < 40);
}

#[tokio::test(start_paused = true)]
async fn pods_that_are_not_ready_are_not_counted() {
    let pod = |name: &str, ready: &str| json!({"metadata": {"name": name}, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}});
    let pods = json!({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": [pod("a", "True"), pod("b", "False")]});
    let (server, _) = mock::server(move |_, _, _| (200, pods.clone()));
    assert_eq!(istiods(&server).await.unwrap(), ["a"]);
    let (server, _) = mock::server(|_, _, _| (200, json!({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": []})));
    let error = served(&server, &bundle(&root()), "x", Deadline::after(Duration::from_secs(3)), &|_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "waited 3 s for istiod to sign with the new certificate at mock; last seen: no pod of istiod is ready");
}
