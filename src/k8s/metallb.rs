//! MetalLB in layer 2 mode: install it, give it the cluster's pool, see that it took it.

mod metrics;

use std::time::Duration;

use kube::api::{Api, DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::runtime::watcher;
use serde_json::{Value, json};

use super::apply::{Applied, ApplyOptions, apply};
use super::client::ApiServer;
use super::deadline::{Deadline, Observer};
use super::error::{K8sError, RequestErrorKind, Result};
use super::resource::Resources;
use super::wait::{daemonset_ready, deployment_available};
use super::watch::{Verdict, until};
use crate::domain::manifest::{self, Object};
use crate::domain::net::range::AddrRange;
use crate::domain::net::ranges::AddrRanges;

/// Namespace MetalLB lives in.
pub const NAMESPACE: &str = "metallb-system";

/// Name of the address pool and of its advertisement.
pub const POOL_NAME: &str = "kindmesh";

const API_VERSION: &str = "metallb.io/v1beta1";

const MANIFEST: [&str; 5] = [
    include_str!("../../manifests/metallb/10-namespace.yaml"),
    include_str!("../../manifests/metallb/20-crds-used.yaml"),
    include_str!("../../manifests/metallb/21-crds-watched.yaml"),
    include_str!("../../manifests/metallb/30-rbac.yaml"),
    include_str!("../../manifests/metallb/40-workloads.yaml"),
];

/// The images of MetalLB's two programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Gives addresses to services.
    pub controller: String,
    /// Announces them.
    pub speaker: String,
}

/// What to install.
#[derive(Debug, Clone)]
pub struct Install {
    /// Images; of no effect with a manifest of the user's own.
    pub images: Images,
    /// The text of another manifest, instead of the built-in one. It must bring the Deployment
    /// `controller` and the DaemonSet `speaker` in [`NAMESPACE`].
    pub manifest: Option<String>,
    /// Addresses for services.
    pub pool: AddrRanges,
    /// The API server's name and port on the nodes' network. With it MetalLB does not go through the
    /// service's address, which works only when kube-proxy has written its rules: started a moment
    /// before, its pods would end, and wait for their next start. Of no effect with a manifest of the
    /// user's own.
    pub api_server: Option<(String, u16)>,
}

// === impl Images ===

impl Default for Images {
    /// The version whose options and kinds the built-in manifest is written for.
    fn default() -> Self {
        Self { controller: "quay.io/metallb/controller:v0.16.1".to_owned(), speaker: "quay.io/metallb/speaker:v0.16.1".to_owned() }
    }
}

// === impl Install ===

impl Install {
    /// The built-in manifest with its own images.
    pub fn new(pool: AddrRanges) -> Self {
        Self { images: Images::default(), manifest: None, pool, api_server: None }
    }

    /// The objects of the manifest, without pool and advertisement.
    ///
    /// # Errors
    /// `Manifest` when the user's manifest cannot be read.
    pub fn objects(&self) -> Result<Vec<Object>> {
        if let Some(text) = &self.manifest {
            return Ok(manifest::parse(text)?);
        }
        let mut objects = Vec::new();
        for text in MANIFEST {
            objects.extend(manifest::parse(text)?);
        }
        for (container, image) in [("controller", &self.images.controller), ("speaker", &self.images.speaker)] {
            if !objects.iter_mut().any(|object| object.set_image(container, image)) {
                return Err(K8sError::Container { manifest: "MetalLB", container, what: "image" });
            }
            if let Some((host, port)) = &self.api_server {
                for object in &mut objects {
                    object.set_env(container, "KUBERNETES_SERVICE_HOST", host);
                    object.set_env(container, "KUBERNETES_SERVICE_PORT", &port.to_string());
                }
            }
            if self.serves_metrics_with_secret() && !metrics::serve_with_secret(&mut objects, container) {
                return Err(K8sError::Container { manifest: "MetalLB", container, what: "metrics" });
            }
        }
        Ok(objects)
    }

    /// Programs of other versions may not have the flag for it.
    fn serves_metrics_with_secret(&self) -> bool {
        self.manifest.is_none() && self.images == Images::default()
    }

    /// The pool and its advertisement.
    ///
    /// # Errors
    /// None in practice; the objects are checked like any other.
    pub fn pool_objects(&self) -> Result<Vec<Object>> {
        let metadata = json!({ "name": POOL_NAME, "namespace": NAMESPACE });
        let addresses: Vec<String> = self.pool.ranges().iter().map(ToString::to_string).collect();
        let objects = [
            json!({ "apiVersion": API_VERSION, "kind": "IPAddressPool", "metadata": metadata,
                "spec": { "addresses": addresses } }),
            json!({ "apiVersion": API_VERSION, "kind": "L2Advertisement", "metadata": metadata,
                "spec": { "ipAddressPools": [POOL_NAME] } }),
        ];
        objects.into_iter().map(|object| Ok(Object::try_from(object)?)).collect()
    }

