//! A fleet as a Mermaid flow chart, for pages that render it.

use std::fmt::Write as _;

use super::FleetGraph;

/// Writes a fleet as a flow chart.
pub fn mermaid(graph: &FleetGraph) -> String {
    let mut out = String::from("flowchart LR\n");
    let networks = graph.engine_networks();
    for (number, network) in networks.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "  subgraph net{number}[\"network {}\"]", escape(network));
        for (index, _) in
            graph.clusters.iter().enumerate().filter(|(_, cluster)| cluster.engine_networks.first().map(String::as_str) == Some(*network))
        {
            let _ = writeln!(out, "    {}", node(graph, index));
        }
        out.push_str("  end\n");
    }
    for (index, _) in graph.clusters.iter().enumerate().filter(|(_, cluster)| cluster.engine_networks.is_empty()) {
        let _ = writeln!(out, "  {}", node(graph, index));
    }
    if graph.traffic.cells.is_empty() {
        for (from, to) in graph.peers() {
            let _ = writeln!(out, "  c{from} -.- c{to}");
        }
    }
    for flow in graph.flows() {
        let _ = writeln!(out, "  c{} -->|\"{} × {}\"| c{}", flow.from, flow.calls, escape(flow.version), flow.to);
    }
    out
}

fn node(graph: &FleetGraph, index: usize) -> String {
    let cluster = &graph.clusters[index];
    let lines: Vec<String> =
        std::iter::once(format!("<b>{}</b>", escape(&cluster.name))).chain(cluster.lines().iter().map(|line| escape(line))).collect();
    format!("c{index}[\"{}\"]", lines.join("<br/>"))
}

/// Text within quotes of a Mermaid label: what means something there is written as its entity.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '&' => out.push_str("#amp;"),
            '`' => out.push_str("#96;"),
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}
