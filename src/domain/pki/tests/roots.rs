//! Roots: made, read in every form, refused; and what they issue and keep.

use base64::Engine as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer as _;

use super::*;

const RSA_ROOT: &str = include_str!("rsa-root.pem");
/// PKCS#1, of a root that nobody trusts.
const RSA_KEY: &str = include_str!("rsa-key.pem");

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", base64::engine::general_purpose::STANDARD.encode(der))
}

/// The SEC1 key within a PKCS#8 one that ring made: the rest of it, from the octet string on.
fn sec1(pair: &KeyPair) -> Vec<u8> {
    let der = pair.serialized_der();
    // SEQUENCE, INTEGER 1, OCTET STRING of 32: how every ECPrivateKey of P-256 begins.
    let at = der.windows(7).position(|window| window[0] == 0x30 && window[2..] == [2, 1, 1, 4, 32]).unwrap();
    let length = usize::from(der[at + 1]) + 2;
    der[at..at + length].to_vec()
}

fn refusal(certificate: &str, key: &str) -> String {
    Root::from_pem(certificate, key, now()).unwrap_err().to_string()
}

#[test]
fn what_is_made_is_what_istio_asks_for() {
    let root = root();
    let bundle = root.issue(&fleet(), &cluster("east"), now()).unwrap();
    let chain = bundle.check(now()).unwrap();
    assert_eq!(chain, bundle.describe().unwrap());
    let [signing, top] = chain.certificates.as_slice() else { panic!("{chain:?}") };
    assert_eq!(signing.subject, "O=kindmesh, OU=demo, L=east, CN=east intermediate CA");
    assert_eq!(signing.issuer, "O=kindmesh, OU=demo, CN=demo root CA");
    assert_eq!((top.subject.as_str(), &top.fingerprint), (signing.issuer.as_str(), &root.summary().fingerprint));
    assert_eq!(signing.not_before.to_string(), "2027-03-01T11:00:00Z");
    assert_eq!(signing.not_after.to_string(), "2037-02-26T12:00:00Z");
    assert_eq!(bundle.root_cert, root.certificate());
    assert_eq!(bundle.cert_chain, format!("{}{}", bundle.ca_cert, root.certificate()));
    assert!(bundle.ca_key.expose().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert_eq!(signing.fingerprint.len(), 32 * 3 - 1);
    assert_eq!(chain.expires(), Some(signing.not_after));
}

/// The key identifiers in a certificate: its own, and its issuer's.
fn key_identifiers(x509: &X509Certificate<'_>) -> [Option<Vec<u8>>; 2] {
    let mut found = [None, None];
    for extension in x509.iter_extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => found[0] = Some(id.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(id) => found[1] = id.key_identifier.as_ref().map(|id| id.0.to_vec()),
            _ => {}
        }
    }
    found
}

#[test]
fn an_intermediate_signs_leaves_alone_and_names_the_key_of_its_root() {
    // The second's identifier is openssl's, which makes another one of a key.
    for root in [root(), Root::from_pem(RSA_ROOT, RSA_KEY, now()).unwrap()] {
        let bundle = root.issue(&fleet(), &cluster("east"), now()).unwrap();
        let (signing, top) = (bundle.signing_der().unwrap(), bundle.root_ders().unwrap().remove(0));
        let [signing, top] = [&signing, &top].map(|der| X509Certificate::from_der(der).unwrap().1);
        let constraints = signing.basic_constraints().unwrap().unwrap().value;
        assert_eq!((constraints.ca, constraints.path_len_constraint), (true, Some(0)));
        assert!(signing.extended_key_usage().unwrap().is_none(), "istiod and Go would hold every leaf to it");
        let ([own, issuer], [above, _]) = (key_identifiers(&signing), key_identifiers(&top));
        assert!(own.is_some() && own != above, "{own:?}");
        assert!(above.is_some() && issuer == above, "{issuer:?} is not {above:?}");
    }
}

