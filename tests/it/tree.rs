//! The shape of the tree: sizes, forgotten files, and what no file of the project says.

use super::source::{Source, files, rust};

/// Longest file; most should be far below.
const MAX_LINES: usize = 450;
/// Folders of hand-written code.
const CODE: &[&str] = &["src/", "tests/", "examples/", "benches/", "scripts/", "node-images/programs/", ".ci/"];
/// Files that tools write.
const GENERATED: &[&str] = &["Cargo.lock", "go.sum", ".snap"];

#[test]
fn files_are_short() {
    let long: Vec<String> = written(CODE)
        .iter()
        .map(|source| (source.text.lines().count(), &source.path))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "split these by noun (at most {MAX_LINES} lines): {long:#?}");
}

/// A test file that nobody declares is never run, a source that nobody declares never compiled.
#[test]
fn every_rust_file_is_declared() {
    let sources = rust(&["src/", "tests/"]);
    let declares = |path: &str, module: &str| {
        sources
            .iter()
            .any(|source| source.path == path && source.code().lines().any(|line| line.trim_end().ends_with(&format!("mod {module};"))))
    };
    let declares_test =
        |path: &str, module: &str| sources.iter().any(|source| source.path == path && source.text.contains(&format!("mod {module};")));
    for source in sources.iter().filter(|source| source.path.contains('/')) {
        let (folder, file) = source.path.rsplit_once('/').unwrap();
        let (parent, module) = match file {
            "main.rs" | "lib.rs" => continue,
            "mod.rs" => folder.rsplit_once('/').unwrap(),
            _ => (folder, file.strip_suffix(".rs").unwrap()),
        };
        let candidates = [format!("{parent}/mod.rs"), format!("{parent}.rs"), format!("{parent}/lib.rs"), format!("{parent}/main.rs")];
        let declared = candidates.iter().any(|path| declares(path, module) || (source.is_test() && declares_test(path, module)));
        assert!(declared, "{} is declared by none of {candidates:?}", source.path);
    }
}

/// `mod.rs` says what there is; the code stands in files that are named for it.
#[test]
fn mod_files_only_declare() {
    for source in rust(&["src/"]).iter().filter(|source| source.path.ends_with("/mod.rs")) {
        let code = source.code();
        let plain: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        for statement in plain.join("\n").split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
            let words: Vec<&str> = statement.split_whitespace().filter(|word| !word.starts_with("pub")).collect();
            let first = words.first().copied().unwrap_or_default();
            let visible = statement.starts_with("pub(in") && words.contains(&"use");
            let begin = statement.lines().next().unwrap_or_default();
            assert!(matches!(first, "mod" | "use") || visible, "{} does more than declare: {begin}", source.path);
        }
    }
}

#[test]
fn nothing_is_left_open() {
    // Put together here, so that this file does not say them.
    let marks =
        [["to", "do!("], ["unimple", "mented!("], ["FIX", "ME"], ["XX", "X"], ["HA", "CK"], ["#[ign", "ore]"]].map(|parts| parts.concat());
    for source in written(&["src/", "tests/", "examples/", "benches/", "manifests/", "node-images/", "scripts/"]) {
        for mark in &marks {
            let found = source.text.lines().position(|line| line.contains(mark) && !line.contains(&mark.repeat(2)));
            assert!(found.is_none(), "{}:{}: `{mark}` is left", source.path, found.unwrap_or_default() + 1);
        }
    }
}

/// Packages come from wherever the machine's own tools are told to get them.
#[test]
fn no_file_names_a_package_host() {
    let hosts = [
        ["proxy.go", "lang.org"],
        ["sum.go", "lang.org"],
        ["deb.de", "bian.org"],
        ["ftp.de", "bian.org"],
        ["security.de", "bian.org"],
        ["snapshot.de", "bian.org"],
        ["static.cra", "tes.io"],
        ["index.cra", "tes.io"],
        ["pypi.o", "rg"],
        ["pythonhos", "ted.org"],
        ["registry.np", "mjs.org"],
        ["repo1.ma", "ven.org"],
    ];
    forbid(&hosts.map(|parts| parts.concat()), "say which package, not where from");
}

/// A path that exists on one machine only helps nobody else.
#[test]
fn no_file_names_somebodys_machine() {
    let paths = [["/wo", "rk/"], ["/fa", "rm/"], ["/root/.ca", "rgo"], ["/Use", "rs/"], ["bash_", "jobs"]];
    forbid(&paths.map(|parts| parts.concat()), "use a path below the project, the cache or a temporary folder");
}

fn forbid(words: &[String], advice: &str) {
    for source in written(&[""]) {
        for word in words {
            let found = source.text.lines().position(|line| begins_a_word(line, word));
            assert!(found.is_none(), "{}:{}: `{word}`: {advice}", source.path, found.unwrap_or_default() + 1);
        }
    }
}

/// Whether the word stands in the line with nothing of a name before it: in `/a/b/` the `/b/` is no absolute path.
fn begins_a_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_-.}$".contains(c)))
}

fn written(prefixes: &[&str]) -> Vec<Source> {
    files(prefixes).into_iter().filter(|source| !GENERATED.iter().any(|end| source.path.ends_with(end))).collect()
}

#[test]
fn a_word_is_found_where_it_begins() {
    assert!(begins_a_word("see /wo/x", "/wo/"));
    assert!(!begins_a_word("see /net/wo/x", "/wo/"));
}
