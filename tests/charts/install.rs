//! A member's objects, out of the real charts.

use kindmesh::domain::istio::{Charts, GatewayKind, Install, InstallError, Member, Operator, install, user_values};
use serde_json::{Value, json};

use super::support::{chart, charts};

fn real() -> Charts {
    let folder = charts();
    Charts::new(chart(&folder.join("base")), chart(&folder.join("istiod")), chart(&folder.join("gateway"))).unwrap()
}

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

fn made(user: &Value) -> Result<Install, InstallError> {
    install(&real(), &member(), &Value::Null, user)
}

fn named<'a>(objects: &'a [kindmesh::domain::manifest::Object], name: &str) -> &'a Value {
    objects.iter().find(|object| object.to_string() == name).unwrap_or_else(|| panic!("no {name}")).value()
}

fn env<'a>(deployment: &'a Value, name: &str) -> Option<&'a str> {
    let env = deployment.pointer("/spec/template/spec/containers/0/env").unwrap().as_array().unwrap();
    env.iter().find(|variable| variable["name"] == name).and_then(|variable| variable["value"].as_str())
}

#[test]
fn a_member_is_itself() {
    let install = made(&json!({})).unwrap();
    assert_eq!(install.namespace.value().pointer("/metadata/labels/topology.istio.io~1network"), Some(&json!("network-east")));
    let istiod = named(&install.control_plane, "Deployment istio-system/istiod");
    assert_eq!(env(istiod, "CLUSTER_ID"), Some("east"));
    let container = istiod.pointer("/spec/template/spec/containers/0").unwrap();
    assert_eq!(container["image"], "docker.io/istio/pilot:1.31.1");
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
    assert!(!install.control_plane.iter().any(|object| object.id().kind == "HorizontalPodAutoscaler"));
    let mesh = named(&install.control_plane, "ConfigMap istio-system/istio").pointer("/data/mesh").unwrap().as_str().unwrap();
    assert!(mesh.contains("meshId: mesh1"), "{mesh}");

    let kinds: Vec<GatewayKind> = install.gateways.iter().map(|gateway| gateway.kind).collect();
    assert_eq!(kinds, [GatewayKind::EastWest, GatewayKind::Ingress]);
    let east_west = &install.gateways[0].objects;
    let service = named(east_west, "Service istio-system/istio-eastwestgateway");
    assert_eq!(service.pointer("/metadata/labels/topology.istio.io~1network"), Some(&json!("network-east")));
    let ports: Vec<u64> =
        service.pointer("/spec/ports").unwrap().as_array().unwrap().iter().filter_map(|port| port["port"].as_u64()).collect();
    assert_eq!(ports, [15021, 15443, 15012, 15017]);
    let gateway = named(east_west, "Deployment istio-system/istio-eastwestgateway");
    assert_eq!(env(gateway, "ISTIO_META_REQUESTED_NETWORK_VIEW"), Some("network-east"));
    assert_eq!(gateway.pointer("/spec/template/spec/containers/0/imagePullPolicy"), Some(&json!("IfNotPresent")));
    assert_eq!(gateway.pointer("/spec/template/metadata/labels/istio"), Some(&json!("eastwestgateway")));
    let ingress = named(&install.gateways[1].objects, "Service istio-system/istio-ingressgateway");
    assert_eq!(ingress.pointer("/metadata/labels/topology.istio.io~1network"), None);
}

#[test]
fn an_operator_file_is_followed() {
    let text = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  profile: demo\n  meshConfig:\n    accessLogFile: /dev/stdout\n  components:\n    pilot:\n      k8s:\n        hpaSpec: {minReplicas: 2, maxReplicas: 3}\n        env: [{name: A, value: \"1\"}]\n    ingressGateways:\n    - name: istio-ingressgateway\n      label: {extra: label}\n      k8s:\n        service:\n          ports: [{name: http, port: 8080, targetPort: 8080}]\n        replicaCount: 2\n    egressGateways:\n    - name: istio-egressgateway\n      enabled: true\n";
    let operator = Operator::parse(text, "iop.yaml").unwrap();
    let user = user_values(Some(&operator), &[], &Value::Null);
    let member = Member { egress: operator.egress().unwrap(), ..member() };
    let install = install(&real(), &member, &Value::Null, &user).unwrap();
    assert_eq!(install.gateways.len(), 3);
    let istiod = named(&install.control_plane, "Deployment istio-system/istiod");
    assert_eq!(env(istiod, "A"), Some("1"));
    let scaler = named(&install.control_plane, "HorizontalPodAutoscaler istio-system/istiod");
    assert_eq!((&scaler["spec"]["minReplicas"], &scaler["spec"]["maxReplicas"]), (&json!(2), &json!(3)));
    assert!(install.control_plane.iter().any(|object| object.id().kind == "PodDisruptionBudget"));
    let mesh = named(&install.control_plane, "ConfigMap istio-system/istio").pointer("/data/mesh").unwrap().as_str().unwrap();
    assert!(mesh.contains("accessLogFile: /dev/stdout"), "{mesh}");
    let ingress = named(&install.gateways[1].objects, "Service istio-system/istio-ingressgateway");
    assert_eq!(ingress.pointer("/spec/ports/0/port"), Some(&json!(8080)));
    assert_eq!(ingress.pointer("/metadata/labels/extra"), Some(&json!("label")));
}

#[test]
fn a_revision_renames_everything() {
    let install = made(&json!({ "revision": "canary" })).unwrap();
    named(&install.control_plane, "Deployment istio-system/istiod-canary");
    let validator = named(&install.base, "ValidatingWebhookConfiguration istiod-default-validator");
    assert_eq!(validator.pointer("/webhooks/0/clientConfig/service/name"), Some(&json!("istiod-canary")));
    named(&made(&json!({})).unwrap().control_plane, "Deployment istio-system/istiod");
}

#[test]
fn what_values_add_is_known_and_what_they_leave_out_is_missed() {
    let everything = json!({
        "autoscaleEnabled": true, "autoscaleMin": 2, "global": { "networkPolicy": { "enabled": true } }, "experimental": { "stableValidationPolicy": true },
        "jwksResolverExtraRootCA": "pem", "revisionTags": ["prod"], "gatewayClasses": { "istio": { "service": { "spec": { "type": "ClusterIP" } } } },
        "gateways": { "istio-ingressgateway": { "kind": "DaemonSet", "serviceAccount": { "name": "own" }, "rbac": { "enabled": false } } },
    });
    made(&everything).unwrap();
    for (user, words) in [
        (json!({ "configMap": false }), "renders to no ConfigMap istio;"),
        (json!({ "global": { "enableReaderRBAC": false } }), "renders to no ServiceAccount istio-reader-service-account;"),
        (
            json!({ "global": { "resourceScope": "namespace" } }),
            "renders to no CustomResourceDefinition authorizationpolicies.security.istio.io, ",
        ),
        (
            json!({ "base": { "excludedCRDs": ["gateways.networking.istio.io"] } }),
            "renders to no CustomResourceDefinition gateways.networking.istio.io;",
        ),
        (
            json!({ "gateways": { "istio-eastwestgateway": { "service": { "type": "None" } } } }),
            "renders to no Service istio-eastwestgateway;",
        ),
        (json!({ "gateways": { "istio-ingressgateway": { "replicas": 2 } } }), "has a replicas, which is not known"),
        (json!({ "profile": "nonsense" }), "templates/zzz_profile.yaml:31: unknown profile nonsense"),
    ] {
        let error = made(&user).unwrap_err().to_string();
        assert!(error.contains(words), "{user}\n{error}");
    }
}