#[test]
fn the_key_of_the_root_is_in_no_file_of_a_cluster() {
    let root = root();
    let bundle = root.issue(&fleet(), &cluster("east"), now()).unwrap();
    // What nobody else has of a key, in whatever form and wherever its lines end.
    let scalar = |pem: &str| {
        let der = KeyPair::from_pem(pem).unwrap().serialize_der();
        assert_eq!(der[34..36], [4, 32], "PKCS#8 of P-256: an octet string of 32");
        der[36..68].to_vec()
    };
    let (top, own) = (scalar(root.key().expose()), scalar(bundle.ca_key.expose()));
    let holders = |secret: &[u8]| -> Vec<&str> {
        let block_holds = |block: &str| {
            let lines: String = block.lines().filter(|line| !line.contains("-----")).collect();
            let der = base64::engine::general_purpose::STANDARD.decode(lines).unwrap();
            der.windows(secret.len()).any(|window| window == secret)
        };
        bundle.files().into_iter().filter(|(_, text)| text.split("-----END").any(block_holds)).map(|(name, _)| name).collect()
    };
    assert_eq!(holders(&own), [CA_KEY], "it would be found");
    assert_eq!(holders(&top), Vec::<&str>::new());
}

#[test]
fn every_cluster_gets_its_own() {
    let root = root();
    let issue = |name: &str| root.issue(&fleet(), &cluster(name), now()).unwrap();
    let (a, b, again) = (issue("a"), issue("b"), issue("a"));
    let signing = |bundle: &CaBundle| bundle.check(now()).unwrap().certificates.remove(0);
    assert_ne!(signing(&a).subject, signing(&b).subject);
    assert_eq!(signing(&a).subject, signing(&again).subject);
    let serials = [&a, &b, &again].map(|bundle| signing(bundle).serial);
    assert!(serials[0] != serials[1] && serials[0] != serials[2] && serials[1] != serials[2], "{serials:?}");
    let longest = cluster(&"x".repeat(crate::domain::name::MAX_CLUSTER_NAME));
    root.issue(&longest.as_str().parse().unwrap(), &longest, now()).unwrap();
}

#[test]
fn keys_are_read_in_every_form() {
    let made = root();
    let again = Root::from_pem(made.certificate(), made.key().expose(), now()).unwrap();
    assert_eq!(again, made);

    let forged = forge_root(|_| {});
    let certificate = forged.certificate.pem();
    let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    // Ring leaves the curve out of the inner key; openssl writes it there.
    let mut named = sec1(&forged.key);
    let public = named.split_off(7 + 32);
    named.extend_from_slice(&[0xa0, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]);
    named.extend_from_slice(&public);
    named[1] += 12;
    let key = format!("{parameters}{}", pem("EC PRIVATE KEY", &named));
    let root = Root::from_pem(&certificate, &key, now()).unwrap();
    root.issue(&fleet(), &cluster("c"), now()).unwrap();

    let rsa = Root::from_pem(RSA_ROOT, RSA_KEY, now()).unwrap();
    assert!(rsa.key().expose().starts_with("-----BEGIN PRIVATE KEY-----"));
    let bundle = rsa.issue(&fleet(), &cluster("c"), now()).unwrap();
    assert_eq!(bundle.check(now()).unwrap().certificates[1].subject, "O=Test, CN=RSA root of the tests");
    let stored = Root::from_pem(rsa.certificate(), rsa.key().expose(), now()).unwrap();
    assert!(stored.same_certificate(&rsa) && !stored.same_certificate(&made));
}

#[test]
fn keys_that_do_not_serve_are_told_with_a_way_out() {
    let certificate = root().certificate().to_owned();
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let convert = "`openssl pkcs8 -topk8 -nocrypt -in KEY -out NEW`";
    for (key, words) in [
        (pem("ENCRYPTED PRIVATE KEY", b"x"), "the root key is encrypted"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\nAAAA\n-----END RSA PRIVATE KEY-----\n".into(),
            "is encrypted",
        ),
        (ed25519.serialize_pem(), "it is no PKCS#8 key of a kind that works"),
        (pem("EC PRIVATE KEY", b"another curve"), "its curve is none of P-256 and P-384"),
        (pem("RSA PRIVATE KEY", b"short"), "it is no RSA key of a size that works"),
        ("-----BEGIN PRIVATE KEY-----\nno end".into(), "it is no valid PEM"),
    ] {
        let said = refusal(&certificate, &key);
        assert!(said.contains(words) && said.contains(convert), "{said}");
    }
    for none in ["", "text", certificate.as_str()] {
        assert_eq!(refusal(&certificate, none), "the root key holds no PEM private key");
    }
    let said = refusal(&certificate, root().key().expose());
    assert_eq!(said, "the root key is not the key of the root certificate");
}

