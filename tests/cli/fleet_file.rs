//! Fleet files that are none: where, what, and what was meant.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::Sealed;

fn refused(text: &str) -> String {
    let sealed = Sealed::new();
    sealed.write("fleet.yaml", text);
    sealed.run(&["up", "-f", "fleet.yaml"]).failed(3)
}

/// SHA-256 of nothing, and one of something else.
const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const OTHER: &str = "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
const HEAD: &str = "apiVersion: kindmesh.dev/v1alpha1\nkind: Fleet\n";

#[test]
fn an_unknown_key_is_told_with_its_place_and_a_suggestion() {
    let said = refused(&format!("{HEAD}name: demo\nclustres: 2\n"));
    assert!(said.contains("fleet.yaml:4:1") && said.contains("clustres") && said.contains("clusters"), "{said}");
    assert!(said.contains("kindmesh schema"), "{said}");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (body, place, words) in [
        ("name: Not_A_Name\n", "fleet.yaml:3:", "Not_A_Name"),
        ("name: a\nname: b\n", "fleet.yaml:4:", "name"),
        ("clusters: many\n", "fleet.yaml:3:", "clusters"),
        ("clusters: [\n", "fleet.yaml:", "error"),
    ] {
        let said = refused(&format!("{HEAD}{body}"));
        assert!(said.contains(place) && said.contains(words), "{body:?}: {said}");
    }
}

#[test]
fn the_file_of_this_folder_is_used_when_none_is_named() {
    let sealed = Sealed::new();
    sealed.write("kindmesh.yaml", "kind: Flet\n");
    for args in [&["up"][..], &["down"]] {
        let said = sealed.run(args).failed(3);
        assert!(said.contains("kindmesh.yaml") && said.contains("using "), "{said}");
    }
    // A fleet that is named is another one: the file is not looked at.
    for args in [&["up", "--fleet", "other"][..], &["down", "--fleet", "other"], &["up", "--clusters", "1"], &["down", "--all"]] {
        let _ = sealed.run(args).failed(4);
    }
}

#[test]
fn flags_are_held_to_the_same_rules() {
    let refused = |args: &[&str]| Sealed::new().run(args).failed(3);
    let said = refused(&["up", "--image", "Not An Image"]);
    assert!(said.contains("--image") && said.contains("Not An Image"), "{said}");
    let said = refused(&["up", "--kubernetes-version", "v1.2.3"]);
    assert!(said.contains("--kubernetes-version") && said.contains("v1.2.3"), "{said}");
    let sealed = Sealed::new();
    sealed.write("bare.yaml", &format!("{HEAD}addons:\n  metallb: false\n"));
    let said = sealed.run(&["up", "-f", "bare.yaml", "--sample"]).failed(3);
    assert!(said.contains("--sample needs MetalLB"), "{said}");
}

/// No clock counts to the end of such a time.
#[test]
fn no_flag_takes_more_than_a_year() {
    let flags = [
        &["up", "--ttl"][..],
        &["up", "--lock-timeout"],
        &["diff", "--ttl"],
        &["verify", "--wait"],
        &["stop", "--grace"],
        &["events", "--since"],
    ];
    for flag in flags {
        for much in ["8761h", "18446744073709551615s"] {
            let said = Sealed::new().run(&[flag, &[much]].concat()).failed(2);
            assert!(said.contains(&format!("'{much}' is longer than 365 days; write 8760h or less")), "{flag:?}: {said}");
        }
        // As far as to the engine, where nobody listens.
        let _ = Sealed::new().run(&[flag, &["8760h"]].concat()).failed(4);
    }
}

#[test]
fn a_manifest_is_read_from_beside_the_file() {
    let sealed = Sealed::new();
    sealed.write("fleets/a.yaml", &format!("{HEAD}addons:\n  metallb:\n    manifest: lb.yaml\n"));
    let said = sealed.run(&["up", "-f", "fleets/a.yaml"]).failed(9);
    assert!(said.contains("fleets/lb.yaml"), "{said}");
    sealed.write("fleets/lb.yaml", "");
    let _ = sealed.run(&["up", "-f", "fleets/a.yaml"]).failed(4);
    // A file needs no digest, and is held against one that is given.
    for (digest, code) in [(EMPTY, 4), (OTHER, 3)] {
        sealed.write("fleets/c.yaml", &format!("{HEAD}addons:\n  metallb:\n    manifest: lb.yaml\n    manifestDigest: {digest}\n"));
        let said = sealed.run(&["up", "-f", "fleets/c.yaml"]).failed(code);
        let told = format!("from lb.yaml has the digest {EMPTY}, and `manifestDigest` is {OTHER}");
        assert_eq!(said.contains(&told), code == 3, "{said}");
    }
    sealed.write("fleets/b.yaml", &format!("{HEAD}addons:\n  metallb:\n    manifest: http://127.0.0.1:1/lb.yaml\n"));
    let said = sealed.run(&["up", "-f", "fleets/b.yaml"]).failed(1);
    assert!(said.contains("fetch http://127.0.0.1:1/lb.yaml") && said.contains("hint: "), "{said}");
}

