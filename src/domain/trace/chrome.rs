//! A timeline in the trace-event format, which Perfetto and `chrome://tracing` show.

use std::cmp::Reverse;

use serde_json::{Map, Value, json};

use super::lanes::rows;
use super::timeline::{Moment, Span, Timeline};

/// Everything is one process for a viewer.
const PROCESS: u64 = 1;
/// Numbers of threads: so many lines has a row before it meets the next one.
const ROW: u64 = 1000;

/// The trace as a JSON document: a thread for each row, and for what overlaps there more threads below it.
pub fn chrome(timeline: &Timeline) -> String {
    let mut told = vec![json!({"ph": "M", "pid": PROCESS, "name": "process_name", "args": {"name": timeline.title}})];
    let mut events: Vec<(u64, Reverse<u64>, Value)> = Vec::new();
    for (index, row) in (0_u64..).zip(rows(timeline, |_| true)) {
        let name = row.cluster.as_deref().unwrap_or("fleet");
        // A row without lines has its moments.
        for (lane, spans) in (0_u64..).zip(if row.lanes.is_empty() { vec![Vec::new()] } else { row.lanes }) {
            let thread = (index + 1) * ROW + lane;
            let name = if lane == 0 { name.to_owned() } else { format!("{name} ({})", lane + 1) };
            told.push(json!({"ph": "M", "pid": PROCESS, "tid": thread, "name": "thread_name", "args": {"name": name}}));
            told.push(json!({"ph": "M", "pid": PROCESS, "tid": thread, "name": "thread_sort_index", "args": {"sort_index": thread}}));
            let spans = spans.into_iter().filter_map(|at| timeline.spans.get(at));
            events.extend(spans.map(|span| (span.begin, Reverse(timeline.duration(span)), complete(timeline, span, thread))));
        }
        let mine = timeline.own_moments().into_iter().filter(|(_, moment)| moment.cluster == row.cluster);
        events.extend(mine.map(|(at, moment)| (at, Reverse(0), instant(at, moment, (index + 1) * ROW))));
    }
    events.sort_by_key(|(at, duration, _)| (*at, *duration));
    told.extend(events.into_iter().map(|(.., event)| event));
    let document = json!({
        "displayTimeUnit": "ms",
        "otherData": {"title": timeline.title, "beganUnixMicroseconds": timeline.began},
        "traceEvents": told,
    });
    format!("{document}\n")
}

fn complete(timeline: &Timeline, span: &Span, thread: u64) -> Value {
    let mut args = Map::new();
    if let Some(note) = &span.note {
        args.insert(if span.failed { "error" } else { "note" }.to_owned(), note.as_str().into());
    }
    if span.end.is_none() {
        args.insert("unfinished".to_owned(), true.into());
    }
    json!({
        "ph": "X", "pid": PROCESS, "tid": thread, "ts": span.begin, "dur": timeline.duration(span),
        "name": span.name, "cat": span.kind.word(), "args": args,
    })
}

fn instant(at: u64, moment: &Moment, thread: u64) -> Value {
    let mut args = Map::new();
    if let Some(node) = &moment.node {
        args.insert("node".to_owned(), node.as_str().into());
    }
    if moment.exact > 1 {
        args.insert("exactToMicroseconds".to_owned(), moment.exact.into());
    }
    json!({"ph": "i", "s": "t", "pid": PROCESS, "tid": thread, "ts": at, "name": moment.name, "cat": "node", "args": args})
}
