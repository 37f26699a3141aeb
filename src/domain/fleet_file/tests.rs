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
    f.yaml:5:5: unknown field "image"; here may stand manifest, controllerImage, speakerImage
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
    f.yaml:4:17: timeouts.clusterReady: a deadline is longer than nothing
    "
    );
}

#[test]
fn a_mesh_is_there_when_it_is_named() {
    let mesh = |body: &str| fleet(body).mesh;
    assert_eq!(mesh(""), None);
    for on in ["mesh: {}\n", "mesh: true\n", "mesh:\n", "mesh: {enabled: true}\n", "mesh:\n  istio: {}\n"] {
        assert_eq!(mesh(on), Some(MeshSpec::default()), "{on}");
    }
    for off in ["mesh: false\n", "mesh: {enabled: false, id: lab}\n"] {
        assert_eq!(mesh(off), None, "{off}");
    }
    assert_eq!(mesh("mesh: {istio: {version: v1.30.2}}\n").unwrap().istio.version.unwrap().to_string(), "1.30.2");
}

#[test]
fn a_mesh_can_be_asked_for_beside_the_file() {
    let mesh = |body: &str| parse_with_mesh(&format!("{HEAD}{body}"), "f.yaml").unwrap().mesh.unwrap();
    for plain in ["", "mesh: false\n", "mesh: {}\n"] {
        assert_eq!(mesh(plain), MeshSpec::default(), "{plain}");
    }
    assert_eq!(mesh("mesh: {enabled: false, id: lab}\n").id, "lab", "what is switched off is not forgotten");
    let error = parse_with_mesh(&format!("{HEAD}addons: {{metallb: false}}\n"), "f.yaml").unwrap_err();
    assert!(error.to_string().contains("the mesh needs MetalLB"), "{error}");
}

#[test]
fn charts_are_downloaded_as_the_file_says() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let body = format!(
        "mesh:\n  istio:\n    repositories: [https://charts.example/istio/, oci://registry.example/charts]\n    digests: {{istiod: {digest}}}\n"
    );
    let read = fleet(&body);
    let istio = &read.mesh.as_ref().unwrap().istio;
    let repositories: Vec<String> = istio.repositories.iter().map(ToString::to_string).collect();
    assert_eq!(repositories, ["https://charts.example/istio", "oci://registry.example/charts"]);
    assert_eq!(istio.digests.istiod.as_ref().map(ToString::to_string), Some(digest));
    assert_eq!((&istio.digests.base, &istio.digests.gateway, istio.asks_for_download()), (&None, &None, true));
    // What a pool has written down is what it was.
    let written = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<Fleet>(&written).unwrap(), read);
    // And a description that says nothing of it is as it was before there was anything to say.
    let plain = serde_json::to_string(&fleet("mesh: {}\n")).unwrap();
    assert!(!plain.contains("repositories") && !plain.contains("digests"), "{plain}");
    assert!(!serde_json::from_str::<Fleet>(&plain).unwrap().mesh.unwrap().istio.asks_for_download());
}

