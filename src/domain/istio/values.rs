//! Values of the charts: ours, below those of the node images, below the user's.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::gateway::GatewayKind;
use super::operator::Operator;
use crate::domain::helm::overlay;
use crate::domain::mesh::spec::SYSTEM_NAMESPACE;
use crate::domain::suggest;

/// One cluster as a member of the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The cluster's id in the mesh: its name.
    pub cluster: String,
    /// Name of its network (`network-<cluster>`).
    pub network: String,
    /// Id of the mesh, the same in all clusters.
    pub mesh_id: String,
    /// Where the images come from (`docker.io/istio`), without a `/` at the end.
    pub hub: String,
    /// Tag of the images.
    pub tag: String,
    /// Whether it has an ingress gateway.
    pub ingress: bool,
    /// Whether it has an egress gateway.
    pub egress: bool,
}

/// Values, chart by chart.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartValues {
    /// For `base`.
    pub base: Value,
    /// For `istiod`.
    pub istiod: Value,
    /// For `gateway`, once per gateway of the member.
    pub gateways: BTreeMap<GatewayKind, Value>,
}

/// Values that cannot be used for a member of a mesh.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Istio values: {path}: {message}")]
pub struct ValuesError {
    /// Path of the value (`global.network`).
    pub path: String,
    /// What is wrong with it, and what to do.
    pub message: String,
}

/// Values of gateways in general, which the istiod chart reads; everything else under `gateways` is a gateway's name.
const GENERAL: [&str; 2] = ["securityContext", "seccompProfile"];

/// Top-level values that concern every chart.
const SHARED: [&str; 5] = ["global", "profile", "platform", "compatibilityVersion", "revision"];

/// Lays the user's values over each other: the operator file is the weakest, then the files in their
/// order, then those given inline.
pub fn user_values(operator: Option<&Operator>, files: &[Value], inline: &Value) -> Value {
    let mut values = operator.map_or_else(|| json!({}), |operator| operator.values().clone());
    for layer in files.iter().chain([inline]).filter(|layer| !layer.is_null()) {
        overlay(&mut values, &without_pilot(layer));
    }
    values
}

/// The charts take `pilot.x` for `x`, and prefer it. In layers that would let a weak one win, so it is settled in each.
fn without_pilot(layer: &Value) -> Value {
    let mut layer = layer.clone();
    // One within another is as good as one.
    while let Some(Value::Object(pilot)) = layer.as_object_mut().and_then(|layer| layer.remove("pilot")) {
        overlay(&mut layer, &Value::Object(pilot));
    }
    layer
}

/// The values of every chart for a member.
///
/// `knobs` are those of the images the member runs with (`null` for the official ones), `user` the
/// user's: both are values of the istiod chart, which the base chart reads too. A gateway's own stand
/// under `gateways.<its name>`; `global`, `profile`, `platform`, `compatibilityVersion` and `revision`
/// concern the gateways as well.
///
/// # Errors
/// [`ValuesError`] when the user's values give a cluster another identity than the mesh does, put the
/// control plane into another namespace, set values of a gateway that does not exist, or hold something else where
/// maps of such values have to be.
pub fn chart_values(member: &Member, knobs: &Value, user: &Value) -> Result<ChartValues, ValuesError> {
    check(member, &without_pilot(user))?;
    let mut chosen = json!({});
    for layer in [knobs, user].into_iter().filter(|layer| !layer.is_null()) {
        overlay(&mut chosen, &without_pilot(layer));
    }
    let mut values = ours(member);
    overlay(&mut values, &chosen);
    let mut own = take_gateways(&mut values)?;
    let shared = |chart: &mut Value| {
        for key in SHARED {
            if let Some(value) = values.get(key) {
                overlay_at(chart, key, value);
            }
        }
    };
    let mut gateways = BTreeMap::new();
    for kind in member.gateways() {
        let mut gateway = json!({});
        shared(&mut gateway);
        if let Some(own) = own.remove(kind.name()) {
            overlay(&mut gateway, &own);
        }
        gateways.insert(kind, gateway);
    }
    let profiles = ["/profile", "/global/profile", "/platform", "/global/platform", "/compatibilityVersion"];
    if profiles.iter().any(|pointer| chosen.pointer(pointer).is_some()) {
        // Profiles have some settings below `pilot`, which the charts prefer: there they would win over what was chosen.
        if let Some(chosen) = chosen.as_object_mut() {
            chosen.remove("gateways");
        }
        values["pilot"] = chosen;
    }
    let mut base = values.clone();
    if base.get("defaultRevision").is_none()
        && let Some(revision) = values["revision"].as_str().filter(|revision| !revision.is_empty())
    {
        // Else the default validator would ask a service that does not exist.
        base["defaultRevision"] = json!(revision);
    }
    Ok(ChartValues { base, istiod: values, gateways })
}

