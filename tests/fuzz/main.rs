//! Whatever is read from outside, given what nobody would write: no panic, no hang, no more memory than is sensible.
//!
//! Each target runs in a process of its own, with a limit on its memory and a watchdog on each input. What ends such a
//! process is kept in `tests/fuzz/corpus/<target>/` and tried first by every later run. Run by hand:
//! `KINDMESH_FUZZ_SECONDS=60 cargo test --test fuzz -- kubeconfig`; without the variable each target has 3 seconds.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program of its own, which talks to who runs it and watches a clock"
)]

mod charts;
mod child;
mod mutate;
mod node_logs;
mod parent;
#[path = "../faults/report.rs"]
#[expect(dead_code, reason = "the tests of faults use all of it")]
mod report;
mod served;
mod targets;

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--child") => child::run(&arguments[1..]),
        _ => parent::run(&arguments),
    }
}
