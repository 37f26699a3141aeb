//! Credentials of registries, from Docker's configuration file.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::RegistryCredentials;

/// Hosts that mean Docker's own registry.
const DEFAULT_HOSTS: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// Address under which Docker's own registry takes its credentials; older than the host.
const DEFAULT_ADDRESS: &str = "https://index.docker.io/v1/";

/// Why credentials could not be had. Never tells what they are.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("registry credentials in {}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why; never its content.
        reason: String,
    },
    /// An entry that cannot be read.
    #[error("the credentials for {registry} cannot be read: {reason}; log in again")]
    Entry {
        /// The registry.
        registry: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The credentials are with another program, and no other program is called.
    #[error(
        "the credentials for {registry} are kept by docker-credential-{helper}, which is not called here; \
         pull the image with docker first, or keep the credentials in a configuration without a helper"
    )]
    Helper {
        /// The registry.
        registry: String,
        /// Name of the helper.
        helper: String,
    },
}

/// The part of `config.json` that holds credentials.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ConfigFile {
    auths: BTreeMap<String, Auth>,
    creds_store: String,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

/// Credentials for a registry (`docker.io`, `registry.example:5000`) in Docker's configuration file,
/// which need not exist.
///
/// # Errors
/// A file or entry that cannot be read, and `Helper` when the user is logged in through a helper
/// program: callers may try without credentials and tell this when that fails.
pub fn credentials_for(config: &Path, registry: &str) -> Result<Option<RegistryCredentials>, CredentialsError> {
    let failed = |reason: String| CredentialsError::File { path: config.to_owned(), reason };
    let text = match std::fs::read_to_string(config) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
    };
    // The parser's own words may quote a password.
    let file: ConfigFile =
        serde_json::from_str(&text).map_err(|error| failed(format!("no such JSON at line {}, column {}", error.line(), error.column())))?;
    file.lookup(registry)
}

// === impl ConfigFile ===

impl ConfigFile {
    fn lookup(&self, registry: &str) -> Result<Option<RegistryCredentials>, CredentialsError> {
        let wanted = host(registry);
        // An exact key wins over one that merely means the same host.
        let entry = self.auths.get(registry).or_else(|| self.auths.iter().find(|(key, _)| host(key) == wanted).map(|(_, auth)| auth));
        if let Some(found) = entry.map(|auth| auth.read(registry)).transpose()?.flatten() {
            return Ok(Some(found));
        }
        // A login through the common store leaves an empty entry behind; without one, nobody has
        // logged in. A helper for this very registry needs no login.
        let own = self.cred_helpers.iter().find(|(key, _)| host(key) == wanted).map(|(_, helper)| helper);
        let store = Some(&self.creds_store).filter(|store| entry.is_some() && !store.is_empty());
        match own.or(store) {
            Some(helper) => Err(CredentialsError::Helper { registry: registry.to_owned(), helper: helper.clone() }),
            None => Ok(None),
        }
    }
}

// === impl Auth ===

impl Auth {
    /// The credentials of an entry; `None` when it is empty.
    fn read(&self, registry: &str) -> Result<Option<RegistryCredentials>, CredentialsError> {
        let failed = |reason| CredentialsError::Entry { registry: registry.to_owned(), reason };
        let (mut username, mut password) = (self.username.clone(), self.password.clone());
        if !self.auth.is_empty() {
            let bytes = STANDARD.decode(self.auth.trim()).map_err(|_| failed("they are not base64"))?;
            let text = String::from_utf8(bytes).map_err(|_| failed("they are not text"))?;
            let (user, secret) = text.split_once(':').ok_or_else(|| failed("there is no colon between name and password"))?;
            (username, password) = (user.to_owned(), secret.trim_end_matches('\0').to_owned());
        }
        let token = Some(&self.identitytoken).filter(|token| !token.is_empty()).cloned();
        if token.is_none() && username.is_empty() && password.is_empty() {
            return Ok(None);
        }
        let server = if DEFAULT_HOSTS.contains(&host(registry)) { DEFAULT_ADDRESS } else { registry };
        Ok(Some(RegistryCredentials { username, password, identity_token: token, server: server.to_owned() }))
    }
}

