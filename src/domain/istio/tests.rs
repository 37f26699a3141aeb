//! Values and expectations. What the real charts make of them is tested in `tests/charts`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::domain::helm::Chart;

fn member() -> Member {
    Member {
        cluster: "east".into(),
        network: "network-east".into(),
        mesh_id: "mesh1".into(),
        hub: "docker.io/istio".into(),
        tag: "1.31.1".into(),
        ingress: true,
        egress: false,
    }
}

/// A chart that renders to objects of these kinds and names.
fn chart(name: &str, objects: &[(&str, &str)]) -> Chart {
    let text: String = objects
        .iter()
        .map(|(kind, name)| {
            let group = if *kind == "CustomResourceDefinition" { "apiextensions.k8s.io/v1" } else { "v1" };
            format!("---\napiVersion: {group}\nkind: {kind}\nmetadata: {{name: {name}}}\n")
        })
        .collect();
    let files = [("Chart.yaml", format!("name: {name}\nversion: 1.31.1\n")), ("templates/all.yaml", text)];
    Chart::from_files(files.into_iter().map(|(path, text)| (path.to_owned(), text.into_bytes())).collect::<BTreeMap<_, _>>()).unwrap()
}

#[test]
fn values_are_layered() {
    let knobs =
        json!({ "telemetry": { "enabled": false }, "env": { "A": "knob", "B": "knob" }, "global": { "hub": "docker.io/kindmesh/istio" } });
    let user = json!({
        "env": { "B": "user" }, "resources": { "requests": { "cpu": "1" } }, "profile": "demo",
        "meshConfig": { "defaultConfig": { "proxyMetadata": { "C": "user" } } },
        "gateways": { "seccompProfile": { "type": "RuntimeDefault" }, "istio-ingressgateway": { "replicaCount": 2 } },
    });
    let values = chart_values(&member(), &knobs, &user).unwrap();
    let istiod = &values.istiod;
    assert_eq!(istiod["env"], json!({ "A": "knob", "B": "user", "PILOT_REMOTE_CLUSTER_TIMEOUT": "5s" }));
    assert_eq!(istiod["global"]["proxy"]["readinessPeriodSeconds"], 1, "a proxy that is ready is found so at once");
    let metadata = &istiod["meshConfig"]["defaultConfig"]["proxyMetadata"];
    assert_eq!(metadata, &json!({ "ECC_SIGNATURE_ALGORITHM": "ECDSA", "C": "user" }), "what the user adds stands beside it");
    assert_eq!(istiod["resources"]["requests"], json!({ "cpu": "1", "memory": "128Mi" }));
    assert_eq!(istiod["global"]["hub"], "docker.io/kindmesh/istio");
    assert_eq!(istiod["global"]["multiCluster"]["clusterName"], "east");
    assert_eq!(istiod["gateways"], json!({ "seccompProfile": { "type": "RuntimeDefault" } }));
    let ingress = &values.gateways[&GatewayKind::Ingress];
    assert_eq!((&ingress["replicaCount"], &ingress["profile"], &ingress["networkGateway"]), (&json!(2), &json!("demo"), &Value::Null));
    assert_eq!(values.gateways[&GatewayKind::EastWest]["networkGateway"], "network-east");
    assert_eq!(values.gateways.len(), 2);

    // A profile's own `pilot` would win over what stands beside it.
    assert_eq!(istiod["pilot"]["resources"], json!({ "requests": { "cpu": "1" } }));

    let plain = chart_values(&member(), &Value::Null, &Value::Null).unwrap();
    assert!(plain.istiod.get("telemetry").is_none(), "official images need no knobs");
    assert_eq!(plain.istiod["env"], json!({ "PILOT_REMOTE_CLUSTER_TIMEOUT": "5s" }));
    let revised = chart_values(&member(), &Value::Null, &json!({ "revision": "canary" })).unwrap();
    assert_eq!(
        (&revised.base["defaultRevision"], &revised.gateways[&GatewayKind::EastWest]["revision"]),
        (&json!("canary"), &json!("canary"))
    );
}

