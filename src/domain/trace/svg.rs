//! A timeline as SVG that needs nothing else: no fonts, no scripts, no style sheets.

use std::fmt::Write as _;

use super::lanes::{Row, rows};
use super::longest::{Stretch, longest};
use super::timeline::{Moment, Span, SpanKind, Timeline};
use crate::domain::svg_text::{cut, escape, number};

/// Width of the picture.
const WIDTH: f64 = 1320.0;
/// Where time begins: left of it stand the names of rows.
const LEFT: f64 = 130.0;
/// Space on the right, for words at the end of time.
const RIGHT: f64 = 150.0;
/// Height of the heading.
const HEADING: f64 = 84.0;
/// Heights of lines: of steps, of what happened in them, of words about moments.
const STEP: f64 = 22.0;
const DETAIL: f64 = 14.0;
const WORDS: f64 = 14.0;
/// Space between rows.
const GAP: f64 = 14.0;
/// Average width of letters at this size, as viewers draw `sans-serif`.
const LETTER: f64 = 6.0;
/// A bar shorter than this part of the whole is left to the trace.
const WORTH_DRAWING: f64 = 0.01;
/// About so many lines divide the time.
const TICKS: f64 = 14.0;
const SECOND: f64 = 1e6;

/// A row with what is drawn in it.
struct Band<'a> {
    name: String,
    top: f64,
    height: f64,
    steps: Vec<Vec<usize>>,
    details: Vec<Vec<usize>>,
    moments: Vec<(u64, &'a Moment, usize)>,
}

/// Draws a timeline: a row for the fleet and for each cluster, with a bar for each step, thinner bars for
/// the longer waits and calls in it, and marks for what the nodes recorded.
pub fn svg(timeline: &Timeline) -> String {
    let bands = bands(timeline);
    let height = bands.last().map_or(HEADING, |band| band.top + band.height) + GAP + 22.0;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" font-family="sans-serif" font-size="11" role="img">
<title>{title}</title>
<rect width="{w}" height="{h}" fill="#ffffff"/>
<text x="16" y="28" font-size="18" font-weight="bold" fill="#1c2733">{title}</text>
<text x="16" y="48" font-size="12" fill="#52606d">{waits}</text>"##,
        w = number(WIDTH),
        h = number(height),
        title = escape(&format!("{}: {}", timeline.title, seconds(timeline.took))),
        waits = escape(&waits(timeline)),
    );
    ticks(&mut out, timeline, height);
    for band in &bands {
        draw(&mut out, timeline, band);
    }
    let mut x = LEFT;
    for kind in [SpanKind::Step, SpanKind::Wait, SpanKind::State, SpanKind::Engine, SpanKind::ApiServer] {
        let y = height - 20.0;
        let _ = writeln!(
            out,
            r##"<rect x="{}" y="{}" width="10" height="10" fill="{}"/><text x="{}" y="{}" fill="#52606d">{}</text>"##,
            number(x),
            number(y),
            colour(kind),
            number(x + 15.0),
            number(y + 9.0),
            kind.word()
        );
        x += 95.0;
    }
    out.push_str("</svg>\n");
    out
}

/// The steps that explain most of the time, as the program's last line names them.
fn waits(timeline: &Timeline) -> String {
    let steps = timeline.spans.iter().filter(|span| span.kind == SpanKind::Step);
    let stretches: Vec<Stretch> =
        steps.map(|span| Stretch { name: span.name.clone(), begin: span.begin, end: timeline.end(span) }).collect();
    let named: Vec<String> = longest(&stretches, 3).into_iter().map(|(name, took)| format!("{} {name}", seconds(took))).collect();
    if named.is_empty() { String::new() } else { format!("longest waits: {}", named.join(", ")) }
}

fn bands(timeline: &Timeline) -> Vec<Band<'_>> {
    let long = |span: &Span| timeline.duration(span) as f64 >= WORTH_DRAWING * timeline.took as f64;
    let steps = rows(timeline, |span| span.kind.is_outline());
    // Calls within a wait are how it waits.
    let waits = |at: &usize| timeline.spans.get(*at).is_some_and(|span| span.kind == SpanKind::Wait);
    let awaited = |span: &Span| span.parent.is_some_and(|parent| timeline.lineage(parent).any(|at| waits(&at)));
    let details = rows(timeline, |span| !span.kind.is_outline() && long(span) && !awaited(span));
    let mut top = HEADING;
    steps
        .into_iter()
        .zip(details)
        .map(|(Row { cluster, lanes: steps }, Row { lanes: details, .. })| {
            let moments = placed(timeline, cluster.as_deref());
            let words = moments.iter().map(|(.., line)| line + 1).max().unwrap_or_default();
            let height =
                (steps.len() as f64 * STEP + details.len() as f64 * DETAIL + words as f64 * WORDS + if words > 0 { 8.0 } else { 0.0 })
                    .max(STEP);
            let name = cluster.unwrap_or_else(|| "fleet".to_owned());
            let band = Band { name, top, height, steps, details, moments };
            top += height + GAP;
            band
        })
        .collect()
}

