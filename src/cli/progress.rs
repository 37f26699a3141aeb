//! Progress on a terminal: one live line for the fleet, one for each cluster.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::duration;
use super::plain;
use super::screen::Screen;
use super::style::Style;
use crate::event::{Event, EventKind, Reporter};

/// How often a line's clock moves.
const TICK: Duration = Duration::from_millis(100);

/// Draws live lines; what must stay readable afterwards is written above them.
pub struct Bars {
    screen: Arc<Screen>,
    style: Style,
    /// Whether the end of every step leaves a line.
    verbose: bool,
    drawn: Mutex<Drawn>,
}

/// Lines by their cluster; the fleet's own, under `None`, stands first.
#[derive(Default)]
struct Drawn {
    lines: BTreeMap<Option<String>, Line>,
    /// Nothing is drawn any more: results follow.
    closed: bool,
}

struct Line {
    bar: ProgressBar,
    lane: Lane,
}

/// What goes on at one place: steps may overlap.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lane {
    /// Running steps in the order they began, each with its last word.
    running: Vec<(String, String)>,
    /// What was said last, shown while nothing runs.
    last: String,
}

// === impl Bars ===

impl Bars {
    /// Bars on this screen.
    pub fn new(screen: Arc<Screen>, style: Style, verbose: bool) -> Self {
        Self { screen, style, verbose, drawn: Mutex::default() }
    }

    /// Takes the live lines away for good; events that come late draw nothing.
    pub fn close(&self) {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        drawn.closed = true;
        for line in std::mem::take(&mut drawn.lines).into_values() {
            line.bar.finish_and_clear();
        }
    }

    /// Whether an event leaves a line that stays.
    fn lasting(&self, event: &Event) -> bool {
        match &event.kind {
            EventKind::Note { .. } | EventKind::Warning { .. } => true,
            // The other clusters go on; a failure of the whole fleet is the error that follows.
            EventKind::Failed { .. } => event.cluster.is_some(),
            EventKind::Finished { .. } => self.verbose,
            EventKind::Started | EventKind::Progress { .. } => false,
        }
    }

    fn draw(&self, event: &Event) {
        let Some(bars) = self.screen.bars() else { return };
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if drawn.closed {
            return;
        }
        let lines = &mut drawn.lines;
        if !lines.contains_key(&event.cluster) {
            let place = lines.keys().filter(|key| **key < event.cluster).count();
            let name = event.cluster.clone().unwrap_or_else(|| "fleet".to_owned());
            let bar = bars.insert(place, ProgressBar::new_spinner().with_prefix(name));
            lines.insert(event.cluster.clone(), Line { bar, lane: Lane::default() });
            let width = lines.values().map(|line| line.bar.prefix().chars().count()).max().unwrap_or(0);
            for line in lines.values() {
                line.bar.set_style(bar_style(width, self.style));
            }
            if let Some(line) = lines.get(&event.cluster) {
                line.bar.enable_steady_tick(TICK);
            }
        }
        let Some(line) = lines.get_mut(&event.cluster) else { return };
        if line.lane.apply(event) {
            line.bar.reset_elapsed();
        }
        line.bar.set_message(line.lane.text());
    }
}

impl Reporter for Bars {
    fn report(&self, event: &Event) {
        if self.lasting(event)
            && let Some(line) = plain::line(event, self.style, self.verbose)
        {
            self.screen.write_line(&line);
        }
        self.draw(event);
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.close();
    }
}

// === impl Lane ===

impl Lane {
    /// Takes an event; true when another step came to the front and its clock begins.
    fn apply(&mut self, event: &Event) -> bool {
        let front = self.running.last().map(|(step, _)| step.clone());
        match &event.kind {
            EventKind::Started => self.running.push((event.step.clone(), String::new())),
            EventKind::Progress { message } => match self.running.iter_mut().rev().find(|(step, _)| *step == event.step) {
                Some((_, last)) => last.clone_from(message),
                // A word about something that has no beginning and no end.
                None => self.last = format!("{}: {message}", event.step),
            },
            EventKind::Finished { took, .. } => {
                self.running.retain(|(step, _)| *step != event.step);
                self.last = format!("{} done in {}", event.step, duration::short(*took));
            }
            EventKind::Failed { .. } => {
                self.running.retain(|(step, _)| *step != event.step);
                self.last = format!("{} failed", event.step);
            }
            EventKind::Note { .. } | EventKind::Warning { .. } => {}
        }
        front.as_ref() != self.running.last().map(|(step, _)| step)
    }

    fn text(&self) -> String {
        let Some((step, message)) = self.running.last() else { return self.last.clone() };
        let message = if message.is_empty() { String::new() } else { format!(": {message}") };
        match self.running.len() {
            1 => format!("{step}{message}"),
            more => format!("{step}{message} (and {} more)", more - 1),
        }
    }
}

fn bar_style(width: usize, style: Style) -> ProgressStyle {
    // The template is constant but for the width, and a test reads it.
    ProgressStyle::with_template(&template(width, style)).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn template(width: usize, style: Style) -> String {
    match style.is_coloured() {
        true => format!("{{spinner:.cyan}} {{prefix:{width}.bold}} {{elapsed:>4.dim}} {{wide_msg}}"),
        false => format!("{{spinner}} {{prefix:{width}}} {{elapsed:>4}} {{wide_msg}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(step: &str, kind: EventKind) -> Event {
        Event { elapsed: Duration::ZERO, cluster: Some("a".into()), step: step.into(), kind }
    }

    #[test]
    fn the_step_that_began_last_is_in_front() {
        let mut lane = Lane::default();
        assert!(lane.apply(&event("init", EventKind::Started)));
        assert_eq!(lane.text(), "init");
        assert!(lane.apply(&event("import images", EventKind::Started)));
        assert!(!lane.apply(&event("init", EventKind::Progress { message: "certs".into() })));
        assert_eq!(lane.text(), "import images (and 1 more)");
        assert!(lane.apply(&event("import images", EventKind::Finished { took: Duration::from_secs(2), changed: true })));
        assert_eq!(lane.text(), "init: certs");
        assert!(lane.apply(&event("init", EventKind::Failed { error: "x".into() })));
        assert_eq!(lane.text(), "init failed");
    }

    #[test]
    fn templates_are_valid() {
        for coloured in [false, true] {
            // An invalid one would silently give the lines another look.
            ProgressStyle::with_template(&template(8, Style::new(coloured))).unwrap();
        }
    }

    #[test]
    fn only_what_matters_afterwards_stays() {
        let screen = Arc::new(Screen::memory());
        let bars = Bars::new(screen.clone(), Style::PLAIN, false);
        bars.report(&event("init", EventKind::Started));
        bars.report(&event("init", EventKind::Finished { took: Duration::ZERO, changed: true }));
        bars.report(&event("init", EventKind::Note { message: "nodes run with reduced privileges".into() }));
        assert_eq!(screen.text(), "[a] nodes run with reduced privileges\n");
    }
}
