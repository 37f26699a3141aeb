//! Secrets taken out of text on its way to a file.
//!
//! Logs of nodes are no place for secrets, and now and then hold one: a token on a command line, a header that
//! a program printed, a kubeconfig that somebody logged. What looks like one is replaced by as many asterisks,
//! so that what has lengths in it (a binary journal) stays readable.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

/// What looks like a secret. A group named `v…` is the secret itself; without one the whole match is.
const SECRETS: &[&str] = &[
    // A private key on one line, its line ends escaped.
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^\n]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\n|$)",
    // PEM in base64, as kubeconfigs and Secrets hold keys.
    r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]{16,}",
    // A JSON web token.
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    // A bootstrap token.
    r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b",
    r"(?i:bearer|basic)\s+(?P<v1>[A-Za-z0-9._~+/=-]{16,})",
    // User and password of a URL.
    r"://[^/\s:@\x22']{1,256}:(?P<v2>[^/\s@\x22']{1,256})@",
    r"(?i)\b(?:password|passwd|client-key-data|identity-?token|bearer[_-]?token|certificate-?key|secret[_-]?key)[\x22']?\s*[:=]\s*[\x22']?(?P<v3>[^\s\x22',;}]{4,})",
    r"--(?:token|certificate-key|password)[= ](?P<v4>\S+)",
];

static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&SECRETS.join("|")).ok());

/// A key over several lines begins and ends so.
static KEY_BEGINS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("-----BEGIN [A-Z ]*PRIVATE KEY-----").ok());
static KEY_ENDS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("-----END ").ok());
/// No key has more lines than this: a beginning without an end must not hide the rest of a log.
const LONGEST_KEY: u32 = 120;
/// So much is held back of bytes without a line's end, since a secret may begin in them.
const HELD: usize = 8 << 10;
/// Bytes without a line's end that are gathered before they are looked at.
const GATHERED: usize = 64 << 10;

/// Takes secrets out of bytes that come piece by piece.
#[derive(Debug, Default)]
pub struct Redactor {
    pending: Vec<u8>,
    /// Lines of a private key that may still come.
    key_lines: u32,
    /// Bytes without a line's end are looked at when there are more than this.
    look_at: usize,
    masked: u64,
}

/// A text without its secrets.
pub fn redact(text: &str) -> String {
    let mut redactor = Redactor::default();
    let mut bytes = redactor.push(text.as_bytes());
    bytes.extend(redactor.finish());
    String::from_utf8_lossy(&bytes).into_owned()
}

// === impl Redactor ===

impl Redactor {
    /// Takes the next bytes and gives back those that are safe by now, as many in all as came.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.pending.extend_from_slice(bytes);
        let end = match self.pending.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => at + 1,
            None if self.pending.len() > GATHERED.max(self.look_at) => return self.push_through(),
            None => return Vec::new(),
        };
        let rest = self.pending.split_off(end);
        let mut lines = std::mem::replace(&mut self.pending, rest);
        self.mask(&mut lines);
        lines
    }

    /// Gives back the rest.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.pending);
        self.mask(&mut rest);
        rest
    }

    /// How many secrets were found.
    pub fn masked(&self) -> u64 {
        self.masked
    }

    /// Bytes without a line's end: what may still become a secret waits for more.
    fn push_through(&mut self) -> Vec<u8> {
        let mut held = self.pending.len() - HELD;
        for found in secrets(&self.pending) {
            if found.end > held {
                held = held.min(found.start.max(self.pending.len().saturating_sub(4 * GATHERED)));
            }
        }
        // Looking again at every byte would take for ever.
        self.look_at = self.pending.len() - held + GATHERED / 2;
        let rest = self.pending.split_off(held);
        let mut done = std::mem::replace(&mut self.pending, rest);
        self.mask(&mut done);
        done
    }

    fn mask(&mut self, bytes: &mut [u8]) {
        for found in secrets(bytes) {
            self.masked += 1;
            cover(&mut bytes[found]);
        }
        self.mask_keys(bytes);
    }

    /// The lines between a private key's beginning and its end.
    fn mask_keys(&mut self, bytes: &mut [u8]) {
        // Nearly always nothing.
        if self.key_lines == 0 && !contains(bytes, &KEY_BEGINS) {
            return;
        }
        for line in bytes.split_inclusive_mut(|byte| *byte == b'\n') {
            if self.key_lines > 0 {
                self.key_lines = if contains(line, &KEY_ENDS) { 0 } else { self.key_lines - 1 };
                cover(line);
            } else if contains(line, &KEY_BEGINS) && !contains(line, &KEY_ENDS) {
                self.key_lines = LONGEST_KEY;
            }
        }
    }
}

