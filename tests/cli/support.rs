//! A sealed place to run the program in.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// A home folder, which is also the current folder, and the variables that are set.
pub struct Sealed {
    home: TempDir,
    variables: Vec<(String, String)>,
}

/// How a run ended.
#[derive(Debug)]
#[must_use = "check it with ok() or failed()"]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

// === impl Sealed ===

impl Sealed {
    /// A home with nothing in it; the engine is at an address where nobody listens.
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let socket = format!("unix://{}/no.sock", home.path().display());
        Self { home, variables: Vec::new() }.with("DOCKER_HOST", &socket)
    }

    /// Sets a variable.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes a variable away.
    pub fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    /// The home folder.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes a file in the home folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The program, ready to run.
    pub fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("kindmesh"));
        command.env_clear().env("HOME", self.home()).envs(self.variables.iter().cloned()).current_dir(self.home()).args(args);
        command
    }

    /// Runs it with nothing on standard input.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with_input(args, "")
    }

    /// Runs it with this text on standard input.
    pub fn run_with_input(&self, args: &[&str], input: &str) -> Ran {
        let output = Command::from_std(self.command(args)).write_stdin(input).output().unwrap();
        // The home folder has another name in every run.
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&self.home().display().to_string(), "$HOME");
        Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

// === impl Ran ===

impl Ran {
    /// Standard output of a run that succeeded and had nothing else to say.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "stdout: {}", self.stdout);
        self.stdout
    }

    /// Standard error of a run that failed with this exit code and printed no data.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "stderr: {}", self.stderr);
        self.stderr
    }

    /// The JSON document of a run that succeeded: one line.
    #[track_caller]
    pub fn json(self) -> Value {
        let text = self.ok();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The error document of a run that failed with this exit code.
    #[track_caller]
    pub fn json_error(self, code: i32) -> Value {
        let text = self.failed(code);
        let last = text.lines().last().unwrap_or_default();
        serde_json::from_str::<Value>(last).unwrap_or_else(|error| panic!("{error}: {text}"))["error"].clone()
    }
}
