//! Addresses of services that stay allocated though there is no such service.
//!
//! A server allocates the address of a service in one object and stores the service in another. A client that is killed
//! between the two takes its request with it: the address stays taken by a service that is not there. The server finds that
//! out by itself, but no earlier than after a minute (`gracePeriod` of its repair of addresses). Servers before 1.34 keep a map of
//! addresses beside these objects, or instead of them: there what is done here frees nothing, and their repair takes minutes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Preconditions};
use tokio::time::Instant;

use crate::domain::manifest::Object;
use crate::k8s::client::ApiServer;

/// Longer than a server needs from an address to its service, also a busy one. Where a webhook takes longer to agree to the
/// service, the server allocates its address again when it repairs them.
const SETTLED: Duration = Duration::from_secs(5);

/// What servers label their own allocations with.
const MANAGED_BY: (&str, &str) = ("ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io");

/// When the allocations that stand in the way of one service were first seen, by their identities.
#[derive(Default)]
pub(super) struct Stranded(Mutex<BTreeMap<String, Instant>>);

impl Stranded {
    /// Looks at the allocation of the address that this service asks for and that is taken; frees it when it has belonged
    /// to this very service, which is not there, for some seconds. Best effort: the server repairs what is left.
    pub(super) async fn look(&self, server: &ApiServer, service: &Object) {
        for address in addresses(service) {
            let api: Api<DynamicObject> = Api::all_with(server.client(), &ApiResource::from_gvk_with_plural(&allocations(), "ipaddresses"));
            let Ok(Some(allocation)) = api.get_opt(&address.to_string()).await else { continue };
            if !belongs(&allocation, service) || !self.has_stayed(&allocation) {
                continue;
            }
            let only_this = Preconditions { uid: allocation.uid(), resource_version: None };
            let only_this = DeleteParams { preconditions: Some(only_this), ..DeleteParams::default() };
            match api.delete(&allocation.name_any(), &only_this).await {
                Ok(_) => tracing::info!(%address, service = %service, "freed the address of a service that is not there"),
                Err(error) => tracing::info!(%address, service = %service, %error, "the address of a service that is not there stays"),
            }
        }
    }

    fn has_stayed(&self, allocation: &DynamicObject) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.entry(allocation.uid().unwrap_or_default()).or_insert_with(Instant::now).elapsed() >= SETTLED
    }
}

fn allocations() -> GroupVersionKind {
    GroupVersionKind::gvk("networking.k8s.io", "v1", "IPAddress")
}

/// The addresses that a service asks for by number.
fn addresses(service: &Object) -> Vec<IpAddr> {
    let spec = &service.value()["spec"];
    let all = spec["clusterIPs"].as_array().into_iter().flatten().chain([&spec["clusterIP"]]);
    let mut addresses: Vec<IpAddr> = all.filter_map(|address| address.as_str()?.parse().ok()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn belongs(allocation: &DynamicObject, service: &Object) -> bool {
    let parent = &allocation.data["spec"]["parentRef"];
    let id = service.id();
    allocation.labels().get(MANAGED_BY.0).is_some_and(|by| by == MANAGED_BY.1)
        && parent["group"].as_str().unwrap_or_default().is_empty()
        && parent["resource"] == "services"
        && parent["name"] == id.name.as_str()
        && parent["namespace"].as_str() == id.namespace.as_deref()
}