/// What makes a cluster a member, on a small machine.
fn ours(member: &Member) -> Value {
    let gateway = |kind: GatewayKind| {
        let mut values = json!({
            "name": kind.name(),
            // Without it a pod of image `auto` is pulled always, even when its image is on the node.
            "imagePullPolicy": "IfNotPresent",
            "autoscaling": { "enabled": false },
            "resources": { "requests": { "cpu": "10m", "memory": "40Mi" } },
        });
        if kind == GatewayKind::EastWest {
            values["networkGateway"] = json!(member.network);
        }
        (kind.name().to_owned(), values)
    };
    json!({
        "global": {
            "hub": member.hub,
            "tag": member.tag,
            "imagePullPolicy": "IfNotPresent",
            "meshID": member.mesh_id,
            "network": member.network,
            "multiCluster": { "clusterName": member.cluster },
            "proxy": {
                "resources": { "requests": { "cpu": "10m", "memory": "40Mi" } },
                // By default each 15 s, and the kubelet of a new node lets a random part of that pass before its first
                // look: a proxy that is ready would wait for it. What is ready stays so for as many failures as last
                // half a minute.
                "readinessPeriodSeconds": 1,
                "readinessFailureThreshold": 30,
            },
        },
        // Each proxy and gateway makes its key when it starts: an RSA key, which is the default, costs nearly half of all that
        // the agent does until the proxy is ready. The authority that signs it is on the same curve.
        "meshConfig": { "defaultConfig": { "proxyMetadata": { "ECC_SIGNATURE_ALGORITHM": "ECDSA" } } },
        // The charts ask for 500m and 2048Mi, which N clusters on one machine do not have.
        "resources": { "requests": { "cpu": "50m", "memory": "128Mi" } },
        // How long an istiod that starts waits for clusters that do not answer, before it serves its own; 30 s by
        // default. They are read as soon as they answer, all the same.
        "env": { "PILOT_REMOTE_CLUSTER_TIMEOUT": "5s" },
        // There is no metrics server to scale by.
        "autoscaleEnabled": false,
        "gateways": member.gateways().map(gateway).collect::<Map<_, _>>(),
    })
}

/// Refuses what would take a cluster out of the mesh: such values are the same for all clusters.
fn check(member: &Member, user: &Value) -> Result<(), ValuesError> {
    if user.is_null() {
        return Ok(());
    }
    if !user.is_object() {
        return Err(ValuesError { path: "(all)".to_owned(), message: "they have to be a map".to_owned() });
    }
    // Anything else, `null` too, would take away all that is ours below it.
    for path in ["global", "global.multiCluster"] {
        if user.pointer(&format!("/{}", path.replace('.', "/"))).is_some_and(|found| !found.is_object()) {
            return Err(no_map(path));
        }
    }
    let fixed = [
        ("global.multiCluster.clusterName", member.cluster.as_str(), "it is the cluster's name, another one in every cluster"),
        ("global.network", &member.network, "it is the cluster's network, another one in every cluster"),
        ("global.meshID", &member.mesh_id, "set the mesh's id instead"),
        ("global.istioNamespace", SYSTEM_NAMESPACE, "the control plane lives there"),
    ];
    for (path, expected, why) in fixed {
        let found = user.pointer(&format!("/{}", path.replace('.', "/")));
        if found.is_some_and(|found| found != expected) {
            let message = format!("must not be set to anything else than '{expected}' here: {why}");
            return Err(ValuesError { path: path.to_owned(), message });
        }
    }
    Ok(())
}

fn no_map(path: &str) -> ValuesError {
    ValuesError { path: path.to_owned(), message: "it has to be a map".to_owned() }
}

/// Takes the values of single gateways out.
fn take_gateways(values: &mut Value) -> Result<BTreeMap<String, Value>, ValuesError> {
    let mut taken = BTreeMap::new();
    let Some(all) = values.get_mut("gateways") else { return Ok(taken) };
    let all = all.as_object_mut().ok_or_else(|| no_map("gateways"))?;
    let names: Vec<String> = all.keys().filter(|name| !GENERAL.contains(&name.as_str())).cloned().collect();
    for name in names {
        let known = GatewayKind::ALL.map(GatewayKind::name);
        if !known.contains(&name.as_str()) {
            let hint =
                suggest::closest(&name, known).map_or_else(|| format!("there are {}", known.join(", ")), |near| format!("is it {near}?"));
            return Err(ValuesError { path: format!("gateways.{name}"), message: format!("no gateway of that name; {hint}") });
        }
        match all.remove(&name) {
            Some(own) if own.is_object() => drop(taken.insert(name, own)),
            _ => return Err(no_map(&format!("gateways.{name}"))),
        }
    }
    Ok(taken)
}

fn overlay_at(values: &mut Value, key: &str, value: &Value) {
    let mut layer = Map::new();
    layer.insert(key.to_owned(), value.clone());
    overlay(values, &Value::Object(layer));
}

// === impl Member ===

impl Member {
    /// Its gateways, the one to the other clusters first.
    pub fn gateways(&self) -> impl Iterator<Item = GatewayKind> {
        let optional = [(GatewayKind::Ingress, self.ingress), (GatewayKind::Egress, self.egress)];
        std::iter::once(GatewayKind::EastWest).chain(optional.into_iter().filter(|(_, wanted)| *wanted).map(|(kind, _)| kind))
    }
}
