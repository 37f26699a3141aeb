use jiff::{SignedDuration, Timestamp};
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use time::OffsetDateTime;

use super::*;
use crate::domain::name::{ClusterName, FleetName};

mod bundles;
mod peers;
mod roots;

fn now() -> Timestamp {
    "2027-03-01T12:00:00Z".parse().unwrap()
}

fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

fn fleet() -> FleetName {
    "demo".parse().unwrap()
}

fn cluster(name: &str) -> ClusterName {
    name.parse().unwrap()
}

fn root() -> Root {
    Root::generate(&fleet(), now()).unwrap()
}

/// A certificate made by hand, with its key: what others than this program could bring.
struct Forged {
    params: CertificateParams,
    key: KeyPair,
    certificate: Certificate,
}

/// Parameters of an authority, valid a year before and after [`now`].
fn authority(name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.use_authority_key_identifier_extension = true;
    params.not_before = moment(now() - days(365));
    params.not_after = moment(now() + days(365));
    change(&mut params);
    params
}

fn moment(timestamp: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(timestamp.as_second()).unwrap()
}

fn forge_root(change: impl FnOnce(&mut CertificateParams)) -> Forged {
    let (params, key) = (authority("root", change), KeyPair::generate().unwrap());
    let certificate = params.self_signed(&key).unwrap();
    Forged { params, key, certificate }
}

/// The files of a cluster's secret: signing certificate, key, chain to the root, root.
fn bundle_of(chain: &[&Forged]) -> CaBundle {
    let [first, .., last] = chain else { panic!("a chain has a signing certificate and a root") };
    CaBundle {
        ca_cert: first.certificate.pem(),
        ca_key: SecretText::new(first.key.serialize_pem()),
        cert_chain: chain.iter().map(|forged| forged.certificate.pem()).collect(),
        root_cert: last.certificate.pem(),
    }
}

// === impl Forged ===

impl Forged {
    fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Forged {
        let (params, key) = (authority(name, change), KeyPair::generate().unwrap());
        let certificate = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap();
        Forged { params, key, certificate }
    }
}
