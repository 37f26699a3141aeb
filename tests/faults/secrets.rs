//! What must never be seen: tokens and keys, in what is printed, logged, traced, labelled or told when something fails.

use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::apiserver::{TOKEN, client_key};
use crate::bench::{Bench, IMAGE};
use crate::calls::Fault;
use crate::report;

/// What a run said: a name for it, and the text.
type Said = (String, String);

#[tokio::test(flavor = "multi_thread")]
async fn no_token_and_no_key_is_ever_told() {
    let bench = Bench::new("secret");
    let file = bench.dir.path().join("kindmesh.yaml");
    let text = format!(
        "apiVersion: kindmesh.dev/v1alpha1\nkind: Fleet\nname: secret\nclusterPrefix: secret\nclusters: 1\nimage: {IMAGE}\n\
         addons: {{metallb: false}}\ntimeouts: {{nodeBoot: 20s, clusterReady: 20s}}\n"
    );
    std::fs::write(&file, text).unwrap();
    let mut said: Vec<Said> = Vec::new();
    // The commands in nodes whose output holds secrets break off in the middle, one after the other; then all is well.
    for nth in 1..=12 {
        bench.proxy.order("start exec", nth, Fault::Cut);
        said.extend(run(&bench, "up", &["up", "-f", "kindmesh.yaml", "-vv"]).await);
    }
    bench.proxy.relent();
    for format in ["text", "json"] {
        said.extend(run(&bench, "up", &["up", "-f", "kindmesh.yaml", "-vv", "-o", format, "--timings", "t.json"]).await);
        said.extend(run(&bench, "status", &["status", "-vv", "-o", format]).await);
    }
    let kubeconfig = std::fs::read_to_string(bench.dir.path().join("kubeconfig")).unwrap();
    assert!(kubeconfig.contains(TOKEN), "the kubeconfig is where the token belongs");
    assert_eq!(mode(&bench.dir.path().join("kubeconfig")), 0o600);
    said.push(("timings".to_owned(), std::fs::read_to_string(bench.dir.path().join("t.json")).unwrap()));
    for container in bench.server.engine.containers() {
        let spec = bench.server.engine.container_spec(&container.name);
        said.push((format!("container {}", container.name), format!("{container:?} {spec:?}")));
    }
    said.extend(run(&bench, "down", &["down", "--fleet", "secret", "-vv", "--timings", "d.json"]).await);
    let words: usize = said.iter().map(|(_, text)| text.len()).sum();
    assert!(words > 20_000, "so little was said that the test tests nothing: {words} bytes");

    let key = client_key();
    let line = key.lines().nth(1).unwrap().to_owned();
    let secrets = [
        ("the token", TOKEN.to_owned()),
        ("the token, encoded", STANDARD.encode(TOKEN)),
        ("a private key", "PRIVATE KEY".to_owned()),
        ("the private key's content", line),
        ("the private key, encoded", STANDARD.encode(&key)[60..160].to_owned()),
        ("a field of a kubeconfig", "client-key-data".to_owned()),
    ];
    let mut failures = Vec::new();
    for (place, text) in &said {
        for (what, secret) in &secrets {
            if let Some(at) = text.find(secret.as_str()) {
                let from = text[..at].char_indices().rev().nth(80).map_or(0, |(at, _)| at);
                failures.push(format!("{what} is told in {place}: {}", &text[from..at]));
            }
        }
    }
    report::row("secrets sought in what is told", said.len() * secrets.len(), &failures);
}

/// Runs the program as a user does; what it says on both streams.
async fn run(bench: &Bench, name: &str, arguments: &[&str]) -> [Said; 2] {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kindmesh"));
    command.args(arguments).env_clear().env("HOME", bench.dir.path()).env("KUBECONFIG", bench.dir.path().join("kubeconfig"));
    command.env("DOCKER_HOST", format!("unix://{}", bench.proxy.socket.display())).current_dir(bench.dir.path()).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    [(format!("{name}'s output"), text(&output.stdout)), (format!("{name}'s errors and records"), text(&output.stderr))]
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
