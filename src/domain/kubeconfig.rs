//! kubeconfig documents: an entry out of a node's `admin.conf`, into and out of a user's file.
//!
//! Documents are kept as plain values, so that fields nobody here knows survive. They hold keys and
//! tokens: nothing of them appears in an error or in Debug but places and names.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::name::context_name;

/// Lists of a kubeconfig, each entry with a name, and the key of what an entry holds.
const LISTS: [(&str, &str); 3] = [("clusters", "cluster"), ("contexts", "context"), ("users", "user")];
const CURRENT: &str = "current-context";
/// List of what programs put into a kubeconfig for themselves.
const EXTENSIONS: &str = "extensions";

/// A kubeconfig document.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Kubeconfig {
    fields: Map<String, Value>,
}

/// What one cluster adds to a kubeconfig: cluster, user and context, all named `kind-<cluster>`.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterEntry {
    name: String,
    cluster: Map<String, Value>,
    user: Value,
}

/// A kubeconfig that cannot be used. Says where, never what is written there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubeconfigError {
    /// No YAML, or YAML with a key twice.
    #[error("line {line}, column {column}: this is no valid YAML")]
    Syntax {
        /// Line, counted from 1.
        line: u64,
        /// Column, counted from 1.
        column: u64,
    },
    /// YAML, but no kubeconfig.
    #[error("this is no kubeconfig: {what}")]
    Shape {
        /// What is wrong, in words.
        what: String,
    },
}

/// Address of an API server; an IPv6 address gets its brackets.
pub fn server_url(host: &str, port: u16) -> String {
    match host.contains(':') && !host.starts_with('[') {
        true => format!("https://[{host}]:{port}"),
        false => format!("https://{host}:{port}"),
    }
}

// === impl Kubeconfig ===

impl Kubeconfig {
    /// Reads a file's text; an empty one is an empty kubeconfig.
    ///
    /// # Errors
    /// [`KubeconfigError`] when it is no YAML or not shaped like a kubeconfig.
    pub fn parse(text: &str) -> Result<Self, KubeconfigError> {
        let options = serde_saphyr::options! {
            // A snippet of the text would show keys and tokens.
            with_snippet: false,
            // What looks like a number or a switch in some dialect is a password to somebody.
            strict_booleans: true,
            leading_zero_numbers_as_strings: true,
            underscored_numbers_as_strings: true,
            non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::AsString,
        };
        let value: Option<Value> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
            KubeconfigError::Syntax { line, column }
        })?;
        let fields = match value {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(fields)) => fields,
            Some(_) => return Err(shape("the document is no mapping")),
        };
        for (list, content) in LISTS {
            let entries = match fields.get(list) {
                None | Some(Value::Null) => continue,
                Some(Value::Array(entries)) => entries,
                Some(_) => return Err(shape(&format!("'{list}' is no list"))),
            };
            for (index, entry) in entries.iter().enumerate() {
                if entry.get("name").and_then(Value::as_str).is_none() {
                    return Err(shape(&format!("entry {} of '{list}' has no name", index + 1)));
                }
                if !matches!(entry.get(content), None | Some(Value::Null | Value::Object(_))) {
                    return Err(shape(&format!("'{content}' of entry {} of '{list}' is no mapping", index + 1)));
                }
            }
        }
        Ok(Self { fields })
    }

    /// The text of a file, keys sorted; empty when nothing is left.
    pub fn to_yaml(&self) -> String {
        if self.fields.is_empty() {
            return String::new();
        }
        // Values that came out of YAML go back into it, so that nothing can fail here.
        serde_saphyr::to_string(&self.fields).unwrap_or_default()
    }

    /// Puts a cluster's entries in place of those of the same name, or behind the others. When that
    /// changes anything and `current` is set, or when no context is current, its context becomes the
    /// current one: an entry that was there just so does not take a user's choice away. Returns
    /// whether anything changed.
    pub fn upsert(&mut self, entry: &ClusterEntry, current: bool) -> bool {
        let before = self.clone();
        self.fields.entry("apiVersion").or_insert_with(|| json!("v1"));
        self.fields.entry("kind").or_insert_with(|| json!("Config"));
        for ((list, content), value) in LISTS.into_iter().zip(entry.values()) {
            self.put(list, json!({"name": entry.name, content: value}));
        }
        if self.current_context().is_none() || (current && *self != before) {
            self.fields.insert(CURRENT.to_owned(), json!(entry.name));
        }
        *self != before
    }

    /// Takes a cluster's entries out; nothing is current any more if its context was. Returns whether
    /// anything changed.
    pub fn remove(&mut self, cluster: &str) -> bool {
        let before = self.clone();
        let name = context_name(cluster);
        for (list, _) in LISTS {
            if let Some(Value::Array(entries)) = self.fields.get_mut(list) {
                entries.retain(|entry| !is_named(entry, &name));
            }
        }
        if self.current_context() == Some(&name) {
            self.fields.insert(CURRENT.to_owned(), json!(""));
        }
        *self != before
    }

    /// Whether any entry of a cluster is there.
    pub fn has(&self, cluster: &str) -> bool {
        let name = context_name(cluster);
        LISTS.iter().any(|(list, _)| self.entries(list).iter().any(|entry| is_named(entry, &name)))
    }

    /// Name of the current context; `None` when there is none.
    pub fn current_context(&self) -> Option<&str> {
        self.fields.get(CURRENT).and_then(Value::as_str).filter(|name| !name.is_empty())
    }

    /// Names of all contexts, in order.
    pub fn contexts(&self) -> Vec<&str> {
        self.entries("contexts").iter().filter_map(|entry| entry["name"].as_str()).collect()
    }

    /// Writes something of one's own into the document, where its format has a place for that
    /// (`extensions`): other programs keep it and do not read it.
    pub fn set_extension(&mut self, name: &str, value: Value) {
        self.put(EXTENSIONS, json!({"name": name, "extension": value}));
    }

    /// What [`Kubeconfig::set_extension`] wrote.
    pub fn extension(&self, name: &str) -> Option<&Value> {
        self.entries(EXTENSIONS).iter().find(|entry| is_named(entry, name))?.get("extension")
    }

    fn entries(&self, list: &str) -> &[Value] {
        self.fields.get(list).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Puts an entry where the one of its name is, or behind the others.
    fn put(&mut self, list: &str, entry: Value) {
        let mut entries = match self.fields.remove(list) {
            Some(Value::Array(entries)) => entries,
            _ => Vec::new(),
        };
        match entries.iter_mut().find(|old| old["name"] == entry["name"]) {
            Some(old) => *old = entry,
            None => entries.push(entry),
        }
        self.fields.insert(list.to_owned(), Value::Array(entries));
    }
}

