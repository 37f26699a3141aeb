//! Tests of the translation.

use serde_json::json;

use super::*;

fn operator(spec: &str) -> std::result::Result<Operator, OperatorError> {
    let spec: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    Operator::parse(&format!("apiVersion: {API_VERSION}\nkind: {KIND}\nspec:\n{spec}"), "iop.yaml")
}

#[test]
fn the_guides_own_file_is_taken() {
    let read =
        operator("values:\n  global:\n    meshID: mesh1\n    multiCluster:\n      clusterName: cluster1\n    network: network1\n").unwrap();
    assert_eq!(read.values(), &json!({ "global": { "meshID": "mesh1", "multiCluster": {} } }));
    assert_eq!(read.ignored(), ["spec.values.global.multiCluster.clusterName", "spec.values.global.network"]);
}

#[test]
fn the_guides_east_west_gateway_is_taken() {
    let read = operator(
        "revision: \"\"\nprofile: empty\ncomponents:\n  ingressGateways:\n    - name: istio-eastwestgateway\n      label:\n        istio: eastwestgateway\n        app: istio-eastwestgateway\n        topology.istio.io/network: network1\n      enabled: true\n      k8s:\n        env:\n          - name: ISTIO_META_REQUESTED_NETWORK_VIEW\n            value: network1\n        service:\n          ports:\n            - name: status-port\n              port: 15021\n              targetPort: 15021\n            - name: tls\n              port: 15443\n              targetPort: 15443\nvalues:\n  gateways:\n    istio-ingressgateway:\n      injectionTemplate: gateway\n  global:\n    network: network1\n",
    )
    .unwrap();
    let gateway = &read.values()["gateways"]["istio-eastwestgateway"];
    assert_eq!(gateway["labels"], json!({ "istio": "eastwestgateway", "app": "istio-eastwestgateway" }));
    assert_eq!(gateway["networkGatewayPorts"]["tls"], json!({ "port": 15443, "targetPort": 15443 }));
    assert_eq!(gateway["env"], json!({}));
    assert_eq!(read.ignored().len(), 3, "{:?}", read.ignored());
    assert_eq!((read.ingress(), read.egress()), (None, None));
}

#[test]
fn settings_become_values() {
    let read = operator(
        "profile: demo\nhub: example.org/istio\ntag: 1.31\nrevision: canary\nmeshConfig:\n  accessLogFile: /dev/stdout\nvalues:\n  meshConfig:\n    accessLogFile: /weaker\n  telemetry:\n    enabled: false\ncomponents:\n  base:\n    enabled: true\n  cni:\n    enabled: false\n  pilot:\n    k8s:\n      resources:\n        requests: {cpu: 200m}\n      env:\n        - name: A\n          value: \"1\"\n        - name: B\n          valueFrom:\n            fieldRef: {fieldPath: metadata.name}\n      replicaCount: 2\n      hpaSpec:\n        minReplicas: 2\n        maxReplicas: 5\n        scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: istiod}\n        metrics:\n          - type: Resource\n            resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}\n      nodeSelector: {a: b}\n      tolerations:\n        - key: x\n          operator: Exists\n      affinity: {nodeAffinity: {}}\n      podAnnotations: {p: 1}\n      strategy:\n        rollingUpdate: {maxSurge: 50%}\n  ingressGateways:\n    - enabled: \"false\"\n  egressGateways:\n    - name: istio-egressgateway\n      enabled: true\n      k8s:\n        serviceAnnotations: {m: o}\n        service:\n          type: ClusterIP\n          ports:\n            - {name: https, port: 443, targetPort: 8443}\n        hpaSpec: {minReplicas: 1, maxReplicas: 3}\n",
    )
    .unwrap();
    assert_eq!((read.ingress(), read.egress()), (Some(false), Some(true)));
    let expected = json!({
        "profile": "demo", "global": { "hub": "example.org/istio", "tag": "1.31" }, "revision": "canary",
        "meshConfig": { "accessLogFile": "/dev/stdout" }, "telemetry": { "enabled": false },
        "resources": { "requests": { "cpu": "200m" } }, "env": { "A": "1" },
        "envVarFrom": [{ "name": "B", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }],
        "replicaCount": 2, "autoscaleEnabled": true, "autoscaleMin": 2, "autoscaleMax": 5, "cpu": { "targetAverageUtilization": 60 },
        "nodeSelector": { "a": "b" }, "tolerations": [{ "key": "x", "operator": "Exists" }], "affinity": { "nodeAffinity": {} },
        "podAnnotations": { "p": "1" }, "rollingMaxSurge": "50%",
        "gateways": { "istio-egressgateway": {
            "service": { "annotations": { "m": "o" }, "type": "ClusterIP", "ports": [{ "name": "https", "port": 443, "targetPort": 8443 }] },
            "autoscaling": { "enabled": true, "minReplicas": 1, "maxReplicas": 3 },
        } },
    });
    assert_eq!(read.values(), &expected);
}

#[test]
fn what_is_not_followed_is_told_with_its_place() {
    for (spec, place, words) in [
        ("installPackagePath: /x", "4:3: spec.installPackagePath", "not supported"),
        ("components:\n  pilot:\n    k8s:\n      overlays: []", "7:9: spec.components.pilot.k8s.overlays", "supported here are affinity"),
        (
            "components:\n  pilot:\n    k8s:\n      replicaCounts: 1",
            "7:9: spec.components.pilot.k8s.replicaCounts",
            "did you mean replicaCount?",
        ),
        ("components:\n  pilot:\n    enabled: false", "6:7: spec.components.pilot.enabled", "every cluster"),
        ("components:\n  cni:\n    enabled: true", "5:5: spec.components.cni", "sidecars"),
        ("components:\n  ingressGateways:\n    - name: other", "6:9: spec.components.ingressGateways[0]", "'other' is not supported"),
        (
            "components:\n  ingressGateways:\n  - name: istio-eastwestgateway\n    enabled: false",
            "spec.components.ingressGateways[0]",
            "come in through it",
        ),
        ("components:\n  egressGateways:\n  - namespace: other", "6:7: spec.components.egressGateways[0].namespace", "istio-system"),
        ("components:\n  pilot:\n    k8s:\n      replicaCount: two", "7:9: spec.components.pilot.k8s.replicaCount", "whole number"),
        (
            "components:\n  pilot:\n    k8s:\n      hpaSpec:\n        metrics:\n        - type: Pods",
            "9:13: spec.components.pilot.k8s.hpaSpec.metrics[0]",
            "utilization",
        ),
        ("profile: ambient", "4:3: spec.profile", "'ambient' is not supported"),
        (
            "values:\n  gateways:\n    istio-ingressgateway:\n      zvpn: {}",
            "7:9: spec.values.gateways.istio-ingressgateway.zvpn",
            "under components",
        ),
        ("addonComponents: {}", "4:3: spec.addonComponents", "not supported"),
        ("values: 5", "4:3: spec.values", "a map"),
    ] {
        let error = operator(spec).unwrap_err().to_string();
        assert!(error.starts_with("iop.yaml:") && error.contains(place) && error.contains(words), "{spec}\n{error}");
    }
    for (text, words) in [
        ("", "is empty"),
        ("a: [", "1:"),
        ("kind: IstioOperator\n", "apiVersion"),
        ("apiVersion: v1\nkind: ConfigMap\n", "iop.yaml:1:1: apiVersion: has to be install.istio.io/v1alpha1"),
    ] {
        let error = Operator::parse(text, "iop.yaml").unwrap_err().to_string();
        assert!(error.contains(words), "{text}\n{error}");
    }
}
