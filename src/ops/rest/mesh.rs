//! A mesh after its nodes were started: in the order in which it was made.
//!
//! When everything starts in the same second, an istiod may come before the API server of another cluster,
//! and then waits 30 s for it before it serves; proxies that come before istiod ask again after ever longer
//! pauses, and a gateway is looked at every 15 s only. Starting what came too early anew is quicker.

use std::time::Duration;

use crate::domain::mesh::objects::SAMPLE_NAMESPACE;
use crate::domain::mesh::spec::SYSTEM_NAMESPACE;
use crate::k8s::wait::Starts;
use crate::k8s::{ApiServer, Deadline, K8sError, Observer, Result, istio, pods, wait};

/// With the API servers of all clusters there istiod needs 5 to 8 s; in the worst case it has just begun
/// to wait for one of them in vain.
const PATIENCE: Duration = Duration::from_secs(12);
/// What knows the other clusters' names.
const DNS: (&str, &str) = ("kube-system", "coredns");
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
    let patience = Deadline::after(PATIENCE.min(deadline.remaining()));
    let late = match pods::current(server, SYSTEM_NAMESPACE, ISTIODS, starts, patience, observer).await {
        Ok(()) => false,
        Err(K8sError::Timeout { .. }) if !deadline.remaining().is_zero() => {
            // It finds the other clusters by their names.
            wait::deployment_available(server, DNS.0, DNS.1, deadline, observer).await?;
            let replaced = pods::replace_unready(server, SYSTEM_NAMESPACE, ISTIODS, starts).await?;
            pods::current(server, SYSTEM_NAMESPACE, ISTIODS, starts, deadline, observer).await?;
            replaced > 0
        }
        Err(error) => return Err(error),
    };
    istio::control_plane_ready(server, deadline, observer).await?;
    pods::replace_unready(server, SYSTEM_NAMESPACE, OTHERS, starts).await?;
    if late {
        // By now these, too, ask only now and then.
        pods::replace_unready(server, SAMPLE_NAMESPACE, OTHERS, starts).await?;
    }
    Ok(())
}
