//! The root of a fleet's trust, and what it signs.

use jiff::{SignedDuration, Timestamp};
use rcgen::{BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use time::OffsetDateTime;
use zeroize::Zeroize as _;

use super::bundle::{CaBundle, Verdict};
use super::check::{self, Named, authority, issued, valid};
use super::error::PkiError;
use super::secret::SecretText;
use super::summary::CertificateSummary;
use super::{key, pem};
use crate::domain::name::{ClusterName, FleetName};

/// How long certificates are valid: ten years, as those of Istio's own tools. An intermediate ends with
/// its root at the latest.
pub const VALIDITY: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);
/// How far the beginning of their validity lies in the past: clocks of peers may be slow.
pub const BACKDATED: SignedDuration = SignedDuration::from_hours(1);
/// An intermediate with less left is replaced: workloads' certificates never outlive it.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Names in messages.
const CERTIFICATE: &str = "the root certificate";
const KEY: &str = "the root key";
const ORGANIZATION: &str = "kindmesh";

/// The root certificate of a fleet with its key. The key never leaves the machine it was made on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    certificate: String,
    key: SecretText,
    der: Vec<u8>,
    summary: CertificateSummary,
}

// === impl Root ===

impl Root {
    /// Makes a root for a fleet: ECDSA on P-256, an authority without path length, no extended key
    /// usage, its own subject.
    ///
    /// # Errors
    /// [`PkiError::Make`] when there is no randomness.
    pub fn generate(fleet: &FleetName, now: Timestamp) -> Result<Self, PkiError> {
        let what = || format!("the root certificate of fleet {fleet}");
        let mut pair = KeyPair::generate().map_err(|error| make(what(), &error))?;
        let mut params = params(&[
            (DnType::OrganizationName, ORGANIZATION),
            (DnType::OrganizationalUnitName, fleet.as_str()),
            (DnType::CommonName, &format!("{fleet} root CA")),
        ]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = edge(now - BACKDATED);
        params.not_after = edge(now + VALIDITY);
        let certificate = params.self_signed(&pair).map_err(|error| make(what(), &error))?;
        let key = SecretText::new(pair.serialize_pem());
        pair.zeroize();
        Self::from_pem(&pem::certificate(certificate.der()), key.expose(), now)
    }

    /// Reads a root of the user's own, or one that was stored: a certificate that has signed itself, and
    /// its key as PKCS#8, PKCS#1 or SEC1, all PEM.
    ///
    /// # Errors
    /// When the two do not belong together, or could not serve as the root of a mesh: see
    /// [`CaBundle::check`].
    pub fn from_pem(certificate: &str, key: &str, now: Timestamp) -> Result<Self, PkiError> {
        let ders = pem::certificates(CERTIFICATE, certificate)?;
        if ders.len() > 1 {
            return Err(PkiError::Several { what: CERTIFICATE.to_owned(), count: ders.len() });
        }
        let parsed = check::parse(CERTIFICATE, &ders)?;
        let [named] = parsed.as_slice() else { return Err(PkiError::NoCertificate { what: CERTIFICATE.to_owned() }) };
        let mut pair = key::read(KEY, key)?;
        if pair.public_key_raw() != &*named.x509.public_key().subject_public_key.data {
            return Err(PkiError::WrongKey { key: KEY.to_owned(), certificate: CERTIFICATE.to_owned() });
        }
        if !issued(named, named) {
            return Err(PkiError::NotSelfSigned { what: CERTIFICATE.to_owned(), issuer: named.x509.issuer().to_string() });
        }
        valid(named, now)?;
        // The intermediates.
        authority(named, 1)?;
        let text = SecretText::new(pair.serialize_pem());
        pair.zeroize();
        let root = Self {
            certificate: pem::certificate(named.der),
            key: text,
            der: named.der.to_vec(),
            summary: CertificateSummary::of(named.der, &named.x509),
        };
        root.repeats_its_subject(named, now)?;
        Ok(root)
    }

    /// The certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The key, PKCS#8 PEM.
    pub fn key(&self) -> &SecretText {
        &self.key
    }

    /// The certificate in short.
    pub fn summary(&self) -> &CertificateSummary {
        &self.summary
    }

    /// Whether it is the same certificate as another root's.
    pub fn same_certificate(&self, other: &Root) -> bool {
        self.der == other.der
    }

    /// Issues an intermediate for a cluster, with a new key, that may sign workloads and no
    /// authorities. What comes out has passed [`CaBundle::check`].
    ///
    /// # Errors
    /// When there is no randomness, or the root is not valid any more.
    pub fn issue(&self, fleet: &FleetName, cluster: &ClusterName, now: Timestamp) -> Result<CaBundle, PkiError> {
        let what = || format!("the intermediate certificate of cluster {cluster}");
        let mut pair = KeyPair::generate().map_err(|error| make(what(), &error))?;
        let certificate = self.sign(&pair, fleet.as_str(), cluster.as_str(), now).map_err(|error| make(what(), &error))?;
        let ca_cert = pem::certificate(certificate.der());
        let ca_key = SecretText::new(pair.serialize_pem());
        pair.zeroize();
        let cert_chain = format!("{ca_cert}{}", self.certificate);
        let bundle = CaBundle { ca_cert, ca_key, cert_chain, root_cert: self.certificate.clone() };
        bundle.check(now)?;
        Ok(bundle)
    }

    /// Whether a bundle that a cluster has can stay.
    pub fn judge(&self, bundle: &CaBundle, now: Timestamp) -> Verdict {
        let roots = pem::certificates("root-cert.pem", &bundle.root_cert).unwrap_or_default();
        if !roots.contains(&self.der) {
            return Verdict::OtherRoot;
        }
        let chain = match bundle.check(now) {
            Ok(chain) => chain,
            Err(error) => return Verdict::Renew(error.to_string()),
        };
        let ends = chain.signing().map_or(Timestamp::MIN, |signing| signing.not_after);
        // One that ends with its root gains nothing by being replaced.
        if ends < now + RENEW_BEFORE && ends < self.summary.not_after {
            return Verdict::Renew(format!("the intermediate certificate expires on {ends}"));
        }
        Verdict::Keep
    }

    /// What is issued must name its issuer exactly as that names itself, which is not possible for every
    /// subject: tried here, long before it would matter.
    fn repeats_its_subject(&self, named: &Named<'_>, now: Timestamp) -> Result<(), PkiError> {
        let pair = KeyPair::generate().map_err(|error| make(CERTIFICATE.to_owned(), &error))?;
        let tried = self.sign(&pair, "try", "try", now).ok();
        let ders = [tried.map(|certificate| certificate.der().to_vec()).unwrap_or_default()];
        let same = check::parse(CERTIFICATE, &ders).is_ok_and(|parsed| parsed.iter().all(|child| issued(named, child)));
        match same {
            true => Ok(()),
            false => Err(PkiError::Subject { what: CERTIFICATE.to_owned(), subject: self.summary.subject.clone() }),
        }
    }

    fn sign(&self, pair: &KeyPair, fleet: &str, cluster: &str, now: Timestamp) -> Result<Certificate, rcgen::Error> {
        let mut root_key = KeyPair::from_pem(self.key.expose())?;
        let issuer = Issuer::from_ca_cert_der(&self.der.as_slice().into(), &root_key)?;
        let mut params = params(&[
            (DnType::OrganizationName, ORGANIZATION),
            (DnType::OrganizationalUnitName, fleet),
            (DnType::LocalityName, cluster),
            (DnType::CommonName, &format!("{cluster} intermediate CA")),
        ]);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.use_authority_key_identifier_extension = true;
        params.not_before = edge((now - BACKDATED).max(self.summary.not_before));
        params.not_after = edge((now + VALIDITY).min(self.summary.not_after));
        let certificate = params.signed_by(pair, &issuer);
        drop(issuer);
        root_key.zeroize();
        certificate
    }
}

/// What root and intermediates have in common. rcgen's own defaults would give all of them one name,
/// and validity from 1975 to 4096.
pub(super) fn params(subject: &[(DnType, &str)]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in subject {
        params.distinguished_name.push(kind.clone(), *value);
    }
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params
}

/// A moment as rcgen wants it. Both types hold every second of the years 0 to 9999.
pub(super) fn edge(moment: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(moment.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

pub(super) fn make(what: String, error: &rcgen::Error) -> PkiError {
    PkiError::Make { what, reason: error.to_string() }
}
