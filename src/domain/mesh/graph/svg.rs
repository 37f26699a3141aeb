//! A fleet as SVG that needs nothing else: no fonts, no scripts, no style sheets.

use std::fmt::Write as _;

use super::layout::{CARD_WIDTH, Card, Curve, LINE, Point, cards, curve};
use super::{FleetGraph, GraphCluster};
use crate::domain::svg_text::{cut, escape, number};

/// Space around everything.
const MARGIN: f64 = 44.0;
/// Height of the heading.
const HEADING: f64 = 56.0;
/// Height of the line that explains the arrows.
const FOOT: f64 = 34.0;
/// Widths of letters: average of what viewers use for `sans-serif` at this size.
const LETTER: f64 = 6.6;
/// Where on its way an arrow has its label: not in the middle, where all ways cross.
const LABEL_AT: f64 = 0.36;

/// Colours of clusters: a palette that colour-blind people can tell apart (Okabe and Ito).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f"];

/// Draws a fleet.
pub fn svg(graph: &FleetGraph) -> String {
    let told: Vec<Vec<String>> = (0..graph.clusters.len()).map(|index| lines(graph, index)).collect();
    let cards = cards(&told.iter().map(Vec::len).collect::<Vec<_>>());
    let (left, right) = (extent(&cards, |card| card.corner().x, f64::min), extent(&cards, |card| card.corner().x + CARD_WIDTH, f64::max));
    let (top, bottom) = (extent(&cards, |card| card.corner().y, f64::min), extent(&cards, |card| card.corner().y + card.height, f64::max));
    let heading = heading(graph);
    let width = (right - left).max(heading.chars().count() as f64 * LETTER * 1.5) + 2.0 * MARGIN;
    let height = bottom - top + 2.0 * MARGIN + HEADING + FOOT;
    let shift = Point { x: width / 2.0 - (left + right) / 2.0, y: HEADING + MARGIN - top };
    let cards: Vec<Card> =
        cards.into_iter().map(|card| Card { centre: Point { x: card.centre.x + shift.x, y: card.centre.y + shift.y }, ..card }).collect();

    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" font-family="sans-serif" font-size="12" role="img">
<title>{title}</title>
<rect width="{w}" height="{h}" fill="#ffffff"/>
<rect x="16" y="{top}" width="{frame_w}" height="{frame_h}" rx="14" fill="#f4f6f8" stroke="#c4ccd4"/>
<text x="24" y="34" font-size="18" font-weight="bold" fill="#1c2733">{title}</text>"##,
        w = number(width),
        h = number(height),
        title = escape(&heading),
        top = number(HEADING),
        frame_w = number(width - 32.0),
        frame_h = number(height - HEADING - FOOT),
    );
    markers(&mut out, graph.clusters.len());
    arrows(&mut out, graph, &cards);
    for (index, (cluster, card)) in graph.clusters.iter().zip(&cards).enumerate() {
        draw_card(&mut out, cluster, card, colour(index), &told[index]);
    }
    labels(&mut out, graph, &cards);
    let _ = writeln!(out, r##"<text x="24" y="{}" fill="#52606d">{}</text>"##, number(height - 12.0), escape(foot(graph)));
    out.push_str("</svg>\n");
    out
}

fn heading(graph: &FleetGraph) -> String {
    match graph.engine_networks().as_slice() {
        [] => format!("fleet {}", graph.fleet),
        [one] => format!("fleet {} on network {one}", graph.fleet),
        many => format!("fleet {} on networks {}", graph.fleet, many.join(", ")),
    }
}

fn foot(graph: &FleetGraph) -> &'static str {
    match (graph.traffic.cells.is_empty(), graph.peers().is_empty()) {
        (true, true) => "no mesh",
        (true, false) => "lines: clusters of one mesh; no requests were counted",
        (false, _) => "arrows: answered requests, from the client's cluster to the one whose version answered",
    }
}

/// What a card tells: the cluster, and how often it answered itself.
fn lines(graph: &FleetGraph, index: usize) -> Vec<String> {
    let mut lines = graph.clusters.get(index).map(GraphCluster::lines).unwrap_or_default();
    let own = graph.flows().into_iter().filter(|flow| flow.from == index && flow.to == index);
    lines.extend(own.map(|flow| format!("{} × {} answered here", flow.calls, flow.version)));
    lines
}

/// One arrow head for each colour.
fn markers(out: &mut String, count: usize) {
    out.push_str("<defs>\n");
    for index in 0..count.min(COLOURS.len()) {
        let _ = writeln!(
            out,
            r#"<marker id="to{index}" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 10 5 0 10z" fill="{}"/></marker>"#,
            colour(index)
        );
    }
    out.push_str("</defs>\n");
}