#[test]
fn nobody_takes_a_cluster_out_of_the_mesh() {
    for (user, path, words) in [
        (json!({ "global": { "network": "network1" } }), "global.network", "'network-east'"),
        (
            json!({ "global": { "multiCluster": { "clusterName": "c" } } }),
            "global.multiCluster.clusterName",
            "another one in every cluster",
        ),
        (json!({ "global": { "meshID": "other" } }), "global.meshID", "set the mesh's id"),
        (json!({ "global": { "istioNamespace": "istio" } }), "global.istioNamespace", "lives there"),
        (json!({ "gateways": { "istio-ingresgateway": {} } }), "gateways.istio-ingresgateway", "is it istio-ingressgateway?"),
        (json!([]), "(all)", "a map"),
        (json!({ "global": null }), "global", "a map"),
        (json!({ "global": { "multiCluster": null } }), "global.multiCluster", "a map"),
        (json!({ "gateways": null }), "gateways", "a map"),
        (json!({ "gateways": { "istio-eastwestgateway": 1 } }), "gateways.istio-eastwestgateway", "a map"),
        (json!({ "pilot": { "pilot": { "pilot": { "global": { "network": "n" } } } } }), "global.network", "'network-east'"),
    ] {
        let error = chart_values(&member(), &Value::Null, &user).unwrap_err().to_string();
        assert!(error.contains(&format!("Istio values: {path}: ")) && error.contains(words), "{error}");
    }
    let same = json!({ "global": { "meshID": "mesh1", "network": "network-east" } });
    assert!(chart_values(&member(), &Value::Null, &same).is_ok());
}

#[test]
fn the_operator_file_is_the_weakest() {
    let text = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  meshConfig: {a: operator, b: operator}\n";
    let operator = Operator::parse(text, "iop.yaml").unwrap();
    let files = [json!({ "meshConfig": { "a": "file", "c": "file" }, "pilot": { "env": { "A": "file" } } }), Value::Null];
    let values = user_values(Some(&operator), &files, &json!({ "meshConfig": { "c": "inline" }, "env": { "A": "inline" } }));
    assert_eq!(values, json!({ "meshConfig": { "a": "file", "b": "operator", "c": "inline" }, "env": { "A": "inline" } }));
}

#[test]
fn what_is_missing_and_what_is_too_much_is_named() {
    let gateway = |extra: &[(&str, &str)]| {
        let name = "istio-eastwestgateway";
        let own = [("Service", name), ("Deployment", name), ("ServiceAccount", name), ("Role", name), ("RoleBinding", name)];
        chart("gateway", &[&own, extra].concat())
    };
    let charts = |gateway: Chart| Charts::new(chart("base", &[]), chart("istiod", &[]), gateway).unwrap();
    let alone = Member { ingress: false, ..member() };
    let error = install(&charts(gateway(&[])), &alone, &Value::Null, &Value::Null).unwrap_err();
    // The gateway is complete, so the next chart is looked at.
    let InstallError::Missing { chart, objects } = &error else { panic!("{error}") };
    assert_eq!((chart.as_str(), objects.len()), ("base-1.31.1", 17));
    assert!(error.to_string().contains("CustomResourceDefinition gateways.networking.istio.io"), "{error}");

    let error = install(&charts(gateway(&[("Secret", "surprise")])), &alone, &Value::Null, &Value::Null).unwrap_err().to_string();
    assert!(
        error.contains("render chart gateway-1.31.1: templates/all.yaml:21: it renders to Secret surprise, which is not known"),
        "{error}"
    );
    let error = install(&charts(chart_without_service()), &alone, &Value::Null, &Value::Null).unwrap_err().to_string();
    assert!(error.contains("render chart gateway-1.31.1: it renders to no Service istio-eastwestgateway; the mesh needs it"), "{error}");
}

fn chart_without_service() -> Chart {
    let name = "istio-eastwestgateway";
    chart("gateway", &[("Deployment", name), ("ServiceAccount", name), ("Role", name), ("RoleBinding", name)])
}
