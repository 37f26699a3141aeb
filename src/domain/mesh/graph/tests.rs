use std::time::Duration;

use super::super::proof::{Cell, Matrix};
use super::*;

fn cluster(index: usize) -> GraphCluster {
    let gateway = |kind, last| GraphGateway { kind, address: Some([172, 18, 255, last].into()) };
    let first = 200 - 16 * index as u8;
    GraphCluster {
        name: format!("cluster{}", index + 1),
        engine_networks: vec!["kind".into()],
        network: Some(format!("network-cluster{}", index + 1)),
        pool: Some(format!("172.18.255.{first}-172.18.255.{}", first + 15)),
        nodes: 1,
        gateways: vec![gateway(GatewayKind::EastWest, first), gateway(GatewayKind::Ingress, first + 1)],
        versions: vec![format!("v{}", index % 2 + 1)],
        error: None,
    }
}

fn fleet(count: usize, traffic: bool) -> FleetGraph {
    let name = |index: usize| format!("cluster{}", index + 1);
    let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
    let cell = |(from, to): (usize, usize)| Cell {
        from: name(from),
        version: format!("v{}", to % 2 + 1),
        to: name(to),
        calls: 20 / count + (from * 7 + to * 3) % 5,
        p50: Duration::ZERO,
        p95: Duration::ZERO,
        max: Duration::ZERO,
    };
    let cells = if traffic { pairs.map(cell).collect() } else { Vec::new() };
    FleetGraph { fleet: "demo".into(), clusters: (0..count).map(cluster).collect(), traffic: Matrix { cells } }
}

/// Names, versions and errors come from elsewhere and may hold anything.
fn hostile() -> FleetGraph {
    let mut graph = fleet(2, true);
    graph.fleet = "a<b>&\"c\"".into();
    graph.clusters[0].error = Some("]]> <script>\u{7}\n#\"` --> x".into());
    graph.clusters[0].versions = vec!["v<1>".into()];
    graph.traffic.cells[1].version = "v\"2&".into();
    graph
}

#[test]
fn two_clusters_with_requests() {
    insta::assert_snapshot!("duo_svg", svg(&fleet(2, true)));
    insta::assert_snapshot!("duo_mermaid", mermaid(&fleet(2, true)));
}

#[test]
fn three_clusters_nobody_counted() {
    insta::assert_snapshot!("trio_svg", svg(&fleet(3, false)));
    insta::assert_snapshot!("trio_mermaid", mermaid(&fleet(3, false)));
}

#[test]
fn no_clusters_and_clusters_without_a_mesh() {
    let empty = FleetGraph { fleet: "none".into(), ..FleetGraph::default() };
    assert!(svg(&empty).contains("fleet none") && svg(&empty).ends_with("</svg>\n"));
    assert_eq!(mermaid(&empty), "flowchart LR\n");
    let mut plain = fleet(2, false);
    for cluster in &mut plain.clusters {
        (cluster.network, cluster.gateways, cluster.versions) = (None, Vec::new(), Vec::new());
    }
    assert!(svg(&plain).contains("no mesh"));
    assert!(!mermaid(&plain).contains("-.-"));
}

#[test]
fn foreign_text_stays_text() {
    let picture = svg(&hostile());
    assert!(!picture.contains("<script>") && !picture.contains('\u{7}') && !picture.contains("a<b>"), "{picture}");
    let tags = picture.matches('<').count();
    assert_eq!(tags, picture.matches('>').count(), "no bracket comes from a text");
    let chart = mermaid(&hostile());
    let unquoted: String = chart.lines().map(|line| line.split('"').step_by(2).collect::<String>() + "\n").collect();
    assert!(!unquoted.contains("script") && chart.lines().all(|line| line.matches('"').count() % 2 == 0), "{chart}");
    assert_eq!(chart.lines().filter(|line| line.contains("not reached")).count(), 1);
}

#[test]
fn requests_of_strangers_are_not_drawn() {
    let mut graph = fleet(2, true);
    graph.traffic.cells[1].to = "elsewhere".into();
    assert_eq!(graph.flows().len(), 3);
}

#[test]
fn every_request_is_drawn_for_up_to_six_clusters() {
    for count in 1..=6 {
        let graph = fleet(count, true);
        let picture = svg(&graph);
        assert_eq!(picture.matches("marker-end").count(), count * (count - 1), "{count}");
        assert_eq!(picture.matches("answered here").count(), 2 * count, "in the card and in its title");
        assert_eq!(mermaid(&graph).matches("-->").count(), count * count);
    }
}
