//! The real kind.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::engine;

/// Its program, and the node image it is to use.
pub struct Kind {
    program: PathBuf,
    image: String,
}

/// The node image both sides use.
pub fn image() -> String {
    std::env::var("KINDMESH_NODE_IMAGE").unwrap_or_else(|_| "kindmesh/node:v1.34.4".to_owned())
}

// === impl Kind ===

impl Kind {
    /// The program, where the engine can run what it makes.
    pub fn find() -> Option<Self> {
        if !engine_runs_privileged() {
            eprintln!("this engine runs no privileged containers, which kind needs: kindmesh is measured alone");
            return None;
        }
        let program = std::env::var_os("KINDMESH_TEST_KIND").map(PathBuf::from).unwrap_or_else(|| {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/get-kind");
            let output = Command::new(script).stderr(Stdio::inherit()).output().expect("run scripts/get-kind");
            assert!(output.status.success(), "scripts/get-kind failed");
            String::from_utf8(output.stdout).expect("a path").trim().into()
        });
        Some(Self { program, image: image() })
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Starts to create a cluster.
    pub fn create(&self, name: &str, kubeconfig: &Path) -> std::process::Child {
        let mut command = Command::new(&self.program);
        command.args(["create", "cluster", "--quiet", "--name", name, "--image", &self.image, "--kubeconfig"]).arg(kubeconfig);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("run kind")
    }

    /// Deletes clusters, as a user does who has several: all of them by one command. Seconds.
    pub fn delete(&self, names: &[String], kubeconfig: &Path) -> f64 {
        let begun = Instant::now();
        let mut command = Command::new(&self.program);
        command.args(["delete", "clusters", "--quiet", "--kubeconfig"]).arg(kubeconfig).args(names);
        assert!(
            command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("run kind").success(),
            "kind delete clusters {names:?}"
        );
        begun.elapsed().as_secs_f64()
    }
}

/// Engines that were told to start every container by a runtime of theirs are no fair place, either.
fn engine_runs_privileged() -> bool {
    let bounding = std::fs::read_to_string("/proc/1/status").unwrap_or_default();
    let mask = bounding.lines().find_map(|line| line.strip_prefix("CapBnd:")).and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let all = mask.is_some_and(|mask| mask & (1 << 24) != 0);
    // Newer engines leave out what the host lacks.
    let version = engine::get("/version")["ApiVersion"].as_str().and_then(|version| version.split_once('.')?.1.parse::<u32>().ok());
    all || version.is_some_and(|minor| minor >= 44)
}