/// Where the secrets are.
fn secrets(bytes: &[u8]) -> Vec<Range<usize>> {
    let Some(pattern) = PATTERN.as_ref() else { return Vec::new() };
    let range = |found: Captures<'_>| {
        let value = ["v1", "v2", "v3", "v4"].iter().find_map(|name| found.name(name));
        let whole = found.get(0).map_or(0..0, |all| all.range());
        let key = contains(&bytes[whole.clone()], &KEY_BEGINS);
        // The first line of a key over several lines stays, so that its end is looked for.
        (!key || contains(&bytes[whole.clone()], &KEY_ENDS)).then(|| value.map_or(whole, |value| value.range()))
    };
    pattern.captures_iter(bytes).filter_map(range).collect()
}

fn cover(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| !byte.is_ascii_whitespace()).for_each(|byte| *byte = b'*');
}

fn contains(bytes: &[u8], pattern: &LazyLock<Option<Regex>>) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJlLW9mLWl0";

    #[test]
    fn what_looks_like_a_secret_is_covered_and_nothing_else() {
        let cases = [
            ("kubeadm join --token abcdef.0123456789abcdef n1:6443", "kubeadm join --token *********************** n1:6443"),
            ("proxy http://me:hunter2@proxy:3128/", "proxy http://me:*******@proxy:3128/"),
            ("password: \"hunter2\"", "password: \"*******\""),
            ("client-key-data: QUJDREVG", "client-key-data: ********"),
            ("GET https://a:6443/api/v1/pods?limit=500 200 OK", "GET https://a:6443/api/v1/pods?limit=500 200 OK"),
            ("pulled registry.k8s.io/pause:3.10 sha256:0123456789abcdef", "pulled registry.k8s.io/pause:3.10 sha256:0123456789abcdef"),
            ("http://[fd00::1]:8080/ and user@host", "http://[fd00::1]:8080/ and user@host"),
        ];
        for (text, expected) in cases {
            assert_eq!(redact(text), expected);
        }
        let header = redact(&format!("Authorization: Bearer {JWT}\nnext"));
        assert!(!header.contains("eyJ") && header.ends_with("\nnext"), "{header}");
        assert!(!redact("x LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWQ== y").contains("LS0t"));
    }

    #[test]
    fn a_private_key_is_covered_over_all_its_lines_and_what_follows_is_not() {
        let key = "a\n-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB\nabc==\n-----END EC PRIVATE KEY-----\nb\n";
        let text = redact(key);
        assert!(!text.contains("MHcC") && !text.contains("abc"), "{text}");
        assert!(text.starts_with("a\n") && text.ends_with("\nb\n"), "{text}");
        let escaped = redact(r#"{"key":"-----BEGIN PRIVATE KEY-----\nMHcC\n-----END PRIVATE KEY-----"} after"#);
        assert!(!escaped.contains("MHcC") && escaped.ends_with(" after"), "{escaped}");
        let endless = redact(&format!("-----BEGIN PRIVATE KEY-----\n{}", "line\n".repeat(300)));
        assert!(endless.ends_with("line\n"));
    }

    #[test]
    fn pieces_do_not_matter_and_lengths_stay() {
        let mut text = format!("start\ntoken {JWT} end\n").into_bytes();
        // No line ends, as in a binary journal.
        text.extend(vec![0u8; 150 << 10]);
        text.extend(format!("\0{JWT}\0").as_bytes());
        text.extend(vec![1u8; 90 << 10]);
        for step in [7, 1000, 1 << 16, text.len()] {
            let mut redactor = Redactor::default();
            let mut out = Vec::new();
            for piece in text.chunks(step) {
                out.extend(redactor.push(piece));
            }
            out.extend(redactor.finish());
            assert_eq!((out.len(), redactor.masked()), (text.len(), 2), "step {step}");
            assert!(!String::from_utf8_lossy(&out).contains("eyJ"), "step {step}");
        }
    }
}
