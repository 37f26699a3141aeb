//! What a file says of a mesh.

use super::*;

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
