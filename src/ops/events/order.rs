//! Events of several sources put into the order of their time.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::event::FleetEvent;

/// How long an event waits for earlier ones of other sources.
const HELD: Duration = Duration::from_millis(400);

/// Holds events back for a moment, and hands them out in the order of their time.
#[derive(Debug, Default)]
pub(super) struct Reorder {
    held: BTreeMap<(std::time::SystemTime, u64), (Instant, FleetEvent)>,
    count: u64,
}

// === impl Reorder ===

impl Reorder {
    pub(super) fn push(&mut self, event: FleetEvent, now: Instant) {
        self.count += 1;
        self.held.insert((event.time, self.count), (now + HELD, event));
    }

    /// When the next event may go; `None` when there is none.
    pub(super) fn due(&self) -> Option<Instant> {
        self.held.values().map(|(due, _)| *due).min()
    }

    /// The earliest event, if any held one is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<FleetEvent> {
        self.due().filter(|due| *due <= now)?;
        self.held.pop_first().map(|(_, (_, event))| event)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::event::EventSource;
    use super::*;

    fn event(seconds: u64) -> FleetEvent {
        FleetEvent {
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            source: EventSource::Engine,
            cluster: None,
            warning: false,
            reason: seconds.to_string(),
            object: String::new(),
            message: String::new(),
            count: 1,
        }
    }

    #[test]
    fn what_comes_at_about_the_same_moment_is_put_in_order() {
        let (mut reorder, start) = (Reorder::default(), Instant::now());
        for (seconds, after) in [(5, 0), (3, 100), (5, 150), (9, 800)] {
            reorder.push(event(seconds), start + Duration::from_millis(after));
        }
        assert_eq!(reorder.pop(start + Duration::from_millis(300)), None);
        let mut out = Vec::new();
        while let Some(event) = reorder.pop(start + Duration::from_millis(450)) {
            out.push(event.reason);
        }
        // The one that came late with the earliest time takes its place, and lets the one that is due go after it.
        assert_eq!(out, ["3", "5"]);
        assert_eq!(reorder.due(), Some(start + Duration::from_millis(550)));
    }
}