/// Lines between clusters of one mesh, or arrows when requests were counted.
fn arrows(out: &mut String, graph: &FleetGraph, cards: &[Card]) {
    if graph.traffic.cells.is_empty() {
        for (from, to) in graph.peers() {
            let (from, to) = (cards[from].centre, cards[to].centre);
            let [x1, y1, x2, y2] = [from.x, from.y, to.x, to.y].map(number);
            let _ = writeln!(out, r##"<path d="M{x1} {y1}L{x2} {y2}" stroke="#9aa5b1" stroke-dasharray="5 4" fill="none"/>"##);
        }
        return;
    }
    let most = graph.flows().iter().map(|flow| flow.calls).max().unwrap_or(1).max(1);
    for (from, to, _, calls) in between(graph) {
        let Curve { from: start, control, to: end } = curve(&cards[from], &cards[to]);
        let [x1, y1, cx, cy, x2, y2] = [start.x, start.y, control.x, control.y, end.x, end.y].map(number);
        let width = number(1.2 + 1.8 * calls as f64 / most as f64);
        let _ = writeln!(
            out,
            r#"<path d="M{x1} {y1}Q{cx} {cy} {x2} {y2}" stroke="{}" stroke-width="{width}" fill="none" marker-end="url(#to{})"/>"#,
            colour(from),
            from % COLOURS.len()
        );
    }
}

/// Labels of arrows, above everything else.
fn labels(out: &mut String, graph: &FleetGraph, cards: &[Card]) {
    for (from, to, label, _) in between(graph) {
        let at = curve(&cards[from], &cards[to]).at(LABEL_AT);
        let width = label.chars().count() as f64 * LETTER + 10.0;
        let [x, y, w] = [at.x - width / 2.0, at.y - 9.0, width].map(number);
        let (tx, ty) = (number(at.x), number(at.y + 4.0));
        let _ = writeln!(
            out,
            r##"<rect x="{x}" y="{y}" width="{w}" height="18" rx="9" fill="#ffffff" stroke="{c}"/><text x="{tx}" y="{ty}" text-anchor="middle" fill="{c}">{label}</text>"##,
            c = colour(from),
            label = escape(&label)
        );
    }
}

/// Requests between different clusters: from, to, label, number.
fn between(graph: &FleetGraph) -> Vec<(usize, usize, String, usize)> {
    let mut found: Vec<(usize, usize, String, usize)> = Vec::new();
    for flow in graph.flows().into_iter().filter(|flow| flow.from != flow.to) {
        let label = format!("{} × {}", flow.calls, flow.version);
        match found.iter_mut().find(|(from, to, ..)| (*from, *to) == (flow.from, flow.to)) {
            Some((_, _, text, calls)) => {
                text.push_str(", ");
                text.push_str(&label);
                *calls += flow.calls;
            }
            None => found.push((flow.from, flow.to, label, flow.calls)),
        }
    }
    found
}

fn draw_card(out: &mut String, cluster: &GraphCluster, card: &Card, colour: &str, lines: &[String]) {
    let corner = card.corner();
    let [x, y, w, h] = [corner.x, corner.y, CARD_WIDTH, card.height].map(number);
    let full = [std::slice::from_ref(&cluster.name), lines].concat().join("\n");
    let _ = writeln!(
        out,
        r##"<g><title>{full}</title><rect x="{x}" y="{y}" width="{w}" height="{h}" rx="8" fill="#ffffff" stroke="{colour}" stroke-width="2"/>"##,
        full = escape(&full)
    );
    let text_x = number(corner.x + 14.0);
    let _ = writeln!(
        out,
        r##"<text x="{text_x}" y="{}" font-size="15" font-weight="bold" fill="{colour}">{}</text>"##,
        number(corner.y + 26.0),
        escape(&cut(&cluster.name, CARD_WIDTH - 28.0, LETTER * 1.35))
    );
    for (index, line) in lines.iter().enumerate() {
        let line_y = number(corner.y + 46.0 + LINE * index as f64);
        let _ =
            writeln!(out, r##"<text x="{text_x}" y="{line_y}" fill="#323f4b">{}</text>"##, escape(&cut(line, CARD_WIDTH - 28.0, LETTER)));
    }
    out.push_str("</g>\n");
}

fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

fn extent(cards: &[Card], of: impl Fn(&Card) -> f64, better: fn(f64, f64) -> f64) -> f64 {
    cards.iter().map(of).reduce(better).unwrap_or_default()
}
