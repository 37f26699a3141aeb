//! `k8s` settings that the control plane and the gateways have in common.

use serde_json::{Map, Value, json};

use super::tree::Field;
use super::{Result, nested};
use crate::domain::helm::overlay;

/// What a component's `env` comes to: plain values by name, and whole entries for the rest.
pub(super) struct Env {
    /// `NAME: value`.
    pub(super) values: Map<String, Value>,
    /// Entries with a `valueFrom`.
    pub(super) from: Vec<Value>,
}

/// Scaling of a component.
#[derive(Default)]
pub(super) struct Scaling {
    pub(super) min: Option<u64>,
    pub(super) max: Option<u64>,
    pub(super) cpu: Option<u64>,
    pub(super) memory: Option<u64>,
    pub(super) behavior: Option<Value>,
}

/// Puts a value under a path.
pub(super) fn put(values: &mut Value, path: &[&str], value: Value) {
    overlay(values, &nested(path, value));
}

/// A map as it is.
pub(super) fn map(field: &Field<'_>) -> Result<Value> {
    field.entries().map(|_| field.json())
}

/// A list as it is.
pub(super) fn list(field: &Field<'_>) -> Result<Value> {
    field.items().map(|_| field.json())
}

/// A map of texts; numbers and booleans become texts, as Kubernetes wants them.
pub(super) fn texts(field: &Field<'_>) -> Result<Map<String, Value>> {
    field.entries()?.iter().map(|entry| Ok((entry.name().to_owned(), json!(entry.scalar_text()?)))).collect()
}

/// A list of variables.
pub(super) fn env(field: &Field<'_>) -> Result<Env> {
    let mut env = Env { values: Map::new(), from: Vec::new() };
    for variable in field.items()? {
        let name = variable.get("name").ok_or_else(|| variable.fault("has no name"))?.text()?;
        match (variable.get("value"), variable.get("valueFrom")) {
            (_, Some(_)) => env.from.push(map(&variable)?),
            (Some(value), None) => drop(env.values.insert(name, json!(value.scalar_text()?))),
            (None, None) => drop(env.values.insert(name, json!(""))),
        }
    }
    Ok(env)
}

/// `hpaSpec`.
pub(super) fn scaling(field: &Field<'_>) -> Result<Scaling> {
    let mut scaling = Scaling::default();
    for setting in field.entries()? {
        match setting.name() {
            "minReplicas" => scaling.min = Some(setting.count()?),
            "maxReplicas" => scaling.max = Some(setting.count()?),
            "behavior" => scaling.behavior = Some(map(&setting)?),
            // The chart scales its own workload.
            "scaleTargetRef" => {}
            "metrics" => {
                for metric in setting.items()? {
                    let (resource, percent) = utilization(&metric)?;
                    match resource.as_str() {
                        "cpu" => scaling.cpu = Some(percent),
                        _ => scaling.memory = Some(percent),
                    }
                }
            }
            _ => return Err(setting.unknown(&["minReplicas", "maxReplicas", "metrics", "behavior", "scaleTargetRef"])),
        }
    }
    Ok(scaling)
}

/// A metric, in the form of `autoscaling/v2` or that of `v2beta1`: the charts scale by the use of processors and memory.
fn utilization(metric: &Field<'_>) -> Result<(String, u64)> {
    let only = || metric.fault("is not supported; the charts scale by the average utilization of cpu or memory");
    let resource = metric.get("resource").ok_or_else(only)?;
    let name = resource.get("name").ok_or_else(only)?.text()?;
    let target = resource.get("target").and_then(|target| target.get("averageUtilization"));
    let percent = target.or_else(|| resource.get("targetAverageUtilization")).ok_or_else(only)?;
    match name.as_str() {
        "cpu" | "memory" => Ok((name, percent.count()?)),
        _ => Err(only()),
    }
}
