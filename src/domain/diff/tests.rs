use super::*;
use crate::domain::fleet::tests_support::fleet;

fn node(name: &str, state: NodeState) -> FoundNode {
    FoundNode { name: name.to_owned(), state }
}

fn complete(name: &str) -> FoundCluster {
    FoundCluster {
        name: name.to_owned(),
        foreign: None,
        nodes: vec![node(&format!("{name}-control-plane"), NodeState::Member)],
        fixed: Vec::new(),
        loose: Vec::new(),
        installed: Some(Installed { metallb: true, sample: false, mesh: false }),
    }
}

fn found(clusters: impl IntoIterator<Item = FoundCluster>) -> Found {
    Found { end: None, network: Some(FoundNetwork::default()), clusters: clusters.into_iter().collect() }
}

fn lines(diff: &FleetDiff) -> Vec<String> {
    diff.changes.iter().map(Change::line).collect()
}

fn plain(fleet: &Fleet, found: &Found) -> FleetDiff {
    diff(fleet, found, &Consent::default())
}

#[test]
fn from_nothing_everything_is_created() {
    let diff = plain(&fleet(2), &Found::default());
    assert_eq!(lines(&diff), ["create network kind", "create cluster c1: 1 node", "create cluster c2: 1 node"]);
    assert!(diff.changed && diff.refused().next().is_none());
}

#[test]
fn what_is_complete_stays() {
    let diff = plain(&fleet(2), &found([complete("c1"), complete("c2")]));
    assert_eq!(lines(&diff), ["keep network kind", "keep cluster c1", "keep cluster c2"]);
    assert!(!diff.changed);
}

#[test]
fn what_was_interrupted_is_finished_and_what_rests_is_woken() {
    let mut wanted = fleet(3);
    wanted.clusters[1].workers = 2;
    let mut begun = complete("c1");
    begun.nodes[0].state = NodeState::Unfinished;
    let mut grown = complete("c2");
    grown.nodes.push(node("c2-worker", NodeState::Unfinished));
    let mut asleep = complete("c3");
    (asleep.nodes[0].state, asleep.installed) = (NodeState::AtRest, None);
    let diff = plain(&wanted, &found([begun, grown, asleep]));
    assert_eq!(
        lines(&diff)[1..],
        [
            "finish cluster c1: its control plane was not finished",
            "keep cluster c2",
            "finish node c2-worker: never joined the cluster",
            "create node c2-worker2: joins the cluster",
            "wake cluster c3",
        ]
    );
}

#[test]
fn what_is_not_described_is_refused_or_removed() {
    let mut shrunk = complete("c1");
    shrunk.nodes.push(node("c1-worker", NodeState::Member));
    let there = found([shrunk, complete("old")]);
    let refused = plain(&fleet(1), &there);
    assert_eq!(refused.refused().map(|change| change.name.as_str()).collect::<Vec<_>>(), ["old", "c1-worker"]);
    assert!(!refused.changed);
    let pruned = diff(&fleet(1), &there, &Consent { prune: true, ..Consent::default() });
    assert_eq!(lines(&pruned)[0], "remove cluster old: not described");
    assert_eq!(
        (pruned.clusters(Action::Remove).collect::<Vec<_>>(), pruned.nodes(Action::Remove).collect::<Vec<_>>()),
        (vec!["old"], vec!["c1-worker"])
    );
}

#[test]
fn what_cannot_be_changed_is_refused_or_made_anew() {
    let mut other = complete("c1");
    other.fixed = vec!["podSubnet is 10.9.0.0/16, wanted is 10.1.0.0/16".to_owned()];
    let there = found([other, complete("c2")]);
    let wanted = fleet(2);
    assert_eq!(plain(&wanted, &there).refused().count(), 1);
    let allow = |recreate| diff(&wanted, &there, &Consent { prune: false, recreate });
    assert_eq!(allow(Recreate::Needed).clusters(Action::Recreate).collect::<Vec<_>>(), ["c1"]);
    let named = allow(Recreate::Named(["c2".to_owned()].into()));
    assert_eq!(named.clusters(Action::Recreate).collect::<Vec<_>>(), ["c2"]);
    assert_eq!(named.refused().count(), 1, "c1 was not named");
}

#[test]
fn others_have_a_name_or_a_network_of_their_own() {
    let mut kinds = complete("c1");
    kinds.foreign = Some("kind".to_owned());
    let mut there = found([kinds]);
    there.network = Some(FoundNetwork { differences: vec!["its subnet is 10.0.0.0/24".to_owned()] });
    let diff = plain(&fleet(1), &there);
    assert_eq!(lines(&diff), ["refuse network kind: its subnet is 10.0.0.0/24", "refuse cluster c1: a cluster of kind has this name"]);
}

#[test]
fn what_is_missing_in_a_cluster_is_installed() {
    let mut wanted = fleet(1);
    wanted.addons.sample = true;
    let mut bare = complete("c1");
    bare.installed = Some(Installed::default());
    bare.loose = vec!["the pool has 25 addresses, wanted are 30".to_owned()];
    let diff = plain(&wanted, &found([bare]));
    assert_eq!(
        lines(&diff)[1..],
        ["change cluster c1: the pool has 25 addresses, wanted are 30", "create add-on c1/metallb", "create add-on c1/sample"]
    );
}

#[test]
fn another_end_is_a_change_of_the_fleet_alone() {
    let mut there = found([complete("c1")]);
    there.end = Some("ends at a, becomes b".to_owned());
    let diff = plain(&fleet(1), &there);
    assert_eq!(lines(&diff), ["change fleet test: ends at a, becomes b", "keep network kind", "keep cluster c1"]);
    assert!(diff.changed && diff.refused().next().is_none() && diff.clusters(Action::Change).next().is_none());
    assert_eq!(serde_json::to_value(&diff.changes[0]).unwrap()["kind"], "fleet");
}

#[test]
fn programs_read_words() {
    let json = serde_json::to_value(plain(&fleet(1), &Found::default())).unwrap();
    assert_eq!(json["changes"][1], serde_json::json!({"kind": "cluster", "name": "c1", "action": "create", "why": ["1 node"]}));
    assert_eq!((&json["fleet"], &json["changed"]), (&"test".into(), &true.into()));
}
