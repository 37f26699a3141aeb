//! Warm pools, as far as they go without an engine.

use crate::support::Sealed;

const HEAD: &str = "apiVersion: kindmesh.dev/v1alpha1\nkind: Fleet\nname: shop\n";

#[test]
fn pools_are_on_an_engine() {
    for args in
        [&["pool", "list"][..], &["pool", "lease"], &["pool", "lease", "demo"], &["pool", "serve", "--once"], &["up", "--warm", "2"]]
    {
        let error = Sealed::new().run(&[args, &["-o", "json"]].concat()).json_error(4);
        assert_eq!(error["kind"], "engine", "{args:?}: {error}");
    }
}

#[test]
fn a_pool_is_named_outright_or_by_a_fleet_file() {
    let sealed = Sealed::new();
    sealed.write("fleet.yaml", &format!("{HEAD}clusters: 0\n"));
    let said = sealed.run(&["pool", "lease", "-f", "fleet.yaml"]).failed(3);
    assert!(said.contains("fleet.yaml:4:"), "{said}");
    let _ = sealed.run(&["pool", "lease", "-f", "none.yaml"]).failed(9);
    let _ = sealed.run(&["pool"]).failed(2);
}
