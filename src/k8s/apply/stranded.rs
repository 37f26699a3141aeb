//! Addresses of services that stay allocated though there is no such service.
//!
//! A server allocates the address of a service in one object and stores the service in another. A client that is killed
//! between the two takes its request with it: the address stays taken by a service that is not there. The server finds that
//! out by itself, but no earlier than after a minute (`gracePeriod` of its repair of addresses).

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Preconditions};
use tokio::time::Instant;

use crate::domain::manifest::Object;
use crate::k8s::client::ApiServer;

/// Longer than a server needs from an address to its service, also a busy one.
const SETTLED: Duration = Duration::from_secs(5);

/// What was seen of the allocation that stands in the way of one service.
#[derive(Default)]
pub(super) struct Stranded(Mutex<Option<(String, Instant)>>);

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
        let uid = allocation.uid().unwrap_or_default();
        match seen.as_ref() {
            Some((same, since)) if *same == uid => since.elapsed() >= SETTLED,
            _ => {
                *seen = Some((uid, Instant::now()));
                false
            }
        }
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
    addresses.dedup();
    addresses
}

fn belongs(allocation: &DynamicObject, service: &Object) -> bool {
    let parent = &allocation.data["spec"]["parentRef"];
    let id = service.id();
    parent["resource"] == "services" && parent["name"] == id.name.as_str() && parent["namespace"].as_str() == id.namespace.as_deref()
}
