//! What a command did, recorded while it runs: spans that the library tells, and its events.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::domain::trace::{Moment, Span, SpanKind, Timeline};
use crate::event::{Event, EventKind, Reporter};
use crate::ops::SeenWait;

/// The command itself is the first span.
const COMMAND: usize = 0;
/// Longest text of a state or a note; terminals show the whole.
const LONGEST: usize = 160;
/// Longest last-seen state of a wait.
const LONGEST_SEEN: usize = 4000;

/// Records.
#[derive(Debug)]
pub struct Recorder {
    begun: Instant,
    clock: SystemTime,
    recorded: Mutex<Recorded>,
}

#[derive(Debug, Default)]
struct Recorded {
    timeline: Timeline,
    /// What each step told last, by cluster and step.
    states: HashMap<(Option<String>, String), usize>,
    /// What each wait saw last.
    seen: HashMap<usize, String>,
    stopped: bool,
}

// === impl Recorder ===

impl Recorder {
    /// Starts the clock of a command.
    pub fn new(title: &str) -> Self {
        let recorder = Self { begun: Instant::now(), clock: SystemTime::now(), recorded: Mutex::default() };
        {
            let mut recorded = recorder.lock();
            recorded.timeline.title = title.to_owned();
            recorded.timeline.began = micros(recorder.clock.duration_since(UNIX_EPOCH).unwrap_or_default());
        }
        recorder.open(SpanKind::Command, title, None, None);
        recorder
    }

    /// When the command began.
    pub fn clock(&self) -> SystemTime {
        self.clock
    }

    /// Begins a span; `None` when the command is over. What has no parent and no cluster is a part of the
    /// command.
    pub fn open(&self, kind: SpanKind, name: &str, cluster: Option<&str>, parent: Option<usize>) -> Option<usize> {
        let begin = self.now();
        self.lock().open(begin, kind, name, cluster, parent)
    }

    /// Ends a span.
    pub fn close(&self, span: usize) {
        let end = self.now();
        self.lock().close(end, span);
    }

    /// Says how a span went.
    pub fn note(&self, span: usize, failed: bool, note: &str) {
        if let Some(span) = self.lock().timeline.spans.get_mut(span) {
            span.failed |= failed;
            span.note = Some(short(note));
        }
    }

    /// Says what a wait sees.
    pub fn seen(&self, span: usize, state: &str) {
        self.lock().seen.insert(span, state.chars().take(LONGEST_SEEN).collect());
    }

    /// Every wait so far, with what it saw last.
    pub fn waits(&self) -> Vec<SeenWait> {
        let recorded = self.lock();
        let spans = recorded.timeline.spans.iter().enumerate();
        let wait = |(at, span): (usize, &Span)| SeenWait {
            awaited: span.name.clone(),
            cluster: span.cluster.clone(),
            last: recorded.seen.get(&at).cloned(),
            begin_ms: span.begin / 1000,
            end_ms: span.end.map(|end| end / 1000),
        };
        spans.filter(|(_, span)| span.kind == SpanKind::Wait).map(wait).collect()
    }

    /// Says that a span failed, and why if nothing better was said.
    pub fn fail_silent(&self, span: usize, why: &str) {
        if let Some(span) = self.lock().timeline.spans.get_mut(span).filter(|span| span.note.is_none()) {
            (span.failed, span.note) = (true, Some(why.to_owned()));
        }
    }

    /// Adds what others recorded.
    pub fn add(&self, moments: Vec<Moment>) {
        self.lock().timeline.moments.extend(moments);
    }

    /// Ends the command: what comes later is no part of it. Ends once.
    pub fn stop(&self) {
        let end = self.now();
        let mut recorded = self.lock();
        if !recorded.stopped {
            recorded.stopped = true;
            recorded.timeline.took = end;
            if let Some(command) = recorded.timeline.spans.get_mut(COMMAND) {
                command.end = Some(end);
            }
        }
    }

    /// What was recorded, with how the command ended.
    pub fn timeline(&self, error: Option<&str>) -> Timeline {
        self.stop();
        if let Some(error) = error {
            self.note(COMMAND, true, error);
        }
        self.lock().timeline.clone()
    }

