//! MetalLB's speakers look again at every service.
//!
//! A speaker that hears of its node after its configuration finds no node to announce services from, and looks again
//! only when a service or the configuration changes: as of MetalLB 0.16 hearing of a node for the first time is no change
//! (`isNodeAvailableChanged` in `speaker/main.go`). All speakers of a cluster begin anew when its nodes were stopped, under
//! load, and one in some of them loses that race; its addresses are dead then. So they get a configuration that is
//! another and means the same.

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::client::ApiServer;
use super::deadline::{Deadline, Observer};
use super::error::Result;
use super::metallb::{NAMESPACE, POOL_NAME, resource};
use super::retry::healing;

/// Key of the label that no service has.
const KEY: &str = "kindmesh.dev/again";

/// Changes the advertisement of kindmesh's pool to one that selects every service as well, in words that it has not had
/// before. A cluster without that advertisement, or with selectors of its user's, is left alone.
///
/// # Errors
/// The request's, or `Timeout`; what heals is tried again.
pub async fn again(server: &ApiServer, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    let number = jiff::Timestamp::now().as_nanosecond();
    let selectors = json!([{ "matchExpressions": [{ "key": KEY, "operator": "NotIn", "values": [number.to_string()] }] }]);
    healing("MetalLB's advertisement to be changed", deadline, observer, |_| false, || change(server, &selectors)).await
}

async fn change(server: &ApiServer, selectors: &Value) -> Result<()> {
    let api = Api::<DynamicObject>::namespaced_with(server.client(), NAMESPACE, &resource("L2Advertisement", "l2advertisements"));
    let object = || format!("l2advertisement {NAMESPACE}/{POOL_NAME}");
    let Some(found) = api.get_opt(POOL_NAME).await.map_err(|error| server.error("read", object(), &error))? else { return Ok(()) };
    if !is_ours(&found.data) {
        return Ok(());
    }
    let patch = Patch::Merge(json!({ "spec": { "serviceSelectors": selectors } }));
    // Under a name of its own, so that applying the pool anew finds nothing of this to change.
    let params = PatchParams { field_manager: Some("kindmesh-announce".to_owned()), ..PatchParams::default() };
    api.patch(POOL_NAME, &params, &patch).await.map(drop).map_err(|error| server.error("change", object(), &error))
}

/// Whether nobody else has said which services are announced.
fn is_ours(advertisement: &Value) -> bool {
    let selectors = advertisement["spec"]["serviceSelectors"].as_array().map(Vec::as_slice).unwrap_or_default();
    selectors.iter().all(|selector| selector["matchExpressions"][0]["key"] == KEY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_of_others_are_left_alone() {
        let with = |selectors: Value| is_ours(&json!({ "spec": { "serviceSelectors": selectors } }));
        assert!(is_ours(&json!({ "spec": {} })) && with(json!([])));
        assert!(with(json!([{ "matchExpressions": [{ "key": KEY, "operator": "NotIn", "values": ["1"] }] }])));
        assert!(!with(json!([{ "matchLabels": { "app": "web" } }])) && !with(json!([{}])));
    }
}
