mod mesh;

use std::time::Duration;

use super::*;
use crate::domain::fleet::Privileges;
use crate::domain::mesh::MeshSpec;

const HEAD: &str = "apiVersion: kindmesh.dev/v1alpha1\nkind: Fleet\n";

fn fleet(body: &str) -> Fleet {
    parse(&format!("{HEAD}{body}"), "kindmesh.yaml").unwrap()
}

/// The message for a file whose third line is the body's first.
fn refusal(body: &str) -> String {
    parse(&format!("{HEAD}{body}"), "f.yaml").unwrap_err().to_string()
}

#[test]
fn everything_can_be_said() {
    let fleet = fleet(
        r#"
name: demo
network:
  name: lab
  subnet: 10.77.0.0/24
  ipRange: 10.77.0.64/26
  gateway: 10.77.0.254
  ipv6Subnet: fc00:77::/64
  mtu: 1400
kubernetesVersion: v1.33.1
image: a:1
nodes: 2
poolSize: 10
privileges: reduced
profile: kind
clusters:
- name: east
  nodes: 3
  controlPlanes: 1
  podSubnet: 10.1.0.0/16
  serviceSubnet: 10.2.0.0/20
  image: b:2
  kubernetesVersion: 1.34.0
  poolSize: 5
  apiServerAddress: 0.0.0.0
  apiServerPort: 7000
- {name: west}
addons:
  metallb:
    manifest: ./metallb.yaml
    manifestDigest: E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855
    controllerImage: c:3
    speakerImage: s:4
  sample: true
mesh:
  id: lab
  istio:
    version: 1.31.0
    charts: ./charts
    hub: registry.example:5000/istio
    tag: 1.31.0-distroless
    values: {pilot: {replicaCount: 2, env: {A: "1"}}, list: [1, 2.5, null, true]}
    valuesFiles: [a.yaml, b.yaml]
    operator: operator.yaml
  ingressGateway: false
  egressGateway: true
  verify: false
  rootCA: {certificate: ca.pem, key: ca-key.pem}
timeouts: {nodeBoot: 90s, clusterReady: 1h30m, addonReady: 500ms, meshReady: 10m}
"#,
    );
    insta::assert_snapshot!(serde_json::to_string_pretty(&fleet).unwrap(), @r#"
    {
      "name": "demo",
      "network": {
        "name": "lab",
        "ipv4Subnet": "10.77.0.0/24",
        "ipRange": "10.77.0.64/26",
        "gateway": "10.77.0.254",
        "ipv6Subnet": "fc00:77::/64",
        "mtu": 1400
      },
      "clusters": [
        {
          "name": "east",
          "image": "b:2",
          "kubernetesVersion": "v1.34.0",
          "controlPlanes": 1,
          "workers": 2,
          "podSubnet": "10.1.0.0/16",
          "serviceSubnet": "10.2.0.0/20",
          "poolSize": 5,
          "apiServerAddress": "0.0.0.0",
          "apiServerPort": 7000
        },
        {
          "name": "west",
          "image": "a:1",
          "kubernetesVersion": "v1.33.1",
          "controlPlanes": 1,
          "workers": 1,
          "podSubnet": "10.134.0.0/16",
          "serviceSubnet": "10.240.96.0/20",
          "poolSize": 10,
          "apiServerAddress": "127.0.0.1",
          "apiServerPort": null
        }
      ],
      "addons": {
        "metallb": {
          "manifest": null,
          "manifestFrom": "./metallb.yaml",
          "manifestDigest": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
          "controllerImage": "c:3",
          "speakerImage": "s:4"
        },
        "sample": true
      },
      "mesh": {
        "id": "lab",
        "istio": {
          "version": "1.31.0",
          "charts": "./charts",
          "hub": "registry.example:5000/istio",
          "tag": "1.31.0-distroless",
          "values": {
            "list": [
              1,
              2.5,
              null,
              true
            ],
            "pilot": {
              "env": {
                "A": "1"
              },
              "replicaCount": 2
            }
          },
          "valuesFiles": [
            "a.yaml",
            "b.yaml"
          ],
          "operator": "operator.yaml"
        },
        "ingressGateway": false,
        "egressGateway": true,
        "verify": false,
        "rootCA": {
          "certificate": "ca.pem",
          "key": "ca-key.pem"
        }
      },
      "privileges": "reduced",
      "profile": "kind",
      "timeouts": {
        "nodeBoot": {
          "secs": 90,
          "nanos": 0
        },
        "clusterReady": {
          "secs": 5400,
          "nanos": 0
        },
        "addonReady": {
          "secs": 0,
          "nanos": 500000000
        },
        "meshReady": {
          "secs": 600,
          "nanos": 0
        }
      }
    }
    "#);
}

#[test]
fn little_has_to_be_said() {
    assert_eq!(fleet(""), plain(None, 2).unwrap());
    assert_eq!(fleet("clusters: 3\nname: x\n"), plain(Some("x".parse().unwrap()), 3).unwrap());
    assert_eq!(fleet("clusters: 1\nclusterPrefix: c\n").clusters[0].name.as_str(), "c1");
    assert!(fleet("addons: {metallb: false}\n").addons.metallb.is_none());
    assert!(fleet("addons: {metallb: true}\n").addons.metallb.is_some());
    assert_eq!(fleet("timeouts: {nodeBoot: 2m}\n").timeouts.node_boot, Duration::from_secs(120));
    assert_eq!(fleet("privileges: privileged\n").privileges, Privileges::Privileged);
    assert!(plain(None, 0).is_err());
}

#[test]
fn keys_are_known_or_refused() {
    insta::assert_snapshot!(
        [
            refusal("clutsers: 2\n"),
            refusal("colour: red\n"),
            refusal("network:\n  Subnet: 10.0.0.0/24\n"),
            refusal("clusters:\n- name: a\n  podsubnet: 10.0.0.0/16\n"),
            refusal("addons:\n  metallb:\n    image: a\n"),
            refusal("timeouts: {nodeboot: 5s}\n"),
            refusal("name: a\nname: b\n"),
            refusal("clusters:\n- name: a\n  name: b\n"),
            refusal("clusters:\n- nodes: 1\n"),
        ]
        .join("\n"),
        @r#"
    f.yaml:3:1: unknown field "clutsers", did you mean "clusters"?
    f.yaml:3:1: unknown field "colour"; here may stand apiVersion, kind, name, network, kubernetesVersion, image, nodes, clusters, clusterPrefix, poolSize, privileges, profile, addons, mesh, timeouts
    f.yaml:4:3: unknown field "Subnet", did you mean "subnet"?
    f.yaml:5:3: unknown field "podsubnet", did you mean "podSubnet"?
    f.yaml:5:5: unknown field "image"; here may stand manifest, manifestDigest, controllerImage, speakerImage
    f.yaml:3:12: unknown field "nodeboot", did you mean "nodeBoot"?
    f.yaml:4:1: the field "name" is there twice
    f.yaml:5:3: the field "name" is there twice
    f.yaml:4:3: the field "name" is missing
    "#
    );
}

#[test]
fn types_are_checked() {
    insta::assert_snapshot!(
        [
            refusal("clusters: many\n"),
            refusal("clusters: -1\n"),
            refusal("clusters: {a: 1}\n"),
            refusal("clusters: [a]\n"),
            refusal("poolSize: lots\n"),
            refusal("poolSize: -4\n"),
            refusal("network: kind\n"),
            refusal("name: [a]\n"),
            refusal("privileges: reducd\n"),
            refusal("addons: {sample: yes}\n"),
            refusal("addons: {metallb: 1}\n"),
            refusal("clusters:\n- name: a\n  apiServerPort: 70000\n"),
            refusal("timeouts:\n  nodeBoot: 90\n"),
            refusal("name: {a\n"),
            refusal("---\nname: a\n"),
        ]
        .join("\n"),
        @r#"
    f.yaml:3:11: "many" is neither a number of clusters nor a list of clusters
    f.yaml:3:11: -1 is neither a number of clusters nor a list of clusters
    f.yaml:3:11: here is map where a number of clusters or a list of clusters is expected
    f.yaml:3:12: a mapping is expected here
    f.yaml:3:11: a whole number is expected here
    f.yaml:3:11: a whole number is expected here
    f.yaml:3:10: a mapping is expected here
    f.yaml:3:7: a text is expected here
    f.yaml:3:13: "reducd" is none of auto, privileged, reduced, did you mean "reduced"?
    f.yaml:3:18: true or false is expected here
    f.yaml:3:19: 1 is neither true nor false nor a mapping
    f.yaml:5:18: a whole number up to 65535 is expected here
    f.yaml:4:13: timeouts.nodeBoot: '90' is no duration; write it like 90s, 5m or 1h30m
    f.yaml:3:7: a text is expected here
    f.yaml:4:1: this is no valid YAML: only single YAML document expected but multiple found
    "#
    );
}

/// No clock counts to the end of such a deadline.
#[test]
fn nothing_is_waited_for_longer_than_a_year() {
    let refused = refusal("timeouts:\n  meshReady: 18446744073709551615s\n");
    let told = "f.yaml:4:14: timeouts.meshReady: '18446744073709551615s' is longer than 365 days; write 8760h or less";
    assert_eq!(refused, told);
    assert_eq!(fleet("timeouts: {meshReady: 8760h}\n").timeouts.mesh_ready, Duration::from_secs(31_536_000));
}

#[test]
fn rules_are_told_where_they_are_broken() {
    insta::assert_snapshot!(
        [
            refusal("name: My\n"),
            refusal("clusters: 0\n"),
            refusal("clusters: []\n"),
            refusal("clusters: 113\n"),
            refusal("clusters:\n- name: a\n- name: a\n"),
            refusal("clusters:\n- name: a\n  podSubnet: 10.1.0.0/16\n- name: b\n  serviceSubnet: 10.1.4.0/24\n"),
            refusal("clusters:\n- name: a\n  nodes: 3\n  podSubnet: 10.1.0.0/23\n"),
            refusal("network:\n  subnet: 10.0.0.0/28\nclusters: 1\n"),
            refusal("network:\n  gateway: 10.0.0.1\n"),
            refusal("poolSize: 3\n"),
            refusal("kubernetesVersion: 1.34\n"),
            refusal("addons:\n  metallb: false\n  sample: true\n"),
            refusal("addons: {metallb: {controllerImage: A}}\n"),
            refusal("addons: {metallb: {manifest: a, manifestDigest: b}}\n"),
            refusal("addons:\n  metallb:\n    manifestDigest: E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855\n"),
            refusal("timeouts:\n  clusterReady: 0s\n"),
        ]
        .join("\n"),
        @r"
    f.yaml:3:7: name: 'My' has the character 'M'; a name is made of lower-case letters, digits and '-'
    f.yaml:3:11: clusters: a fleet has at least one cluster
    f.yaml:3:11: clusters: a fleet has at least one cluster
    f.yaml:3:11: clusters[112].podSubnet: no default subnet is left for it; name one
    f.yaml:5:9: clusters[1].name: the name 'a' is taken by another cluster of the fleet
    f.yaml:7:18: clusters[1].serviceSubnet: the service subnet of b 10.1.4.0/24 overlaps the pod subnet of a 10.1.0.0/16
    f.yaml:6:14: clusters[0].podSubnet: the pod subnet 10.1.0.0/23 is too small: every node takes a /24, of which it has 2 and needs 3
    f.yaml:4:11: network.subnet: the subnet 10.0.0.0/28 has 14 host addresses: nodes need 1, pools 25 (each in one piece), the gateway 1, and the engine at least 1 to hand out
    f.yaml:4:12: network.gateway: it needs a subnet of the fleet's own beside it
    f.yaml:3:11: poolSize: a pool of 3 addresses is too small; at least 4 are needed
    f.yaml:3:20: kubernetesVersion: '1.34' is no Kubernetes version; expected something like v1.34.4
    f.yaml:5:11: addons: the sample needs MetalLB
    f.yaml:3:37: addons.metallb.controllerImage: 'A' is no image reference: the name is made of lower-case letters, digits and single separators; expected something like kindest/node:v1.34.0 or registry.example:5000/node@sha256:…
    f.yaml:3:49: addons.metallb.manifestDigest: 'b' is no SHA-256 digest; expected 64 hexadecimal digits, with or without `sha256:` before them
    f.yaml:5:21: addons.metallb.manifestDigest: it needs manifest beside it
    f.yaml:4:17: timeouts.clusterReady: a deadline is longer than nothing
    "
    );
}

#[test]
fn the_head_says_what_it_is() {
    let refusal = |text: &str| parse(text, "f.yaml").unwrap_err().to_string();
    insta::assert_snapshot!(
        [
            refusal(""),
            refusal("# nothing\n"),
            refusal("kind: Fleet\n"),
            refusal("apiVersion: kindmesh.dev/v1alpha1\n"),
            refusal("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"),
            refusal("- a\n"),
            refusal("text\n"),
        ]
        .join("\n"),
        @r#"
    f.yaml:1:1: the field "apiVersion" is missing; a fleet file begins with `apiVersion: kindmesh.dev/v1alpha1` and `kind: Fleet`
    f.yaml:1:1: the field "apiVersion" is missing; a fleet file begins with `apiVersion: kindmesh.dev/v1alpha1` and `kind: Fleet`
    f.yaml:1:1: the field "apiVersion" is missing; a fleet file begins with `apiVersion: kindmesh.dev/v1alpha1` and `kind: Fleet`
    f.yaml:1:1: the field "kind" is missing; a fleet file begins with `apiVersion: kindmesh.dev/v1alpha1` and `kind: Fleet`
    f.yaml:2:13: apiVersion is "kind.x-k8s.io/v1alpha4", but must be "kindmesh.dev/v1alpha1"
    f.yaml:1:1: a mapping is expected here
    f.yaml:1:1: a mapping is expected here
    "#
    );
}

#[test]
fn the_schema_knows_every_key() {
    let schema = schema();
    let keys: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    insta::assert_snapshot!(format!("{keys:?}"), @r#"["addons", "apiVersion", "clusterPrefix", "clusters", "image", "kind", "kubernetesVersion", "mesh", "name", "network", "nodes", "poolSize", "privileges", "profile", "timeouts"]"#);
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["apiVersion"]["const"], API_VERSION);
    assert_eq!(schema["required"], serde_json::json!(["apiVersion", "kind"]));
    for (part, key) in [("Istio", "repositories"), ("Istio", "digests"), ("ChartDigests", "istiod"), ("MetalLB", "manifestDigest")] {
        assert!(schema["$defs"][part]["properties"][key].is_object(), "{part}.{key}");
    }
    assert!(schema["$defs"]["Cluster"]["properties"]["podSubnet"]["description"].as_str().unwrap().contains("Subnet of pods"));
}

#[test]
fn a_file_of_another_tool_is_told_as_that() {
    let kinds = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- role: control-plane\n";
    assert_eq!(
        parse(kinds, "f.yaml").unwrap_err().to_string(),
        "f.yaml:2:13: apiVersion is \"kind.x-k8s.io/v1alpha4\", but must be \"kindmesh.dev/v1alpha1\""
    );
    let other = "apiVersion: kindmesh.dev/v1alpha1\nkind: Pool\nspec: {}\n";
    assert_eq!(parse(other, "f.yaml").unwrap_err().to_string(), "f.yaml:2:7: kind is \"Pool\", but must be \"Fleet\"");
    assert!(refusal("nodez: 1\n").contains("unknown field \"nodez\""));
}
