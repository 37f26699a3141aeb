//! `--timings FILE`: where the time went, as a trace and as a picture.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::errors::CliError;
use super::exit::Exit;
use super::output::Printer;
use super::recorder::Recorder;
use crate::domain::name::FleetName;
use crate::domain::trace::{chrome, svg};
use crate::ops::Kindmesh;

/// The flag.
#[derive(Debug, Clone, Default, Args)]
pub struct TimingsFlag {
    /// Write where the time went: a Chrome trace, and a chart beside it with the extension .svg
    #[arg(long, value_name = "FILE")]
    pub timings: Option<PathBuf>,
}

/// A command that is timed.
#[derive(Debug)]
pub struct Timings {
    recorder: Arc<Recorder>,
    trace: Output,
    chart: Output,
}

/// A file that is known to be writable.
#[derive(Debug)]
struct Output {
    path: PathBuf,
    file: File,
}

// === impl Timings ===

impl Timings {
    /// Opens the files and starts the clock; `command` is the title. What stands in the files stays until
    /// the command ends.
    ///
    /// # Errors
    /// [`Exit::Usage`] when trace and chart would be one file, [`Exit::Failure`] when one cannot be written.
    pub fn open(command: &str, path: &Path) -> Result<Self, CliError> {
        let chart = path.with_extension("svg");
        if path.extension() == Some("svg".as_ref()) {
            return Err(CliError::new(
                Exit::Usage,
                format!("--timings {}: that is the name of the chart beside the trace", path.display()),
            )
            .hint("name the trace, like trace.json"));
        }
        let (trace, chart) = (Output::open(path)?, Output::open(&chart)?);
        Ok(Self { recorder: Arc::new(Recorder::new(command)), trace, chart })
    }

    /// What records.
    pub fn recorder(&self) -> Arc<Recorder> {
        self.recorder.clone()
    }

    /// Ends the command's time and adds what the nodes of a fleet recorded of it, as far as they tell.
    pub async fn read_nodes(&self, kindmesh: &Kindmesh, fleet: &FleetName) {
        self.recorder.stop();
        match kindmesh.node_moments(fleet, self.recorder.clock()).await {
            Ok(moments) => self.recorder.add(moments),
            Err(error) => tracing::debug!(error = error.one_line(), "no node tells what it recorded"),
        }
    }

    /// Writes both files and says so, however the command ended. The command's own error is more
    /// important than one of the files.
    ///
    /// # Errors
    /// The command's; else [`Exit::Failure`] when a file cannot be written.
    pub fn finish(&self, printer: &Printer, result: Result<(), CliError>) -> Result<(), CliError> {
        let timeline = self.recorder.timeline(result.as_ref().err().map(|error| error.message.as_str()));
        let written = self.trace.write(&chrome(&timeline)).and_then(|()| self.chart.write(&svg(&timeline)));
        if written.is_ok() {
            printer.say(&format!("timings are in {} and {}", self.trace.path.display(), self.chart.path.display()));
        }
        match (result, written) {
            (Ok(()), written) => written,
            (Err(error), Ok(())) => Err(error),
            (Err(error), Err(unwritten)) => Err(error.hint(format!("also failed: {}", unwritten.message))),
        }
    }
}

// === impl Output ===

impl Output {
    fn open(path: &Path) -> Result<Self, CliError> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| {
            unwritable(path, &error).hint("--timings names a file in a folder that exists and may be written to; no cluster was touched")
        })?;
        Ok(Self { path: path.to_owned(), file })
    }

    fn write(&self, text: &str) -> Result<(), CliError> {
        let written = || {
            let mut file = &self.file;
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(text.as_bytes())
        };
        written().map_err(|error| unwritable(&self.path, &error))
    }
}

fn unwritable(path: &Path, error: &io::Error) -> CliError {
    CliError::new(Exit::Failure, format!("write {}", path.display())).because(error)
}

#[cfg(test)]
mod tests {
    use super::super::args::Globals;
    use super::super::env::Env;
    use super::super::output::Terminals;
    use super::*;

    fn quiet() -> Printer {
        Printer::new(&Globals { quiet: true, ..Globals::default() }, &Env::default(), Terminals { stdout: false, stderr: false })
    }

    #[test]
    fn both_files_are_written_when_the_command_fails_and_nothing_older_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.json");
        std::fs::write(&path, "x".repeat(100_000)).unwrap();
        let timings = Timings::open("kindmesh up", &path).unwrap();
        let error = timings.finish(&quiet(), Err(CliError::new(Exit::Engine, "no engine"))).unwrap_err();
        assert_eq!((error.kind, error.hints.len()), (Exit::Engine, 0));
        let trace: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        assert!(events.iter().any(|event| event["ph"] == "X" && event["args"]["error"] == "no engine"), "{trace}");
        assert!(std::fs::read_to_string(folder.path().join("trace.svg")).unwrap().ends_with("</svg>\n"));
    }

    #[test]
    fn the_chart_must_not_take_the_place_of_the_trace() {
        let error = Timings::open("kindmesh up", Path::new("nowhere/trace.svg")).unwrap_err();
        assert_eq!(error.kind, Exit::Usage);
    }
}
