//! The values that the charts are rendered with.

use serde_json::{Value, json};

/// Values for one chart, and what they are about.
pub struct Case {
    pub name: &'static str,
    pub chart: &'static str,
    pub release: &'static str,
    pub values: Value,
}

fn case(name: &'static str, chart: &'static str, release: &'static str, values: Value) -> Case {
    Case { name, chart, release, values }
}

/// All cases.
pub fn cases() -> Vec<Case> {
    let multi_primary = json!({
        "global": {
            "hub": "docker.io/istio", "tag": "1.31.1", "imagePullPolicy": "IfNotPresent", "meshID": "mesh1", "network": "network-cluster1",
            "multiCluster": { "clusterName": "cluster1" },
        },
    });
    vec![
        case("defaults", "base", "istio-base", json!({})),
        case("defaults", "istiod", "istiod", json!({})),
        case("defaults", "gateway", "istio-ingressgateway", json!({})),
        case("multi-primary", "istiod", "istiod", multi_primary),
    ]
}
