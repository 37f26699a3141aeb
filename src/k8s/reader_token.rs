//! The token by which other clusters of a mesh read one: taken away for a while, and given back.

use std::fmt;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, PostParams};

use super::client::ApiServer;
use super::deadline::Deadline;
use super::error::Result;
use crate::domain::mesh::objects::READER_TOKEN;
use crate::domain::mesh::spec::SYSTEM_NAMESPACE;

/// A token as its secret holds it. `Debug` does not show it.
#[derive(Clone)]
pub struct TakenToken(Secret);

// === impl TakenToken ===

impl TakenToken {
    /// The token, and the certificate of its cluster's authority.
    pub fn parts(&self) -> (String, String) {
        let value =
            |key: &str| self.0.data.as_ref().and_then(|data| data.get(key)).map(|value| String::from_utf8_lossy(&value.0).into_owned());
        (value("token").unwrap_or_default(), value("ca.crt").unwrap_or_default())
    }
}

impl fmt::Debug for TakenToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TakenToken")
    }
}

/// The token as it is.
///
/// # Errors
/// The request's; `NotFound` in a cluster without a mesh.
pub async fn read(server: &ApiServer) -> Result<TakenToken> {
    let found = api(server).get(READER_TOKEN).await.map_err(|error| server.error("read", object(), &error))?;
    // As it can be made again: what the server writes itself is left out.
    let ObjectMeta { name, namespace, labels, annotations, .. } = found.metadata;
    Ok(TakenToken(Secret { metadata: ObjectMeta { name, namespace, labels, annotations, ..ObjectMeta::default() }, ..found }))
}

/// Takes the token away: from then on the server refuses it.
///
/// # Errors
/// The request's.
pub async fn take(server: &ApiServer) -> Result<()> {
    api(server).delete(READER_TOKEN, &DeleteParams::default()).await.map_err(|error| server.error("delete", object(), &error))?;
    Ok(())
}

/// Gives the same token back. A new one that somebody made meanwhile makes way.
///
/// # Errors
/// The request's, or `Timeout`.
pub async fn give_back(server: &ApiServer, token: &TakenToken, deadline: Deadline) -> Result<()> {
    let api = api(server);
    let work = async {
        if api.get_opt(READER_TOKEN).await.map_err(|error| server.error("read", object(), &error))?.is_some() {
            take(server).await?;
        }
        api.create(&PostParams::default(), &token.0).await.map_err(|error| server.error("create", object(), &error))?;
        Ok(())
    };
    deadline.bound("a token to be given back", "no answer", work).await
}

fn api(server: &ApiServer) -> Api<Secret> {
    Api::namespaced(server.client(), SYSTEM_NAMESPACE)
}

fn object() -> String {
    format!("secret {SYSTEM_NAMESPACE}/{READER_TOKEN}")
}
