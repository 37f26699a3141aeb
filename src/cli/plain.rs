//! Progress for pipes and logs: one line when a step begins, one when it ends.

use std::sync::Arc;
use std::time::Duration;

use super::duration;
use super::screen::Screen;
use super::style::Style;
use crate::event::{Event, EventKind, Reporter};

/// A step that changed nothing and took this long has waited for something.
const WAITED: Duration = Duration::from_millis(500);

/// Writes events as lines, prefixed by their cluster.
pub struct Lines {
    screen: Arc<Screen>,
    style: Style,
    /// Whether every word about progress is shown, not only beginnings and ends.
    verbose: bool,
}

// === impl Lines ===

impl Lines {
    /// Lines on this screen.
    pub fn new(screen: Arc<Screen>, style: Style, verbose: bool) -> Self {
        Self { screen, style, verbose }
    }
}

impl Reporter for Lines {
    fn report(&self, event: &Event) {
        if let Some(line) = line(event, self.style, self.verbose) {
            self.screen.write_line(&line);
        }
    }
}

/// The line of an event; `None` when it is not worth one. Notes and warnings are shown by every
/// display with these same words.
pub fn line(event: &Event, style: Style, verbose: bool) -> Option<String> {
    let step = &event.step;
    let text = match &event.kind {
        EventKind::Started => format!("{step} …"),
        EventKind::Progress { message } if verbose => format!("{step} … {message}"),
        EventKind::Progress { .. } => return None,
        EventKind::Finished { took, changed: true } => format!("{step} … {} in {}", style.done("done"), duration::short(*took)),
        EventKind::Finished { took, changed: false } => {
            let word = if *took < WAITED { "nothing to do" } else { "ready" };
            format!("{step} … {} ({})", style.done(word), duration::short(*took))
        }
        EventKind::Failed { error } => format!("{step} … {}: {error}", style.error("failed")),
        EventKind::Note { message } => message.clone(),
        EventKind::Warning { message } => format!("{} {message}", style.warning("warning:")),
    };
    let cluster = event.cluster.as_ref().map(|name| style.name(&format!("[{name}] "))).unwrap_or_default();
    let elapsed = if verbose { style.dim(&format!("{:>6} ", duration::short(event.elapsed))) } else { String::new() };
    Some(format!("{elapsed}{cluster}{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(cluster: Option<&str>, kind: EventKind) -> Event {
        Event { elapsed: Duration::from_millis(12_300), cluster: cluster.map(str::to_owned), step: "install MetalLB".into(), kind }
    }

    #[test]
    fn every_event_has_its_words() {
        let took = Duration::from_millis(3200);
        let events = [
            event(Some("cluster1"), EventKind::Started),
            event(Some("cluster1"), EventKind::Progress { message: "speaker 0/1".into() }),
            event(Some("cluster1"), EventKind::Finished { took, changed: true }),
            event(None, EventKind::Finished { took, changed: false }),
            event(None, EventKind::Finished { took: Duration::from_millis(449), changed: false }),
            event(Some("cluster2"), EventKind::Failed { error: "no room".into() }),
            event(None, EventKind::Note { message: "nodes run with reduced privileges".into() }),
            event(Some("cluster1"), EventKind::Warning { message: "slow disk".into() }),
        ];
        let plain: Vec<String> = events.iter().filter_map(|event| line(event, Style::PLAIN, false)).collect();
        insta::assert_snapshot!(plain.join("\n"), @r"
        [cluster1] install MetalLB …
        [cluster1] install MetalLB … done in 3.2s
        install MetalLB … ready (3.2s)
        install MetalLB … nothing to do (0.4s)
        [cluster2] install MetalLB … failed: no room
        nodes run with reduced privileges
        [cluster1] warning: slow disk
        ");
        assert_eq!(line(&events[1], Style::PLAIN, true).unwrap(), " 12.3s [cluster1] install MetalLB … speaker 0/1");
    }
}
