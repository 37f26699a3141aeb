//! The control plane's component.

use serde_json::{Value, json};

use super::settings::{env, list, map, put, scaling, texts};
use super::tree::Field;
use super::{Result, at_home};

/// Settings under `k8s` that the istiod chart has values for.
const SETTINGS: [&str; 16] = [
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
    "serviceAnnotations",
    "strategy",
    "tolerations",
    "topologySpreadConstraints",
    "volumeMounts",
    "volumes",
];

/// Values of the istiod chart for the component.
pub(super) fn values(component: &Field<'_>) -> Result<Value> {
    let mut values = json!({});
    for field in component.entries()? {
        match field.name() {
            "enabled" if !field.flag()? => return Err(field.fault("cannot be false: every cluster has its control plane")),
            "enabled" => {}
            "namespace" => at_home(&field)?,
            "hub" => put(&mut values, &["hub"], json!(field.text()?)),
            "tag" => put(&mut values, &["tag"], json!(field.scalar_text()?)),
            "k8s" => {
                for setting in field.entries()? {
                    apply(&mut values, &setting)?;
                }
            }
            _ => return Err(field.unknown(&["enabled", "namespace", "hub", "tag", "k8s"])),
        }
    }
    Ok(values)
}

fn apply(values: &mut Value, setting: &Field<'_>) -> Result<()> {
    match setting.name() {
        "resources" | "affinity" | "nodeSelector" => put(values, &[setting.name()], map(setting)?),
        "tolerations" | "topologySpreadConstraints" | "volumes" | "volumeMounts" => put(values, &[setting.name()], list(setting)?),
        "podAnnotations" | "serviceAnnotations" => put(values, &[setting.name()], Value::Object(texts(setting)?)),
        "replicaCount" => put(values, &["replicaCount"], json!(setting.count()?)),
        "priorityClassName" => put(values, &["global", "priorityClassName"], json!(setting.text()?)),
        "imagePullPolicy" => put(values, &["global", "imagePullPolicy"], json!(setting.text()?)),
        "podDisruptionBudget" => put(values, &["pdb"], map(setting)?),
        "env" => {
            let env = env(setting)?;
            put(values, &["env"], Value::Object(env.values));
            if !env.from.is_empty() {
                put(values, &["envVarFrom"], json!(env.from));
            }
        }
        "hpaSpec" => {
            let scaling = scaling(setting)?;
            put(values, &["autoscaleEnabled"], json!(true));
            let numbers = [
                (&["autoscaleMin"][..], scaling.min),
                (&["autoscaleMax"], scaling.max),
                (&["cpu", "targetAverageUtilization"], scaling.cpu),
                (&["memory", "targetAverageUtilization"], scaling.memory),
            ];
            for (path, number) in numbers {
                if let Some(number) = number {
                    put(values, path, json!(number));
                }
            }
            if let Some(behavior) = scaling.behavior {
                put(values, &["autoscaleBehavior"], behavior);
            }
        }
        "strategy" => {
            for part in setting.entries()? {
                match part.name() {
                    "type" if part.text()? == "RollingUpdate" => {}
                    "rollingUpdate" => rolling(values, &part)?,
                    _ => {
                        return Err(
                            part.fault("is not supported; the istiod chart has rollingUpdate.maxSurge and rollingUpdate.maxUnavailable")
                        );
                    }
                }
            }
        }
        _ => return Err(setting.unknown(&SETTINGS)),
    }
    Ok(())
}

fn rolling(values: &mut Value, update: &Field<'_>) -> Result<()> {
    for part in update.entries()? {
        match part.name() {
            "maxSurge" => put(values, &["rollingMaxSurge"], part.json()),
            "maxUnavailable" => put(values, &["rollingMaxUnavailable"], part.json()),
            _ => return Err(part.unknown(&["maxSurge", "maxUnavailable"])),
        }
    }
    Ok(())
}
