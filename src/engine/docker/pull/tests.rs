//! Messages and references of pulls.

use super::*;

#[test]
fn references_split_at_the_tag_and_not_at_a_port() {
    assert_eq!(split_reference("kindest/node:v1.34.0"), ("kindest/node", "v1.34.0"));
    assert_eq!(split_reference("127.0.0.1:5000/a/b"), ("127.0.0.1:5000/a/b", "latest"));
    assert_eq!(split_reference("127.0.0.1:5000/a/b:c"), ("127.0.0.1:5000/a/b", "c"));
    assert_eq!(pull_target("kindest/node:v1@sha256:ab"), ("kindest/node", "sha256:ab"));
    assert_eq!(pull_target("x"), ("x", "latest"));
}
