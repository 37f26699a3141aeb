//! Kubernetes manifests: read them, order them by kind, split them where the server needs time.

use std::fmt;

use serde_json::Value;

/// One object of a manifest: an `apiVersion`, a `kind`, a `metadata.name` and whatever else.
#[derive(Clone, PartialEq)]
pub struct Object {
    value: Value,
    id: ObjectId,
}

/// What an object is called, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// Group and version (`apps/v1`, `v1`).
    pub api_version: String,
    /// Kind (`Deployment`).
    pub kind: String,
    /// Namespace, when the manifest names one.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

/// Objects that may be applied at once, and the definitions to be served before the next stage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stage {
    /// The objects, ordered by kind and otherwise as the manifest has them.
    pub objects: Vec<Object>,
    /// Names of the custom resource definitions among them: none of their kinds may be used before
    /// the server has established them.
    pub barrier: Vec<String>,
}

/// Why a manifest was refused.
///
/// Never shows the text around the fault: manifests hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not YAML.
    #[error("the manifest is no valid YAML at line {line}, column {column}: {message}")]
    Yaml {
        /// Line, from 1; 0 when unknown.
        line: u64,
        /// Column, from 1; 0 when unknown.
        column: u64,
        /// What is wrong.
        message: String,
    },
    /// A document that is a list or a plain value.
    #[error("document {document} of the manifest is {found}; expected an object with apiVersion, kind and metadata.name")]
    NotAnObject {
        /// Position, from 1.
        document: usize,
        /// What it is.
        found: &'static str,
    },
    /// A field every object needs.
    #[error("document {document} of the manifest{what} has no {field}")]
    Missing {
        /// Position, from 1.
        document: usize,
        /// ` (Kind name)` as far as known.
        what: String,
        /// The field.
        field: &'static str,
    },
    /// A field every object needs, with a number or a boolean in it: YAML takes `n`, `on` and `1e3` for such.
    #[error("document {document} of the manifest{what} has a {field} that is no text; put it in quotes")]
    NotText {
        /// Position, from 1.
        document: usize,
        /// ` (Kind name)` as far as known.
        what: String,
        /// The field.
        field: &'static str,
    },
}

/// What has to be there before what. The order of the variants is the order of application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tier {
    /// Namespaces and definitions: everything else lives in them or is made of them.
    Foundation,
    /// Accounts, rights, configuration and services: what workloads refer to when they start.
    Support,
    /// Whatever makes pods.
    Workload,
    /// Hooks into the API server, whose backends are workloads.
    Hook,
    /// Objects of kinds the server learns from definitions.
    Custom,
}

/// Groups a bare API server knows. Any other group is taken for one that definitions bring.
const BUILT_IN_GROUPS: [&str; 19] = [
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// Whether a bare API server serves this group; the core group has no name.
pub fn is_built_in(group: &str) -> bool {
    BUILT_IN_GROUPS.contains(&group)
}

/// Kinds of built-in groups in their order; those not listed come after the last of [`Tier::Support`].
const SUPPORT_ORDER: [&str; 10] = [
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "StorageClass",
    "PersistentVolumeClaim",
    "Service",
];

/// Reads a manifest of any number of documents; empty ones are skipped and `List`s opened.
///
/// Numbers are read as Kubernetes reads them (`0777` is octal). Fields only a server may write
/// (`metadata.managedFields`, a null `creationTimestamp`) are dropped.
///
/// # Errors
/// [`ManifestError`] when the text is no YAML or a document is no Kubernetes object.
pub fn parse(text: &str) -> Result<Vec<Object>, ManifestError> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true, with_snippet: false };
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
        ManifestError::Yaml { line, column, message: first_line(&error.without_snippet().to_string()) }
    })?;
    let mut objects = Vec::with_capacity(documents.len());
    for (index, document) in documents.into_iter().enumerate() {
        collect(document, index + 1, &mut objects)?;
    }
    Ok(objects)
}

/// Splits objects into stages: each may be applied at once, one stage after the other.
pub fn stages(objects: Vec<Object>) -> Vec<Stage> {
    let mut objects = objects;
    // Stable: what the order does not tell apart stays as the manifest has it.
    objects.sort_by_key(|object| (object.tier(), object.rank()));
    let mut stages: Vec<(Tier, Stage)> = Vec::new();
    for object in objects {
        let tier = object.tier();
        if stages.last().is_none_or(|(last, _)| *last != tier) {
            stages.push((tier, Stage::default()));
        }
        if let Some((_, stage)) = stages.last_mut() {
            if object.is_definition() {
                stage.barrier.push(object.id.name.clone());
            }
            stage.objects.push(object);
        }
    }
    stages.into_iter().map(|(_, stage)| stage).collect()
}

