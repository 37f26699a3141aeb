//! Whole meshes, timed: from nothing to verified, from existing clusters to verified, what it costs the
//! nodes and kindmesh itself, `verify` alone, the charts alone; beside it, where the engine can run
//! privileged containers, `scripts/mesh-by-hand`, which does the same with kind, kubectl and helm.
//!
//! ```text
//! cargo bench --bench mesh
//! ```
//!
//! Needs an engine, the node image and some minutes. Verified means: 20 calls or more from each
//! cluster, answered by every version; kindmesh has looked at everything else by then, too.
//!
//! | variable | what | default |
//! |---|---|---|
//! | `KINDMESH_BENCH_ROUNDS` | runs of kindmesh | 2 |
//! | `KINDMESH_BENCH_HAND_ROUNDS` | runs of the script; 0 leaves it out | 1 |
//! | `KINDMESH_BENCH_FOUR` | when set: a mesh of four clusters, once, too | |
//! | `KINDMESH_BENCH_PROGRAM` | the kindmesh that is measured | the one that cargo builds for it |
//! | `KINDMESH_NODE_IMAGE` | node image | that of the default version |

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a program for people that ends at the first surprise")]

#[path = "../support/command.rs"]
mod command;
mod engine;
mod failover;
mod hand;
mod machine;
mod ours;
mod rendering;
mod table;

use command::Bench;
use ours::Ours;

fn main() {
    let (rounds, hand_rounds) = (number("KINDMESH_BENCH_ROUNDS", 2).max(1), number("KINDMESH_BENCH_HAND_ROUNDS", 1));
    let rendering = rendering::measure();
    let bench = Bench::new();
    let mut nothing = Vec::new();
    let mut existing = Vec::new();
    let mut by_hand = hand::Runs::default();
    // In turns, so that a machine that gets slower over time does so to both.
    for round in 0..rounds.max(hand_rounds) {
        if round < rounds {
            nothing.push(Ours::from_nothing(&bench, 2));
            existing.push(Ours::from_existing(&bench, 2));
        }
        if round < hand_rounds && nothing[0].privileged {
            by_hand.run();
        }
    }
    let four = std::env::var_os("KINDMESH_BENCH_FOUR").map(|_| Ours::from_nothing(&bench, 4));

    println!("{}\n", machine::describe(&nothing[0]));
    println!("{}", table::figures(&nothing, &existing, &by_hand, &rendering));
    if let Some(four) = &four {
        println!("\n{}", table::four(four));
    }
    println!("\n{}", table::steps("from nothing to verified", nothing.iter().map(|ours| &ours.run)));
    println!("\n{}", table::steps("from existing clusters to verified", existing.iter().map(|ours| &ours.run)));
    for steps in by_hand.steps() {
        println!("\n{steps}");
    }
    if by_hand.is_empty() {
        let why = if nothing[0].privileged { "not asked for" } else { "this engine runs no privileged containers, which kind needs" };
        println!("\nNot compared with the script: {why}.");
    }
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}
