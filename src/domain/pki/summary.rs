//! Certificates as people and programs want to see them.

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;

/// A certificate in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSummary {
    /// Subject (`O=kindmesh, OU=demo, CN=demo root CA`).
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// Serial number, hexadecimal bytes with colons.
    pub serial: String,
    /// SHA-256 over its DER form, upper-case hexadecimal bytes with colons, as `openssl x509
    /// -fingerprint -sha256` prints it.
    pub fingerprint: String,
    /// Beginning of its validity.
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
}

/// The chain of one cluster, from what signs its workloads up to the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainSummary {
    /// The signing certificate first, the root last.
    pub certificates: Vec<CertificateSummary>,
}

/// A moment in a certificate, which has whole seconds; the beginning of time when it is out of all
/// bounds, which no rule lets pass.
pub(super) fn moment(time: x509_parser::time::ASN1Time) -> Timestamp {
    Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MIN)
}

// === impl CertificateSummary ===

impl CertificateSummary {
    pub(super) fn of(der: &[u8], certificate: &X509Certificate<'_>) -> Self {
        Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            serial: certificate.raw_serial_as_string(),
            fingerprint: fingerprint(der),
            not_before: moment(certificate.validity().not_before),
            not_after: moment(certificate.validity().not_after),
        }
    }
}

// === impl ChainSummary ===

impl ChainSummary {
    /// The certificate that signs workloads.
    pub fn signing(&self) -> Option<&CertificateSummary> {
        self.certificates.first()
    }

    /// The root.
    pub fn root(&self) -> Option<&CertificateSummary> {
        self.certificates.last()
    }

    /// When the first of them expires.
    pub fn expires(&self) -> Option<Timestamp> {
        self.certificates.iter().map(|certificate| certificate.not_after).min()
    }
}

fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der).iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}
