//! The figures as Markdown.

use super::command::{self, Run, spread};
use super::hand::{ByHand, Runs};
use super::ours::Ours;
use super::rendering::Rendering;

/// Two clusters, kindmesh beside the script.
pub fn figures(nothing: &[Ours], existing: &[Ours], by_hand: &Runs, rendering: &Rendering) -> String {
    let both = || nothing.iter().chain(existing);
    let seconds = |values: &mut dyn Iterator<Item = f64>| range(values, " s");
    let ours = |runs: &[Ours], figure: fn(&Ours) -> f64| seconds(&mut runs.iter().map(figure));
    let hand = |runs: &[ByHand], figure: fn(&ByHand) -> f64| seconds(&mut runs.iter().map(figure));
    let each = |run: &Ours| run.run.cpu / run.nodes.len() as f64;
    let rows = [
        ("from nothing to verified".to_owned(), ours(nothing, |ours| ours.run.wall), hand(&by_hand.nothing, |hand| hand.verified)),
        (
            "from existing clusters to verified".to_owned(),
            ours(existing, |ours| ours.run.wall),
            hand(&by_hand.existing, |hand| hand.verified),
        ),
        (
            "clusters and MetalLB at rest, without a mesh".to_owned(),
            seconds(&mut existing.iter().filter_map(|ours| ours.clusters)),
            seconds(&mut by_hand.existing.iter().filter_map(|hand| hand.usable)),
        ),
        (
            "CPU of a cluster, from nothing until verified".to_owned(),
            ours(nothing, Ours::node_cpu),
            hand(&by_hand.nothing, ByHand::node_cpu),
        ),
        (
            "memory of a cluster when verified".to_owned(),
            range(&mut both().map(Ours::node_memory), " MiB"),
            range(&mut by_hand.nothing.iter().map(ByHand::node_memory), " MiB"),
        ),
        (
            "CPU of the programs themselves, from nothing".to_owned(),
            ours(nothing, |ours| ours.run.cpu),
            hand(&by_hand.nothing, |hand| hand.tools_cpu),
        ),
        (
            "kindmesh's own CPU per cluster, from existing clusters (aim: 2 s)".to_owned(),
            seconds(&mut existing.iter().map(each)),
            String::new(),
        ),
        ("kindmesh's peak memory (aim: 96 MiB)".to_owned(), range(&mut both().map(|ours| ours.run.peak_mib), " MiB"), String::new()),
        ("endpoints converge after the last remote secret".to_owned(), seconds(&mut both().map(|ours| ours.converged)), String::new()),
        (
            "calls fail, after the pods of a cluster are taken away, for".to_owned(),
            seconds(&mut both().map(|ours| ours.failover)),
            String::new(),
        ),
        ("`verify` alone (aim: 15 s)".to_owned(), seconds(&mut both().map(|ours| ours.verify)), String::new()),
        (
            "rendering a cluster's charts (aim: 50 ms)".to_owned(),
            format!("{:.1} ms (slowest of 50 {:.1} ms, reading them included {:.1} ms)", rendering.middle, rendering.most, rendering.first),
            String::new(),
        ),
    ];
    let rows: Vec<String> = rows.into_iter().map(|(what, ours, hand)| format!("| {what} | {ours} | {hand} |")).collect();
    format!("| two clusters | kindmesh | by kind, kubectl and helm |\n|---|---|---|\n{}", rows.join("\n"))
}

/// Four clusters, once.
pub fn four(ours: &Ours) -> String {
    format!(
        "Four clusters, once: from nothing to verified in {:.1} s; a cluster cost {:.1} s CPU and {:.0} MiB; kindmesh itself {:.1} s CPU, {:.0} MiB peak; `verify` alone {:.1} s.",
        ours.run.wall,
        ours.node_cpu(),
        ours.node_memory(),
        ours.run.cpu,
        ours.run.peak_mib,
        ours.verify,
    )
}

/// The steps of some runs.
pub fn steps<'a>(title: &str, runs: impl Iterator<Item = &'a Run>) -> String {
    let steps = command::steps(runs).into_iter().filter(|(_, step)| step.longest >= 0.05);
    let rows: Vec<String> = steps.map(|(name, step)| format!("| {name} | {:.1} s | {:.1} s |", step.longest, step.over)).collect();
    format!("| {title} | took longest | over at |\n|---|---|---|\n{}", rows.join("\n"))
}

/// `41.2 s (40.0 to 42.4 of 2)`; nothing without values.
fn range(values: &mut dyn Iterator<Item = f64>, unit: &str) -> String {
    let values: Vec<f64> = values.collect();
    let digits = if unit == " s" { 1 } else { 0 };
    match values.as_slice() {
        [] => String::new(),
        [one] => format!("{one:.digits$}{unit}"),
        many => {
            let (middle, least, most) = spread(many.iter().copied());
            format!("{middle:.digits$}{unit} ({least:.digits$} to {most:.digits$} of {})", many.len())
        }
    }
}
