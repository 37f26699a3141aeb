//! What can be wrong with certificates and keys.

use jiff::Timestamp;

/// A certificate or key that cannot serve. No variant holds any part of a private key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PkiError {
    /// A file without a certificate in it.
    #[error("{what} holds no PEM certificate (-----BEGIN CERTIFICATE-----)")]
    NoCertificate {
        /// Which file or field.
        what: String,
    },
    /// A certificate that cannot be read.
    #[error("{what} holds a certificate that cannot be read: {reason}")]
    Unreadable {
        /// Which file or field.
        what: String,
        /// What the parser says.
        reason: String,
    },
    /// Several certificates where one is wanted.
    #[error("{what} holds {count} certificates, but must hold the root alone")]
    Several {
        /// Which file or field.
        what: String,
        /// How many.
        count: usize,
    },
    /// A file without a private key in it.
    #[error("{what} holds no PEM private key")]
    NoKey {
        /// Which file or field.
        what: String,
    },
    /// A private key behind a password.
    #[error("{what} is encrypted; take the password off with `openssl pkcs8 -topk8 -nocrypt -in KEY -out NEW`")]
    EncryptedKey {
        /// Which file or field.
        what: String,
    },
    /// A private key in a form that cannot be used.
    #[error(
        "{what} cannot be used: {reason}. ECDSA on P-256 or P-384 and RSA of 2048 to 4096 bits work; \
         `openssl pkcs8 -topk8 -nocrypt -in KEY -out NEW` converts their older forms"
    )]
    UnusableKey {
        /// Which file or field.
        what: String,
        /// Why.
        reason: String,
    },
    /// A key of another certificate.
    #[error("{key} is not the key of {certificate}")]
    WrongKey {
        /// The key.
        key: String,
        /// The certificate.
        certificate: String,
    },
    /// A certificate that may sign no others.
    #[error("{what} is no certificate authority: its basic constraints do not say CA")]
    NotCa {
        /// The certificate.
        what: String,
    },
    /// A certificate whose key usage forbids to sign others.
    #[error("{what} may not sign certificates: its key usage lacks keyCertSign")]
    NoCertSign {
        /// The certificate.
        what: String,
    },
    /// A certificate that only serves other purposes.
    #[error("{what} has an extended key usage without serverAuth, which istiod refuses; leave the extension out")]
    Purpose {
        /// The certificate.
        what: String,
    },
    /// A path length that leaves no room for what is signed below.
    #[error("{what} allows {allowed} authorities below it, but {needed} are needed")]
    PathLength {
        /// The certificate.
        what: String,
        /// Its path length.
        allowed: u32,
        /// Authorities below it.
        needed: u32,
    },
    /// A certificate past its end.
    #[error("{what} has expired: it was valid until {until}")]
    Expired {
        /// The certificate.
        what: String,
        /// Its end.
        until: Timestamp,
    },
    /// A certificate before its beginning.
    #[error("{what} is not valid yet: it will be from {from}; check the clock")]
    NotYetValid {
        /// The certificate.
        what: String,
        /// Its beginning.
        from: Timestamp,
    },
    /// Only some of the four files are there.
    #[error("the signing bundle is incomplete: {} missing", missing.join(", "))]
    Incomplete {
        /// Names of the missing files.
        missing: Vec<&'static str>,
    },
    /// The chain file begins with something else.
    #[error("{chain} does not begin with the certificate of {ca}")]
    ForeignChain {
        /// The chain file.
        chain: &'static str,
        /// The signing certificate's file.
        ca: &'static str,
    },
    /// No way from a certificate to the root.
    #[error("{what} does not lead to the root: nothing in {among} has issued '{subject}'")]
    Unverified {
        /// The certificate.
        what: String,
        /// Its subject.
        subject: String,
        /// Where an issuer was looked for.
        among: &'static str,
    },
    /// Two different certificates of one name, one below the other.
    #[error("{what} has the same subject as its issuer, '{subject}'; peers could not tell them apart")]
    SameSubject {
        /// The certificate.
        what: String,
        /// The subject.
        subject: String,
    },
    /// A root that another certificate has issued.
    #[error("{what} is no root: '{issuer}' has issued it, not itself")]
    NotSelfSigned {
        /// The certificate.
        what: String,
        /// Its issuer.
        issuer: String,
    },
    /// A subject that certificates issued here could not repeat.
    #[error("{what} has a subject that cannot be used here, '{subject}': each kind of name may stand in it once")]
    Subject {
        /// The certificate.
        what: String,
        /// Its subject.
        subject: String,
    },
    /// A certificate could not be made.
    #[error("cannot make {what}: {reason}")]
    Make {
        /// What was to be made.
        what: String,
        /// What the library says.
        reason: String,
    },
}
