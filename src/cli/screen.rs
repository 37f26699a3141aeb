//! Standard error, shared by everything that writes there: live bars, lines, logs, errors.

use std::io::{self, Write};

use indicatif::{MultiProgress, ProgressDrawTarget};

/// The one way to standard error. Where bars are drawn, they make room for what is written.
pub struct Screen {
    target: Target,
}

enum Target {
    Plain,
    Live(MultiProgress),
    #[cfg(test)]
    Memory(std::sync::Mutex<Vec<u8>>),
}

/// A writer for one record of `tracing-subscriber`.
pub struct RecordWriter<'a> {
    screen: &'a Screen,
    record: Vec<u8>,
}

// === impl Screen ===

impl Screen {
    /// Nothing is drawn, text goes straight out.
    pub fn plain() -> Self {
        Self { target: Target::Plain }
    }

    /// A terminal that bars are drawn on.
    pub fn live() -> Self {
        Self { target: Target::Live(MultiProgress::with_draw_target(ProgressDrawTarget::stderr())) }
    }

    #[cfg(test)]
    pub(super) fn memory() -> Self {
        Self { target: Target::Memory(std::sync::Mutex::default()) }
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> String {
        match &self.target {
            Target::Memory(bytes) => String::from_utf8(bytes.lock().unwrap().clone()).unwrap(),
            _ => String::new(),
        }
    }

    /// The bars, where there are any.
    pub fn bars(&self) -> Option<&MultiProgress> {
        match &self.target {
            Target::Live(bars) => Some(bars),
            _ => None,
        }
    }

    /// Writes text as it is.
    pub fn write(&self, text: &str) {
        // With standard error gone there is nobody to tell, and the work itself goes on.
        let write = || drop(io::stderr().lock().write_all(text.as_bytes()));
        match &self.target {
            Target::Plain => write(),
            Target::Live(bars) => bars.suspend(write),
            #[cfg(test)]
            Target::Memory(bytes) => bytes.lock().unwrap().extend_from_slice(text.as_bytes()),
        }
    }

    /// Writes one line.
    pub fn write_line(&self, line: &str) {
        // In one call, so that lines of several tasks do not mix.
        self.write(&format!("{line}\n"));
    }

    /// A writer that hands its text over as a whole when it is dropped.
    pub fn record(&self) -> RecordWriter<'_> {
        RecordWriter { screen: self, record: Vec::new() }
    }
}

// === impl RecordWriter ===

impl Write for RecordWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.record.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for RecordWriter<'_> {
    fn drop(&mut self) {
        if !self.record.is_empty() {
            self.screen.write(&String::from_utf8_lossy(&self.record));
        }
    }
}