#[test]
fn what_is_wrong_with_a_mesh_is_told() {
    insta::assert_snapshot!(
        [
            refusal("mehs: {}\n"),
            refusal("mesh: 1\n"),
            refusal("mesh: [a]\n"),
            refusal("mesh:\n  istoi: {}\n"),
            refusal("mesh:\n  istio:\n    verison: 1.31.1\n"),
            refusal("mesh:\n  rootCa: {}\n"),
            refusal("mesh: {enabled: yes}\n"),
            refusal("mesh:\n  id: -a\n"),
            refusal("mesh:\n  istio:\n    version: 1.31\n"),
            refusal("mesh:\n  istio:\n    version: 1.29.9\n"),
            refusal("mesh:\n  istio:\n    hub: docker.io/istio:1.31\n"),
            refusal("mesh:\n  istio:\n    tag: a b\n"),
            refusal("mesh:\n  istio:\n    values: [1]\n"),
            refusal("mesh:\n  istio:\n    values:\n      a: 1\n      a: 2\n"),
            refusal("mesh:\n  istio:\n    valuesFiles: a.yaml\n"),
            refusal("mesh:\n  istio:\n    valuesFiles: [a.yaml, '']\n"),
            refusal("mesh:\n  istio:\n    repositories: https://a\n"),
            refusal("mesh:\n  istio:\n    repositories: [https://a/b, ftp://c, d]\n"),
            refusal("mesh:\n  istio:\n    repositories: [http://c/d]\n"),
            refusal("mesh:\n  istio:\n    repositories: ['https://me:hunter2@c/d']\n"),
            refusal("mesh:\n  istio:\n    digests: {istiod: sha256:12}\n"),
            refusal("mesh:\n  istio:\n    digests:\n      istio: a\n"),
            refusal("mesh:\n  istio:\n    charts: c\n    repositories: [https://a/b]\n"),
            refusal("mesh:\n  istio:\n    charts: c\n    digests: {gateway: a}\n"),
            refusal("mesh:\n  rootCA:\n    certificate: ca.pem\n"),
            refusal("mesh:\n  rootCA: {key: key.pem}\n"),
            refusal("addons: {metallb: false}\nmesh:\n  id: a\n"),
            refusal("timeouts: {meshReady: 0s}\n"),
        ]
        .join("\n"),
        @r#"
    f.yaml:3:1: unknown field "mehs", did you mean "mesh"?
    f.yaml:3:7: 1 is neither true nor false nor a mapping
    f.yaml:3:1: here is sequence where true, false or a mapping is expected
    f.yaml:4:3: unknown field "istoi", did you mean "istio"?
    f.yaml:5:5: unknown field "verison", did you mean "version"?
    f.yaml:4:3: unknown field "rootCa", did you mean "rootCA"?
    f.yaml:3:17: true or false is expected here
    f.yaml:4:7: mesh.id: '-a' is no mesh id: 1 to 63 letters, digits, '-', '_' and '.', a letter or a digit at both ends
    f.yaml:5:14: mesh.istio.version: '1.31' is no Istio version; expected something like 1.31.1
    f.yaml:5:14: mesh.istio.version: Istio 1.29.9 is too old; 1.30.0 and later work
    f.yaml:5:10: mesh.istio.hub: 'docker.io/istio:1.31' is no place of images, such as docker.io/istio
    f.yaml:5:10: mesh.istio.tag: 'a b' is no tag of an image, such as 1.31.1 or 1.31.1-distroless
    f.yaml:5:13: a mapping is expected here
    f.yaml:7:7: the field "a" is there twice
    f.yaml:5:18: a list is expected here
    f.yaml:5:27: mesh.istio.valuesFiles: the path is empty
    f.yaml:5:19: a list is expected here
    f.yaml:5:33: mesh.istio.repositories: 'ftp://c' is no repository of charts; expected https://HOST/PATH or oci://HOST/PATH
    f.yaml:5:20: mesh.istio.repositories: 'http://c/d' would be asked in the clear, where anybody on the way can alter the answer; expected https://HOST/PATH
    f.yaml:5:20: mesh.istio.repositories: the address of a repository holds credentials; none are sent, so leave them out
    f.yaml:5:23: mesh.istio.digests.istiod: 'sha256:12' is no SHA-256 digest; expected 64 hexadecimal digits, with or without `sha256:` before them
    f.yaml:6:7: unknown field "istio", did you mean "istiod"?
    f.yaml:6:20: mesh.istio.repositories: it is about a download, and istio.charts says where the charts are; leave one of them out
    f.yaml:6:24: mesh.istio.digests.gateway: it is about a download, and istio.charts says where the charts are; leave one of them out
    f.yaml:5:18: mesh.rootCA.certificate: it needs rootCA.key beside it
    f.yaml:4:17: mesh.rootCA.key: it needs rootCA.certificate beside it
    f.yaml:5:3: mesh: the mesh needs MetalLB: the other clusters find its gateways by their addresses
    f.yaml:3:23: timeouts.meshReady: a deadline is longer than nothing
    "#
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
    assert!(schema["$defs"]["Cluster"]["properties"]["podSubnet"]["description"].as_str().unwrap().contains("Subnet of pods"));
}
