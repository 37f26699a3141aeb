//! What a TLS peer makes of the chain: another implementation than the one that checks it here.

use std::time::Duration;

use rcgen::SanType;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::*;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};

/// A workload's certificate as istiod signs it, and what follows it on the wire.
fn workload(bundle: &CaBundle) -> (CertificateDer<'static>, Vec<CertificateDer<'static>>) {
    let issuer = Issuer::from_ca_cert_pem(&bundle.ca_cert, KeyPair::from_pem(bundle.ca_key.expose()).unwrap()).unwrap();
    let mut params = CertificateParams::default();
    let id = "spiffe://cluster.local/ns/sample/sa/default".try_into().unwrap();
    params.subject_alt_names = vec![SanType::URI(id)];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = moment(now());
    params.not_after = moment(now() + days(1));
    let leaf = params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
    let chain = super::super::pem::certificates("chain", &bundle.cert_chain).unwrap();
    (leaf.der().clone(), chain.into_iter().map(CertificateDer::from).collect())
}

fn accepted(root: &Root, bundle: &CaBundle) -> Result<(), webpki::Error> {
    let anchor = super::super::pem::certificates("root", root.certificate()).unwrap().swap_remove(0).into();
    let anchors = [anchor_from_trusted_cert(&anchor).unwrap()];
    let (leaf, chain) = workload(bundle);
    let time = UnixTime::since_unix_epoch(Duration::from_secs(now().as_second().unsigned_abs()));
    for usage in [KeyUsage::server_auth(), KeyUsage::client_auth()] {
        let end = EndEntityCert::try_from(&leaf).unwrap();
        end.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &chain, time, usage, None, None)?;
    }
    Ok(())
}

#[test]
fn workloads_of_all_clusters_are_accepted_under_one_root() {
    let root = root();
    for name in ["a", "b"] {
        accepted(&root, &root.issue(&fleet(), &cluster(name), now()).unwrap()).unwrap();
    }
    // The same name and another key: what two fleets of one name have.
    let other = Root::generate(&fleet(), now()).unwrap();
    assert!(accepted(&other, &root.issue(&fleet(), &cluster("a"), now()).unwrap()).is_err());
}

#[test]
fn an_own_rsa_root_is_as_good() {
    let root = Root::from_pem(include_str!("rsa-root.pem"), include_str!("rsa-key.pem"), now()).unwrap();
    accepted(&root, &root.issue(&fleet(), &cluster("a"), now()).unwrap()).unwrap();
}
