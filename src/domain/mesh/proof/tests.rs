//! Verdicts over whole fleets: what is green, what is not, and what it is called.

mod causes;
mod fixture;
mod properties;

use super::judge::{converged, judge};
use super::view::FleetView;
use fixture::green;

#[test]
fn whole_fleets_are_green() {
    for count in 1..=6 {
        let verdict = judge(&green(count));
        assert!(verdict.is_green(), "{count}: {:?}", verdict.failures());
        assert_eq!(converged(&green(count)), Ok(()));
        assert_eq!(converged(&before_traffic(count)), Ok(()), "calls are made only then");
        assert!(!judge(&before_traffic(count)).is_green(), "and are a part of the proof");
        let total: usize = verdict.matrix.cells.iter().map(|cell| cell.calls).sum();
        assert_eq!(total, count * 20, "every answer is in the matrix");
    }
}

/// What is seen before anything was sent.
fn before_traffic(count: usize) -> FleetView {
    let mut view = green(count);
    for client in view.clusters.iter_mut().flat_map(|cluster| cluster.client.as_mut()) {
        client.calls = Err("no calls were made".to_owned());
        client.probes = Err("nobody tried".to_owned());
    }
    view
}

#[test]
fn no_clusters_prove_nothing() {
    let verdict = judge(&FleetView::default());
    assert!(!verdict.is_green());
    assert_eq!(verdict.failures()[0].1.message, "the fleet has no clusters");
    assert!(!super::Verdict::default().is_green(), "no checks are no proof");
}

#[test]
fn a_verdict_with_a_check_left_out_is_not_green() {
    let verdict = judge(&green(2));
    for index in 0..verdict.checks.len() {
        let mut cut = verdict.clone();
        cut.checks.remove(index);
        assert!(!cut.is_green(), "without {:?}", verdict.checks[index].check);
    }
}

#[test]
fn json_is_stable_and_read_back() {
    let mut view = green(1);
    view.clusters[0].namespace_network = Ok(None);
    let verdict = judge(&view);
    let text = serde_json::to_string(&verdict).unwrap();
    let failure = r#"{"check":"gateway","cluster":"cluster1","failures":[{"cause":"noNetworkLabel","message":"namespace istio-system has no label topology.istio.io/network=network-cluster1","next":"#;
    assert!(text.contains(failure), "{text}");
    assert_eq!(serde_json::from_str::<super::Verdict>(&text).unwrap(), verdict);
}

#[test]
fn calls_may_end_when_all_have_answered() {
    let view = green(3);
    let calls = view.clusters[0].client.as_ref().unwrap().calls.clone().unwrap();
    assert!(view.all_answered(&calls));
    assert!(!view.all_answered(&calls[..2]), "three clusters cannot answer in two calls");
    assert!(!view.all_answered(&[]));
}

#[test]
fn the_gateway_is_the_one_that_is_installed() {
    assert_eq!(super::names::GATEWAY, crate::domain::istio::GatewayKind::EastWest.name());
}
