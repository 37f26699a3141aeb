//! From a kind to where the server serves it.

use std::collections::HashMap;

use kube::Api;
use kube::core::{ApiResource, DynamicObject};
use kube::discovery::Scope;

use super::client::ApiServer;
use super::error::{K8sError, Result};
use crate::domain::manifest::{ObjectId, is_built_in};

/// Where the kinds of some group versions are served, as the server told. Asked for one group
/// version at a time: whole discovery takes dozens of requests on old servers, and the aggregated
/// form lags behind new definitions.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    known: Kinds,
}

/// Group version and kind, and where it is served.
pub(crate) type Kinds = HashMap<(String, String), (ApiResource, Scope)>;

// === impl Resources ===

impl Resources {
    /// Asks the server for the kinds of a group version; one it does not know adds nothing. Built-in ones are kept.
    pub(crate) async fn learn(&mut self, server: &ApiServer, api_version: &str) -> Result<()> {
        if let Some(kinds) = server.recalled(api_version) {
            self.known.extend(kinds);
            return Ok(());
        }
        let client = server.client();
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let answer = match group {
            "" => client.list_core_api_resources(version).await,
            _ => client.list_api_group_resources(api_version).await,
        };
        let list = match answer {
            Ok(list) => list,
            Err(error) => {
                let error = server.error("discover", api_version, &error);
                return if error.is_not_found() { Ok(()) } else { Err(error) };
            }
        };
        let mut kinds = Kinds::new();
        // Subresources (`pods/status`) are listed beside resources and share their kinds.
        for resource in list.resources.into_iter().filter(|resource| !resource.name.contains('/')) {
            let found = ApiResource {
                group: group.to_owned(),
                version: version.to_owned(),
                api_version: api_version.to_owned(),
                kind: resource.kind.clone(),
                plural: resource.name,
            };
            let scope = if resource.namespaced { Scope::Namespaced } else { Scope::Cluster };
            kinds.insert((api_version.to_owned(), resource.kind), (found, scope));
        }
        if is_built_in(group) && !kinds.is_empty() {
            server.remember(api_version, &kinds);
        }
        self.known.extend(kinds);
        Ok(())
    }

    /// Adds what was learned elsewhere.
    pub(crate) fn extend(&mut self, other: Resources) {
        self.known.extend(other.known);
    }

    /// Whether a kind is served, as far as learned.
    pub(crate) fn knows(&self, api_version: &str, kind: &str) -> bool {
        self.known.contains_key(&(api_version.to_owned(), kind.to_owned()))
    }

    /// A client for an object's kind and namespace; `None` for an unknown kind.
    pub(crate) fn api(&self, server: &ApiServer, id: &ObjectId) -> Option<Api<DynamicObject>> {
        let (resource, scope) = self.known.get(&(id.api_version.clone(), id.kind.clone()))?;
        let api = Api::dynamic(server.client(), resource, scope);
        Some(match &id.namespace {
            Some(namespace) => api.constrain(namespace),
            None => api.constrain_default(),
        })
    }

    /// The error for a kind that is not served.
    pub(crate) async fn unknown(server: &ApiServer, id: &ObjectId) -> K8sError {
        let version = server.server_version().await.map_or_else(|_| "of unknown version".to_owned(), |version| version.to_string());
        K8sError::UnknownKind { object: id.to_string(), api_version: id.api_version.clone(), kind: id.kind.clone(), server: version }
    }
}
