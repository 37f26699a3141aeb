//! A mesh after its nodes were started: in the order in which it was made.
//!
//! When everything starts in the same second, an istiod may come before the API server of another cluster,
//! and then waits for it before it serves, the longer the more often it has asked; so it is with its own API server
//! before kube-proxy, and with names before CoreDNS. Proxies that come before istiod ask again after ever longer pauses,
//! too. Nodes of our own image let pods begin only when services are reached; of what came too early all the same,
//! starting it anew is quicker: alone, it takes two seconds.

use std::time::Duration;

use crate::domain::mesh::objects::SAMPLE_NAMESPACE;
use crate::domain::mesh::spec::SYSTEM_NAMESPACE;
use crate::k8s::pods::Early;
use crate::k8s::wait::Starts;
use crate::k8s::{ApiServer, Deadline, Observer, Result, istio, pods};

/// An istiod asks API servers again each second at first.
const ISTIOD_SLACK: Duration = Duration::from_secs(2);
/// Envoy asks again after half a second, one, two, four and so on, each time less by chance: half of its age on the average.
const PROXY_SLACK: Duration = Duration::from_secs(12);
/// What began in time is ready by then, also on a machine where everything starts at once.
const PATIENCE: Duration = Duration::from_secs(10);

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
    let since = pods::ready_since(server, SYSTEM, GUIDES).await?;
    let istiods = Early { namespace: SYSTEM_NAMESPACE, selector: ISTIODS, since, slack: ISTIOD_SLACK, patience: PATIENCE };
    pods::replace_early(server, istiods, starts, deadline, observer).await?;
    pods::current(server, SYSTEM_NAMESPACE, ISTIODS, starts, deadline, observer).await?;
    istio::control_plane_ready(server, deadline, observer).await?;
    let since = pods::ready_since(server, SYSTEM_NAMESPACE, ISTIODS).await?;
    let others = |namespace| {
        let others = Early { namespace, selector: OTHERS, since, slack: PROXY_SLACK, patience: PATIENCE };
        pods::replace_early(server, others, starts, deadline, observer)
    };
    tokio::try_join!(others(SYSTEM_NAMESPACE), others(SAMPLE_NAMESPACE)).map(drop)
}
