//! What was recorded while a command ran.

/// Everything recorded of one command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    /// What was timed (`kindmesh up`).
    pub title: String,
    /// When it began, microseconds since 1970.
    pub began: u64,
    /// How long it took, microseconds.
    pub took: u64,
    /// What took time. Parents come before their children.
    pub spans: Vec<Span>,
    /// What happened at one moment, on nodes and elsewhere.
    pub moments: Vec<Moment>,
}

/// Something that took time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What it was.
    pub kind: SpanKind,
    /// In words: the step, what was awaited, verb and object of a call.
    pub name: String,
    /// The cluster it was for; `None` for the whole fleet.
    pub cluster: Option<String>,
    /// The span it was a part of, as a place in [`Timeline::spans`].
    pub parent: Option<usize>,
    /// When it began, microseconds since the command did.
    pub begin: u64,
    /// When it ended, microseconds since the command began; `None` when the command ended first.
    pub end: Option<u64>,
    /// Why it failed, or what it answered when that is worth knowing.
    pub note: Option<String>,
    /// Whether it failed.
    pub failed: bool,
}

/// What took time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpanKind {
    /// The command as a whole.
    Command,
    /// A step of an operation.
    Step,
    /// Something awaited until it was so.
    Wait,
    /// The state that a step told of itself, until it told another one.
    State,
    /// A call of the container engine.
    Engine,
    /// A call of an API server.
    ApiServer,
}

/// Something that happened at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// What happened (`node Ready`).
    pub name: String,
    /// The cluster it happened in; `None` for the whole fleet.
    pub cluster: Option<String>,
    /// The node that recorded it.
    pub node: Option<String>,
    /// When, microseconds since 1970.
    pub at: u64,
    /// How exact `at` is, microseconds: a second where the record has no more.
    pub exact: u64,
}

// === impl Timeline ===

impl Timeline {
    /// When a span ended, microseconds since the command began; later than its beginning.
    pub(super) fn end(&self, span: &Span) -> u64 {
        span.end.unwrap_or(self.took).max(span.begin + 1)
    }

    /// How long a span took, microseconds.
    pub(super) fn duration(&self, span: &Span) -> u64 {
        self.end(span) - span.begin
    }

    /// Moments while the command ran, in order, with their times since it began. What is known to the
    /// second only may seem to be from before the beginning.
    pub(super) fn own_moments(&self) -> Vec<(u64, &Moment)> {
        let inside = |moment: &Moment| {
            let since = moment.at.checked_sub(self.began).or_else(|| (moment.at + moment.exact > self.began).then_some(0))?;
            (since <= self.took).then_some(since)
        };
        let mut own: Vec<(u64, &Moment)> = self.moments.iter().filter_map(|moment| Some((inside(moment)?, moment))).collect();
        own.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
        own
    }

    /// Whether `above` is the span at `below`, or one that it is a part of.
    pub(super) fn contains(&self, above: usize, below: usize) -> bool {
        self.lineage(below).any(|at| at == above)
    }

    /// A span, what it is a part of, and so on.
    pub(super) fn lineage(&self, from: usize) -> impl Iterator<Item = usize> {
        // A parent comes before its children, so this ends whatever is recorded.
        std::iter::successors(Some(from), |at| self.spans.get(*at)?.parent.filter(|parent| parent < at))
    }
}

// === impl SpanKind ===

impl SpanKind {
    /// One word, as a category in a trace.
    pub fn word(self) -> &'static str {
        match self {
            SpanKind::Command => "command",
            SpanKind::Step => "step",
            SpanKind::Wait => "wait",
            SpanKind::State => "state",
            SpanKind::Engine => "engine",
            SpanKind::ApiServer => "api server",
        }
    }

    /// Whether it belongs to the outline of an operation.
    pub(super) fn is_outline(self) -> bool {
        matches!(self, SpanKind::Command | SpanKind::Step)
    }
}
