//! Tokens that are no longer good.

use std::time::Duration;

use super::super::cluster::failed;
use super::super::fleet::TestFleet;
use super::super::wait_for;
use super::guard::{Fault, Undo};
use crate::domain::kubeconfig::ClusterEntry;
use crate::k8s::reader_token::{self, TakenToken};
use crate::k8s::{ApiServer, Deadline, istio};
use crate::ops::{ErrorKind, Kindmesh, Result};

/// API servers remember for ten seconds that a token is good.
const NOTICED: Duration = Duration::from_secs(60);
/// For single requests.
const REQUEST: Duration = Duration::from_secs(30);

/// Puts a token back, and waits until it is good.
pub(super) async fn give_back(kindmesh: &Kindmesh, cluster: &str, token: &TakenToken) -> Result<()> {
    let client = match kindmesh.client(cluster).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let server = ApiServer::new(client, cluster);
    reader_token::give_back(&server, token, Deadline::after(REQUEST)).await.map_err(|error| failed("give a token back", error))
}

impl TestFleet {
    /// Makes the token worthless by which the other control planes of a mesh read this cluster, as if it had
    /// expired, and returns when its API server refuses it. Undoing makes the same token good again.
    ///
    /// Connections that are open stay: a control plane notices when it connects anew, at the latest some minutes
    /// after.
    ///
    /// # Errors
    /// When the cluster has no such token, because the fleet has no mesh.
    ///
    /// # Panics
    /// When there is no cluster of this name.
    pub async fn expire_token(&self, cluster: &str) -> Result<Fault> {
        let cluster = self.cluster(cluster);
        let server = cluster.server();
        let what = format!("the token of {} is expired", cluster.name());
        let error = |error| failed(&what, error);
        let token = reader_token::read(server).await.map_err(error)?;
        let undo = Undo::Token { cluster: cluster.full_name().to_owned(), token: Box::new(token.clone()) };
        let fault = self.fault(what.clone(), undo)?;
        reader_token::take(server).await.map_err(error)?;
        let (token, ca) = token.parts();
        let kubeconfig = ClusterEntry::with_token(cluster.full_name(), server.address(), &ca, &token).to_kubeconfig().to_yaml();
        wait_for(&format!("cluster {} to refuse its token", cluster.name()), NOTICED, || async {
            match istio::accepts_token(server, &kubeconfig).await {
                Ok(false) => Ok(()),
                Ok(true) => Err("it is still accepted".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await?;
        Ok(fault)
    }
}
