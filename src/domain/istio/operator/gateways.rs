//! Gateways as components, and as the values that istioctl's own gateway charts have.

use serde_json::{Map, Value, json};

use super::super::gateway::GatewayKind;
use super::super::objects::NETWORK_LABEL;
use super::settings::{env, list, map, put, scaling, texts};
use super::tree::Field;
use super::{Result, at_home};

/// A gateway's component, translated.
pub(super) struct Component {
    /// Values of the gateway chart.
    pub(super) values: Value,
    /// Whether it is switched on or off.
    pub(super) enabled: Option<bool>,
    /// What was passed over.
    pub(super) ignored: Vec<String>,
}

/// Settings under `k8s` that the gateway chart has values for.
const SETTINGS: [&str; 17] = [
    "affinity",
    "env",
    "hpaSpec",
    "imagePullPolicy",
    "nodeSelector",
    "podAnnotations",
    "podDisruptionBudget",
    "priorityClassName",
    "replicaCount",
    "resources",
    "securityContext",
    "service",
    "serviceAnnotations",
    "strategy",
    "tolerations",
    "volumeMounts",
    "volumes",
];

/// Fields of a service that the gateway chart has values for.
const SERVICE: [&str; 10] = [
    "type",
    "ports",
    "loadBalancerIP",
    "loadBalancerClass",
    "loadBalancerSourceRanges",
    "allocateLoadBalancerNodePorts",
    "externalTrafficPolicy",
    "externalIPs",
    "ipFamilyPolicy",
    "ipFamilies",
];

/// Variable by which an east-west gateway is told its network; the chart sets it.
const NETWORK_VIEW: &str = "ISTIO_META_REQUESTED_NETWORK_VIEW";

/// Translates a gateway's component.
pub(super) fn component(kind: GatewayKind, gateway: &Field<'_>) -> Result<Component> {
    let mut component = Component { values: json!({}), enabled: None, ignored: Vec::new() };
    for field in gateway.entries()? {
        match field.name() {
            "name" => {}
            "enabled" => component.enabled = Some(field.flag()?),
            "namespace" => at_home(&field)?,
            "label" => labels(kind, &field, &mut component)?,
            "k8s" => {
                for setting in field.entries()? {
                    apply(kind, &setting, &mut component)?;
                }
            }
            _ => return Err(field.unknown(&["name", "enabled", "namespace", "label", "k8s"])),
        }
    }
    Ok(component)
}

fn labels(kind: GatewayKind, field: &Field<'_>, component: &mut Component) -> Result<()> {
    for label in field.entries()? {
        match label.name() {
            NETWORK_LABEL => component.ignored.push(label.path().to_owned()),
            "istio" if kind == GatewayKind::EastWest && label.text()? != kind.selector() => {
                return Err(label.fault(format!("has to be {}: the mesh finds the gateway by it", kind.selector())));
            }
            name => put(&mut component.values, &["labels", name], json!(label.scalar_text()?)),
        }
    }
    Ok(())
}

fn apply(kind: GatewayKind, setting: &Field<'_>, component: &mut Component) -> Result<()> {
    let values = &mut component.values;
    match setting.name() {
        "resources" | "affinity" | "nodeSelector" | "podDisruptionBudget" | "strategy" | "securityContext" => {
            put(values, &[setting.name()], map(setting)?);
        }
        "tolerations" | "volumes" | "volumeMounts" => put(values, &[setting.name()], list(setting)?),
        "podAnnotations" => put(values, &["podAnnotations"], Value::Object(texts(setting)?)),
        "serviceAnnotations" => put(values, &["service", "annotations"], Value::Object(texts(setting)?)),
        "replicaCount" => put(values, &["replicaCount"], json!(setting.count()?)),
        "priorityClassName" | "imagePullPolicy" => put(values, &[setting.name()], json!(setting.text()?)),
        "service" => service(kind, setting, values)?,
        "env" => {
            let mut env = env(setting)?;
            if env.values.remove(NETWORK_VIEW).is_some() {
                component.ignored.push(format!("{} ({NETWORK_VIEW})", setting.path()));
            }
            put(values, &["env"], Value::Object(env.values));
            if !env.from.is_empty() {
                put(values, &["envVarFrom"], json!(env.from));
            }
        }
        "hpaSpec" => {
            let scaling = scaling(setting)?;
            put(values, &["autoscaling", "enabled"], json!(true));
            let numbers = [
                ("minReplicas", scaling.min),
                ("maxReplicas", scaling.max),
                ("targetCPUUtilizationPercentage", scaling.cpu),
                ("targetMemoryUtilizationPercentage", scaling.memory),
            ];
            for (name, number) in numbers {
                if let Some(number) = number {
                    put(values, &["autoscaling", name], json!(number));
                }
            }
            if let Some(behavior) = scaling.behavior {
                put(values, &["autoscaling", "autoscaleBehavior"], behavior);
            }
        }
        _ => return Err(setting.unknown(&SETTINGS)),
    }
    Ok(())
}

