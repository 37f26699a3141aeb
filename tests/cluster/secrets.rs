//! Secrets of clusters: which there are, and that nothing written has one of them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::Bench;

/// So much of a key is looked for.
const PIECE: usize = 16;

impl Bench {
    /// A piece of each secret that a control plane has: keys of its authority, of its service accounts and of its
    /// etcd, the keys of its kubeconfigs as they stand there and as they are, tokens. It must run.
    pub async fn secrets_of(&self, node: &str) -> Vec<String> {
        // Errors are no secrets. Of what stands on one long line a piece from within: the beginnings of all keys are alike.
        let script = "exec 2>/dev/null; cd /etc/kubernetes; \
                      for key in $(sed -nE 's/^ *client-key-data: *//p' *.conf); do \
                        echo $key | cut -c 101-160; echo $key | base64 -d | sed -n 2p; \
                      done; \
                      sed -nE 's/^ *token: *//p' *.conf | cut -c 1-60; \
                      for key in pki/*.key pki/etcd/*.key serving/*.pem /var/lib/kubelet/pki/kubelet.key; do \
                        sed -n '/BEGIN.*PRIVATE KEY/{n;p}' $key; \
                      done; \
                      kubeadm token list -o jsonpath='{.token}'";
        let (_, found) = self.in_node(node, script).await;
        let secrets: Vec<String> = found.split_whitespace().filter(|secret| secret.len() > 20).map(str::to_owned).collect();
        // The administrator's key in two forms, the keys of the authority and of service accounts, one of a server.
        assert!(secrets.len() >= 5, "{} secrets of {node}", secrets.len());
        secrets
    }

    /// What a cluster itself keeps, decoded, by names: every value of every Secret and ConfigMap.
    pub async fn kept_in(&self, cluster: &str) -> Vec<(String, String)> {
        let kept = self.object(cluster, "secrets,configmaps -A").await;
        let mut values = Vec::new();
        for item in kept["items"].as_array().expect("a list") {
            let place = |key: &str| format!("{} {}/{} {key}", item["kind"], item["metadata"]["namespace"], item["metadata"]["name"]);
            let encoded = |value: &Value| STANDARD.decode(value.as_str().unwrap_or_default()).expect("base64");
            for (key, value) in item["data"].as_object().into_iter().flatten() {
                let bytes = match item["kind"] == "Secret" {
                    true => encoded(value),
                    false => value.as_str().unwrap_or_default().into(),
                };
                values.push((place(key), String::from_utf8_lossy(&bytes).into_owned()));
            }
            for (key, value) in item["binaryData"].as_object().into_iter().flatten() {
                values.push((place(key), String::from_utf8_lossy(&encoded(value)).into_owned()));
            }
            // What was applied may stand in an annotation once more, and not decoded.
            values.push((place("metadata"), item["metadata"].to_string()));
        }
        values
    }
}

/// Looks for secrets in all files of a folder, which nobody else may read. How many files that are.
pub fn nowhere_in(folder: &Path, secrets: &[String]) -> usize {
    let mut files = 0;
    every_file(folder, &mut |path, content| {
        files += 1;
        assert!(secrets.iter().all(|secret| !content.contains(secret.as_str())), "{} has a secret", path.display());
    });
    files
}

/// Shows the files of a folder, which nobody else may read.
pub fn every_file(folder: &Path, look: &mut impl FnMut(&Path, &str)) {
    assert_eq!(std::fs::metadata(folder).unwrap().permissions().mode() & 0o077, 0, "{}", folder.display());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            every_file(&path, look);
        } else {
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
            look(&path, &String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
        }
    }
}

/// A piece of a key: the end of its second line. The beginning says of what kind the key is, which takes 48 letters of
/// those of a curve: all of them begin alike.
pub fn piece_of(key: &str) -> String {
    assert!(key.starts_with("-----BEGIN"), "no key: {} bytes", key.len());
    let line = key.lines().nth(1).expect("a key");
    line[line.len() - PIECE..].to_owned()
}
