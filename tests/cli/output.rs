//! Streams and colours.

use crate::support::Sealed;

#[test]
fn a_pipe_gets_no_colours() {
    for variables in [&[][..], &[("TERM", "xterm-256color")], &[("CI", "true")]] {
        let sealed = variables.iter().fold(Sealed::new(), |sealed, (name, value)| sealed.with(name, value));
        let said = sealed.run(&["status"]).failed(4);
        assert!(!said.contains('\x1b'), "{said:?}");
        assert!(said.starts_with("error: "), "{said}");
    }
}

#[test]
fn quiet_still_tells_errors() {
    let said = Sealed::new().run(&["status", "-q"]).failed(4);
    assert!(said.starts_with("error: "), "{said}");
}

#[test]
fn with_json_every_line_of_standard_error_is_an_object() {
    let sealed = Sealed::new();
    sealed.write("kindmesh.yaml", "apiVersion: kindmesh.dev/v1alpha1\nkind: Fleet\nname: demo\n");
    let said = sealed.run(&["up", "-o", "json", "-vv"]).failed(4);
    for line in said.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(value.is_object(), "{line}");
    }
}
