//! A mesh after its nodes were started: in the order in which it was made.
//!
//! When everything starts in the same second, an istiod may come before the API server of another cluster,
//! and then waits for it before it serves, the longer the more often it has asked; so it is with its own API server
//! before kube-proxy, and with names before CoreDNS. Proxies that come before istiod ask again after ever longer pauses,
//! too. Starting what came too early anew is quicker: alone, it takes two seconds.

use crate::domain::mesh::objects::SAMPLE_NAMESPACE;
use crate::domain::mesh::spec::SYSTEM_NAMESPACE;
use crate::k8s::wait::Starts;
use crate::k8s::{ApiServer, Deadline, Observer, Result, istio, pods};

/// Namespace of what follows.
const SYSTEM: &str = "kube-system";
/// What knows the other clusters' names, and what leads to services.
const GUIDES: &str = "k8s-app in (kube-dns,kube-proxy)";
/// Pods of control planes.
const ISTIODS: &str = "app=istiod";
/// All others: gateways, and what has a proxy.
const OTHERS: &str = "app!=istiod";

/// Whether the cluster has a mesh.
///
/// # Errors
/// The request's.
pub(super) async fn is_there(server: &ApiServer) -> Result<bool> {
    Ok(istio::control_plane(server).await?.is_some())
}

/// Waits for what istiod finds others with: clusters by their names, its own API server by a service.
///
/// # Errors
/// `Timeout`.
pub(super) async fn guided(server: &ApiServer, starts: &Starts, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    pods::current(server, SYSTEM, GUIDES, starts, deadline, observer).await
}

/// Brings istiod up, then what asks it. The API servers of all clusters must answer.
///
/// # Errors
/// The requests', or `Timeout`.
pub(super) async fn renew(server: &ApiServer, starts: &Starts, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    let late = pods::replace_unready(server, SYSTEM_NAMESPACE, ISTIODS, starts).await? > 0;
    pods::current(server, SYSTEM_NAMESPACE, ISTIODS, starts, deadline, observer).await?;
    istio::control_plane_ready(server, deadline, observer).await?;
    pods::replace_unready(server, SYSTEM_NAMESPACE, OTHERS, starts).await?;
    if late {
        // By now these, too, ask only now and then.
        pods::replace_unready(server, SAMPLE_NAMESPACE, OTHERS, starts).await?;
    }
    Ok(())
}
