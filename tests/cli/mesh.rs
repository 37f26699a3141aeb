//! Meshes that cannot be, refused before an engine is looked for; and the commands about them.

use crate::support::Sealed;

const HEAD: &str = "apiVersion: kindmesh.dev/v1alpha1\nkind: Fleet\n";

#[test]
fn what_a_file_says_of_a_mesh_is_checked_first() {
    let sealed = Sealed::new();
    for (body, place, words) in [
        ("mesh:\n  istio: {version: 1.29.0}\n", "fleet.yaml:4:", "1.30.0 and later"),
        ("mesh:\n  id: ''\n", "fleet.yaml:4:", "no mesh id"),
        ("mesh:\n  rootCA: {certificate: a}\n", "fleet.yaml:4:", "needs rootCA.key"),
        ("mesh:\n  istoi: {}\n", "fleet.yaml:4:3", "did you mean \"istio\""),
        ("addons: {metallb: false}\nmesh: {}\n", "fleet.yaml:4:", "needs MetalLB"),
    ] {
        sealed.write("fleet.yaml", &format!("{HEAD}{body}"));
        let said = sealed.run(&["up", "-f", "fleet.yaml"]).failed(3);
        assert!(said.contains(place) && said.contains(words), "{body:?}: {said}");
    }
}

#[test]
fn flags_describe_a_mesh_only_where_there_is_one() {
    let said = Sealed::new().run(&["up", "--istio-charts", "c"]).failed(3);
    assert!(said.contains("--istio-charts describes a mesh") && said.contains("add --mesh"), "{said}");
    let said = Sealed::new().run(&["up", "--mesh", "--istio-version", "1.29.3"]).failed(3);
    assert!(said.contains("--istio-version: Istio 1.29.3 is too old"), "{said}");
    let said = Sealed::new().run(&["up", "--mesh", "--istio-version", "new"]).failed(2);
    assert!(said.contains("'new' is no Istio version"), "{said}");
    for half in [["--root-ca", "a"], ["--root-key", "a"]] {
        let _ = Sealed::new().run(&[&["up", "--mesh"][..], &half].concat()).failed(2);
    }
    let sealed = Sealed::new();
    sealed.write("bare.yaml", &format!("{HEAD}addons:\n  metallb: false\n"));
    let said = sealed.run(&["up", "-f", "bare.yaml", "--mesh"]).failed(3);
    assert!(said.contains("needs MetalLB"), "{said}");
    // All is well as far as it can be told without an engine.
    let _ = Sealed::new().run(&["up", "--mesh", "--istio-version", "1.31.0"]).failed(4);
}

#[test]
fn the_commands_need_an_engine_and_a_known_shape() {
    let _ = Sealed::new().run(&["mesh", "ca"]).failed(4);
    let _ = Sealed::new().run(&["mesh", "ca", "rotate", "--cluster", "a", "--fleet", "b"]).failed(4);
    let _ = Sealed::new().run(&["mesh", "ca", "rotate", "--cluster", "A_"]).failed(2);
    let _ = Sealed::new().run(&["mesh"]).failed(2);
}
