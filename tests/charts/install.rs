//! A member's objects, out of the real charts.

use kindmesh::domain::istio::{Charts, GatewayKind, Install, InstallError, Member, install};
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
