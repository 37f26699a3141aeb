//! What quiet, verbose and JSON mean, decided once per run.
//!
//! The rule: data goes to standard output, everything else to standard error. With `-o json`
//! standard output carries exactly one JSON document (the result), and standard error carries JSON
//! objects, one a line: events, log records, and at the end an error, if there is one.

use std::io::{self, Write as _};
use std::sync::Arc;

use serde::Serialize;

use super::args::{Globals, OutputFormat};
use super::env::Env;
use super::errors::CliError;
use super::exit::Exit;
use super::json::JsonLines;
use super::plain::Lines;
use super::progress::Bars;
use super::screen::Screen;
use super::style::Style;
use crate::event::{Event, Reporter, Silent};

/// Which of the two streams are terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminals {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

/// How much is told, and in which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Display {
    /// Errors only.
    Errors,
    /// A line per beginning and end.
    Lines,
    /// Live lines.
    Bars,
    /// JSON lines.
    Json,
}

/// The program's voice.
#[derive(Clone)]
pub struct Printer {
    display: Display,
    json: bool,
    quiet: bool,
    verbose: bool,
    /// Whether results go to a terminal that may be drawn on.
    draws: bool,
    style: Style,
    screen: Arc<Screen>,
    bars: Option<Arc<Bars>>,
}

#[derive(Serialize)]
struct Notice<'a> {
    event: &'a str,
    message: &'a str,
}

/// Hands every event to several listeners.
struct Tee(Vec<Arc<dyn Reporter>>);

// === impl Printer ===

impl Printer {
    /// Decides.
    pub fn new(globals: &Globals, env: &Env, terminals: Terminals) -> Self {
        let json = globals.output == OutputFormat::Json;
        let display = match (globals.quiet, json) {
            (true, _) => Display::Errors,
            (false, true) => Display::Json,
            (false, false) if terminals.stderr && env.live_display() => Display::Bars,
            (false, false) => Display::Lines,
        };
        let screen = Arc::new(if display == Display::Bars { Screen::live() } else { Screen::plain() });
        let style = Style::new(!json && terminals.stderr && env.colours());
        let verbose = globals.verbose > 0;
        let bars = (display == Display::Bars).then(|| Arc::new(Bars::new(screen.clone(), style, verbose)));
        let draws = !json && terminals.stdout && env.live_display();
        Self { display, json, quiet: globals.quiet, verbose, draws, style, screen, bars }
    }

    /// Whether results are JSON documents.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether only errors and data are wanted.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether results go to a terminal that may be drawn on.
    pub fn draws_results(&self) -> bool {
        self.draws
    }

    /// Colours of standard error.
    pub fn style(&self) -> Style {
        self.style
    }

    /// The way to standard error.
    pub fn screen(&self) -> Arc<Screen> {
        self.screen.clone()
    }

    /// Shows events as decided, and hands them to `others`.
    pub fn reporter(&self, others: impl IntoIterator<Item = Arc<dyn Reporter>>) -> Arc<dyn Reporter> {
        let shown: Arc<dyn Reporter> = match (&self.bars, self.display) {
            (Some(bars), _) => bars.clone(),
            (None, Display::Errors) => Arc::new(Silent),
            (None, Display::Json) => Arc::new(JsonLines::new(self.screen())),
            (None, Display::Lines | Display::Bars) => Arc::new(Lines::new(self.screen(), self.style, self.verbose)),
        };
        Arc::new(Tee(std::iter::once(shown).chain(others).collect()))
    }

    /// Writes a result: `text` for people, the document for programs.
    ///
    /// # Errors
    /// When standard output cannot be written; [`Exit::BrokenPipe`] when its reader went away.
    pub fn result(&self, document: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), CliError> {
        if !self.json {
            return self.data(&text());
        }
        let mut line = serde_json::to_string(document).map_err(|error| {
            CliError::from_error(Exit::Failure, &error).hint("this is a bug; without `-o json` the command still works")
        })?;
        line.push('\n');
        self.data(&line)
    }

    /// Writes data to standard output as it is.
    ///
    /// # Errors
    /// As [`Printer::result`].
    pub fn data(&self, text: &str) -> Result<(), CliError> {
        self.settle();
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => CliError::new(Exit::BrokenPipe, "standard output was closed"),
            _ => CliError::new(Exit::Failure, "write to standard output").because(&error),
        })
    }

    /// Tells the user something that is no data; nothing when quiet.
    pub fn say(&self, message: &str) {
        match self.display {
            Display::Errors => {}
            Display::Json => {
                if let Ok(line) = serde_json::to_string(&Notice { event: "note", message }) {
                    self.screen.write_line(&line);
                }
            }
            Display::Lines | Display::Bars => self.screen.write_line(message),
        }
    }

    /// Tells why the run failed. A reader that went away is not told.
    pub fn error(&self, error: &CliError) {
        self.settle();
        match (error.kind, self.json) {
            (Exit::BrokenPipe, _) => {}
            (_, true) => self.screen.write(&error.json()),
            (_, false) => self.screen.write(&error.text(self.style)),
        }
    }

    /// Takes live lines away before results or errors.
    fn settle(&self) {
        if let Some(bars) = &self.bars {
            bars.close();
        }
    }
}

// === impl Tee ===

impl Reporter for Tee {
    fn report(&self, event: &Event) {
        for listener in &self.0 {
            listener.report(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::env;
    use super::*;

    fn display(quiet: bool, output: OutputFormat, stderr: bool, pairs: &[(&str, &str)]) -> Display {
        let globals = Globals { quiet, output, ..Globals::default() };
        Printer::new(&globals, &Env::from_pairs(pairs.iter().copied()), Terminals { stdout: false, stderr }).display
    }

    #[test]
    fn the_display_is_decided_by_flags_then_terminal_then_environment() {
        use OutputFormat::{Json, Text};
        assert_eq!(display(true, Json, true, &[]), Display::Errors);
        assert_eq!(display(false, Json, true, &[]), Display::Json);
        assert_eq!(display(false, Text, true, &[]), Display::Bars);
        assert_eq!(display(false, Text, false, &[]), Display::Lines);
        assert_eq!(display(false, Text, true, &[(env::CI, "1")]), Display::Lines);
        assert_eq!(display(false, Text, true, &[(env::TERM, "dumb")]), Display::Lines);
    }

    #[test]
    fn colours_need_a_terminal() {
        let style = |stderr, pairs: &[(&str, &str)]| {
            Printer::new(&Globals::default(), &Env::from_pairs(pairs.iter().copied()), Terminals { stdout: true, stderr }).style()
        };
        assert!(style(true, &[]).is_coloured());
        assert!(!style(false, &[]).is_coloured());
        assert!(!style(true, &[(env::NO_COLOR, "1")]).is_coloured());
    }
}
