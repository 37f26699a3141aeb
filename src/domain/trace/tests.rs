//! Timelines that are made up, and a node's record as one was recorded (shortened).

use serde_json::Value;

use super::*;

const SECOND: u64 = 1_000_000;
const BEGAN: u64 = 1_795_387_540 * SECOND;

fn span(kind: SpanKind, name: &str, cluster: Option<&str>, parent: Option<usize>, begin: u64, end: Option<u64>) -> Span {
    Span { kind, name: name.to_owned(), cluster: cluster.map(str::to_owned), parent, begin, end, note: None, failed: false }
}

fn moment(name: &str, cluster: &str, at: u64, exact: u64) -> Moment {
    Moment { name: name.to_owned(), cluster: Some(cluster.to_owned()), node: Some("n<1>".to_owned()), at, exact }
}

/// A fleet of two; in the first cluster two calls of one step overlap, and a step never ended.
fn timeline() -> Timeline {
    let (a, b) = (Some("a"), Some("cluster10"));
    Timeline {
        title: "kindmesh up <x> & \"y\"".to_owned(),
        began: BEGAN,
        took: 20 * SECOND,
        spans: vec![
            span(SpanKind::Command, "kindmesh up", None, None, 0, Some(20 * SECOND)),
            span(SpanKind::Step, "ensure network", None, Some(0), 10, Some(SECOND)),
            span(SpanKind::Step, "start & stop", a, None, SECOND, Some(9 * SECOND)),
            span(SpanKind::Engine, "create container n1", a, Some(2), SECOND, Some(3 * SECOND)),
            span(SpanKind::Engine, "create container n2", a, Some(2), 2 * SECOND, Some(4 * SECOND)),
            span(SpanKind::Wait, "node n1 to boot", a, Some(2), 3 * SECOND, Some(9 * SECOND)),
            span(SpanKind::ApiServer, "GET /readyz", a, Some(5), 4 * SECOND, Some(4 * SECOND)),
            span(SpanKind::Step, "install", a, None, 8 * SECOND, None),
            span(SpanKind::Step, "install", b, None, 8 * SECOND, Some(12 * SECOND)),
        ],
        moments: vec![
            moment("node <Ready>", "a", BEGAN + 7 * SECOND, 1),
            moment("of the last run", "a", BEGAN - 7 * SECOND, 1),
            moment("known to the second", "cluster2", BEGAN - SECOND / 2, SECOND),
        ],
    }
}

fn events(timeline: &Timeline) -> Vec<Value> {
    let document: Value = serde_json::from_str(&chrome(timeline)).unwrap();
    document["traceEvents"].as_array().unwrap().clone()
}

#[test]
fn a_trace_has_a_row_for_the_fleet_and_each_cluster_and_says_all_there_is() {
    let events = events(&timeline());
    let threads: Vec<&str> =
        events.iter().filter(|event| event["name"] == "thread_name").map(|e| e["args"]["name"].as_str().unwrap()).collect();
    assert_eq!(threads, ["fleet", "a", "a (2)", "cluster2", "cluster10"]);
    let complete = events.iter().filter(|event| event["ph"] == "X");
    assert_eq!(complete.count(), timeline().spans.len());
    let instants: Vec<(u64, &str)> =
        events.iter().filter(|event| event["ph"] == "i").map(|e| (e["ts"].as_u64().unwrap(), e["name"].as_str().unwrap())).collect();
    assert_eq!(instants, [(0, "known to the second"), (7 * SECOND, "node <Ready>")]);
    let open = events.iter().find(|event| event["args"]["unfinished"] == true).unwrap();
    assert_eq!((&open["name"], &open["dur"]), (&"install".into(), &(12 * SECOND).into()));
}

/// What viewers ask for: in order, and in each thread one thing within the other or beside it.
#[test]
fn bars_of_a_thread_nest() {
    let mut open: Vec<(u64, u64)> = Vec::new();
    let mut last = (0, 0);
    let mut events: Vec<Value> = events(&timeline()).into_iter().filter(|event| event["ph"] == "X").collect();
    assert!(events.windows(2).all(|pair| pair[0]["ts"].as_u64() <= pair[1]["ts"].as_u64()), "{events:#?}");
    events.sort_by_key(|event| event["tid"].as_u64());
    for event in events {
        let number = |key: &str| event[key].as_u64().unwrap();
        let (thread, begin, end) = (number("tid"), number("ts"), number("ts") + number("dur"));
        if thread != last.0 {
            open.clear();
        }
        open.retain(|(_, until)| *until > begin);
        assert!(open.iter().all(|(_, until)| *until >= end), "{event} is cut by {open:?}");
        assert!(end > begin, "{event}");
        open.push((begin, end));
        last = (thread, begin);
    }
}

