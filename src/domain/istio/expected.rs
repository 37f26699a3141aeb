//! What Istio's charts have to yield for a mesh, and what they may.

use std::collections::BTreeSet;

use serde_json::Value;

use super::error::InstallError;
use super::gateway::GatewayKind;
use crate::domain::helm::RenderedFile;
use crate::domain::manifest::{Object, ObjectId};
use crate::domain::mesh::spec::SYSTEM_NAMESPACE;

/// Objects of one chart.
#[derive(Debug)]
pub(super) struct Expected {
    /// Kind and name of each that must be there.
    required: Vec<(&'static str, String)>,
    /// Kind and name of each that values may add; a `*` at the end of a name stands for anything.
    optional: Vec<(&'static str, String)>,
}

/// Definitions a mesh rests on; all of Istio's versions from 1.30 on have them.
const DEFINITIONS: [&str; 15] = [
    "authorizationpolicies.security.istio.io",
    "destinationrules.networking.istio.io",
    "envoyfilters.networking.istio.io",
    "gateways.networking.istio.io",
    "peerauthentications.security.istio.io",
    "proxyconfigs.networking.istio.io",
    "requestauthentications.security.istio.io",
    "serviceentries.networking.istio.io",
    "sidecars.networking.istio.io",
    "telemetries.telemetry.istio.io",
    "trafficextensions.extensions.istio.io",
    "virtualservices.networking.istio.io",
    "wasmplugins.extensions.istio.io",
    "workloadentries.networking.istio.io",
    "workloadgroups.networking.istio.io",
];

// === impl Expected ===

impl Expected {
    /// Of `base`: later versions may bring further definitions, in Istio's own groups.
    pub(super) fn base() -> Self {
        let mut required: Vec<(&'static str, String)> =
            DEFINITIONS.iter().map(|name| ("CustomResourceDefinition", (*name).to_owned())).collect();
        required.push(("ServiceAccount", "istio-reader-service-account".to_owned()));
        required.push(("ValidatingWebhookConfiguration", "istiod-default-validator".to_owned()));
        let optional = ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]
            .map(|kind| (kind, "stable-channel-default-policy*".to_owned()));
        Self { required, optional: optional.to_vec() }
    }

    /// Of `istiod`, with the names a revision gives (`""` for none).
    pub(super) fn istiod(revision: &str) -> Self {
        let suffix = if revision.is_empty() { String::new() } else { format!("-{revision}") };
        let named = |name: &str| format!("{name}{suffix}");
        let placed = |name: &str| format!("{name}{suffix}-{SYSTEM_NAMESPACE}");
        let mut required = vec![
            ("ServiceAccount", named("istiod")),
            ("ConfigMap", named("istio")),
            ("ConfigMap", named("istio-sidecar-injector")),
            ("Role", named("istiod")),
            ("RoleBinding", named("istiod")),
            ("Service", named("istiod")),
            ("Deployment", named("istiod")),
            ("MutatingWebhookConfiguration", named("istio-sidecar-injector")),
            ("ValidatingWebhookConfiguration", placed("istio-validator")),
        ];
        for name in ["istiod-clusterrole", "istiod-gateway-controller", "istio-reader-clusterrole"] {
            required.push(("ClusterRole", placed(name)));
            required.push(("ClusterRoleBinding", placed(name)));
        }
        let optional = vec![
            ("ConfigMap", named("values")),
            ("ConfigMap", named("pilot-jwks-extra-cacerts")),
            ("ConfigMap", "istio-*".to_owned()),
            ("HorizontalPodAutoscaler", named("istiod")),
            ("PodDisruptionBudget", named("istiod")),
            ("NetworkPolicy", named("istiod")),
            ("MutatingWebhookConfiguration", "istio-revision-tag-*".to_owned()),
            ("Service", "istiod-revision-tag-*".to_owned()),
            ("ValidatingAdmissionPolicy", "stable-channel-policy*".to_owned()),
            ("ValidatingAdmissionPolicyBinding", "stable-channel-policy*".to_owned()),
        ];
        Self { required, optional }
    }

    /// Of `gateway`, with the names its values give.
    pub(super) fn gateway(kind: GatewayKind, values: &Value) -> Self {
        let name = kind.name();
        let account = values.pointer("/serviceAccount/name").and_then(Value::as_str).filter(|name| !name.is_empty()).unwrap_or(name);
        let workload = if values["kind"] == "DaemonSet" { "DaemonSet" } else { "Deployment" };
        let mut required = vec![("Service", name.to_owned()), (workload, name.to_owned())];
        let mut optional = vec![
            ("HorizontalPodAutoscaler", name.to_owned()),
            ("PodDisruptionBudget", name.to_owned()),
            ("NetworkPolicy", format!("{name}*")),
        ];
        // An account of the user's own is theirs to make, and so are its rights.
        let off = |pointer: &str| values.pointer(pointer) == Some(&Value::Bool(false));
        match off("/serviceAccount/create") {
            true => optional.push(("ServiceAccount", account.to_owned())),
            false => required.push(("ServiceAccount", account.to_owned())),
        }
        for kind in ["Role", "RoleBinding"] {
            match off("/rbac/enabled") || off("/serviceAccount/create") {
                true => optional.push((kind, "*".to_owned())),
                false => required.push((kind, account.to_owned())),
            }
        }
        Self { required, optional }
    }

    /// Compares what a chart yields with this.
    pub(super) fn check(&self, chart: &str, files: &[RenderedFile]) -> Result<(), InstallError> {
        let all = || files.iter().flat_map(|file| &file.objects);
        let found: BTreeSet<(&str, &str)> = all().map(|object| (object.id().kind.as_str(), object.id().name.as_str())).collect();
        let missing = self.required.iter().filter(|(kind, name)| !found.contains(&(*kind, name.as_str())));
        let objects: Vec<String> = missing.map(|(kind, name)| format!("{kind} {name}")).collect();
        if !objects.is_empty() {
            return Err(InstallError::Missing { chart: chart.to_owned(), objects });
        }
        for file in files {
            if let Some((object, line)) = file.objects.iter().zip(&file.lines).find(|(object, _)| !self.knows(object)) {
                return Err(InstallError::Unexpected {
                    chart: chart.to_owned(),
                    object: object.to_string(),
                    file: file.path.clone(),
                    line: *line,
                });
            }
        }
        Ok(())
    }

    fn knows(&self, object: &Object) -> bool {
        let id = object.id();
        let defines = object.is_definition() && self.required.iter().any(|(kind, _)| *kind == "CustomResourceDefinition");
        is_at_home(id)
            && (defines && id.name.ends_with(".istio.io")
                || self.required.iter().chain(&self.optional).any(|(kind, name)| *kind == id.kind && fits(name, &id.name)))
    }
}

/// Whether an object is in the control plane's namespace, or in none.
fn is_at_home(id: &ObjectId) -> bool {
    id.namespace.as_deref().is_none_or(|namespace| namespace == SYSTEM_NAMESPACE)
}

fn fits(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |begin| name.starts_with(begin))
}
