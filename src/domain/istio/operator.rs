//! `IstioOperator` files, as istioctl reads them, translated into values of the charts.

use serde_json::{Map, Value, json};

use super::gateway::GatewayKind;
use crate::domain::helm::overlay;
use crate::domain::mesh::spec::SYSTEM_NAMESPACE;

mod gateways;
mod pilot;
mod settings;
mod tree;

use tree::Field;

/// `apiVersion` of such a file.
const API_VERSION: &str = "install.istio.io/v1alpha1";
/// `kind` of such a file.
const KIND: &str = "IstioOperator";
/// Profiles that stand in the charts; `default` and `empty` change nothing there.
const CHART_PROFILES: [&str; 3] = ["demo", "preview", "stable"];

/// What an `IstioOperator` file asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Operator {
    values: Value,
    ingress: Option<bool>,
    egress: Option<bool>,
    ignored: Vec<String>,
}

/// A field of an `IstioOperator` file that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {path}: {message}")]
pub struct OperatorError {
    /// The file, as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// Path of the field (`spec.components.pilot.k8s.overlays`).
    pub path: String,
    /// What is wrong with it, and what to do instead.
    pub message: String,
}

/// A fault at a field, before the file has a name.
#[derive(Debug)]
struct Fault {
    at: (u64, u64),
    path: String,
    message: String,
}

type Result<T> = std::result::Result<T, Fault>;

// === impl Operator ===

impl Operator {
    /// Reads a file of one `IstioOperator` or several, of which a later one has the last word; `file` is its name for
    /// messages.
    ///
    /// Followed are `hub`, `tag`, `profile`, `revision`, `compatibilityVersion`, `meshConfig`, `values`,
    /// `unvalidatedValues` and of `components` `base`, `pilot`, `ingressGateways` and `egressGateways` with the common
    /// of their `k8s` settings. What the mesh itself decides, cluster by cluster, is passed over: see
    /// [`Operator::ignored`].
    ///
    /// # Errors
    /// [`OperatorError`] with the place and path of the first field that cannot be followed.
    pub fn parse(text: &str, file: &str) -> std::result::Result<Self, OperatorError> {
        let fail = |fault: Fault| OperatorError {
            file: file.to_owned(),
            line: fault.at.0,
            column: fault.at.1,
            path: fault.path,
            message: fault.message,
        };
        let documents = tree::read(text).map_err(fail)?;
        let mut operator = Self { values: json!({}), ..Self::default() };
        for document in &documents {
            operator.document(&Field::root(document)).map_err(fail)?;
        }
        Ok(operator)
    }

    /// Its values, as [`user_values`](super::user_values) takes them.
    pub fn values(&self) -> &Value {
        &self.values
    }

    /// Whether it switches the ingress gateway on or off.
    pub fn ingress(&self) -> Option<bool> {
        self.ingress
    }

    /// Whether it switches the egress gateway on or off.
    pub fn egress(&self) -> Option<bool> {
        self.egress
    }

