//! Licences and sources of everything in the build, against `deny.toml`: what cargo-deny would check, asked of cargo
//! itself, since cargo-deny takes longer to build than everything else here.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::source::root;

/// The registry that crates may come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[test]
fn every_licence_is_allowed() {
    let allowed = allowed();
    assert!(allowed.contains("MIT") && allowed.contains("Apache-2.0 WITH LLVM-exception"), "deny.toml was not understood: {allowed:?}");
    let mut bad = Vec::new();
    for package in packages() {
        let (name, licence) = (package["name"].as_str().unwrap_or_default(), package["license"].as_str().unwrap_or_default());
        // Some say it only in a file; none of those is used so far.
        if licence.is_empty() || !fits(licence, &allowed) {
            bad.push(format!("{name}: '{licence}'"));
        }
    }
    assert_eq!(bad, Vec::<String>::new(), "not allowed by deny.toml");
}

#[test]
fn everything_comes_from_the_registry_and_is_pinned() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let mut bad = Vec::new();
    let mut count = 0;
    for package in lock.split("[[package]]").skip(1) {
        let field =
            |key: &str| package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = ")).map(|text| text.trim_matches('"'));
        let name = field("name").unwrap_or_default();
        let pinned = field("source") == Some(REGISTRY) && field("checksum").is_some_and(|sum| sum.len() == 64);
        if !pinned && name != env!("CARGO_PKG_NAME") {
            bad.push(format!("{name}: {:?}", field("source")));
        }
        count += 1;
    }
    assert!(count > 100, "the lock file was not understood");
    assert_eq!(bad, Vec::<String>::new(), "neither from the registry nor pinned");
}

/// The list of `deny.toml`.
fn allowed() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    let list = text.split("[licenses]").nth(1).and_then(|rest| rest.split("allow = [").nth(1)).and_then(|rest| rest.split(']').next());
    list.unwrap_or_default().split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Everything that a build on any platform takes, our own package apart.
fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version=1", "--locked", "--all-features"]).current_dir(root());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter().filter(|package| !package["source"].is_null());
    let packages: Vec<Value> = packages.cloned().collect();
    assert!(packages.len() > 100, "cargo tells of {} packages only", packages.len());
    packages
}

/// Whether an expression (`MIT OR (Apache-2.0 AND ISC)`) can be fulfilled with what is allowed.
fn fits(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = text.split_whitespace().peekable();
    let fits = any(&mut words, allowed);
    assert!(words.next().is_none(), "'{expression}' was not understood");
    fits
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut fits = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        fits |= all(words, allowed);
    }
    fits
}

fn all(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut fits = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        fits &= one(words, allowed);
    }
    fits
}

fn one(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let fits = any(words, allowed);
        assert_eq!(words.next(), Some(")"), "a bracket that is not closed");
        return fits;
    }
    let name = words.next().unwrap_or_default().to_owned();
    match words.next_if_eq(&"WITH") {
        // Whoever allows a licence allows it with an exception, which only takes conditions away.
        Some(_) => {
            let exception = words.next().unwrap_or_default();
            allowed.contains(&format!("{name} WITH {exception}")) || allowed.contains(&name)
        }
        None => allowed.contains(&name),
    }
}

#[test]
fn expressions_are_understood() {
    let allowed: BTreeSet<String> = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
    for yes in ["MIT", "GPL-3.0 OR MIT", "MIT/Apache-2.0", "(GPL-3.0 OR MIT) AND ISC", "Apache-2.0 WITH LLVM-exception OR GPL-3.0"] {
        assert!(fits(yes, &allowed), "{yes}");
    }
    for no in ["GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0", "(MIT OR ISC) AND GPL-3.0"] {
        assert!(!fits(no, &allowed), "{no}");
    }
}
