//! The checks of a signing bundle, each broken once.

use super::*;

/// What the check of a chain says, signing certificate first.
fn refusal(chain: &[&Forged]) -> String {
    bundle_of(chain).check(now()).unwrap_err().to_string()
}

#[test]
fn a_chain_made_by_others_passes() {
    let root = forge_root(|_| {});
    let middle = root.issue("middle", |_| {});
    let signing = middle.issue("signing", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let chain = bundle_of(&[&signing, &middle, &root]).check(now()).unwrap();
    let subjects: Vec<&str> = chain.certificates.iter().map(|certificate| certificate.subject.as_str()).collect();
    assert_eq!(subjects, ["CN=signing", "CN=middle", "CN=root"].map(|name| name.to_owned()), "{subjects:?}");
    // Between the two nothing else is looked for than what is in the chain, in any order.
    let mut bundle = bundle_of(&[&signing, &middle, &root]);
    bundle.cert_chain = [&signing, &root, &middle].map(|forged| forged.certificate.pem()).concat();
    bundle.check(now()).unwrap();
}

#[test]
fn a_root_may_sign_by_itself() {
    let root = forge_root(|_| {});
    let mut bundle = bundle_of(&[&root, &root]);
    assert_eq!(bundle.check(now()).unwrap().certificates.len(), 1);
    bundle.cert_chain = root.certificate.pem();
    bundle.check(now()).unwrap();
}

#[test]
fn expired_and_not_yet_valid_certificates_are_told_by_their_file() {
    let past = |params: &mut CertificateParams| params.not_after = moment(now() - days(1));
    let future = |params: &mut CertificateParams| params.not_before = moment(now() + days(1));
    let good = forge_root(|_| {});
    assert_eq!(refusal(&[&good.issue("a", past), &good]), "cert-chain.pem has expired: it was valid until 2027-02-28T12:00:00Z");
    let error = refusal(&[&good.issue("a", future), &good]);
    assert_eq!(error, "cert-chain.pem is not valid yet: it will be from 2027-03-02T12:00:00Z; check the clock");
    let old = forge_root(past);
    assert_eq!(refusal(&[&old.issue("a", |_| {}), &old]), "root-cert.pem has expired: it was valid until 2027-02-28T12:00:00Z");
    let middle = good.issue("middle", past);
    assert!(refusal(&[&middle.issue("a", |_| {}), &middle, &good]).starts_with("cert-chain.pem has expired"));
}

#[test]
fn the_key_must_be_the_certificates() {
    let root = forge_root(|_| {});
    let mut bundle = bundle_of(&[&root.issue("a", |_| {}), &root]);
    bundle.ca_key = SecretText::new(root.key.serialize_pem());
    assert_eq!(bundle.check(now()).unwrap_err().to_string(), "ca-key.pem is not the key of ca-cert.pem");
    bundle.ca_key = SecretText::new("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n".to_owned());
    let error = bundle.check(now()).unwrap_err().to_string();
    assert!(error.starts_with("ca-key.pem cannot be used: it is no PKCS#8 key") && !error.contains("c2Vj"), "{error}");
}

#[test]
fn every_certificate_must_be_an_authority_for_what_is_below_it() {
    let root = forge_root(|_| {});
    for constraints in [IsCa::NoCa, IsCa::ExplicitNoCa] {
        let signing = root.issue("a", |params| params.is_ca = constraints);
        assert_eq!(refusal(&[&signing, &root]), "ca-cert.pem is no certificate authority: its basic constraints do not say CA");
    }
    let signing = root.issue("a", |params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    assert_eq!(refusal(&[&signing, &root]), "ca-cert.pem may not sign certificates: its key usage lacks keyCertSign");
    let short = forge_root(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    assert_eq!(refusal(&[&short.issue("a", |_| {}), &short]), "root-cert.pem allows 0 authorities below it, but 1 are needed");
    // A leaf's chain would have one more than the one that istiod checks when it starts.
    let short = forge_root(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1)));
    let middle = short.issue("middle", |_| {});
    assert_eq!(refusal(&[&middle.issue("a", |_| {}), &middle, &short]), "root-cert.pem allows 1 authorities below it, but 2 are needed");
}

#[test]
fn purposes_without_servers_are_refused_anywhere() {
    let clients = |params: &mut CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let root = forge_root(|_| {});
    let words = "has an extended key usage without serverAuth, which istiod refuses; leave the extension out";
    assert_eq!(refusal(&[&root.issue("a", clients), &root]), format!("ca-cert.pem {words}"));
    let narrow = forge_root(clients);
    assert_eq!(refusal(&[&narrow.issue("a", |_| {}), &narrow]), format!("root-cert.pem {words}"));
    for good in [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::Any] {
        let signing = root.issue("a", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, good]);
        bundle_of(&[&signing, &root]).check(now()).unwrap();
    }
}

