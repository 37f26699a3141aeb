//! MetalLB's speakers look again at every service.
//!
//! A speaker that hears of its node after its configuration finds no node to announce services from, and looks again
//! only when a service or the configuration changes: as of MetalLB 0.16 hearing of a node for the first time is no change
//! (`isNodeAvailableChanged` in `speaker/main.go`). All speakers of a cluster begin anew when its nodes were stopped, under
//! load, and one in some of them loses that race; its addresses are dead then. So they get a configuration that is
//! another and means the same.

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::json;

use super::client::ApiServer;
use super::deadline::{Deadline, Observer};
use super::error::Result;
use super::metallb::{NAMESPACE, POOL_NAME, resource};
use super::retry::healing;

/// Changes the advertisement of kindmesh's pool between its two ways to say "every service": no selector, and one that
/// selects everything. A cluster without that advertisement is left alone.
///
/// # Errors
/// The request's, or `Timeout`; what heals is tried again.
pub async fn again(server: &ApiServer, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    healing("MetalLB's advertisement to be changed", deadline, observer, |_| false, || change(server)).await
}

async fn change(server: &ApiServer) -> Result<()> {
    let api = Api::<DynamicObject>::namespaced_with(server.client(), NAMESPACE, &resource("L2Advertisement", "l2advertisements"));
    let object = || format!("l2advertisement {NAMESPACE}/{POOL_NAME}");
    let Some(found) = api.get_opt(POOL_NAME).await.map_err(|error| server.error("read", object(), &error))? else { return Ok(()) };
    let selected = found.data["spec"]["serviceSelectors"].as_array().is_some_and(|selectors| !selectors.is_empty());
    let selectors = if selected { json!(null) } else { json!([{}]) };
    let patch = Patch::Merge(json!({ "spec": { "serviceSelectors": selectors } }));
    // Under a name of its own, so that applying the pool anew finds nothing of this to change.
    let params = PatchParams { field_manager: Some("kindmesh-announce".to_owned()), ..PatchParams::default() };
    api.patch(POOL_NAME, &params, &patch).await.map(drop).map_err(|error| server.error("change", object(), &error))
}
