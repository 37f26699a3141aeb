//! What people are told to do can be done.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::Sealed;

/// Every `--flag` in the texts.
fn flags(text: &str) -> BTreeSet<String> {
    let begins = text.match_indices("--").filter(|(at, _)| !text[..*at].ends_with(['-', '<', '!']));
    let words = begins.map(|(at, _)| text[at..].split(|c: char| !(c.is_ascii_lowercase() || c == '-')).next().unwrap_or_default());
    words.filter(|word| word.len() > 3).map(|word| word.trim_end_matches('-').to_owned()).collect()
}

/// The text of every call of `hint` in a source that has one.
fn hints(source: &str) -> Vec<&str> {
    let arguments = source.match_indices(".hint(").map(|(at, call)| source[at + call.len()..].trim_start());
    let texts = arguments.map(|argument| argument.strip_prefix("format!(").unwrap_or(argument).trim_start());
    texts.filter_map(|argument| argument.strip_prefix('"')).map(text).collect()
}

/// As far as to the quote that ends it.
fn text(source: &str) -> &str {
    let mut escaped = false;
    let end = source.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    &source[..end.unwrap_or(source.len())]
}

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("tests.rs") {
            found.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_flag_in_a_hint_is_one_of_the_program() {
    let known = flags(&Sealed::new().run(&["completion", "bash"]).ok());
    let mut texts = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut texts);
    let hints: Vec<&str> = texts.iter().flat_map(|source| hints(source)).collect();
    assert!(hints.len() > 100 && known.contains("--fleet"), "{} hints, {known:?}", hints.len());
    for hint in hints {
        let unknown: Vec<String> = flags(hint).into_iter().filter(|flag| !known.contains(flag)).collect();
        assert!(unknown.is_empty(), "{unknown:?} in: {hint}");
    }
}