#[test]
fn a_chain_must_lead_to_the_root() {
    let root = forge_root(|_| {});
    let middle = root.issue("middle", |_| {});
    let signing = middle.issue("signing", |_| {});
    let among = "nothing in cert-chain.pem and root-cert.pem has issued";
    assert_eq!(refusal(&[&signing, &root]), format!("ca-cert.pem does not lead to the root: {among} 'CN=signing'"));
    // Of the same name, with another key.
    let other = forge_root(|_| {});
    let error = refusal(&[&signing, &middle, &other]);
    assert_eq!(error, format!("cert-chain.pem does not lead to the root: {among} 'CN=middle'"));
    let mut bundle = bundle_of(&[&signing, &middle, &root]);
    bundle.cert_chain = [&middle, &root].map(|forged| forged.certificate.pem()).concat();
    assert_eq!(bundle.check(now()).unwrap_err().to_string(), "cert-chain.pem does not begin with the certificate of ca-cert.pem");
}

#[test]
fn a_forged_signature_is_found() {
    let root = forge_root(|_| {});
    let signing = root.issue("a", |_| {});
    let mut der = signing.certificate.der().to_vec();
    // The last byte of the signature.
    *der.last_mut().unwrap() ^= 1;
    let mut bundle = bundle_of(&[&signing, &root]);
    bundle.ca_cert = super::super::pem::certificate(&der);
    bundle.cert_chain = format!("{}{}", bundle.ca_cert, root.certificate.pem());
    assert!(matches!(bundle.check(now()), Err(PkiError::Unverified { .. })));
}

#[test]
fn one_name_for_two_is_refused() {
    let root = forge_root(|_| {});
    let error = refusal(&[&root.issue("root", |_| {}), &root]);
    assert!(error.starts_with("ca-cert.pem has the same subject as its issuer"), "{error}");
}

#[test]
fn all_four_files_or_none() {
    use std::collections::BTreeMap;
    let bundle = root().issue(&fleet(), &cluster("c1"), now()).unwrap();
    let files: BTreeMap<String, Vec<u8>> =
        bundle.files().iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    assert_eq!(CaBundle::from_files(&files), Ok(Some(bundle.clone())));
    assert_eq!(CaBundle::from_files(&BTreeMap::new()), Ok(None));
    for (name, _) in bundle.files() {
        let mut some = files.clone();
        some.remove(name);
        assert_eq!(CaBundle::from_files(&some).unwrap_err(), PkiError::Incomplete { missing: vec![name] });
        some.insert(name.to_owned(), Vec::new());
        assert_eq!(CaBundle::from_files(&some).unwrap_err().to_string(), format!("the signing bundle is incomplete: {name} missing"));
    }
    for empty in [CaBundle { ca_cert: " ".into(), ..bundle.clone() }, CaBundle { root_cert: String::new(), ..bundle.clone() }] {
        assert!(matches!(empty.check(now()), Err(PkiError::Incomplete { .. })));
    }
    let broken = CaBundle { ca_cert: "nothing of the kind".into(), ..bundle };
    assert_eq!(broken.check(now()).unwrap_err().to_string(), "ca-cert.pem holds no PEM certificate (-----BEGIN CERTIFICATE-----)");
}

#[test]
fn nothing_shows_a_key() {
    let root = root();
    let bundle = root.issue(&fleet(), &cluster("c1"), now()).unwrap();
    for (text, key) in [(format!("{root:?}"), root.key()), (format!("{bundle:?}"), &bundle.ca_key)] {
        let secret = key.expose().lines().nth(1).unwrap();
        assert!(!text.contains(secret) && !text.contains("PRIVATE KEY"), "{text}");
    }
}
