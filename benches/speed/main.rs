//! kindmesh beside its peers, in one run, on one engine, with one node image: clusters, their removal and loading
//! an image beside the real kind (whose `load` needs the docker command), meshes beside a script with kind, kubectl
//! and helm. Writes a table, `target/bench/latest.json` and `target/bench/latest.svg`.
//!
//! ```text
//! cargo bench --bench speed
//! ```
//!
//! Needs an engine that can run privileged containers, which kind does not do without; on another one only
//! kindmesh is measured. Each side runs in turns, so that a machine that gets slower does so to both.
//!
//! | variable | what | default |
//! |---|---|---|
//! | `KINDMESH_BENCH_ROUNDS` | rounds for each figure | 5 |
//! | `KINDMESH_BENCH_ONLY` | figures whose names contain this | all |
//! | `KINDMESH_BENCH_PROGRAM` | the kindmesh that is measured | the one that cargo builds for it |
//! | `KINDMESH_NODE_IMAGE` | node image | that of the default version |
//! | `KINDMESH_TEST_KIND` | the real kind | fetched by `scripts/get-kind` |

#![expect(clippy::print_stdout, clippy::print_stderr, clippy::expect_used, reason = "a program for people that ends at the first surprise")]

#[expect(dead_code, reason = "shared with benches that show more of it")]
#[path = "../support/command.rs"]
mod command;
#[path = "../mesh/engine.rs"]
mod engine;
#[expect(dead_code, reason = "shared with a bench that shows more of it")]
#[path = "../mesh/hand.rs"]
mod hand;

mod chart;
mod clusters;
mod growth;
mod load;
mod mesh;
mod noise;
mod peer;
mod probe;
mod rest;
mod table;

use command::Bench;
use peer::Kind;
use table::Table;

fn main() {
    let rounds = std::env::var("KINDMESH_BENCH_ROUNDS").map_or(5, |text| text.parse().expect("a number"));
    let only = std::env::var("KINDMESH_BENCH_ONLY").unwrap_or_default();
    let wanted = |figure: &str| figure.contains(&only);
    let bench = Bench::new();
    let kind = Kind::find();
    let mut table = Table::default();

    clusters::measure(&bench, kind.as_ref(), rounds, &wanted, &mut table);
    mesh::measure(&bench, kind.is_some(), rounds, &wanted, &mut table);
    load::measure(&bench, kind.as_ref(), rounds, &wanted, &mut table);
    rest::measure(&bench, rounds, &wanted, &mut table);
    let growth = if wanted("growth") { growth::measure(&bench) } else { Vec::new() };

    table.write();
    println!("{}", table.markdown());
    if !growth.is_empty() {
        println!("\n{}", growth::markdown(&growth));
        chart::growth(&growth);
    }
    chart::bars(&table);
}
