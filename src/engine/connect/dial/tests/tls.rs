//! An engine that speaks TLS and wants to know its callers.

use std::net::SocketAddr;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::*;

/// Certificates as Docker names them, in a folder: `ca.pem`, `cert.pem`, `key.pem`, and the engine's
/// own `server.pem`, `server-key.pem`.
fn certificates(dir: &Path) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(dir.join("ca.pem"), ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    for (name, cert, key) in [("127.0.0.1", "server.pem", "server-key.pem"), ("client", "cert.pem", "key.pem")] {
        let leaf = KeyPair::generate().unwrap();
        let signed = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&leaf, &issuer).unwrap();
        std::fs::write(dir.join(cert), signed.pem()).unwrap();
        std::fs::write(dir.join(key), leaf.serialize_pem()).unwrap();
    }
}

/// An engine with these certificates; answers until the test ends.
async fn engine(dir: &Path) -> SocketAddr {
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join("ca.pem")).unwrap()).unwrap();
    let callers = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(callers)
        .with_single_cert(
            vec![CertificateDer::from_pem_file(dir.join("server.pem")).unwrap()],
            PrivateKeyDer::from_pem_file(dir.join("server-key.pem")).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = port.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream, "200 OK", VERSION).await;
            }
        }
    });
    address
}

fn over_tls(address: SocketAddr, certs: &Path) -> ConnectOptions {
    ConnectOptions {
        docker_host: Some(format!("tcp://{address}")),
        docker_tls_verify: Some("1".to_owned()),
        docker_cert_path: Some(certs.to_owned()),
        connect_timeout: Duration::from_secs(5),
        ..ConnectOptions::default()
    }
}

#[tokio::test]
async fn certificates_of_the_cert_path_open_the_door() {
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    let address = engine(dir.path()).await;
    let found = connect(&over_tls(address, dir.path())).await.unwrap();
    assert_eq!(found.endpoint(), format!("https://{address}"));
}

#[tokio::test]
async fn certificates_of_a_context_open_the_door() {
    let home = tempfile::tempdir().unwrap();
    let docker = home.path().join(".docker");
    let id = super::super::super::context::id("far");
    let material = docker.join("contexts/tls").join(&id).join("docker");
    std::fs::create_dir_all(&material).unwrap();
    std::fs::create_dir_all(docker.join("contexts/meta").join(&id)).unwrap();
    certificates(&material);
    let address = engine(&material).await;
    let meta = format!(r#"{{"Name":"far","Endpoints":{{"docker":{{"Host":"tcp://{address}","SkipTLSVerify":false}}}}}}"#);
    std::fs::write(docker.join("contexts/meta").join(&id).join("meta.json"), meta).unwrap();
    let options =
        ConnectOptions { docker_context: Some("far".to_owned()), home: Some(home.path().to_owned()), ..ConnectOptions::default() };
    assert_eq!(connect(&options).await.unwrap().endpoint(), format!("https://{address}"));
}

#[tokio::test]
async fn strangers_are_told_why_they_stay_outside() {
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    let address = engine(dir.path()).await;

    let other = tempfile::tempdir().unwrap();
    certificates(other.path());
    let error = connect(&over_tls(address, other.path())).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "another authority: {error}");

    let nameless = tempfile::tempdir().unwrap();
    std::fs::copy(dir.path().join("ca.pem"), nameless.path().join("ca.pem")).unwrap();
    let error = connect(&over_tls(address, nameless.path())).await.unwrap_err().to_string();
    assert!(error.contains(&format!("https://{address} (DOCKER_HOST): ")), "no certificate of one's own: {error}");
}
