//! Certificates that a program of a node serves with, where nobody holds it to an authority.

use jiff::Timestamp;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType};
use zeroize::Zeroize as _;

use super::error::PkiError;
use super::root::{BACKDATED, VALIDITY, edge, make, params};
use super::secret::SecretText;

/// Makes a key (ECDSA on P-256) and a certificate for it that has signed itself: PEM, the certificate first.
///
/// The kubelet and other programs of Kubernetes make themselves such a pair when none is there, before anything else and
/// with RSA, which takes them some tenths of a second.
///
/// # Errors
/// [`PkiError::Make`] when there is no randomness, or `name` is not ASCII.
pub fn serving(name: &str, now: Timestamp) -> Result<SecretText, PkiError> {
    let what = || format!("the certificate that {name} serves with");
    let mut pair = KeyPair::generate().map_err(|error| make(what(), &error))?;
    let mut params: CertificateParams = params(&[(DnType::CommonName, name)]);
    let host = name.try_into().map_err(|error| make(what(), &error))?;
    params.subject_alt_names = vec![SanType::DnsName(host)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = edge(now - BACKDATED);
    params.not_after = edge(now + VALIDITY);
    let certificate = params.self_signed(&pair).map_err(|error| make(what(), &error))?;
    let mut key = pair.serialize_pem();
    pair.zeroize();
    let text = SecretText::new(format!("{}{key}", super::pem::certificate(certificate.der())));
    key.zeroize();
    Ok(text)
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::*;

    use super::*;

    #[test]
    fn it_is_for_its_name_and_for_serving_and_another_one_each_time() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let one = serving("east-control-plane", now).unwrap();
        let text = one.expose();
        let der = &super::super::pem::certificates("it", text).unwrap()[0];
        let (_, x509) = X509Certificate::from_der(der).unwrap();
        assert!(x509.verify_signature(None).is_ok(), "it has signed itself");
        assert!(x509.extended_key_usage().unwrap().unwrap().value.server_auth);
        let names = &x509.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert_eq!(names.as_slice(), [GeneralName::DNSName("east-control-plane")]);
        assert!(!x509.is_ca());
        let pair = super::super::key::read("it", text).unwrap();
        assert_eq!(pair.public_key_raw(), &*x509.public_key().subject_public_key.data);
        assert_ne!(serving("east-control-plane", now).unwrap(), one);
        assert!(serving("\u{e9}", now).is_err());
    }
}
