//! Progress for programs: every event as a JSON object on a line of its own, on standard error.

use std::sync::Arc;

use super::screen::Screen;
use crate::event::{Event, Reporter};

/// Writes events as JSON lines.
pub struct JsonLines {
    screen: Arc<Screen>,
}

// === impl JsonLines ===

impl JsonLines {
    /// Lines on this screen.
    pub fn new(screen: Arc<Screen>) -> Self {
        Self { screen }
    }
}

impl Reporter for JsonLines {
    fn report(&self, event: &Event) {
        // Events are plain data; one that cannot be serialized has nothing to tell.
        if let Ok(line) = serde_json::to_string(event) {
            self.screen.write_line(&line);
        }
    }
}
