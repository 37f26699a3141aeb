//! A handle on one API server.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::{K8sError, RequestErrorKind, Result};
use super::resource::Kinds;
use crate::domain::version::KubernetesVersion;

/// How long connecting may take. The server is on this machine or on its network; what needs longer
/// is not there yet and is asked again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Requests a server answers for us at the same time; more only queue in its flow control.
const CONCURRENT_REQUESTS: usize = 8;

/// An API server and a client for it. Cheap to clone; lives no longer than the async runtime it
/// was made in.
#[derive(Clone)]
pub struct ApiServer {
    client: Client,
    address: String,
    slots: Arc<Semaphore>,
    /// Where built-in kinds are served, for all who use this server.
    built_in: Arc<Mutex<HashMap<String, Kinds>>>,
}

// === impl ApiServer ===

impl ApiServer {
    /// From the text of a kubeconfig, its current context. Does not connect.
    ///
    /// Neither `$KUBECONFIG` nor proxies of the environment are looked at: the servers are local,
    /// and a proxy knows nothing of them. A `proxy-url` in the kubeconfig itself is kept.
    ///
    /// # Errors
    /// [`K8sError::Kubeconfig`], which never shows the kubeconfig's text.
    pub async fn from_kubeconfig(kubeconfig: &str) -> Result<Self> {
        let fail = |message: String| K8sError::Kubeconfig { message };
        // The parser's own error would quote the lines around the fault, and those hold keys.
        let kubeconfig = Kubeconfig::from_yaml(kubeconfig).map_err(|_| fail("it is no valid kubeconfig YAML".to_owned()))?;
        let context = kubeconfig.current_context.clone().filter(|context| !context.is_empty());
        let context = context.ok_or_else(|| fail("it has no current-context".to_owned()))?;
        let proxied = kubeconfig.clusters.iter().any(|named| named.cluster.as_ref().is_some_and(|cluster| cluster.proxy_url.is_some()));
        let options = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
        let mut config =
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| fail(format!("context {context}: {error}")))?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // Watches are quiet for minutes. Whoever asks for something else brings a deadline.
        config.read_timeout = None;
        // The client's own retries are silent and last minutes; ours are told to the observer.
        config.default_retry = false;
        if !proxied {
            config.proxy_url = None;
        }
        let address = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = Client::try_from(config).map_err(|error| match K8sError::request("read", "", &error) {
            K8sError::Request { message, .. } => fail(format!("context {context}: {message}")),
            other => other,
        })?;
        Ok(Self::new(client, address))
    }

    /// From a client made elsewhere; `address` is only shown.
    pub fn new(client: Client, address: impl Into<String>) -> Self {
        Self { client, address: address.into(), slots: Arc::new(Semaphore::new(CONCURRENT_REQUESTS)), built_in: Arc::default() }
    }

    /// A client for whatever this crate has no verb for.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Where the server is (`https://127.0.0.1:6443`).
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks for the server's version.
    ///
    /// # Errors
    /// The request's, or `Protocol` when the answer is no version.
    pub async fn server_version(&self) -> Result<KubernetesVersion> {
        let info = self.client.apiserver_version().await.map_err(|error| self.error("read version of", "the API server", &error))?;
        info.git_version.parse().map_err(|error: crate::domain::version::VersionError| K8sError::Request {
            verb: "read version of",
            object: format!("the API server at {}", self.address),
            kind: RequestErrorKind::Protocol,
            message: error.to_string(),
        })
    }

    /// An error of a request to this server; says where it is when it does not answer.
    pub(crate) fn error(&self, verb: &'static str, object: impl Into<String>, error: &kube::Error) -> K8sError {
        let mut error = K8sError::request(verb, object, error);
        if let K8sError::Request { kind: RequestErrorKind::Unreachable | RequestErrorKind::Untrusted, message, .. } = &mut error {
            message.push_str(&format!(" (at {})", self.address));
        }
        error
    }

    /// The built-in kinds of a group version, if this server was asked for them before.
    pub(crate) fn recalled(&self, api_version: &str) -> Option<Kinds> {
        self.built_in.lock().unwrap_or_else(PoisonError::into_inner).get(api_version).cloned()
    }

    /// Keeps the kinds of a group version that no definition can change.
    pub(crate) fn remember(&self, api_version: &str, kinds: &Kinds) {
        self.built_in.lock().unwrap_or_else(PoisonError::into_inner).insert(api_version.to_owned(), kinds.clone());
    }

    /// Waits for one of the places of requests that change something.
    pub(crate) async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        // Fails only on a closed semaphore, and nothing closes ours.
        self.slots.acquire().await.ok()
    }
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
apiVersion: v1
kind: Config
current-context: a
contexts: [{name: a, context: {cluster: a, user: a}}]
clusters: [{name: a, cluster: {server: 'https://127.0.0.1:7'}}]
users: [{name: a, user: {token: hunter2}}]
";

    #[tokio::test]
    async fn a_kubeconfig_becomes_a_handle_that_shows_no_secret() {
        let server = ApiServer::from_kubeconfig(GOOD).await.unwrap();
        assert_eq!(server.address(), "https://127.0.0.1:7");
        assert!(!format!("{server:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn bad_kubeconfigs_are_refused_without_their_text() {
        let cases = [
            (GOOD.replace("hunter2}", "hunter2"), "read the kubeconfig: it is no valid kubeconfig YAML"),
            (GOOD.replace("current-context: a", ""), "read the kubeconfig: it has no current-context"),
        ];
        for (text, message) in cases {
            assert_eq!(ApiServer::from_kubeconfig(&text).await.unwrap_err().to_string(), message);
        }
        let error = ApiServer::from_kubeconfig(&GOOD.replace("current-context: a", "current-context: b")).await.unwrap_err();
        assert!(error.to_string().starts_with("read the kubeconfig: context b: "), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named() {
        let server = ApiServer::from_kubeconfig(GOOD).await.unwrap();
        let error = server.server_version().await.unwrap_err();
        assert_eq!(error.kind(), Some(RequestErrorKind::Unreachable), "{error}");
        assert!(error.to_string().contains("https://127.0.0.1:7"), "{error}");
    }
}