// === impl Object ===

impl Object {
    /// From a value; `document` is its position in the manifest, from 1, for errors.
    fn new(mut value: Value, document: usize) -> Result<Self, ManifestError> {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        let (api_version, kind) = (text("/apiVersion"), text("/kind"));
        let (name, namespace) = (text("/metadata/name"), text("/metadata/namespace"));
        let missing = |field: &'static str| {
            let parts: Vec<&str> = [&kind, &name].into_iter().flatten().map(String::as_str).collect();
            let what = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(" ")) };
            let found = value.pointer(&format!("/{}", field.replace('.', "/")));
            match found.is_some_and(|found| !found.is_null() && !found.is_string()) {
                true => ManifestError::NotText { document, what, field },
                false => ManifestError::Missing { document, what, field },
            }
        };
        let id = ObjectId {
            api_version: api_version.clone().ok_or_else(|| missing("apiVersion"))?,
            kind: kind.clone().ok_or_else(|| missing("kind"))?,
            name: name.clone().ok_or_else(|| missing("metadata.name"))?,
            namespace,
        };
        if id.namespace.is_none() && value.pointer("/metadata/namespace").is_some_and(|namespace| !namespace.is_null() && namespace != "") {
            return Err(missing("metadata.namespace"));
        }
        if let Some(metadata) = value.pointer_mut("/metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
            if metadata.get("creationTimestamp").is_some_and(Value::is_null) {
                metadata.remove("creationTimestamp");
            }
        }
        Ok(Self { value, id })
    }

    /// What it is called.
    pub fn id(&self) -> &ObjectId {
        &self.id
    }

    /// Its content.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Gives it another name.
    pub fn set_name(&mut self, name: &str) {
        self.id.name = name.to_owned();
        self.set(&["metadata", "name"], Value::from(name));
    }

    /// Sets a field, named by the keys on the way to it; objects that are missing on the way are made.
    /// False when something else than an object is in the way.
    ///
    /// The fields that name the object are not set so: see [`Object::set_name`].
    pub fn set(&mut self, path: &[&str], value: Value) -> bool {
        let Some((last, way)) = path.split_last() else { return false };
        let mut here = &mut self.value;
        for key in way {
            let Some(fields) = here.as_object_mut() else { return false };
            here = fields.entry(*key).or_insert_with(|| Value::Object(serde_json::Map::new()));
        }
        let Some(fields) = here.as_object_mut() else { return false };
        fields.insert((*last).to_owned(), value);
        true
    }

    /// Removes a field from every entry of a list of objects, such as the webhooks of a configuration.
    pub fn remove_from_each(&mut self, list: &str, field: &str) {
        for entry in self.value.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(fields) = entry.as_object_mut() {
                fields.remove(field);
            }
        }
    }

    /// Removes the entries of a list, named by the keys on the way to it, that are told by `gone`; a list without entries
    /// goes as well.
    pub fn remove_from(&mut self, path: &[&str], gone: impl Fn(&Value) -> bool) {
        let Some((last, way)) = path.split_last() else { return };
        let parent = way.iter().try_fold(&mut self.value, |here, key| here.get_mut(*key));
        let Some(parent) = parent.and_then(Value::as_object_mut) else { return };
        if let Some(list) = parent.get_mut(*last).and_then(Value::as_array_mut) {
            list.retain(|entry| !gone(entry));
            if list.is_empty() {
                parent.remove(*last);
            }
        }
    }

    /// Whether it is a custom resource definition.
    pub fn is_definition(&self) -> bool {
        self.id.kind == "CustomResourceDefinition" && self.id.group() == "apiextensions.k8s.io"
    }

    /// Sets the image of a container of a workload; false when there is no such container.
    pub fn set_image(&mut self, container: &str, image: &str) -> bool {
        let Some(found) = self.container(container) else { return false };
        found.insert("image".to_owned(), Value::from(image));
        true
    }

    /// Sets a variable of a container of a workload; false when there is no such container.
    pub fn set_env(&mut self, container: &str, name: &str, value: &str) -> bool {
        let Some(found) = self.container(container) else { return false };
        let entry = serde_json::json!({ "name": name, "value": value });
        let list = found.entry("env").or_insert_with(|| Value::Array(Vec::new()));
        let Some(list) = list.as_array_mut() else { return false };
        match list.iter_mut().find(|variable| variable["name"] == name) {
            Some(variable) => *variable = entry,
            None => list.push(entry),
        }
        true
    }

    /// Adds an entry to a list of a container of a workload (`args`, `volumeMounts`), which is made where it is missing; false
    /// when there is no such container.
    pub fn append_to_container(&mut self, container: &str, list: &str, entry: Value) -> bool {
        let Some(found) = self.container(container) else { return false };
        let list = found.entry(list).or_insert_with(|| Value::Array(Vec::new()));
        list.as_array_mut().map(|list| list.push(entry)).is_some()
    }

    /// Adds an entry to a list, named by the keys on the way to it, which is made where it is missing; false when something
    /// else is in the way.
    pub fn append(&mut self, path: &[&str], entry: Value) -> bool {
        let Some((last, way)) = path.split_last() else { return false };
        let parent = way.iter().try_fold(&mut self.value, |here, key| here.get_mut(*key));
        let Some(parent) = parent.and_then(Value::as_object_mut) else { return false };
        let list = parent.entry(*last).or_insert_with(|| Value::Array(Vec::new()));
        list.as_array_mut().map(|list| list.push(entry)).is_some()
    }

    /// Sets a variable of a workload's first container; false when there is none.
    pub fn set_first_env(&mut self, name: &str, value: &str) -> bool {
        let first = self.value.pointer("/spec/template/spec/containers/0/name").and_then(Value::as_str).map(str::to_owned);
        first.is_some_and(|container| self.set_env(&container, name, value))
    }

    fn container(&mut self, name: &str) -> Option<&mut serde_json::Map<String, Value>> {
        self.value
            .pointer_mut("/spec/template/spec/containers")?
            .as_array_mut()?
            .iter_mut()
            .find(|container| container["name"] == name)?
            .as_object_mut()
    }

    fn tier(&self) -> Tier {
        let group = self.id.group();
        if !is_built_in(group) {
            return Tier::Custom;
        }
        match (group, self.id.kind.as_str()) {
            ("", "Namespace") | ("apiextensions.k8s.io", _) => Tier::Foundation,
            ("", "Pod" | "ReplicationController") | ("apps" | "batch" | "autoscaling" | "policy", _) => Tier::Workload,
            ("admissionregistration.k8s.io" | "apiregistration.k8s.io", _) => Tier::Hook,
            _ => Tier::Support,
        }
    }

    fn rank(&self) -> usize {
        match self.tier() {
            Tier::Foundation => usize::from(self.is_definition()),
            Tier::Support => SUPPORT_ORDER.iter().position(|kind| *kind == self.id.kind).unwrap_or(SUPPORT_ORDER.len()),
            Tier::Workload | Tier::Hook | Tier::Custom => 0,
        }
    }
}