    fn now(&self) -> u64 {
        micros(self.begun.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reporter for Recorder {
    fn report(&self, event: &Event) {
        let now = self.now();
        let mut recorded = self.lock();
        match &event.kind {
            EventKind::Progress { message } => recorded.state(now, event, message),
            EventKind::Note { message } | EventKind::Warning { message } => {
                let at = recorded.timeline.began + now;
                let moment = Moment { name: short(message), cluster: event.cluster.clone(), node: None, at, exact: 1 };
                recorded.timeline.moments.push(moment);
            }
            EventKind::Started => {}
            EventKind::Finished { .. } => recorded.end_state(now, event),
            EventKind::Failed { error } => {
                recorded.end_state(now, event);
                if let Some(step) = recorded.step(event) {
                    let span = &mut recorded.timeline.spans[step];
                    (span.failed, span.note) = (true, Some(short(error)));
                }
            }
        }
    }
}

// === impl Recorded ===

impl Recorded {
    fn open(&mut self, begin: u64, kind: SpanKind, name: &str, cluster: Option<&str>, parent: Option<usize>) -> Option<usize> {
        if self.stopped {
            return None;
        }
        let place = self.timeline.spans.len();
        let parent = parent.or_else(|| (cluster.is_none() && place > COMMAND).then_some(COMMAND));
        let (name, cluster) = (name.to_owned(), cluster.map(str::to_owned));
        self.timeline.spans.push(Span { kind, name, cluster, parent, begin, end: None, note: None, failed: false });
        Some(place)
    }

    fn close(&mut self, end: u64, span: usize) {
        if let Some(span) = self.timeline.spans.get_mut(span).filter(|_| !self.stopped) {
            span.end = Some(end);
        }
    }

    /// The state that a step tells lasts until the next one.
    fn state(&mut self, now: u64, event: &Event, message: &str) {
        self.end_state(now, event);
        let parent = self.step(event);
        if let Some(span) = self.open(now, SpanKind::State, &short(message), event.cluster.as_deref(), parent) {
            self.states.insert((event.cluster.clone(), event.step.clone()), span);
        }
    }

    fn end_state(&mut self, now: u64, event: &Event) {
        if let Some(span) = self.states.remove(&(event.cluster.clone(), event.step.clone())) {
            self.close(now, span);
        }
    }

    /// The latest span of an event's step.
    fn step(&self, event: &Event) -> Option<usize> {
        let of_it = |span: &Span| span.kind == SpanKind::Step && span.name == event.step && span.cluster == event.cluster;
        self.timeline.spans.iter().rposition(of_it)
    }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The beginning of a text, on one line.
fn short(text: &str) -> String {
    let mut line: String = text.chars().take(LONGEST).map(|letter| if letter == '\n' { ' ' } else { letter }).collect();
    if text.chars().count() > LONGEST {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn event(step: &str, kind: EventKind) -> Event {
        Event { elapsed: Duration::ZERO, cluster: Some("a".into()), step: step.into(), kind }
    }

    #[test]
    fn a_state_lasts_until_the_next_one_and_belongs_to_its_step() {
        let recorder = Recorder::new("kindmesh up");
        let step = recorder.open(SpanKind::Step, "install", Some("a"), None).unwrap();
        let progress = |message: &str| event("install", EventKind::Progress { message: message.into() });
        recorder.report(&progress("one"));
        recorder.report(&progress("two\nlines"));
        recorder.close(step);
        recorder.report(&event("install", EventKind::Failed { error: "no".into() }));
        let timeline = recorder.timeline(Some("it failed"));
        let spans: Vec<_> = timeline.spans.iter().map(|span| (span.name.as_str(), span.parent, span.failed, span.end.is_some())).collect();
        assert_eq!(
            spans,
            [
                ("kindmesh up", None, true, true),
                ("install", None, true, true),
                ("one", Some(step), false, true),
                ("two lines", Some(step), false, true)
            ]
        );
        assert_eq!(timeline.spans[2].end, Some(timeline.spans[3].begin));
    }

    #[test]
    fn what_comes_after_the_end_is_not_recorded() {
        let recorder = Recorder::new("kindmesh up");
        let open = recorder.open(SpanKind::Step, "s", None, None).unwrap();
        recorder.stop();
        recorder.close(open);
        assert_eq!(recorder.open(SpanKind::Step, "later", None, None), None);
        let timeline = recorder.timeline(None);
        assert_eq!((timeline.spans[open].end, timeline.spans[open].parent), (None, Some(0)));
        assert_eq!(timeline.spans[0].end, Some(timeline.took));
    }
}
