//! What runs in nodes of the offline image and can be tried without one: the plugin that gives pods their addresses.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::source::root;

const PLUGIN: &str = "kindmesh-ipam";

/// A folder that stands for a node which was started again. Beside the plugin are a `host-local` that says what it was asked, and a
/// `sleep` that takes no time and notes that somebody waits; its call of this number, counted from 1, takes the mark away, as
/// the network daemon does.
fn node(ready_after: usize) -> tempfile::TempDir {
    let node = tempfile::tempdir().unwrap();
    let path = |name: &str| node.path().join(name).display().to_string();
    let plugin = fs::read_to_string(root().join("node-images/node").join(PLUGIN)).unwrap();
    let (mark, here) = ("pending=/etc/cni/net.d/", format!("pending={}/", node.path().display()));
    assert_eq!(plugin.matches(mark).count(), 1, "where the mark is: {plugin}");
    let (log, pending) = (path("log"), path("kindmesh.pending"));
    let programs = [
        (PLUGIN, plugin.replace(mark, &here)),
        ("host-local", "#!/bin/sh\necho \"$CNI_COMMAND with $(cat)\"\n".to_owned()),
        ("sleep", format!("#!/bin/sh\necho \"$1\" >>{log}\n[ \"$(grep -c . {log})\" -ne {ready_after} ] || rm {pending}\n")),
    ];
    for (name, text) in programs {
        fs::write(path(name), text).unwrap();
        fs::set_permissions(path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(pending, "").unwrap();
    node
}

/// Asks for an address, or gives it back, and returns how often it was waited.
fn ask(node: &Path, command: &str, arguments: &str) -> usize {
    let path = format!("{}:{}", node.display(), std::env::var("PATH").unwrap());
    let mut plugin = Command::new(node.join(PLUGIN));
    plugin.env("PATH", path).env("CNI_COMMAND", command).env("CNI_ARGS", arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut plugin = plugin.spawn().unwrap();
    plugin.stdin.take().unwrap().write_all(b"config").unwrap();
    let output = plugin.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{command} with config\n"), "{arguments}");
    let waits = fs::read_to_string(node.join("log")).unwrap_or_default();
    assert!(waits.lines().all(|pause| pause == "0.25"), "{waits}");
    waits.lines().count()
}

fn is_marked(node: &Path) -> bool {
    node.join("kindmesh.pending").exists()
}

/// What everything else asks waits for nobody, and neither does what goes.
#[test]
fn system_pods_and_what_goes_do_not_wait() {
    let node = node(3);
    for (command, arguments) in [
        ("ADD", "K8S_POD_NAMESPACE=kube-system"),
        ("ADD", "K8S_POD_NAMESPACE=kube-system;IgnoreUnknown=1;K8S_POD_NAME=coredns-1"),
        ("ADD", "IgnoreUnknown=1;K8S_POD_NAME=coredns-1;K8S_POD_NAMESPACE=kube-system"),
        ("ADD", "IgnoreUnknown=1;K8S_POD_NAMESPACE=kube-system;K8S_POD_NAME=coredns-1"),
        ("DEL", "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=a"),
        ("CHECK", "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=a"),
    ] {
        assert_eq!(ask(node.path(), command, arguments), 0, "{command} {arguments}");
        assert!(is_marked(node.path()), "{command} {arguments}");
    }
}

#[test]
fn other_pods_wait_until_the_mark_is_gone() {
    for arguments in [
        "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=a",
        "K8S_POD_NAMESPACE=kube-system-2;K8S_POD_NAME=a",
        "K8S_POD_NAME=a;K8S_POD_NAMESPACE=my-kube-system",
        "K8S_POD_NAMESPACE=default;K8S_POD_NAME=kube-system",
        "OTHER_K8S_POD_NAMESPACE=kube-system;K8S_POD_NAMESPACE=default",
        "",
    ] {
        let node = node(3);
        assert_eq!(ask(node.path(), "ADD", arguments), 3, "{arguments}");
        assert!(!is_marked(node.path()), "{arguments}");
        // Nobody waits on a node that was not started again.
        assert_eq!(ask(node.path(), "ADD", arguments), 3, "{arguments}");
    }
}

/// A quarter of a minute: better pods without services than none. The others do not wait for it once more.
#[test]
fn who_waited_in_vain_takes_the_mark_away() {
    let node = node(0);
    assert_eq!(ask(node.path(), "ADD", "K8S_POD_NAMESPACE=default"), 60);
    assert!(!is_marked(node.path()));
    assert_eq!(ask(node.path(), "ADD", "K8S_POD_NAMESPACE=default"), 60);
}