#[test]
fn certificates_that_are_no_roots_are_refused() {
    let root = forge_root(|_| {});
    let signing = root.issue("signing", |_| {});
    let with = |forged: &Forged| refusal(&forged.certificate.pem(), &forged.key.serialize_pem());
    assert_eq!(with(&signing), "the root certificate is no root: 'CN=root' has issued it, not itself");
    let both = format!("{}{}", root.certificate.pem(), signing.certificate.pem());
    assert_eq!(refusal(&both, &root.key.serialize_pem()), "the root certificate holds 2 certificates, but must hold the root alone");
    assert!(with(&forge_root(|params| params.is_ca = IsCa::NoCa)).contains("is no certificate authority"));
    let short = forge_root(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    assert_eq!(with(&short), "the root certificate allows 0 authorities below it, but 1 are needed");
    assert!(with(&forge_root(|params| params.not_after = moment(now() - days(1)))).contains("has expired"));
    let narrow = forge_root(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning]);
    assert!(with(&narrow).contains("without serverAuth"));
    assert!(refusal("", "").contains("holds no PEM certificate"));
    assert!(refusal(&pem("CERTIFICATE", b"x"), "").contains("cannot be read"));
}

/// Of `openssl req -x509 -subj /OU=a/OU=b/CN=two`; its key is SEC1 as openssl writes it.
#[test]
fn a_subject_that_cannot_be_repeated_is_told_at_once() {
    let said = refusal(include_str!("two-units.pem"), include_str!("two-units-key.pem"));
    assert_eq!(
        said,
        "the root certificate has a subject that cannot be used here, 'OU=a, OU=b, CN=two': each kind of name may stand in it once"
    );
}

#[test]
fn a_bundle_stays_while_it_serves() {
    let root = root();
    let bundle = root.issue(&fleet(), &cluster("c"), now()).unwrap();
    assert_eq!(root.judge(&bundle, now() + days(3000)), Verdict::Keep);
    let other = Root::generate(&fleet(), now()).unwrap();
    assert_eq!(other.judge(&bundle, now()), Verdict::OtherRoot);
    let swapped = CaBundle { ca_key: root.issue(&fleet(), &cluster("c"), now()).unwrap().ca_key, ..bundle.clone() };
    assert_eq!(root.judge(&swapped, now()), Verdict::Renew("ca-key.pem is not the key of ca-cert.pem".to_owned()));
    let garbled = CaBundle { root_cert: "x".into(), ..bundle };
    assert_eq!(root.judge(&garbled, now()), Verdict::OtherRoot);
}

#[test]
fn an_intermediate_is_renewed_before_its_end_unless_its_root_ends_too() {
    let forged = forge_root(|_| {});
    let root = Root::from_pem(&forged.certificate.pem(), &forged.key.serialize_pem(), now()).unwrap();
    let soon = forged.issue("soon", |params| params.not_after = moment(now() + days(10)));
    let verdict = root.judge(&bundle_of(&[&soon, &forged]), now());
    assert_eq!(verdict, Verdict::Renew("the intermediate certificate expires on 2027-03-11T12:00:00Z".to_owned()));
    let as_long = forged.issue("as long", |_| {});
    assert_eq!(root.judge(&bundle_of(&[&as_long, &forged]), now() + days(360)), Verdict::Keep);
    let own = root.issue(&fleet(), &cluster("c"), now()).unwrap().check(now()).unwrap();
    assert_eq!(own.signing().unwrap().not_after, root.summary().not_after, "an intermediate ends with its root");
}
