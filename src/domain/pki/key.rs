//! Private keys: the forms they come in, all brought to PKCS#8.

use rcgen::{KeyPair, PKCS_ED25519};
use x509_parser::pem::Pem;
use zeroize::{Zeroize as _, Zeroizing};

use super::error::PkiError;

/// DER of `rsaEncryption` with its NULL parameter, as an AlgorithmIdentifier (RFC 8017, A.1).
const RSA: &[u8] = &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// DER of `id-ecPublicKey` (RFC 5480, 2.1.1).
const EC_PUBLIC_KEY: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// DER of the curves `prime256v1` and `secp384r1` (RFC 5480, 2.1.1.1).
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

const INTEGER_ZERO: &[u8] = &[0x02, 0x01, 0x00];
const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;

/// Reads the first private key of a PEM file: PKCS#8, PKCS#1 (RSA) or SEC1 (EC).
pub(super) fn read(what: &str, text: &str) -> Result<KeyPair, PkiError> {
    let unusable = |reason: &str| PkiError::UnusableKey { what: what.to_owned(), reason: reason.to_owned() };
    // Password-protected keys of the old forms say so in a header that PEM readers stumble over.
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(PkiError::EncryptedKey { what: what.to_owned() });
    }
    for block in Pem::iter_from_buffer(text.as_bytes()) {
        // The parser's words could hold parts of the key.
        let mut block = block.map_err(|_| unusable("it is no valid PEM"))?;
        let der = Zeroizing::new(block.contents.clone());
        block.contents.zeroize();
        return match block.label.as_str() {
            "PRIVATE KEY" => pkcs8(&der).ok_or_else(|| unusable("it is no PKCS#8 key of a kind that works")),
            "RSA PRIVATE KEY" => pkcs8(&from_pkcs1(&der)).ok_or_else(|| unusable("it is no RSA key of a size that works")),
            "EC PRIVATE KEY" => match from_sec1(&der) {
                Some(wrapped) => pkcs8(&wrapped).ok_or_else(|| unusable("it is no EC key with its public half beside it")),
                None => Err(unusable("its curve is none of P-256 and P-384")),
            },
            // What openssl writes before an EC key, and certificates kept in one file with their key.
            _ => continue,
        };
    }
    Err(PkiError::NoKey { what: what.to_owned() })
}

/// A key pair whose signatures Envoy accepts.
fn pkcs8(der: &[u8]) -> Option<KeyPair> {
    KeyPair::try_from(der).ok().filter(|pair| *pair.algorithm() != PKCS_ED25519)
}

fn from_pkcs1(key: &[u8]) -> Zeroizing<Vec<u8>> {
    private_key_info(RSA, key)
}

/// `None` for a curve that nobody here signs with. Tools write the curve into the key itself.
fn from_sec1(key: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let has = |curve: &[u8]| key.windows(curve.len()).any(|window| window == curve);
    let curve = if has(P256) {
        P256
    } else if has(P384) {
        P384
    } else {
        return None;
    };
    let algorithm = tlv(SEQUENCE, &[EC_PUBLIC_KEY, curve]);
    Some(private_key_info(&algorithm, key))
}

/// PKCS#8's PrivateKeyInfo (RFC 5208, 5) around a key of an older form.
fn private_key_info(algorithm: &[u8], key: &[u8]) -> Zeroizing<Vec<u8>> {
    let octets = tlv(OCTET_STRING, &[key]);
    tlv(SEQUENCE, &[INTEGER_ZERO, algorithm, &octets])
}

/// A DER value: tag, length, contents.
fn tlv(tag: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let bytes = length.to_be_bytes();
    let significant = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    // The final size is known: growing would leave copies of the key behind.
    let mut out = Zeroizing::new(Vec::with_capacity(length + significant.len() + 2));
    out.push(tag);
    match significant {
        [] => out.push(0),
        [short] if *short < 0x80 => out.push(*short),
        long => {
            // At most eight bytes: the bits of a usize.
            out.push(0x80 | u8::try_from(long.len()).unwrap_or_default());
            out.extend_from_slice(long);
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}
