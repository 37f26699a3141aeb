//! A mesh after its nodes were started: in the order in which it was made.
//!
//! When everything starts in the same second, an istiod may come before the API server of another cluster,
//! and then waits 30 s for it before it serves; proxies that come before istiod ask again after ever longer
//! pauses, and a gateway is looked at every 15 s only. Starting what came too early anew is quicker.

use crate::domain::mesh::objects::SAMPLE_NAMESPACE;
use crate::domain::mesh::spec::SYSTEM_NAMESPACE;
use crate::k8s::wait::Starts;
use crate::k8s::{ApiServer, Deadline, Observer, Result, istio, pods, wait};

/// Pods of control planes.
const ISTIODS: &str = "app=istiod";
/// All others: gateways, and what has a proxy.
const OTHERS: &str = "app!=istiod";

/// Brings istiod up, then what asks it. The API servers of all clusters must answer.
///
/// # Errors
/// The requests', or `Timeout`.
pub(super) async fn renew(server: &ApiServer, starts: &Starts, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    if istio::control_plane(server).await?.is_none() {
        return Ok(());
    }
    // It finds the other clusters by their names.
    wait::deployment_available(server, "kube-system", "coredns", deadline, observer).await?;
    pods::replace_unready(server, SYSTEM_NAMESPACE, ISTIODS, starts).await?;
    pods::current(server, SYSTEM_NAMESPACE, ISTIODS, starts, deadline, observer).await?;
    istio::control_plane_ready(server, deadline, observer).await?;
    for namespace in [SYSTEM_NAMESPACE, SAMPLE_NAMESPACE] {
        pods::replace_unready(server, namespace, OTHERS, starts).await?;
    }
    Ok(())
}
