//! The project's own files as text, and Rust code without comments, strings and in-file tests.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that are made, not written.
const MADE: [&str; 3] = [".git", "target", "node-images/build"];

/// A file of the project.
pub struct Source {
    /// Path from the project's root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Root of the project.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file of the project whose path starts with one of the prefixes, in order.
pub fn files(prefixes: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    walk(root(), &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| (path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/"), path))
        .filter(|(name, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)))
        .filter_map(|(path, full)| Some(Source { path, text: String::from_utf8(fs::read(full).ok()?).ok()? }))
        .collect()
}

/// Every Rust file below these prefixes.
pub fn rust(prefixes: &[&str]) -> Vec<Source> {
    files(prefixes).into_iter().filter(|source| source.path.ends_with(".rs")).collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if MADE.iter().any(|made| path == root().join(made)) || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}

// === impl Source ===

impl Source {
    /// Whether the whole file is tests of the file beside it.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.ends_with("_tests.rs") || self.path[4.min(self.path.len())..].contains("/tests/")
    }

    /// Its code, line by line as in the file: comments, the insides of strings and tests at the end are blank.
    pub fn code(&self) -> String {
        if self.is_test() {
            return String::new();
        }
        let code = blank(&self.text);
        match tests_begin(&code) {
            Some(at) => code[..at].to_owned(),
            None => code,
        }
    }
}

/// Where the in-file test module begins: by convention it is the last thing in a file.
fn tests_begin(code: &str) -> Option<usize> {
    code.match_indices("#[cfg(test)]").map(|(at, _)| at).find(|&at| {
        let after = code[at + "#[cfg(test)]".len()..].trim_start();
        after.starts_with("mod ") && after.lines().next().is_some_and(|line| line.ends_with('{'))
    })
}

/// Rust code with comments and the insides of literals replaced by nothing; line ends stay.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_string(rest, &out) {
            length
        } else if rest.starts_with('"') {
            quoted(rest)
        } else if rest.starts_with('\'') {
            character(rest)
        } else {
            0
        };
        if skipped > 0 {
            let literal = !rest.starts_with('/');
            out.push_str(if literal { "\"\"" } else { "" });
            out.extend(rest[..skipped].chars().filter(|&c| c == '\n'));
            at += skipped;
        } else {
            let next = rest.chars().next().unwrap();
            out.push(next);
            at += next.len_utf8();
        }
    }
    out
}

/// Length of the raw string that starts here, if one does.
fn raw_string(rest: &str, before: &str) -> Option<usize> {
    if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let body = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = body.bytes().take_while(|&b| b == b'#').count();
    let inside = body[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let start = rest.len() - inside.len();
    Some(inside.find(&close).map_or(rest.len(), |end| start + end + close.len()))
}

/// Length of the string literal that starts here.
fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Length of the character literal that starts here; 0 for a lifetime.
fn character(rest: &str) -> usize {
    let mut inside = rest[1..].chars();
    match inside.next() {
        Some('\\') => rest[2..].char_indices().skip(1).find(|&(_, c)| c == '\'').map_or(0, |(at, _)| at + 3),
        Some(c) if inside.next() == Some('\'') => 2 + c.len_utf8(),
        _ => 0,
    }
}

/// Whether a token stands in the code as a word of its own: `tokio` is not in `my_tokio`.
pub fn has_token(code: &str, token: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(token).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + token.len()..].chars().next();
        let joined = |edge: Option<char>, own: Option<char>| edge.is_some_and(word) && own.is_some_and(word);
        !joined(before, token.chars().next()) && !joined(after, token.chars().next_back())
    })
}

#[test]
fn only_code_is_left() {
    let text = "let a = \"println!(\\\"x\\\")\"; // println!\n/* println! */ let b = '\"'; let c: &'static str = r#\"println!(\"\")\"#;\nlet d = '\\'';\n#[cfg(test)]\nmod tests {\n println!();\n}\n";
    let source = Source { path: "src/a.rs".into(), text: text.into() };
    let code = source.code();
    assert_eq!(code, "let a = \"\"; \n let b = \"\"; let c: &'static str = \"\";\nlet d = \"\";\n");
    assert!(Source { path: "src/a/tests.rs".into(), text: text.into() }.code().is_empty());
}

#[test]
fn a_token_is_a_word() {
    assert!(has_token("use tokio::time;", "tokio"));
    assert!(!has_token("use my_tokio::time;", "tokio"));
    assert!(!has_token("eprintln!()", "println!"));
    assert!(has_token("x.await", ".await"));
}
