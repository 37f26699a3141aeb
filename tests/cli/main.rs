//! The program from outside, without an engine: what it prints, where, and how it ends.
//!
//! Every run has a home of its own and nothing of this machine's environment.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod commands;
mod connect;
mod exits;
mod fleet_file;
mod hints;
mod mesh;
mod network;
mod output;
mod pool;
mod support;
mod texts;
mod timings;

/// A file that is not named above would never be compiled.
#[test]
fn no_file_is_forgotten() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let listed = std::fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") {
            assert!(listed.contains(&format!("mod {module};")), "{name} is not listed in main.rs");
        }
    }
}
