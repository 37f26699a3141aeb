//! The order in which engines are looked for.

use std::path::Path;

use super::super::context::id;
use super::*;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn options(&self) -> ConnectOptions {
        ConnectOptions { home: Some(self.0.path().to_owned()), ..ConnectOptions::default() }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(".docker").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn context(&self, name: &str, host: &str) {
        let text = format!(r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#);
        self.write(&format!("contexts/meta/{}/meta.json", id(name)), &text);
    }
}

fn only(options: &ConnectOptions) -> (String, &'static str) {
    let found = candidates(options).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    (found[0].endpoint.to_string(), found[0].origin)
}

#[test]
fn the_folder_of_a_context_is_the_digest_of_its_name() {
    assert_eq!(id("desktop-linux"), "fe9c6bd7a66301f49ca9b6a70b217107cd1284598bfc254700c989b916da791e");
}

#[test]
fn the_order_is_that_of_the_docker_command() {
    let home = Home::new();
    home.context("one", "unix:///one.sock");
    home.context("two", "tcp://two:99");
    home.write("config.json", r#"{"auths":{},"currentContext":"one"}"#);
    let mut options = home.options();
    assert_eq!(only(&options), ("unix:///one.sock".to_owned(), "the current docker context"));
    options.docker_context = Some("two".to_owned());
    assert_eq!(only(&options), ("tcp://two:99".to_owned(), "DOCKER_CONTEXT"));
    options.docker_host = Some("tcp://host".to_owned());
    assert_eq!(only(&options), ("tcp://host:2375".to_owned(), "DOCKER_HOST"));
    options.host = Some("/flag.sock".to_owned());
    assert_eq!(only(&options), ("unix:///flag.sock".to_owned(), "--host"));
}

#[test]
fn empty_variables_are_as_good_as_none() {
    let home = Home::new();
    home.context("one", "unix:///one.sock");
    home.write("config.json", r#"{"currentContext":"one"}"#);
    let empty = || Some(String::new());
    let options = ConnectOptions {
        host: empty(),
        docker_host: empty(),
        docker_context: empty(),
        docker_config_dir: Some("".into()),
        ..home.options()
    };
    assert_eq!(only(&options).0, "unix:///one.sock");
    let options = ConnectOptions { docker_host: Some("tcp://h".to_owned()), docker_tls_verify: empty(), ..home.options() };
    assert_eq!(only(&options).0, "tcp://h:2375");
}

#[test]
fn without_a_name_the_default_sockets_are_tried_in_turn() {
    let home = Home::new();
    let options =
        ConnectOptions { xdg_runtime_dir: Some("/run/user/7".into()), docker_context: Some("default".to_owned()), ..home.options() };
    let found: Vec<String> = candidates(&options).unwrap().into_iter().map(|candidate| candidate.endpoint.to_string()).collect();
    let home = home.0.path().display();
    assert_eq!(
        found,
        [
            "unix:///var/run/docker.sock".to_owned(),
            "unix:///run/user/7/docker.sock".to_owned(),
            format!("unix://{home}/.docker/run/docker.sock"),
            format!("unix://{home}/.docker/desktop/docker.sock"),
            "unix:///run/user/7/podman/podman.sock".to_owned(),
            "unix:///run/podman/podman.sock".to_owned(),
        ]
    );
    let bare = ConnectOptions { uid: Some(7), ..ConnectOptions::default() };
    let found: Vec<String> = candidates(&bare).unwrap().into_iter().map(|candidate| candidate.endpoint.to_string()).collect();
    assert!(found.contains(&"unix:///run/user/7/podman/podman.sock".to_owned()), "{found:?}");
}

#[test]
fn an_unknown_context_names_those_that_are_known() {
    let home = Home::new();
    home.context("work", "unix:///w");
    home.context("lab", "unix:///l");
    let options = ConnectOptions { docker_context: Some("wrok".to_owned()), ..home.options() };
    assert_eq!(
        candidates(&options).unwrap_err().to_string(),
        "there is no docker context 'wrok' (DOCKER_CONTEXT); known are: default, lab, work"
    );
    home.write("config.json", r#"{"currentContext":"gone"}"#);
    let text = candidates(&home.options()).unwrap_err().to_string();
    assert!(text.starts_with("there is no docker context 'gone' (the current docker context)"), "{text}");
    let nowhere = ConnectOptions { docker_context: Some("x".to_owned()), ..ConnectOptions::default() };
    assert!(candidates(&nowhere).unwrap_err().to_string().contains("none but 'default'"));
}

#[test]
fn a_context_brings_its_certificates() {
    let home = Home::new();
    home.context("far", "tcp://far.example");
    home.write(&format!("contexts/tls/{}/docker/ca.pem", id("far")), "x");
    let options = ConnectOptions { docker_context: Some("far".to_owned()), ..home.options() };
    let found = candidates(&options).unwrap();
    let Endpoint::Tcp { authority, tls: Some(tls) } = &found[0].endpoint else { panic!("{found:?}") };
    assert_eq!(authority, "far.example:2376");
    assert!(tls.ca.exists() && !tls.cert.exists());
}

#[test]
fn certificates_of_a_host_lie_in_the_cert_path_or_the_configuration() {
    let home = Home::new();
    let options = ConnectOptions { docker_host: Some("tcp://h".to_owned()), docker_tls_verify: Some("1".to_owned()), ..home.options() };
    let ca = |options: &ConnectOptions| match candidates(options).unwrap().remove(0).endpoint {
        Endpoint::Tcp { tls: Some(tls), .. } => tls.ca,
        other => panic!("{other:?}"),
    };
    assert_eq!(ca(&options), home.0.path().join(".docker/ca.pem"));
    let options = ConnectOptions { docker_cert_path: Some("/certs".into()), ..options };
    assert_eq!(ca(&options), Path::new("/certs/ca.pem"));
}

#[test]
fn broken_files_are_named_and_never_quoted() {
    let home = Home::new();
    home.write("config.json", r#"{"auths":{"r":{"auth":"c2VjcmV0"}},"currentContext":["c2VjcmV0"]}"#);
    let text = candidates(&home.options()).unwrap_err().to_string();
    assert!(text.contains("config.json") && text.contains("line 1"), "{text}");
    assert!(!text.contains("c2VjcmV0"), "{text}");
    // Whoever names an engine does not need the file.
    assert!(candidates(&ConnectOptions { host: Some("/x".to_owned()), ..home.options() }).is_ok());

    let home = Home::new();
    home.write(&format!("contexts/meta/{}/meta.json", id("a")), "{");
    let options = ConnectOptions { docker_context: Some("a".to_owned()), ..home.options() };
    assert!(candidates(&options).unwrap_err().to_string().starts_with("docker context 'a' cannot be used: "));
    home.write(&format!("contexts/meta/{}/meta.json", id("a")), r#"{"Name":"a","Endpoints":{"kubernetes":{"Host":"x"}}}"#);
    assert!(candidates(&options).unwrap_err().to_string().contains("names no docker endpoint"));
}