impl fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kubeconfig").field("contexts", &self.contexts()).finish_non_exhaustive()
    }
}

// === impl ClusterEntry ===

impl ClusterEntry {
    /// Takes the one cluster and user out of a control plane's `admin.conf` and gives them kind's
    /// names. The server stays what it is there: the control plane's name, which works for whoever is
    /// on the same network.
    ///
    /// # Errors
    /// [`KubeconfigError`] when the text is no kubeconfig of exactly one cluster, user and context.
    pub fn from_admin_conf(text: &str, cluster: &str) -> Result<Self, KubeconfigError> {
        let document = Kubeconfig::parse(text)?;
        let only = |list: &str, content: &str| match document.entries(list) {
            [entry] => entry.get(content).cloned().ok_or_else(|| shape(&format!("its {content} is empty"))),
            entries => Err(shape(&format!("it has {} {list} where one is expected", entries.len()))),
        };
        only("contexts", "context")?;
        let Value::Object(fields) = only("clusters", "cluster")? else { return Err(shape("its cluster is empty")) };
        Ok(Self { name: context_name(cluster), cluster: fields, user: only("users", "user")? })
    }

    /// An entry for a server and whoever holds a token; `ca` is the server's certificate authority, PEM.
    pub fn with_token(cluster: &str, server: &str, ca: &str, token: &str) -> Self {
        let fields = json!({"server": server, "certificate-authority-data": STANDARD.encode(ca)});
        let cluster_fields = fields.as_object().cloned().unwrap_or_default();
        Self { name: context_name(cluster), cluster: cluster_fields, user: json!({"token": token}) }
    }

    /// The same with another address of the API server, such as [`server_url`] makes.
    #[must_use]
    pub fn with_server(mut self, url: &str) -> Self {
        self.cluster.insert("server".to_owned(), json!(url));
        self
    }

    /// Address of the API server.
    pub fn server(&self) -> Option<&str> {
        self.cluster.get("server").and_then(Value::as_str)
    }

    /// Name of cluster, user and context.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A kubeconfig with this entry alone.
    pub fn to_kubeconfig(&self) -> Kubeconfig {
        let mut document = Kubeconfig::default();
        document.upsert(self, true);
        document
    }

    /// What the entries hold, in the order of [`LISTS`].
    fn values(&self) -> [Value; 3] {
        [Value::Object(self.cluster.clone()), json!({"cluster": self.name, "user": self.name}), self.user.clone()]
    }
}

impl fmt::Debug for ClusterEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterEntry").field("name", &self.name).field("server", &self.server()).finish_non_exhaustive()
    }
}

fn is_named(entry: &Value, name: &str) -> bool {
    entry.get("name").and_then(Value::as_str) == Some(name)
}

fn shape(what: &str) -> KubeconfigError {
    KubeconfigError::Shape { what: what.to_owned() }
}

#[cfg(test)]
mod tests;