fn service(kind: GatewayKind, service: &Field<'_>, values: &mut Value) -> Result<()> {
    for field in service.entries()? {
        match field.name() {
            "ports" if kind == GatewayKind::EastWest => put(values, &["networkGatewayPorts"], network_ports(&field)?),
            "ports" => put(values, &["service", "ports"], list(&field)?),
            name if SERVICE.contains(&name) => put(values, &["service", name], field.json()),
            _ => return Err(field.unknown(&SERVICE)),
        }
    }
    Ok(())
}

/// The chart gives an east-west gateway four ports of fixed names, and lets their numbers be set.
fn network_ports(ports: &Field<'_>) -> Result<Value> {
    let known = ["status-port", "tls", "tls-istiod", "tls-webhook"];
    let mut named = Map::new();
    for port in ports.items()? {
        let name = port.get("name").ok_or_else(|| port.fault("has no name"))?.text()?;
        if !known.contains(&name.as_str()) {
            return Err(port.fault(format!("port '{name}' is not supported; an east-west gateway has {}", known.join(", "))));
        }
        let mut numbers = Map::new();
        for field in port.entries()? {
            match field.name() {
                "name" => {}
                "port" | "targetPort" => drop(numbers.insert(field.name().to_owned(), json!(field.count()?))),
                "protocol" => drop(numbers.insert("protocol".to_owned(), json!(field.text()?))),
                _ => return Err(field.unknown(&["name", "port", "targetPort", "protocol"])),
            }
        }
        named.insert(name, Value::Object(numbers));
    }
    Ok(Value::Object(named))
}

/// `values.gateways.<name>`, in the words of istioctl's gateway charts.
pub(super) fn legacy_values(kind: GatewayKind, gateway: &Field<'_>) -> Result<Value> {
    let mut values = json!({});
    for field in gateway.entries()? {
        match field.name() {
            // The gateway chart injects its pods from that template always.
            "injectionTemplate" if field.text()? == "gateway" => {}
            "name" if field.text()? == kind.name() => {}
            "autoscaleEnabled" => put(&mut values, &["autoscaling", "enabled"], json!(field.flag()?)),
            "autoscaleMin" => put(&mut values, &["autoscaling", "minReplicas"], json!(field.count()?)),
            "autoscaleMax" => put(&mut values, &["autoscaling", "maxReplicas"], json!(field.count()?)),
            "type" | "loadBalancerIP" | "externalTrafficPolicy" => put(&mut values, &["service", field.name()], json!(field.text()?)),
            "ports" if kind == GatewayKind::EastWest => put(&mut values, &["networkGatewayPorts"], network_ports(&field)?),
            "ports" | "loadBalancerSourceRanges" | "externalIPs" => put(&mut values, &["service", field.name()], list(&field)?),
            "serviceAnnotations" => put(&mut values, &["service", "annotations"], Value::Object(texts(&field)?)),
            "podAnnotations" | "labels" | "env" => put(&mut values, &[field.name()], Value::Object(texts(&field)?)),
            "resources" | "nodeSelector" | "affinity" => put(&mut values, &[field.name()], map(&field)?),
            "tolerations" => put(&mut values, &["tolerations"], list(&field)?),
            "replicaCount" => put(&mut values, &["replicaCount"], json!(field.count()?)),
            // Words of the gateway chart itself.
            "service" | "autoscaling" => put(&mut values, &[field.name()], map(&field)?),
            _ => return Err(field.fault("is not supported; set it under components, in k8s of this gateway")),
        }
    }
    Ok(values)
}
