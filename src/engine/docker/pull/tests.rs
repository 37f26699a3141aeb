//! Messages and references of pulls.

use super::*;

#[test]
fn references_split_at_the_tag_and_not_at_a_port() {
    assert_eq!(split_reference("kindest/node:v1.34.0"), ("kindest/node", "v1.34.0"));
    assert_eq!(split_reference("127.0.0.1:5000/a/b"), ("127.0.0.1:5000/a/b", "latest"));
    assert_eq!(split_reference("127.0.0.1:5000/a/b:c"), ("127.0.0.1:5000/a/b", "c"));
    assert_eq!(split_reference("x"), ("x", "latest"));
}

#[test]
fn a_digest_takes_the_place_of_the_tag() {
    assert_eq!(pull_target("kindest/node:v1@sha256:ab"), ("kindest/node", "sha256:ab"));
    assert_eq!(pull_target("r:5000/n@sha256:ab"), ("r:5000/n", "sha256:ab"));
    assert_eq!(pull_target("x"), ("x", "latest"));
}

#[test]
fn layers_are_counted_as_they_come() {
    let mut layers = Layers::default();
    let mut take = |text: &str| {
        layers.take(serde_json::from_str(text).unwrap());
        layers.progress()
    };
    take(r#"{"status":"Pulling from a/b","id":"v1"}"#);
    take(r#"{"status":"Pulling fs layer","progressDetail":{},"id":"aa"}"#);
    take(r#"{"status":"Already exists","progressDetail":{},"id":"bb"}"#);
    let seen = take(r#"{"status":"Downloading","progressDetail":{"current":70,"total":100},"progress":"[=>]","id":"aa"}"#);
    assert_eq!((seen.layers_done, seen.layers, seen.bytes), (1, 2, 70));
    let seen = take(r#"{"status":"Extracting","progressDetail":{"current":10,"total":100},"id":"aa"}"#);
    assert_eq!(seen.bytes, 100);
    let seen = take(r#"{"status":"Pull complete","progressDetail":{},"id":"aa"}"#);
    assert_eq!((seen.layers_done, seen.status.as_str()), (2, "Pull complete"));
    let seen = take(r#"{"status":"Status: Downloaded newer image for a/b:v1"}"#);
    assert_eq!(seen.layers, 2);
}

#[test]
fn a_registrys_failure_is_recognised_in_the_engines_words() {
    let kind = |message: &str| refine(EngineError::new("pull image", "x", Kind::Failed, message)).kind;
    for message in [
        "Head \"http://127.0.0.1:5000/v2/a/manifests/b\": no basic auth credentials",
        "unauthorized: authentication required",
        "Get \"https://registry-1.docker.io/v2/\": unauthorized: incorrect username or password",
        "pull access denied for a/b, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
    ] {
        assert_eq!(kind(message), Kind::Unauthorized, "{message}");
    }
    for message in [
        "manifest for 127.0.0.1:5000/a:b not found: manifest unknown: manifest unknown",
        "name unknown: repository name not known to registry",
    ] {
        assert_eq!(kind(message), Kind::NotFound, "{message}");
    }
    for message in
        ["unexpected EOF", "read tcp 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer", "Get \"http://127.0.0.1:5000/v2/\": EOF"]
    {
        assert_eq!(kind(message), Kind::Interrupted, "{message}");
    }
    for message in ["dial tcp 127.0.0.1:1: connect: connection refused", "dial tcp: lookup nowhere.example: no such host"] {
        assert_eq!(kind(message), Kind::Unreachable, "{message}");
    }
    assert_eq!(kind("no space left on device"), Kind::Failed);
    let kept = refine(EngineError::new("pull image", "x", Kind::Interrupted, "hm")).kind;
    assert_eq!(kept, Kind::Interrupted);
}
