//! The rules that istiod holds its certificates to when it starts, and those that make its peers
//! accept them later.

use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::error::PkiError;
use super::summary::moment;

/// A certificate taken apart, and what to call it.
pub(super) struct Named<'a> {
    pub(super) what: &'a str,
    pub(super) der: &'a [u8],
    pub(super) x509: X509Certificate<'a>,
}

/// Takes certificates of one file apart.
pub(super) fn parse<'a>(what: &'a str, ders: &'a [Vec<u8>]) -> Result<Vec<Named<'a>>, PkiError> {
    ders.iter()
        .map(|der| match X509Certificate::from_der(der) {
            Ok(([], x509)) => Ok(Named { what, der, x509 }),
            Ok(_) => Err(PkiError::Unreadable { what: what.to_owned(), reason: "something follows it".to_owned() }),
            Err(error) => Err(PkiError::Unreadable { what: what.to_owned(), reason: error.to_string() }),
        })
        .collect()
}

/// The way from a certificate to a root, each issued by the next; the first is the certificate itself.
///
/// Of the certificates in between those are taken whose name and signature fit. A certificate that is
/// itself a root is its own way.
pub(super) fn way<'a>(
    certificate: &'a Named<'a>,
    between: &'a [Named<'a>],
    roots: &'a [Named<'a>],
    among: &'static str,
) -> Result<Vec<&'a Named<'a>>, PkiError> {
    let mut way = vec![certificate];
    let mut last = certificate;
    while !roots.iter().any(|root| root.der == last.der) {
        // Nothing issues itself on the way: such a certificate would never end it.
        let next = roots.iter().chain(between).find(|issuer| way.iter().all(|seen| seen.der != issuer.der) && issued(issuer, last));
        let Some(next) = next else {
            return Err(PkiError::Unverified { what: last.what.to_owned(), subject: last.x509.subject().to_string(), among });
        };
        way.push(next);
        last = next;
    }
    Ok(way)
}

/// Every rule for authorities on a way; the first of them signs leaves.
pub(super) fn authorities(way: &[&Named<'_>], now: Timestamp) -> Result<(), PkiError> {
    for (below, (named, issuer)) in (0_u32..).zip(way.iter().zip(way[1..].iter().map(Some).chain([None]))) {
        valid(named, now)?;
        authority(named, below)?;
        if let Some(issuer) = issuer
            && issuer.x509.subject().as_raw() == named.x509.subject().as_raw()
        {
            return Err(PkiError::SameSubject { what: named.what.to_owned(), subject: named.x509.subject().to_string() });
        }
    }
    Ok(())
}

/// Whether now is within a certificate's validity.
pub(super) fn valid(named: &Named<'_>, now: Timestamp) -> Result<(), PkiError> {
    let what = || named.what.to_owned();
    let (from, until) = (moment(named.x509.validity().not_before), moment(named.x509.validity().not_after));
    if now > until {
        return Err(PkiError::Expired { what: what(), until });
    }
    if now < from {
        return Err(PkiError::NotYetValid { what: what(), from });
    }
    Ok(())
}

/// Whether a certificate may sign others, with this many authorities between it and a leaf.
pub(super) fn authority(named: &Named<'_>, below: u32) -> Result<(), PkiError> {
    let what = || named.what.to_owned();
    let unreadable = |error: x509_parser::error::X509Error| PkiError::Unreadable { what: what(), reason: error.to_string() };
    let constraints = named.x509.basic_constraints().map_err(unreadable)?.map(|extension| extension.value);
    let Some(constraints) = constraints.filter(|constraints| constraints.ca) else { return Err(PkiError::NotCa { what: what() }) };
    if let Some(allowed) = constraints.path_len_constraint.filter(|allowed| *allowed < below) {
        return Err(PkiError::PathLength { what: what(), allowed, needed: below });
    }
    let usage = named.x509.key_usage().map_err(unreadable)?;
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(PkiError::NoCertSign { what: what() });
    }
    // Go asks every certificate of a chain for its purpose, roots included, and istiod for serverAuth.
    let purpose = named.x509.extended_key_usage().map_err(unreadable)?;
    if purpose.is_some_and(|purpose| !purpose.value.server_auth && !purpose.value.any) {
        return Err(PkiError::Purpose { what: what() });
    }
    Ok(())
}

/// Whether a certificate's name, key identifier and signature say that another issued it.
pub(super) fn issued(issuer: &Named<'_>, certificate: &Named<'_>) -> bool {
    let named = issuer.x509.subject().as_raw() == certificate.x509.issuer().as_raw();
    // Envoy compares them where both are there.
    let identified = match (subject_key(&issuer.x509), authority_key(&certificate.x509)) {
        (Some(subject), Some(authority)) => subject == authority,
        _ => true,
    };
    named && identified && certificate.x509.verify_signature(Some(issuer.x509.public_key())).is_ok()
}

fn subject_key<'a>(x509: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    use x509_parser::extensions::ParsedExtension;
    x509.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}

fn authority_key<'a>(x509: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    use x509_parser::extensions::ParsedExtension;
    x509.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
        _ => None,
    })
}