/// The host a key means: without scheme and path, and one name for Docker's own registry.
fn host(key: &str) -> &str {
    let bare = key.trim_start_matches("https://").trim_start_matches("http://");
    let host = bare.split('/').next().unwrap_or(bare);
    if DEFAULT_HOSTS.contains(&host) { DEFAULT_HOSTS[0] } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(text: &str, registry: &str) -> Result<Option<RegistryCredentials>, CredentialsError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, text).unwrap();
        credentials_for(&path, registry)
    }

    fn auth(user: &str, password: &str) -> String {
        STANDARD.encode(format!("{user}:{password}"))
    }

    #[test]
    fn entries_are_found_by_every_spelling_of_the_host() {
        for key in ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "https://registry-1.docker.io"] {
            let text = format!(r#"{{"auths":{{"other":{{}},"{key}":{{"auth":"{}"}}}}}}"#, auth("me", "pa:ss"));
            let found = lookup(&text, "docker.io").unwrap().unwrap();
            assert_eq!(
                (found.username.as_str(), found.password.as_str(), found.server.as_str()),
                ("me", "pa:ss", DEFAULT_ADDRESS),
                "{key}"
            );
        }
        for key in ["reg.example:5000", "https://reg.example:5000", "http://reg.example:5000/v2/"] {
            let text = format!(r#"{{"auths":{{"{key}":{{"username":"me","password":"word"}}}}}}"#);
            let found = lookup(&text, "reg.example:5000").unwrap().unwrap();
            assert_eq!((found.password.as_str(), found.server.as_str()), ("word", "reg.example:5000"), "{key}");
            assert!(lookup(&text, "reg.example").unwrap().is_none(), "another port is another registry");
        }
    }

    #[test]
    fn a_token_stands_for_a_password() {
        let text = format!(r#"{{"auths":{{"r.example":{{"auth":"{}","identitytoken":"tok"}}}}}}"#, auth("<token>", ""));
        let found = lookup(&text, "r.example").unwrap().unwrap();
        assert_eq!(found.identity_token.as_deref(), Some("tok"));
    }

    #[test]
    fn nothing_there_is_no_error() {
        assert!(credentials_for(Path::new("/nowhere/config.json"), "docker.io").unwrap().is_none());
        assert!(lookup("{}", "docker.io").unwrap().is_none());
        assert!(lookup(r#"{"auths":{"docker.io":{}}}"#, "docker.io").unwrap().is_none());
        // A store that holds nothing for this registry.
        assert!(lookup(r#"{"auths":{"r.example":{}},"credsStore":"desktop"}"#, "docker.io").unwrap().is_none());
    }

    #[test]
    fn a_helper_is_named_and_not_called() {
        let error = lookup(r#"{"auths":{"https://index.docker.io/v1/":{}},"credsStore":"desktop"}"#, "docker.io").unwrap_err();
        assert!(error.to_string().contains("docker-credential-desktop"), "{error}");
        let error = lookup(r#"{"credHelpers":{"r.example":"gcloud"}}"#, "r.example").unwrap_err();
        assert!(matches!(&error, CredentialsError::Helper { helper, .. } if helper == "gcloud"), "{error}");
        // What is written down needs no helper.
        let text = format!(r#"{{"auths":{{"r.example":{{"auth":"{}"}}}},"credsStore":"pass"}}"#, auth("a", "b"));
        assert!(lookup(&text, "r.example").unwrap().is_some());
    }

    #[test]
    fn broken_entries_are_told_without_the_secret() {
        for (text, word) in [
            (r#"{"auths":{"r":{"auth":"!hush!"}}}"#.to_owned(), "base64"),
            (format!(r#"{{"auths":{{"r":{{"auth":"{}"}}}}}}"#, STANDARD.encode("hush")), "colon"),
            (r#"{"auths":{"r":{"auth":7,"password":"hush"}}}"#.to_owned(), "line 1"),
            (r#"{"auths":"hush"}"#.to_owned(), "line 1"),
        ] {
            let error = lookup(&text, "r").unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
            assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
        }
    }
}
