//! PEM files: which blocks they hold.

use x509_parser::pem::Pem;

use super::error::PkiError;

/// The DER of every certificate in a file; other blocks are passed over, as Go does it.
pub(super) fn certificates(what: &str, text: &str) -> Result<Vec<Vec<u8>>, PkiError> {
    let mut found = Vec::new();
    for block in Pem::iter_from_buffer(text.as_bytes()) {
        let block = block.map_err(|error| PkiError::Unreadable { what: what.to_owned(), reason: error.to_string() })?;
        if block.label == "CERTIFICATE" {
            found.push(block.contents);
        }
    }
    if found.is_empty() {
        return Err(PkiError::NoCertificate { what: what.to_owned() });
    }
    Ok(found)
}

/// Puts a certificate into PEM, with a final line end.
pub(super) fn certificate(der: &[u8]) -> String {
    use base64::Engine as _;
    // 64 letters a line, as RFC 7468 wants it.
    const LINE: usize = 64;
    let encoded = base64::engine::general_purpose::STANDARD.encode(der);
    let mut text = String::with_capacity(encoded.len() + encoded.len() / LINE + 64);
    text.push_str("-----BEGIN CERTIFICATE-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, behind) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = behind;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}
