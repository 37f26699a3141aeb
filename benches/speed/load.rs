//! One image into two clusters, for the first time and again when there is nothing to send; beside `kind load
//! docker-image`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::command::{Bench, spread};
use super::noise::{Images, LAYERS};
use super::peer::{Kind, image};
use super::table::Table;

const FLEET: &str = "speedload";
const CLUSTERS: [&str; 2] = ["speedload1", "speedload2"];

/// Seconds of each run: for the first time, and again.
#[derive(Default)]
struct Times {
    first: Vec<f64>,
    again: Vec<f64>,
}

/// The figures. Every load is of an image that no node has seen, of the same size; all ways take turns.
pub fn measure(bench: &Bench, kind: Option<&Kind>, rounds: usize, wanted: &dyn Fn(&str) -> bool, table: &mut Table) {
    let size: usize = LAYERS.iter().sum();
    let figure = |which: &str| format!("an image of {size} MB loaded into two clusters: {which}");
    let (first, again) = (figure("the first time"), figure("again, nothing to send"));
    if !wanted(&first) && !wanted(&again) {
        return;
    }
    let clusters: String = CLUSTERS.iter().map(|name| format!("- name: {name}\n  image: {}\n", image())).collect();
    let file = bench.file(
        "load.yaml",
        &format!("apiVersion: kindmesh.dev/v1alpha1\nkind: Fleet\nname: {FLEET}\nclusters:\n{clusters}addons: {{metallb: false}}\n"),
    );
    bench.run(&["up", "-f", &file]);
    let (mut ours, mut at_once, mut in_turn) = (Times::default(), Times::default(), Times::default());
    let mut images = Images::new();
    for _ in 0..rounds {
        images.with(|image| {
            for times in [&mut ours.first, &mut ours.again] {
                times.push(bench.run(&["load", image, "--fleet", FLEET]).0.wall);
            }
        });
        let Some(kind) = kind else { continue };
        let load = |image: &str, cluster| kind.load(image, cluster, &bench.folder().join("config"));
        images.with(|image| {
            at_once.add(|| CLUSTERS.map(|cluster| load(image, cluster)).into_iter().map(ended).fold(true, |all, one| all & one))
        });
        images.with(|image| in_turn.add(|| CLUSTERS.iter().all(|cluster| ended(load(image, cluster)))));
    }
    bench.run(&["down", "--fleet", FLEET]);
    // Each beside the better of kind's two ways.
    for (figure, target, of) in [(first, 0.4, (|times| &times.first) as fn(&Times) -> &Vec<f64>), (again, 0.5, |times| &times.again)] {
        let middle = |times: &Times| if of(times).is_empty() { f64::INFINITY } else { spread(of(times).iter().copied()).0 };
        let (peer, theirs) = match middle(&in_turn) < middle(&at_once) {
            true => ("kind load, one after the other", &in_turn),
            false => ("kind load, both at once", &at_once),
        };
        table.add(&figure, peer, of(theirs).clone(), of(&ours).clone(), target);
    }
}

fn ended(mut child: std::process::Child) -> bool {
    child.wait().expect("wait for kind").success()
}

// === impl Times ===

impl Times {
    /// What fails is told and does not count, and is not done again: two of kind's loads at once do so now and then.
    fn add(&mut self, load: impl Fn() -> bool) {
        for times in [&mut self.first, &mut self.again] {
            let begun = Instant::now();
            if !load() {
                eprintln!("kind load failed; this round does not count");
                return;
            }
            times.push(begun.elapsed().as_secs_f64());
        }
    }
}

// === impl Kind ===

impl Kind {
    /// Starts to load an image of the engine's into a cluster.
    fn load(&self, image: &str, cluster: &str, kubeconfig: &Path) -> std::process::Child {
        let mut command = Command::new(self.program());
        command.args(["load", "docker-image", image, "--name", cluster]).env("KUBECONFIG", kubeconfig);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("run kind")
    }
}