    /// Paths of fields that were passed over, because the mesh decides them for every cluster.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    fn document(&mut self, document: &Field<'_>) -> Result<()> {
        for field in document.entries()? {
            match field.name() {
                "apiVersion" if field.text()? != API_VERSION => return Err(field.fault(format!("has to be {API_VERSION}"))),
                "kind" if field.text()? != KIND => return Err(field.fault(format!("has to be {KIND}"))),
                // Neither name nor namespace of the file's own object matter: it is never applied.
                "apiVersion" | "kind" | "metadata" => {}
                "spec" => self.spec(&field)?,
                _ => return Err(field.unknown(&["apiVersion", "kind", "metadata", "spec"])),
            }
        }
        for name in ["apiVersion", "kind"] {
            if document.get(name).is_none() {
                return Err(document.fault(format!("has no {name}; an {KIND} begins with `apiVersion: {API_VERSION}` and `kind: {KIND}`")));
            }
        }
        Ok(())
    }

    fn spec(&mut self, spec: &Field<'_>) -> Result<()> {
        // The order is that of strength: components over the mesh configuration over values.
        for name in ["values", "unvalidatedValues"] {
            if let Some(field) = spec.get(name).filter(|field| !field.is_null()) {
                self.plain_values(&field)?;
            }
        }
        for field in spec.entries()? {
            match field.name() {
                "values" | "unvalidatedValues" | "components" => {}
                "hub" => self.set(&["global", "hub"], json!(field.text()?)),
                "tag" => self.set(&["global", "tag"], json!(field.scalar_text()?)),
                "profile" => self.profile(&field)?,
                "revision" => self.set(&["revision"], json!(field.text()?)),
                "compatibilityVersion" => self.set(&["compatibilityVersion"], json!(field.scalar_text()?)),
                "meshConfig" => {
                    field.entries()?;
                    self.set(&["meshConfig"], field.json());
                }
                "namespace" => at_home(&field)?,
                "installPackagePath" => return Err(field.fault("is not supported; name the charts' folder in the mesh's settings")),
                _ => {
                    return Err(field.unknown(&[
                        "profile",
                        "hub",
                        "tag",
                        "namespace",
                        "revision",
                        "compatibilityVersion",
                        "meshConfig",
                        "components",
                        "values",
                        "unvalidatedValues",
                    ]));
                }
            }
        }
        spec.get("components").map_or(Ok(()), |components| self.components(&components))
    }

    /// `spec.values`: those of the charts, except where istioctl's gateways have other names for things.
    fn plain_values(&mut self, values: &Field<'_>) -> Result<()> {
        let mut plain = values.json();
        values.entries()?;
        if let Some(gateways) = values.get("gateways").filter(|gateways| !gateways.is_null()) {
            for gateway in gateways.entries()? {
                let Some(kind) = GatewayKind::ALL.into_iter().find(|kind| kind.name() == gateway.name()) else { continue };
                let translated = gateways::legacy_values(kind, &gateway)?;
                self.gateway(kind, translated);
                if let Some(all) = plain["gateways"].as_object_mut() {
                    all.remove(kind.name());
                }
            }
        }
        for path in ["global.multiCluster.clusterName", "global.network"] {
            if take(&mut plain, path) {
                self.ignored.push(format!("{}.{path}", values.path()));
            }
        }
        overlay(&mut self.values, &plain);
        Ok(())
    }

    fn profile(&mut self, field: &Field<'_>) -> Result<()> {
        let profile = field.text()?;
        match profile.as_str() {
            "default" | "empty" | "" => {}
            "minimal" => self.ingress = Some(false),
            known if CHART_PROFILES.contains(&known) => {
                self.set(&["profile"], json!(profile));
                if profile == "demo" {
                    self.egress = Some(true);
                }
            }
            _ => {
                return Err(
                    field.fault(format!("'{profile}' is not supported; use default, minimal, empty or {}", CHART_PROFILES.join(", ")))
                );
            }
        }
        Ok(())
    }

    fn components(&mut self, components: &Field<'_>) -> Result<()> {
        for component in components.entries()? {
            match component.name() {
                _ if component.is_null() => {}
                "base" => must_be_on(&component, &["enabled"])?,
                "pilot" => {
                    let values = pilot::values(&component)?;
                    overlay(&mut self.values, &values);
                }
                "cni" | "ztunnel" | "istiodRemote" => {
                    if component.get("enabled").is_some_and(|enabled| enabled.flag().unwrap_or(true)) {
                        return Err(component.fault("is not supported: the mesh is one of sidecars, with a control plane in every cluster"));
                    }
                }
                "ingressGateways" => self.gateways(&component, &[GatewayKind::Ingress, GatewayKind::EastWest])?,
                "egressGateways" => self.gateways(&component, &[GatewayKind::Egress])?,
                _ => {
                    return Err(component.unknown(&[
                        "base",
                        "pilot",
                        "cni",
                        "ztunnel",
                        "istiodRemote",
                        "ingressGateways",
                        "egressGateways",
                    ]));
                }
            }
        }
        Ok(())
    }

    fn gateways(&mut self, list: &Field<'_>, kinds: &[GatewayKind]) -> Result<()> {
        for gateway in list.items()? {
            let default = kinds.first().map_or("", |kind| kind.name()).to_owned();
            let name = gateway.get("name").map_or(Ok(default), |name| name.text())?;
            let Some(kind) = kinds.iter().copied().find(|kind| kind.name() == name) else {
                let known: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
                return Err(gateway.fault(format!("gateway '{name}' is not supported; a cluster has {}", known.join(" and "))));
            };
            let component = gateways::component(kind, &gateway)?;
            match (kind, component.enabled) {
                (GatewayKind::EastWest, Some(false)) => {
                    return Err(gateway.fault("cannot be switched off: the other clusters come in through it"));
                }
                (GatewayKind::Ingress, Some(enabled)) => self.ingress = Some(enabled),
                (GatewayKind::Egress, Some(enabled)) => self.egress = Some(enabled),
                _ => {}
            }
            self.ignored.extend(component.ignored);
            self.gateway(kind, component.values);
        }
        Ok(())
    }

    fn gateway(&mut self, kind: GatewayKind, values: Value) {
        if values.as_object().is_some_and(|values| !values.is_empty()) {
            self.set(&["gateways", kind.name()], values);
        }
    }

    fn set(&mut self, path: &[&str], value: Value) {
        overlay(&mut self.values, &nested(path, value));
    }
}

/// A value as the only one in maps of maps.
fn nested(path: &[&str], value: Value) -> Value {
    path.iter().rev().fold(value, |value, key| {
        let mut map = Map::new();
        map.insert((*key).to_owned(), value);
        Value::Object(map)
    })
}

/// Takes a value out by its path; whether there was one.
fn take(values: &mut Value, path: &str) -> bool {
    let (parents, key) = path.rsplit_once('.').unwrap_or(("", path));
    let parent = parents.split('.').try_fold(values, |value, key| value.get_mut(key));
    parent.and_then(Value::as_object_mut).is_some_and(|parent| parent.remove(key).is_some())
}

fn at_home(field: &Field<'_>) -> Result<()> {
    match field.text()?.as_str() {
        SYSTEM_NAMESPACE | "" => Ok(()),
        _ => Err(field.fault(format!("has to be {SYSTEM_NAMESPACE}: control plane and gateways live there"))),
    }
}

/// A component that the mesh cannot do without.
fn must_be_on(component: &Field<'_>, known: &[&str]) -> Result<()> {
    for field in component.entries()? {
        match field.name() {
            "enabled" if !field.flag()? => return Err(field.fault("cannot be false: the mesh rests on it")),
            "enabled" => {}
            _ => return Err(field.unknown(known)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
