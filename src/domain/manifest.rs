//! Manifests: texts of several objects, in the order an API server can take them.

use serde_json::Value;

/// Kinds in the order they are applied: what others live in or refer to comes first. Kinds that are
/// not named come after workloads: they are custom resources, or can wait like them.
const ORDER: [&str; 32] = [
    "Namespace",
    "ResourceQuota",
    "LimitRange",
    "PriorityClass",
    "RuntimeClass",
    "StorageClass",
    "CSIDriver",
    "IngressClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Secret",
    "ConfigMap",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Service",
    "EndpointSlice",
    "DaemonSet",
    "Deployment",
    "StatefulSet",
    "ReplicaSet",
    "ReplicationController",
    "Pod",
    "Job",
    "CronJob",
    "HorizontalPodAutoscaler",
    "Ingress",
];
/// After everything that may run before them: a webhook whose backend is not up refuses all that
/// it watches.
const WEBHOOKS: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];
const CRD: &str = "CustomResourceDefinition";

/// The objects of a manifest, parted at the barriers between them. Apply a part, wait for what its
/// name says, go on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parts {
    /// Namespaces and what stands beside them.
    pub foundations: Vec<Value>,
    /// Definitions of custom resources; each must be established before the server takes an object
    /// of its kind, and known kinds must be read anew.
    pub definitions: Vec<Value>,
    /// Everything of the server's own kinds.
    pub objects: Vec<Value>,
    /// Webhook configurations; their backends must answer first.
    pub webhooks: Vec<Value>,
    /// Custom resources.
    pub resources: Vec<Value>,
}

/// A manifest that cannot be read. Says where, never what is written there: it may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// No YAML.
    #[error("line {line}, column {column}: this is no valid YAML")]
    Syntax {
        /// Line, counted from 1.
        line: u64,
        /// Column, counted from 1.
        column: u64,
    },
    /// A document that is no object.
    #[error("document {index} is no Kubernetes object: it has no {field}")]
    Shape {
        /// Which document, counted from 1, empty ones left out.
        index: usize,
        /// What is missing.
        field: &'static str,
    },
}

/// Reads every object of a manifest, in its order; a `List` is replaced by its items.
///
/// # Errors
/// [`ManifestError`] when the text is no YAML, or a document has no `apiVersion`, `kind` or name.
pub fn parse(text: &str) -> Result<Vec<Value>, ManifestError> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        // As Kubernetes' own reader has it: file modes are written 0644.
        legacy_octal_numbers: true,
    };
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
        ManifestError::Syntax { line, column }
    })?;
    let mut objects = Vec::with_capacity(documents.len());
    for (index, document) in documents.into_iter().filter(|document| !document.is_null()).enumerate() {
        collect(document, index + 1, &mut objects)?;
    }
    Ok(objects)
}

/// Sorts objects into the order they are applied in; those of one kind keep theirs.
pub fn order(objects: &mut [Value]) {
    objects.sort_by_key(rank);
}

/// Orders objects and parts them at the barriers.
pub fn parts(mut objects: Vec<Value>) -> Parts {
    order(&mut objects);
    let mut parts = Parts::default();
    for object in objects {
        let kind = kind(&object);
        let part = match (kind, ORDER.iter().position(|known| *known == kind)) {
            (CRD, _) => &mut parts.definitions,
            (kind, _) if WEBHOOKS.contains(&kind) => &mut parts.webhooks,
            (_, Some(place)) if place < crd_rank() && is_builtin(&object) => &mut parts.foundations,
            _ if is_builtin(&object) => &mut parts.objects,
            _ => &mut parts.resources,
        };
        part.push(object);
    }
    parts
}

/// `Kind namespace/name`, for messages.
pub fn describe(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str().unwrap_or("(unnamed)");
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{} {namespace}/{name}", kind(object)),
        None => format!("{} {name}", kind(object)),
    }
}

fn collect(document: Value, index: usize, objects: &mut Vec<Value>) -> Result<(), ManifestError> {
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    for field in ["apiVersion", "kind"] {
        if !document.get(field).is_some_and(text) {
            return Err(ManifestError::Shape { index, field });
        }
    }
    if kind(&document) == "List" && document["apiVersion"] == "v1" {
        let Value::Object(mut fields) = document else { return Ok(()) };
        let items = match fields.remove("items") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        return items.into_iter().try_for_each(|item| collect(item, index, objects));
    }
    let named = ["name", "generateName"].iter().any(|field| text(&document["metadata"][field]));
    if !named {
        return Err(ManifestError::Shape { index, field: "metadata.name" });
    }
    objects.push(document);
    Ok(())
}

fn rank(object: &Value) -> usize {
    let kind = kind(object);
    match ORDER.iter().position(|known| *known == kind) {
        Some(place) if is_builtin(object) => place,
        _ if WEBHOOKS.contains(&kind) => ORDER.len() + 1,
        _ if is_builtin(object) => ORDER.len(),
        _ => ORDER.len() + 2,
    }
}

fn crd_rank() -> usize {
    ORDER.iter().position(|kind| *kind == CRD).unwrap_or(0)
}

fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap_or_default()
}

/// Whether a kind is the server's own: its group has no dot, or ends with `.k8s.io` and is no
/// add-on's. `gateway.networking.k8s.io` and the like are defined by CRDs.
fn is_builtin(object: &Value) -> bool {
    const OWN: [&str; 17] = [
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    ];
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    !group.contains('.') || OWN.contains(&group)
}

#[cfg(test)]
mod tests;
