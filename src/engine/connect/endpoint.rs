//! Endpoints: parsing what users write.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::error::ConnectError;

/// Port of an engine that speaks plain HTTP, by convention.
const PLAIN_PORT: u16 = 2375;
/// Port of an engine that speaks TLS, by convention.
const TLS_PORT: u16 = 2376;

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP address, `host:port`, with TLS when there is material for it.
    Tcp {
        /// Host and port.
        authority: String,
        /// Certificates; plain HTTP when `None`.
        tls: Option<TlsMaterial>,
    },
    /// A Windows named pipe (`//./pipe/docker_engine`).
    Npipe(String),
}

/// Files for a TLS connection. Files that are not there are done without: the system's own
/// authorities stand in for a missing `ca`, and no client certificate is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsMaterial {
    /// Certificate authority of the engine.
    pub ca: PathBuf,
    /// Client certificate.
    pub cert: PathBuf,
    /// Client key.
    pub key: PathBuf,
}

// === impl Endpoint ===

impl Endpoint {
    /// Reads an endpoint. `tls` is where certificates are, should the endpoint want them; `verify`
    /// makes `tcp://` want them.
    ///
    /// # Errors
    /// `UnsupportedScheme` and `Malformed`, each with what to do.
    pub fn parse(text: &str, tls: Option<&Path>, verify: bool) -> Result<Self, ConnectError> {
        let malformed = |reason: &str| ConnectError::Malformed { endpoint: text.to_owned(), reason: reason.to_owned() };
        if text.starts_with('/') {
            return Ok(Self::Unix(PathBuf::from(text)));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            // As the docker command reads it: a bare address is TCP.
            return Self::tcp(text, text, if verify { Wanted::Tls } else { Wanted::Plain }, tls);
        };
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(PathBuf::from(rest))),
            "unix" => Err(malformed("a socket needs an absolute path, as in unix:///var/run/docker.sock")),
            "npipe" if rest.len() > 2 => Ok(Self::Npipe(rest.to_owned())),
            "npipe" => Err(malformed("a pipe needs a name, as in npipe:////./pipe/docker_engine")),
            "tcp" => Self::tcp(text, rest, if verify { Wanted::Tls } else { Wanted::Plain }, tls),
            "http" => Self::tcp(text, rest, Wanted::Plain, tls),
            "https" => Self::tcp(text, rest, Wanted::Tls, tls),
            _ => Err(ConnectError::UnsupportedScheme { endpoint: text.to_owned(), scheme: scheme.to_owned() }),
        }
    }

    fn tcp(text: &str, rest: &str, wanted: Wanted, material: Option<&Path>) -> Result<Self, ConnectError> {
        let malformed = |reason: &str| ConnectError::Malformed { endpoint: text.to_owned(), reason: reason.to_owned() };
        let authority = rest.trim_end_matches('/');
        if authority.contains(['/', '?', '#', '@', ' ']) {
            return Err(malformed("only a host and a port may follow the scheme"));
        }
        let (host, port) = split_port(authority).ok_or_else(|| malformed("the port is no number from 1 to 65535"))?;
        if host.is_empty() || host == "[]" {
            return Err(malformed("there is no host"));
        }
        if host.contains(':') && !host.starts_with('[') {
            return Err(malformed("an IPv6 address stands in brackets, as in tcp://[::1]:2375"));
        }
        let tls = match wanted {
            Wanted::Plain => None,
            Wanted::Tls => Some(TlsMaterial::in_dir(material.unwrap_or(Path::new("")))),
        };
        let port = port.unwrap_or(if tls.is_some() { TLS_PORT } else { PLAIN_PORT });
        Ok(Self::Tcp { authority: format!("{host}:{port}"), tls })
    }

    /// The host on which published ports are reached, when it is not this machine.
    pub fn remote_host(&self) -> Option<String> {
        let Self::Tcp { authority, .. } = self else { return None };
        let host = split_port(authority)?.0.trim_start_matches('[').trim_end_matches(']');
        let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if here { None } else { Some(host.to_owned()) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { authority, tls: None } => write!(f, "tcp://{authority}"),
            Self::Tcp { authority, tls: Some(_) } => write!(f, "https://{authority}"),
            Self::Npipe(name) => write!(f, "npipe://{name}"),
        }
    }
}

// === impl TlsMaterial ===

impl TlsMaterial {
    /// The three files under the names Docker gives them.
    pub fn in_dir(dir: &Path) -> Self {
        Self { ca: dir.join("ca.pem"), cert: dir.join("cert.pem"), key: dir.join("key.pem") }
    }
}

/// What a scheme asks for.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Plain,
    Tls,
}

/// Host, brackets kept, and port when there is one; `None` for a port that is no number.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority[end..].rfind(':') {
        Some(colon) => {
            let port = authority[end + colon + 1..].parse().ok().filter(|port| *port > 0)?;
            Some((&authority[..end + colon], Some(port)))
        }
        None => Some((authority, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        Endpoint::parse(text, None, false).map_or_else(|error| format!("{error}"), |endpoint| endpoint.to_string())
    }

    #[test]
    fn every_scheme_of_the_docker_command_is_read() {
        assert_eq!(read("unix:///run/x.sock"), "unix:///run/x.sock");
        assert_eq!(read("/run/x.sock"), "unix:///run/x.sock");
        assert_eq!(read("tcp://10.0.0.1:99"), "tcp://10.0.0.1:99");
        assert_eq!(read("tcp://example"), "tcp://example:2375");
        assert_eq!(read("tcp://[::1]"), "tcp://[::1]:2375");
        assert_eq!(read("http://example:80/"), "tcp://example:80");
        assert_eq!(read("https://example"), "https://example:2376");
        assert_eq!(read("npipe:////./pipe/docker_engine"), "npipe:////./pipe/docker_engine");
        assert_eq!(read("example:4243"), "tcp://example:4243");
    }

    #[test]
    fn verification_turns_tcp_into_tls() {
        let endpoint = Endpoint::parse("tcp://example", Some(Path::new("/certs")), true).unwrap();
        let Endpoint::Tcp { authority, tls: Some(tls) } = endpoint else { panic!("{endpoint:?}") };
        assert_eq!(authority, "example:2376");
        assert_eq!(tls.key, Path::new("/certs/key.pem"));
        assert_eq!(Endpoint::parse("http://example", None, true).unwrap().to_string(), "tcp://example:2375");
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_right() {
        assert!(read("unix://relative").contains("unix:///var/run/docker.sock"));
        assert!(read("tcp://").contains("there is no host"));
        assert!(read("tcp://a:0").contains("1 to 65535"));
        assert!(read("tcp://a:b").contains("1 to 65535"));
        assert!(read("tcp://::1").contains("brackets"));
        assert!(read("tcp://a/b").contains("only a host and a port"));
        assert!(read("ssh://me@example").contains("ssh -nNT -L"), "{}", read("ssh://me@example"));
        assert!(read("fd://").contains("fd://"));
    }

    #[test]
    fn ports_of_a_remote_engine_are_elsewhere() {
        let remote = |text: &str| Endpoint::parse(text, None, false).unwrap().remote_host();
        assert_eq!(remote("tcp://10.0.0.1:99").as_deref(), Some("10.0.0.1"));
        assert_eq!(remote("tcp://[fd00::1]").as_deref(), Some("fd00::1"));
        assert_eq!(remote("tcp://127.0.0.1"), None);
        assert_eq!(remote("tcp://localhost"), None);
        assert_eq!(remote("/run/x"), None);
    }
}
