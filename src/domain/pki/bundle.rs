//! What a cluster's istiod signs with: the four files of the Secret `cacerts`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::check::{authorities, parse, valid, way};
use super::error::PkiError;
use super::secret::SecretText;
use super::summary::{CertificateSummary, ChainSummary};
use super::{key, pem};

/// Key of the signing certificate in the Secret; Istio's own names, these four.
pub const CA_CERT: &str = "ca-cert.pem";
/// Key of its private key.
pub const CA_KEY: &str = "ca-key.pem";
/// Key of the chain that follows every workload's certificate: signing certificate to root.
pub const CERT_CHAIN: &str = "cert-chain.pem";
/// Key of the root, which every namespace gets.
pub const ROOT_CERT: &str = "root-cert.pem";

/// The signing bundle of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaBundle {
    /// The cluster's signing certificate alone, PEM.
    pub ca_cert: String,
    /// Its private key, PEM.
    pub ca_key: SecretText,
    /// The signing certificate and all above it, the root included, PEM.
    pub cert_chain: String,
    /// The root, PEM.
    pub root_cert: String,
}

/// What to do with a bundle that a cluster has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It serves.
    Keep,
    /// It is of this root, but must be replaced; in words, why.
    Renew(String),
    /// It belongs to another root. A running istiod refuses to change it.
    OtherRoot,
}

// === impl CaBundle ===

impl CaBundle {
    /// From the data of a Secret; `None` when it holds none of the four files.
    ///
    /// # Errors
    /// [`PkiError::Incomplete`] when it holds some of them: istiod would not start.
    pub fn from_files(files: &BTreeMap<String, Vec<u8>>) -> Result<Option<Self>, PkiError> {
        let text = |name: &str| files.get(name).filter(|file| !file.is_empty()).map(|file| String::from_utf8_lossy(file).into_owned());
        match (text(CA_CERT), text(CA_KEY).map(SecretText::new), text(CERT_CHAIN), text(ROOT_CERT)) {
            (None, None, None, None) => Ok(None),
            (Some(ca_cert), Some(ca_key), Some(cert_chain), Some(root_cert)) => Ok(Some(Self { ca_cert, ca_key, cert_chain, root_cert })),
            (ca_cert, ca_key, chain, root) => {
                let there =
                    [(CA_CERT, ca_cert.is_some()), (CA_KEY, ca_key.is_some()), (CERT_CHAIN, chain.is_some()), (ROOT_CERT, root.is_some())];
                Err(PkiError::Incomplete { missing: there.iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect() })
            }
        }
    }

    /// The files by name, for a Secret. The key is among them.
    pub fn files(&self) -> [(&'static str, &str); 4] {
        [(CA_CERT, &self.ca_cert), (CA_KEY, self.ca_key.expose()), (CERT_CHAIN, &self.cert_chain), (ROOT_CERT, &self.root_cert)]
    }

    /// Holds the bundle to the checks that istiod makes when it starts, and to what its peers check
    /// later: complete, the key belongs to the certificate, every certificate is an authority that
    /// may sign what is below it, has no purpose but serverAuth, is valid now, and has been issued by
    /// the next, up to the root.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, now: Timestamp) -> Result<ChainSummary, PkiError> {
        let empty = self.files().map(|(name, text)| (name, text.trim().is_empty()));
        if empty.iter().any(|(_, empty)| *empty) {
            return Err(PkiError::Incomplete { missing: empty.iter().filter(|(_, empty)| *empty).map(|(name, _)| *name).collect() });
        }
        let (ca, chain, roots) = (
            pem::certificates(CA_CERT, &self.ca_cert)?,
            pem::certificates(CERT_CHAIN, &self.cert_chain)?,
            pem::certificates(ROOT_CERT, &self.root_cert)?,
        );
        let (ca, chain, roots) = (parse(CA_CERT, &ca)?, parse(CERT_CHAIN, &chain)?, parse(ROOT_CERT, &roots)?);
        // All three hold at least one: an empty file was refused above.
        let (Some(ca), Some(first)) = (ca.first(), chain.first()) else {
            return Err(PkiError::NoCertificate { what: CA_CERT.to_owned() });
        };
        let key = key::read(CA_KEY, self.ca_key.expose())?;
        if key.public_key_raw() != &*ca.x509.public_key().subject_public_key.data {
            return Err(PkiError::WrongKey { key: CA_KEY.to_owned(), certificate: CA_CERT.to_owned() });
        }
        valid(first, now)?;
        if first.der != ca.der {
            return Err(PkiError::ForeignChain { chain: CERT_CHAIN, ca: CA_CERT });
        }
        let way = way(ca, &chain, &roots, "cert-chain.pem and root-cert.pem")?;
        authorities(&way, now)?;
        Ok(ChainSummary { certificates: way.iter().map(|named| CertificateSummary::of(named.der, &named.x509)).collect() })
    }

    /// The chain as it is, whether or not it would pass [`CaBundle::check`]: the certificates of
    /// [`CERT_CHAIN`], and the root when it is not among them.
    ///
    /// # Errors
    /// When a certificate cannot be read.
    pub fn describe(&self) -> Result<ChainSummary, PkiError> {
        let (chain, roots) = (pem::certificates(CERT_CHAIN, &self.cert_chain)?, pem::certificates(ROOT_CERT, &self.root_cert)?);
        let (mut all, roots) = (parse(CERT_CHAIN, &chain)?, parse(ROOT_CERT, &roots)?);
        let new: Vec<_> = roots.into_iter().filter(|root| all.iter().all(|other| other.der != root.der)).collect();
        all.extend(new);
        Ok(ChainSummary { certificates: all.iter().map(|named| CertificateSummary::of(named.der, &named.x509)).collect() })
    }

    /// The DER form of every root.
    ///
    /// # Errors
    /// When there is none, or they cannot be read.
    pub fn root_ders(&self) -> Result<Vec<Vec<u8>>, PkiError> {
        pem::certificates(ROOT_CERT, &self.root_cert)
    }

    /// The DER form of the signing certificate, as istiod serves it behind its own.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn signing_der(&self) -> Result<Vec<u8>, PkiError> {
        let mut found = pem::certificates(CA_CERT, &self.ca_cert)?;
        Ok(found.swap_remove(0))
    }
}