impl TryFrom<Value> for Object {
    type Error = ManifestError;
    fn try_from(value: Value) -> Result<Self, ManifestError> {
        match shape(&value) {
            None => Self::new(value, 1),
            Some(found) => Err(ManifestError::NotAnObject { document: 1, found }),
        }
    }
}

impl fmt::Debug for Object {
    /// Without its content: an object may be a Secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Object").field(&self.id).finish()
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

// === impl ObjectId ===

impl ObjectId {
    /// API group; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

fn collect(document: Value, index: usize, objects: &mut Vec<Object>) -> Result<(), ManifestError> {
    if let Some(found) = shape(&document) {
        return Err(ManifestError::NotAnObject { document: index, found });
    }
    let is_list = document["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) && document["items"].is_array();
    if !is_list {
        objects.push(Object::new(document, index)?);
        return Ok(());
    }
    let Value::Object(mut list) = document else { return Ok(()) };
    if let Some(Value::Array(items)) = list.remove("items") {
        for item in items {
            collect(item, index, objects)?;
        }
    }
    Ok(())
}

/// What a value is when it is no map.
fn shape(value: &Value) -> Option<&'static str> {
    match value {
        Value::Object(_) => None,
        Value::Array(_) => Some("a list"),
        Value::Null => Some("empty"),
        Value::String(_) => Some("a text"),
        Value::Bool(_) | Value::Number(_) => Some("a plain value"),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