/// A manifest rules the cluster: who serves it must not be able to change it unseen.
#[test]
fn a_manifest_from_elsewhere_needs_a_digest() {
    let sealed = Sealed::new();
    let url = format!("http://{}/lb.yaml", serve(""));
    let up = |digest: &str, code: i32| {
        sealed.write("fleet.yaml", &format!("{HEAD}addons:\n  metallb:\n    manifest: {url}\n{digest}"));
        sealed.run(&["up", "-f", "fleet.yaml"]).failed(code)
    };
    let said = up("", 3);
    assert!(said.contains(&format!("from {url} is held against no digest; what came has {EMPTY}")), "{said}");
    assert!(said.contains(&format!("hint: look at it, and if it is what you want, write `manifestDigest: {EMPTY}` beside")), "{said}");
    let said = up(&format!("    manifestDigest: {OTHER}\n"), 3);
    assert!(said.contains(&format!("has the digest {EMPTY}, and `manifestDigest` is {OTHER}")) && said.contains("hint: "), "{said}");
    // As far as to the engine, where nobody listens.
    let said = up(&format!("    manifestDigest: {EMPTY}\n"), 4);
    assert!(!said.contains("digest"), "{said}");
}

/// Answers everything with this text, until the test's process ends. Where it listens.
fn serve(text: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = Vec::new();
            let mut part = [0; 1024];
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read(&mut part) {
                    Ok(read @ 1..) => request.extend_from_slice(&part[..read]),
                    _ => break,
                }
            }
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len());
        }
    });
    address
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let said = Sealed::new().run(&["up", "-f", "missing.yaml"]).failed(9);
    assert!(said.contains("missing.yaml") && said.contains("caused by"), "{said}");
}

#[test]
fn standard_input_is_a_file_too() {
    let ran = Sealed::new().run_with_input(&["up", "-f", "-"], &format!("{HEAD}nmae: x\n"));
    let said = ran.failed(3);
    assert!(said.contains("standard input:3:1") && said.contains("name"), "{said}");
}

/// Who only asks for the name needs nothing that the file names.
#[test]
fn a_name_is_read_without_the_manifest() {
    let sealed = Sealed::new();
    let file = format!("{HEAD}addons:\n  metallb:\n    manifest: http://127.0.0.1:1/lb.yaml\n");
    sealed.write("kindmesh.yaml", &file);
    for command in ["down", "pause", "resume", "stop", "start", "verify"] {
        // As far as to the engine, where nobody listens.
        let said = sealed.run(&[command]).failed(4);
        assert!(!said.contains("lb.yaml"), "{command}: {said}");
    }
    let _ = sealed.run(&["pool", "lease"]).failed(4);
}

/// A writer that never ends: the signal is heard all the same.
#[cfg(target_os = "linux")]
#[test]
#[expect(clippy::disallowed_methods, reason = "nothing tells when a process has changed its handlers; both loops have a deadline")]
fn standard_input_can_be_given_up() {
    let sealed = Sealed::new();
    let mut child = sealed.command(&["down", "-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let held = child.stdin.take();
    let until = Instant::now() + Duration::from_secs(30);
    // Until it listens, a signal ends it as any other program.
    while !catches_interrupts(child.id()) {
        assert!(Instant::now() < until, "it never listens to signals");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let code = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status.code(),
            None if Instant::now() > until => {
                child.kill().unwrap();
                panic!("it still waits for its standard input");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    drop(held);
    assert_eq!(code, Some(130));
}

#[cfg(target_os = "linux")]
fn catches_interrupts(process: u32) -> bool {
    const INTERRUPT: u64 = 1 << 1;
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & INTERRUPT != 0
}
