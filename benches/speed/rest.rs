//! A verified fleet of two that was put to rest, and is wanted again.

use super::command::Bench;
use super::mesh;
use super::peer::image;
use super::table::Table;

const FLEET: &str = "speedrest";

/// The figures, beside the script's times from nothing.
pub fn measure(bench: &Bench, rounds: usize, wanted: &dyn Fn(&str) -> bool, table: &mut Table) {
    const PAUSED: &str = "a paused verified fleet of two, resumed and verified";
    const STOPPED: &str = "a stopped verified fleet of two, started and verified";
    if !wanted(PAUSED) && !wanted(STOPPED) {
        return;
    }
    // What the script needs for the same state: it knows neither rest.
    let theirs = table.rows.iter().find(|row| row.figure == mesh::FIGURE).map(|row| row.theirs.clone()).unwrap_or_default();
    bench.run(&["up", "--mesh", "--fleet", FLEET, "--clusters", "2", "--image", &image()]);
    let (mut resumed, mut started) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        bench.run(&["pause", "--fleet", FLEET]);
        resumed.push(awake(bench, "resume"));
        bench.run(&["stop", "--fleet", FLEET]);
        started.push(awake(bench, "start"));
    }
    bench.run(&["down", "--fleet", FLEET]);
    let peer = "a script with kind, kubectl, helm, from nothing";
    table.add(PAUSED, peer, theirs.clone(), resumed, 0.04);
    table.add(STOPPED, peer, theirs, started, 0.35);
}

fn awake(bench: &Bench, verb: &str) -> f64 {
    let (run, report) = bench.run(&[verb, "--fleet", FLEET]);
    assert_eq!(report["proof"]["ok"], true, "{verb} proves the mesh");
    run.wall
}
