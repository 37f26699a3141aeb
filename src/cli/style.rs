//! Colours, used only where a terminal wants them. Nothing may depend on them to be understood.

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    coloured: bool,
}

// === impl Style ===

impl Style {
    /// No colours.
    pub const PLAIN: Style = Style { coloured: false };

    /// Colours or none.
    pub fn new(coloured: bool) -> Self {
        Self { coloured }
    }

    /// Whether text is coloured.
    pub fn is_coloured(self) -> bool {
        self.coloured
    }

    /// Failures: bold red.
    pub fn error(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// Warnings: bold yellow.
    pub fn warning(self, text: &str) -> String {
        self.wrap("1;33", text)
    }

    /// What to do next: cyan.
    pub fn hint(self, text: &str) -> String {
        self.wrap("36", text)
    }

    /// What is done: green.
    pub fn done(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Names that begin a line: bold.
    pub fn name(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// What matters less: dimmed.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