    /// Applies everything, pool included, without waiting for pods.
    ///
    /// The built-in manifest has no webhook that could refuse the pool before it runs, so that all
    /// of it goes in one pass. With a manifest of the user's own the pool is tried until the
    /// webhook answers.
    ///
    /// # Errors
    /// Those of [`apply`].
    pub async fn apply(&self, server: &ApiServer, deadline: Deadline, observer: Observer<'_>) -> Result<Applied> {
        let mut objects = self.objects()?;
        objects.extend(self.pool_objects()?);
        if self.serves_metrics_with_secret() {
            objects.extend(metrics::missing_secret(server, deadline, observer).await?);
        }
        apply(server, objects, ApplyOptions::default(), deadline, observer).await
    }

    /// Applies the pool alone, where the rest is installed, and waits until all processes take it.
    ///
    /// # Errors
    /// Those of [`apply`]; `Timeout`, with what MetalLB says about the configuration.
    pub async fn apply_pool(&self, server: &ApiServer, deadline: Deadline, observer: Observer<'_>) -> Result<Applied> {
        let applied = apply(server, self.pool_objects()?, ApplyOptions::default(), deadline, observer).await?;
        configuration_valid(server, deadline, observer).await?;
        taken(server, self.pool.len(), deadline, observer).await?;
        Ok(applied)
    }

    /// Waits until controller and speakers run and all of them accept the configuration.
    ///
    /// # Errors
    /// `Timeout`, with what is missing or what MetalLB says about the configuration.
    pub async fn ready(&self, server: &ApiServer, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
        tokio::try_join!(
            deployment_available(server, NAMESPACE, "controller", deadline, observer),
            daemonset_ready(server, NAMESPACE, "speaker", deadline, observer),
        )?;
        configuration_valid(server, deadline, observer).await
    }

    /// [`Install::apply`], then [`Install::ready`].
    ///
    /// # Errors
    /// Those of both.
    pub async fn run(&self, server: &ApiServer, deadline: Deadline, observer: Observer<'_>) -> Result<Applied> {
        let applied = self.apply(server, deadline, observer).await?;
        self.ready(server, deadline, observer).await?;
        Ok(applied)
    }
}

/// Waits until the controller counts so many addresses in kindmesh's pool. Versions before 0.15 count nothing; then there
/// is nothing to wait for.
async fn taken(server: &ApiServer, size: u64, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    let api = Api::<DynamicObject>::namespaced_with(server.client(), NAMESPACE, &resource("IPAddressPool", "ipaddresspools"));
    let selection = watcher::Config::default().fields(&format!("metadata.name={POOL_NAME}"));
    until(api, selection, "MetalLB to take its pool", deadline, observer, |pools| {
        let status = pools.get(POOL_NAME).map(|pool| &pool.data["status"]);
        let count = |field: &str| status.and_then(|status| status[field].as_u64());
        match count("assignedIPv4").zip(count("availableIPv4")) {
            None => Verdict::Done(()),
            Some((assigned, available)) if assigned + available == size => Verdict::Done(()),
            Some((assigned, available)) => Verdict::NotYet(format!("it counts {} addresses", assigned + available)),
        }
    })
    .await
}

/// Waits until every process that reports on the configuration calls it valid. Versions before
/// 0.15.3 report nothing; then there is nothing to wait for.
async fn configuration_valid(server: &ApiServer, deadline: Deadline, observer: Observer<'_>) -> Result<()> {
    let mut resources = Resources::default();
    deadline.bound("MetalLB's configuration", "no answer", resources.learn(server, API_VERSION)).await?;
    if !resources.knows(API_VERSION, "ConfigurationState") {
        return Ok(());
    }
    let api = Api::<DynamicObject>::namespaced_with(server.client(), NAMESPACE, &resource("ConfigurationState", "configurationstates"));
    until(api, watcher::Config::default(), "MetalLB's configuration", deadline, observer, |states| {
        let complaint = states.iter().find_map(|(name, state)| configuration_state(&state.data).err().map(|why| format!("{name}: {why}")));
        match complaint {
            None if states.is_empty() => Verdict::NotYet("nobody has reported yet".to_owned()),
            None => Verdict::Done(()),
            Some(complaint) => Verdict::NotYet(complaint),
        }
    })
    .await
}

fn configuration_state(object: &Value) -> Result<(), String> {
    match object["status"]["result"].as_str() {
        Some("Valid") => Ok(()),
        Some("Invalid") => Err(format!("invalid: {}", object["status"]["errorSummary"].as_str().unwrap_or("no reason given"))),
        _ => Err("not looked at yet".to_owned()),
    }
}