#[test]
fn a_call_is_below_its_own_step_and_no_other() {
    let events = events(&timeline());
    let thread = |name: &str| events.iter().find(|event| event["ph"] == "X" && event["name"] == name).unwrap()["tid"].as_u64();
    assert_eq!(thread("create container n1"), thread("start & stop"));
    assert_ne!(thread("create container n2"), thread("start & stop"));
    assert_eq!(thread("GET /readyz"), thread("node n1 to boot"));
}

#[test]
fn a_chart_is_well_formed_and_escapes_what_it_says() {
    let chart = svg(&timeline());
    assert!(chart.starts_with("<svg ") && chart.ends_with("</svg>\n"));
    for said in ["kindmesh up &lt;x&gt; &amp; &quot;y&quot;: 20.00 s", "start &amp; stop", "node &lt;Ready&gt;", "cluster10", "n&lt;1&gt;"]
    {
        assert!(chart.contains(said), "{said}: {chart}");
    }
    assert!(chart.contains("longest waits: 12.00 s install, 7.00 s start &amp; stop, 1.00 s ensure network"), "{chart}");
    for never in ["<script", "<style", "href", "NaN", "inf", "& ", "of the last run"] {
        assert!(!chart.contains(never), "{never}: {chart}");
    }
    assert_eq!(balanced(&chart), Ok(()), "{chart}");
    let nothing = svg(&Timeline::default());
    assert_eq!(balanced(&nothing), Ok(()), "{nothing}");
}

/// Whether every element is closed by its own name, and `<` and `>` stand nowhere else.
fn balanced(text: &str) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    for piece in text.split('<').skip(1) {
        let (tag, after) = piece.split_once('>').ok_or_else(|| format!("<{piece}"))?;
        if after.contains('>') {
            return Err(after.to_owned());
        }
        let name = tag.split_whitespace().next().unwrap_or_default();
        match (name.strip_prefix('/'), tag.ends_with('/')) {
            (Some(closed), _) if open.pop() == Some(closed) => {}
            (Some(closed), _) => return Err(format!("</{closed}>")),
            (None, true) => {}
            (None, false) => open.push(name),
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("{open:?}")) }
}

#[test]
fn the_longest_waits_share_the_time_between_them() {
    let of = |all: &[(&str, u64, u64)]| {
        let stretches: Vec<Stretch> =
            all.iter().map(|(name, begin, end)| Stretch { name: (*name).to_owned(), begin: *begin, end: *end }).collect();
        longest(&stretches, 3)
    };
    let named = |all: &[(&str, u64)]| all.iter().map(|(name, took)| ((*name).to_owned(), *took)).collect::<Vec<_>>();
    // Two clusters side by side, and one step that lies within a longer one but for its end.
    let found = of(&[("init", 0, 9), ("init", 1, 10), ("mesh", 10, 24), ("metallb", 12, 27), ("boot", 10, 11)]);
    assert_eq!(found, named(&[("metallb", 15), ("init", 10), ("mesh", 2)]));
    assert_eq!(of(&[("b", 5, 7), ("a", 0, 2), ("empty", 3, 3)]), named(&[("a", 2), ("b", 2)]));
    assert!(of(&[]).is_empty());
}

#[test]
fn a_nodes_record_is_read() {
    let told: Vec<(f64, String)> = node_moments(include_str!("tests/node.record"))
        .into_iter()
        .map(|moment| (((moment.at - BEGAN) as f64 / 1000.0).round() / 1000.0, moment.name))
        .collect();
    let told: Vec<(f64, &str)> = told.iter().map(|(at, name)| (*at, name.as_str())).collect();
    assert_eq!(
        told,
        [
            (2.315, "container started"),
            (3.151, "containerd active"),
            (3.152, "systemd up"),
            (4.702, "kubelet started"),
            (5.09, "kubelet healthy"),
            (6.006, "a container started"),
            (6.195, "etcd started"),
            (10.668, "API server serves"),
            (13.048, "first /readyz ok"),
            (14.434, "controller-manager leads"),
            (15.155, "scheduler leads"),
            (19.657, "all controllers started"),
            (22.886, "node Ready"),
        ]
    );
}

#[test]
fn what_is_no_record_has_no_moments() {
    for text in
        ["", "== clock\n1\n2\n", "== clock\nnow\n1 2\n1 (a) b\n== journal\n1.5 n systemd[1]: Started kubelet.service\nx\n== pods\n.log:"]
    {
        assert_eq!(node_moments(text), [], "{text}");
    }
}
