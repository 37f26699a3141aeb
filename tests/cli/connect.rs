//! Commands that need an engine, where none answers.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use crate::support::Sealed;

#[test]
fn no_engine_is_told_with_the_addresses_tried() {
    for args in [&["up"][..], &["down"], &["status"], &["get", "clusters"], &["get", "nodes"], &["get", "kubeconfig"]] {
        let said = Sealed::new().run(args).failed(4);
        assert!(said.contains("unix://$HOME/no.sock") && said.contains("--host"), "{args:?}: {said}");
    }
}

#[test]
fn the_flag_is_stronger_than_the_environment() {
    let error = Sealed::new().run(&["status", "--host", "tcp://127.0.0.1:1", "-o", "json"]).json_error(4);
    assert_eq!(error["kind"], "engine");
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:1") && !text.contains("no.sock"), "{text}");
}

#[test]
fn a_context_names_the_engine() {
    let sealed = Sealed::new();
    // sha256 of `there`, as Docker names the folder.
    let folder = ".docker/contexts/meta/e244f187f696561d5fd7e00f618e7ba641dc52e3c137380f6fa23a854b773aac";
    sealed.write(&format!("{folder}/meta.json"), r#"{"Name":"there","Endpoints":{"docker":{"Host":"unix:///nowhere/engine.sock"}}}"#);
    let said = sealed.run(&["status", "--context", "there"]).failed(4);
    assert!(said.contains("/nowhere/engine.sock") && !said.contains("no.sock"), "{said}");
    let said = sealed.run(&["status", "--context", "elsewhere"]).failed(3);
    assert!(said.contains("elsewhere"), "{said}");
}

#[test]
fn a_home_is_needed_only_where_a_kubeconfig_is_written() {
    let sealed = Sealed::new();
    let run = |args: &[&str]| sealed.command(args).env_remove("HOME").output().unwrap();
    let up = run(&["up"]);
    let said = String::from_utf8(up.stderr).unwrap();
    assert_eq!(up.status.code(), Some(3), "{said}");
    assert!(said.contains("KUBECONFIG") && said.contains("--kubeconfig"), "{said}");
    assert_eq!(run(&["status"]).status.code(), Some(4));
    assert_eq!(run(&["up", "--kubeconfig", "k"]).status.code(), Some(4));
}

/// An engine that takes connections and never answers.
#[test]
fn an_interrupt_ends_the_wait_for_a_mute_engine() {
    let sealed = Sealed::new();
    let socket = sealed.home().join("mute.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let host = format!("unix://{}", socket.display());
    let mut child = sealed.command(&["status", "-v", "--host", &host]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    // Handlers stand once it says that it connects.
    let mut said = String::new();
    stderr.read_line(&mut said).unwrap();
    let killed = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(killed.success());
    let status = child.wait().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains("interrupt: "), "{said}");
}
