//! Help, version, schema, completion, reference topics.

use crate::support::Sealed;

fn stdout(args: &str) -> String {
    Sealed::new().run(&args.split(' ').collect::<Vec<_>>()).ok()
}

#[test]
fn help() {
    insta::assert_snapshot!(stdout("--help"), @"");
}

#[test]
fn help_of_up() {
    insta::assert_snapshot!(stdout("help up"), @"");
}

#[test]
fn every_command_has_help() {
    let commands = [
        "up",
        "down",
        "status",
        "get",
        "get clusters",
        "get nodes",
        "get kubeconfig",
        "network",
        "network pools",
        "build",
        "build node-image",
        "schema",
        "completion",
        "version",
    ];
    for command in commands {
        let text = stdout(&format!("{command} --help"));
        assert!(text.contains("Usage: kindmesh ") && text.contains("--output"), "{command}: {text}");
    }
}

#[test]
fn nothing_asked_shows_the_help_and_fails() {
    let said = Sealed::new().run(&[]).failed(2);
    assert!(said.contains("Usage: kindmesh"), "{said}");
}

#[test]
fn version() {
    let number = env!("CARGO_PKG_VERSION");
    assert_eq!(stdout("--version"), format!("kindmesh {number}\n"));
    assert!(stdout("version").starts_with(&format!("kindmesh {number} ")));
    assert_eq!(stdout("version -q"), format!("{number}\n"));
    assert_eq!(Sealed::new().run(&["version", "-o", "json"]).json()["version"], number);
}

#[test]
fn schema_is_a_json_schema() {
    let schema: serde_json::Value = serde_json::from_str(&stdout("schema")).unwrap();
    assert!(schema["$schema"].as_str().unwrap().contains("json-schema.org"), "{schema}");
    for field in ["apiVersion", "kind", "name", "clusters", "network"] {
        assert!(schema["properties"].get(field).is_some(), "{field} is not in the schema");
    }
}

#[test]
fn completion_of_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = stdout(&format!("completion {shell}"));
        assert!(script.contains("kindmesh") && script.contains("node-image"), "{shell}: {script}");
    }
}

#[test]
fn topics() {
    let table = stdout("help exit-codes");
    insta::assert_snapshot!(table, @"");
    assert_eq!(table.trim(), stdout("exit-codes").trim());
    let variables = stdout("help environment");
    for name in ["DOCKER_HOST", "KUBECONFIG", "NO_PROXY", "KINDMESH_LOG"] {
        assert!(variables.contains(name), "{name} is not in: {variables}");
    }
}