/// Moments of a row, each with the line in which its words stand, so that no two meet.
fn placed<'a>(timeline: &'a Timeline, cluster: Option<&str>) -> Vec<(u64, &'a Moment, usize)> {
    let mut ends: Vec<f64> = Vec::new();
    let own = timeline.own_moments().into_iter().filter(|(_, moment)| moment.cluster.as_deref() == cluster);
    own.map(|(at, moment)| {
        let begin = x_of(timeline, at);
        let end = begin + 8.0 + moment.name.chars().count() as f64 * LETTER;
        let line = ends.iter().position(|taken| *taken <= begin).unwrap_or(ends.len());
        match ends.get_mut(line) {
            Some(taken) => *taken = end,
            None => ends.push(end),
        }
        (at, moment, line)
    })
    .collect()
}

/// Lines at round times.
fn ticks(out: &mut String, timeline: &Timeline, height: f64) {
    let rough = (timeline.took as f64 / SECOND / TICKS).max(1e-3);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough).unwrap_or(rough);
    for index in 0..=(timeline.took as f64 / SECOND / step) as u64 {
        let time = index as f64 * step;
        let x = number(LEFT + time * SECOND / whole(timeline) * (WIDTH - LEFT - RIGHT));
        let label = (time * 1000.0).round() / 1000.0;
        let _ = writeln!(
            out,
            r##"<path d="M{x} {top}V{bottom}" stroke="#e4e8ec"/><text x="{x}" y="{above}" text-anchor="middle" fill="#7b8794">{label} s</text>"##,
            top = number(HEADING - 6.0),
            bottom = number(height - 26.0),
            above = number(HEADING - 12.0),
        );
    }
}

fn draw(out: &mut String, timeline: &Timeline, band: &Band<'_>) {
    let _ = writeln!(
        out,
        r##"<text x="16" y="{}" font-size="13" font-weight="bold" fill="#1c2733">{}</text>"##,
        number(band.top + 15.0),
        escape(&cut(&band.name, LEFT - 24.0, LETTER * 1.3))
    );
    let mut y = band.top;
    for (lanes, height) in [(&band.steps, STEP), (&band.details, DETAIL)] {
        for lane in lanes {
            for span in lane.iter().filter_map(|at| timeline.spans.get(*at)) {
                bar(out, timeline, span, y, height);
            }
            y += height;
        }
    }
    for (at, moment, line) in &band.moments {
        mark(out, timeline, *at, moment, (y, y + 8.0 + *line as f64 * WORDS));
    }
}

fn bar(out: &mut String, timeline: &Timeline, span: &Span, y: f64, height: f64) {
    let (from, to) = (x_of(timeline, span.begin), x_of(timeline, timeline.end(span)));
    let width = (to - from).max(1.0);
    let until = if span.end.is_none() { ", not ended" } else { "" };
    let mut title = format!("{}\n{} at {}{until}", span.name, seconds(timeline.duration(span)), seconds(span.begin));
    if let Some(note) = &span.note {
        title = format!("{title}\n{note}");
    }
    let fill = if span.failed { "#d55e00" } else { colour(span.kind) };
    let size = if span.kind.is_outline() { 11.0 } else { 9.0 };
    let _ = write!(
        out,
        r##"<g><title>{}</title><rect x="{}" y="{}" width="{}" height="{}" rx="2" fill="{fill}"/>"##,
        escape(&title),
        number(from),
        number(y),
        number(width),
        number(height - 2.0),
    );
    let words = cut(&span.name, width - 8.0, LETTER * size / 11.0);
    // Fewer letters say nothing.
    let readable = words == span.name || words.chars().count() > 5;
    // Steps are drawn upon the command's bar.
    if readable && span.kind != SpanKind::Command {
        let _ = write!(
            out,
            r##"<text x="{}" y="{}" font-size="{size}" fill="#ffffff">{}</text>"##,
            number(from + 4.0),
            number(y + height / 2.0 + size / 2.0 - 2.5),
            escape(&words)
        );
    }
    out.push_str("</g>\n");
}

/// A mark at a moment and its words below it; `y` is where the mark begins and where the words stand.
fn mark(out: &mut String, timeline: &Timeline, at: u64, moment: &Moment, y: (f64, f64)) {
    let x = x_of(timeline, at);
    let mut title = format!("{} at {}", moment.name, seconds(at));
    if let Some(node) = &moment.node {
        title = format!("{title}\n{node}");
    }
    let _ = writeln!(
        out,
        r##"<g><title>{title}</title><path d="M{x} {top}V{bottom}" stroke="#cc79a7" stroke-opacity="0.5"/><text x="{words}" y="{bottom}" font-size="10" fill="#8a3d68">{name}</text></g>"##,
        title = escape(&title),
        x = number(x),
        top = number(y.0),
        bottom = number(y.1 + WORDS - 4.0),
        words = number(x + 3.0),
        name = escape(&moment.name),
    );
}

/// Where a moment of the command is drawn.
fn x_of(timeline: &Timeline, at: u64) -> f64 {
    LEFT + at as f64 / whole(timeline) * (WIDTH - LEFT - RIGHT)
}

/// How long the command took; never nothing.
fn whole(timeline: &Timeline) -> f64 {
    timeline.took.max(1) as f64
}

fn seconds(micros: u64) -> String {
    format!("{:.2} s", micros as f64 / SECOND)
}

/// Colours that colour-blind people can tell apart (Okabe and Ito).
fn colour(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Command => "#d9dee3",
        SpanKind::Step => "#0072b2",
        SpanKind::Wait => "#b87d00",
        SpanKind::State => "#8a949e",
        SpanKind::Engine => "#009e73",
        SpanKind::ApiServer => "#56b4e9",
    }
}
