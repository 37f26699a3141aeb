//! Keys and tokens of a mesh: where they belong they are readable for their owner alone, and nobody is told them.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::secrets::{every_file, piece_of};
use crate::support::Bench;

const EXIT_CONFLICT: i32 = 6;
/// So much of a token is looked for.
const SOUGHT: usize = 48;
/// Name of a secret.
const ROOT_KEY: &str = "the root's key";

impl Bench {
    /// `up` to its end, saying all it can; what it did, and what it said.
    pub fn mesh_up_aloud(&self) -> (Value, String) {
        let ran = self.kindmesh(["up", "-f", "kindmesh.yaml", "--mesh", "-o", "json", "-vv", "--timings", "up.json"]);
        let said = ran.stderr.clone();
        (ran.json(), said)
    }

    /// Looks for the secrets of these clusters in what was said, and in what every command says and keeps.
    pub async fn secrets_stay_secret(&self, clusters: &[&str], roots: &Path, said: String) {
        let secrets = self.secrets(clusters, roots).await;
        // For each cluster its key, an administrator's key and the other's token; and the root's key.
        assert_eq!(secrets.len(), 1 + 3 * clusters.len());
        let pieces: BTreeSet<&String> = secrets.iter().map(|(_, piece)| piece).collect();
        assert_eq!(pieces.len(), secrets.len(), "what two secrets have in common is none");
        self.root_stays_outside(clusters, &secrets).await;
        let mut told = vec![("up".to_owned(), said)];
        for arguments in [
            &["up", "-f", "kindmesh.yaml", "--mesh", "-vv"][..],
            &["verify", "-f", "kindmesh.yaml", "-vv", "-o", "json", "--timings", "verify.json"],
            &["mesh", "ca", "-f", "kindmesh.yaml", "-vv", "-o", "json"],
            &["status", "--fleet", &self.fleet, "-vv", "-o", "json"],
            &["diff", "-f", "kindmesh.yaml", "-vv", "-o", "json"],
            &["export", "logs", "secrets", "--fleet", &self.fleet, "-vv"],
        ] {
            let ran = self.kindmesh(arguments);
            assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
            told.push((arguments.join(" "), ran.stdout + &ran.stderr));
        }
        for file in ["up.json", "up.svg", "verify.json", "verify.svg"] {
            told.push((file.to_owned(), std::fs::read_to_string(self.dir.path().join(file)).expect("timings")));
        }
        told.push(("up of fewer clusters".to_owned(), self.refused_with_evidence()));
        assert!(self.dir.path().join("evidence/kubernetes").is_dir(), "the clusters were asked");
        for folder in ["secrets", "evidence"] {
            every_file(&self.dir.path().join(folder), &mut |path, content| told.push((path.display().to_string(), content.to_owned())));
        }
        assert!(told.len() > 50, "{} places", told.len());
        for (place, text) in told {
            for (what, secret) in &secrets {
                assert!(!text.contains(secret.as_str()), "{what} is told in {place}");
            }
        }
    }

    /// What an `up` says that fails while everything runs, and leaves evidence: it would have to remove clusters.
    fn refused_with_evidence(&self) -> String {
        let path = self.dir.path().join("kindmesh.yaml");
        let described = std::fs::read_to_string(&path).expect("the fleet file");
        std::fs::write(&path, described.replace("clusters: 2", "clusters: 1")).expect("write the fleet file");
        let said = self.kindmesh(["up", "-f", "kindmesh.yaml", "--mesh", "-vv", "--evidence", "evidence"]).failed(EXIT_CONFLICT);
        std::fs::write(&path, described).expect("write the fleet file");
        said
    }

    /// The root's key is in no cluster, whatever is looked for in: the intermediate's own key is found.
    async fn root_stays_outside(&self, clusters: &[&str], secrets: &[(String, String)]) {
        let secret = |what: &str| &secrets.iter().find(|(name, _)| name == what).expect("a secret").1;
        for cluster in clusters {
            let kept = self.kept_in(cluster).await;
            let places = |secret: &str| -> Vec<&str> {
                kept.iter().filter(|(_, value)| value.contains(secret)).map(|(place, _)| place.as_str()).collect()
            };
            assert_eq!(places(secret(ROOT_KEY)), Vec::<&str>::new(), "{cluster} has the root's key");
            let own = places(secret(&format!("the key of {cluster}")));
            assert!(own.iter().any(|place| place.contains("cacerts")), "of {} places {own:?}", kept.len());
        }
    }

    /// A piece of each secret, with its name.
    async fn secrets(&self, clusters: &[&str], roots: &Path) -> Vec<(String, String)> {
        let key = roots.join("root-key.pem");
        for (path, mode) in [(roots, 0o700), (&key, 0o600), (&self.kubeconfig(), 0o600)] {
            let found = std::fs::metadata(path).expect("what is kept").permissions().mode() & 0o777;
            assert_eq!(found, mode, "{}: {found:o}", path.display());
        }
        let mut secrets = vec![(ROOT_KEY.to_owned(), piece_of(&std::fs::read_to_string(&key).expect("the root's key")))];
        for (index, cluster) in clusters.iter().enumerate() {
            let other = clusters[(index + 1) % clusters.len()];
            let cacerts = self.object(cluster, "-n istio-system secret cacerts").await;
            let intermediate = STANDARD.decode(cacerts["data"]["ca-key.pem"].as_str().expect("a key")).expect("base64");
            secrets.push((format!("the key of {cluster}"), piece_of(&String::from_utf8_lossy(&intermediate))));
            let (_, config) = self.remote_kubeconfig(cluster, other).await;
            let token = config["users"][0]["user"]["token"].as_str().expect("a token");
            // The end: beginnings of such tokens are all alike.
            secrets.push((format!("the token for {other}"), token[token.len() - SOUGHT..].to_owned()));
            let script = "kubectl config view --raw --kubeconfig /etc/kubernetes/admin.conf -o jsonpath='{.users[0].user.client-key-data}'";
            let (code, admin) = self.in_node(&format!("{cluster}-control-plane"), script).await;
            assert_eq!(code, 0, "{admin}");
            let admin = STANDARD.decode(admin.trim()).expect("base64");
            secrets.push((format!("an administrator's key of {cluster}"), piece_of(&String::from_utf8_lossy(&admin))));
        }
        secrets
    }
}
