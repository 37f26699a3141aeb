//! Node images out of a registry that wants to know who asks.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::domain::fleet::ClusterSpec;
use crate::domain::fleet_builder::ClusterBuilder;
use crate::engine::fake::{Fault, Verb, When};
use crate::engine::{EngineErrorKind, RegistryCredentials};
use crate::ops::{Error, ErrorKind};

const PRIVATE: &str = "registry.example:5000/node:v1.34.4";

/// A cluster whose nodes are made of an image that the engine does not have.
fn cluster() -> ClusterSpec {
    Fleet::builder("demo").cluster(ClusterBuilder::new("c").image(PRIVATE)).build().unwrap().clusters.remove(0)
}

/// An engine whose registry has the image for who knows the password.
fn registry(password: &str) -> Arc<FakeEngine> {
    let engine = engine();
    let credentials = RegistryCredentials {
        username: "me".to_owned(),
        password: password.to_owned(),
        identity_token: None,
        server: "registry.example:5000".to_owned(),
    };
    engine.add_to_registry(PRIVATE, Some(credentials));
    engine
}

/// Docker's configuration of somebody who has logged in with this password.
fn logged_in(folder: &tempfile::TempDir, password: &str) -> PathBuf {
    let path = folder.path().join("config.json");
    let auth = STANDARD.encode(format!("me:{password}"));
    std::fs::write(&path, format!(r#"{{"auths": {{"registry.example:5000": {{"auth": "{auth}"}}}}}}"#)).unwrap();
    path
}

/// Everything that somebody may read of it.
fn told(error: &Error) -> String {
    format!("{} {error:?} {}", error.one_line(), error.hints().join(" "))
}

#[tokio::test]
async fn an_image_is_pulled_with_what_the_configuration_has() {
    let (engine, folder) = (registry("hunter2"), tempfile::tempdir().unwrap());
    let kindmesh = kindmesh(&engine).registry_config(logged_in(&folder, "hunter2"));
    assert_eq!(kindmesh.node_image(&cluster()).await.unwrap(), PRIVATE);
    // Once it is there nobody asks for it again.
    assert_eq!(kindmesh.node_image(&cluster()).await.unwrap(), PRIVATE);
    assert_eq!(engine.count(Verb::PullImage), 1);
}

#[tokio::test]
async fn wrong_credentials_are_refused_with_both_ways_out() {
    let (engine, folder) = (registry("hunter2"), tempfile::tempdir().unwrap());
    let wrong = kindmesh(&engine).registry_config(logged_in(&folder, "swordfish"));
    let none = kindmesh(&engine).registry_config(folder.path().join("none.json"));
    for (kindmesh, words) in [(wrong, "authentication required"), (none, "no basic auth credentials"), (kindmesh(&engine), "no basic auth")]
    {
        let error = kindmesh.node_image(&cluster()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Image);
        let told = told(&error);
        assert!(told.contains(&format!("cannot pull {PRIVATE}")) && told.contains(words), "{told}");
        assert!(error.hints()[0].contains("kindmesh build node-image") && error.hints()[1].contains("--image REFERENCE"), "{told}");
        let encoded = [STANDARD.encode("me:swordfish"), STANDARD.encode("me:hunter2")];
        assert!(!["hunter2", "swordfish", encoded[0].as_str(), encoded[1].as_str()].iter().any(|secret| told.contains(secret)), "{told}");
    }
    assert_eq!(engine.count(Verb::PullImage), 3, "what is wrong stays wrong: each was tried once");
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_breaks_off_is_tried_again() {
    let (engine, folder) = (registry("hunter2"), tempfile::tempdir().unwrap());
    engine.fault(When::Verb(Verb::PullImage, 1), Fault::Cut(1));
    let kindmesh = kindmesh(&engine).registry_config(logged_in(&folder, "hunter2"));
    assert_eq!(kindmesh.node_image(&cluster()).await.unwrap(), PRIVATE);
    assert_eq!(engine.count(Verb::PullImage), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_never_ends_well_is_given_up() {
    let engine = registry("hunter2");
    engine.fault(When::Every(Verb::PullImage), Fault::Fail(EngineErrorKind::Interrupted, "unexpected EOF".to_owned()));
    let error = kindmesh(&engine).node_image(&cluster()).await.unwrap_err();
    assert!(told(&error).contains("unexpected EOF"), "{error:?}");
    assert_eq!(engine.count(Verb::PullImage), 5, "once, and as often again as kind tries");
}