/// Waits until a speaker says that it announces a service's address; returns its node.
///
/// # Errors
/// `Timeout`.
pub async fn announced(server: &ApiServer, namespace: &str, service: &str, deadline: Deadline, observer: Observer<'_>) -> Result<String> {
    let api = Api::<DynamicObject>::namespaced_with(server.client(), NAMESPACE, &resource("ServiceL2Status", "servicel2statuses"));
    let selection =
        watcher::Config::default().labels(&format!("metallb.io/service-name={service},metallb.io/service-namespace={namespace}"));
    let awaited = format!("a node that announces service {namespace}/{service}");
    until(api, selection, &awaited, deadline, observer, |states| {
        let node = states.values().find_map(|state| state.data["status"]["node"].as_str().filter(|node| !node.is_empty()));
        match node {
            Some(node) => Verdict::Done(node.to_owned()),
            None => Verdict::NotYet(format!("no speaker announces service {service} yet")),
        }
    })
    .await
}

/// Reads the IPv4 pools of any cluster, ours or not; none when MetalLB is not installed. What is no
/// IPv4 network or range is left out.
///
/// # Errors
/// The request's, or `Timeout` after `limit`.
pub async fn read_pools(server: &ApiServer, limit: Duration) -> Result<Vec<AddrRange>> {
    let deadline = Deadline::after(limit);
    let api = Api::<DynamicObject>::all_with(server.client(), &resource("IPAddressPool", "ipaddresspools"));
    let list = async { api.list(&ListParams::default()).await.map_err(|error| server.error("list", "MetalLB's address pools", &error)) };
    let pools = match deadline.bound("MetalLB's address pools", "no answer", list).await {
        Ok(pools) => pools.items,
        Err(error) if error.kind() == Some(RequestErrorKind::NotFound) => Vec::new(),
        Err(error) => return Err(error),
    };
    let addresses = pools.iter().flat_map(|pool| pool.data["spec"]["addresses"].as_array().into_iter().flatten());
    Ok(addresses.filter_map(Value::as_str).filter_map(|text| text.parse().ok()).collect())
}

pub(crate) fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "metallb.io".to_owned(),
        version: "v1beta1".to_owned(),
        api_version: API_VERSION.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn install() -> Install {
        Install::new(AddrRange { first: Ipv4Addr::new(172, 18, 255, 200), last: Ipv4Addr::new(172, 18, 255, 224) }.into())
    }

    #[test]
    fn the_built_in_manifest_has_what_metallb_needs() {
        let objects = install().objects().unwrap();
        let definitions: Vec<&str> =
            objects.iter().filter(|object| object.is_definition()).map(|object| object.id().name.as_str()).collect();
        assert_eq!(definitions.len(), 9, "{definitions:?}");
        let text: String = objects.iter().map(|object| object.value().to_string()).collect();
        for absent in ["webhook-server", "METALLB_ML", "ValidatingWebhookConfiguration", "\"*\""] {
            assert!(!text.contains(absent), "{absent}");
        }
        assert!(text.contains("--webhook-mode=disabled"));
    }

    #[test]
    fn every_namespaced_object_is_in_the_namespace() {
        for object in install().objects().unwrap() {
            let cluster_wide =
                ["Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"].contains(&object.id().kind.as_str());
            assert_eq!(object.id().namespace.as_deref(), (!cluster_wide).then_some(NAMESPACE), "{object}");
        }
    }

    #[test]
    fn images_are_overridable() {
        let mut install = install();
        let images = |install: &Install| {
            let objects = install.objects().unwrap();
            objects
                .iter()
                .filter_map(|object| object.value().pointer("/spec/template/spec/containers/0/image")?.as_str().map(str::to_owned))
                .collect::<Vec<_>>()
        };
        assert_eq!(images(&install), [Images::default().controller, Images::default().speaker]);
        let flags = |install: &Install| {
            let text: String = install.objects().unwrap().iter().map(|object| object.value().to_string()).collect();
            (
                text.matches("--metrics-cert-dir=/etc/").count(),
                text.matches("\"secretName\"").count(),
                text.matches("\"mountPath\":\"/etc/metrics").count(),
            )
        };
        assert_eq!(flags(&install), (2, 2, 2));
        install.images = Images { controller: "c".to_owned(), speaker: "s".to_owned() };
        assert_eq!(images(&install), ["c", "s"]);
        assert_eq!(flags(&install), (0, 0, 0), "other versions may know no such flag");
    }

    #[test]
    fn the_pool_is_written_as_a_range() {
        let objects = install().pool_objects().unwrap();
        assert_eq!(objects[0].value()["spec"], json!({"addresses": ["172.18.255.200-172.18.255.224"]}));
        assert_eq!(objects[1].value()["spec"], json!({"ipAddressPools": ["kindmesh"]}));
    }

    #[test]
    fn configuration_states_are_put_into_words() {
        assert_eq!(configuration_state(&json!({"status": {"result": "Valid"}})), Ok(()));
        assert_eq!(configuration_state(&json!({})).unwrap_err(), "not looked at yet");
        assert_eq!(configuration_state(&json!({"status": {"result": "Invalid", "errorSummary": "bad"}})).unwrap_err(), "invalid: bad");
    }
}
