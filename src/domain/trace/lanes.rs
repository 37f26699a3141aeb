//! Which bar is drawn in which line: viewers show one line well only when its bars nest.

use std::collections::BTreeMap;

use super::timeline::{Span, Timeline};

/// What is drawn of one cluster, or of the fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// The cluster; `None` for the fleet.
    pub(super) cluster: Option<String>,
    /// Lines from top to bottom; spans in each, as places in [`Timeline::spans`].
    pub(super) lanes: Vec<Vec<usize>>,
}

/// Rows of everything that is wanted: the fleet first, then clusters by the length of their names and
/// their names, as numbers count. A cluster of which only moments are known has a row without lines.
///
/// In one line a span lies within what it is a part of, or beside everything else.
pub(super) fn rows(timeline: &Timeline, wanted: impl Fn(&Span) -> bool) -> Vec<Row> {
    let mut rows = vec![Row::default()];
    let mut clusters: Vec<&str> = timeline.spans.iter().filter_map(|span| span.cluster.as_deref()).collect();
    clusters.extend(timeline.own_moments().into_iter().filter_map(|(_, moment)| moment.cluster.as_deref()));
    clusters.sort_by_key(|name| (name.len(), *name));
    clusters.dedup();
    rows.extend(clusters.into_iter().map(|name| Row { cluster: Some(name.to_owned()), ..Row::default() }));
    for row in &mut rows {
        let places = 0..timeline.spans.len();
        let mine: Vec<usize> = places.filter(|at| timeline.spans[*at].cluster == row.cluster && wanted(&timeline.spans[*at])).collect();
        row.lanes = lanes(timeline, mine);
    }
    rows
}

/// Steps come first, so that they have the upper lines for themselves; then everything from the outside in.
fn lanes(timeline: &Timeline, mut mine: Vec<usize>) -> Vec<Vec<usize>> {
    mine.sort_by_cached_key(|at| {
        let span = &timeline.spans[*at];
        (!span.kind.is_outline(), timeline.lineage(*at).count(), span.begin, *at)
    });
    let mut lanes: Vec<Vec<usize>> = Vec::new();
    let mut placed: BTreeMap<usize, usize> = BTreeMap::new();
    for at in mine {
        let above = timeline.lineage(at).skip(1).find_map(|parent| placed.get(&parent).copied()).unwrap_or(0);
        let free = (above..lanes.len()).find(|lane| lanes[*lane].iter().all(|other| beside_or_within(timeline, at, *other)));
        let lane = free.unwrap_or_else(|| {
            lanes.push(Vec::new());
            lanes.len() - 1
        });
        lanes[lane].push(at);
        placed.insert(at, lane);
    }
    for lane in &mut lanes {
        lane.sort_by_key(|at| (timeline.spans[*at].begin, std::cmp::Reverse(timeline.end(&timeline.spans[*at])), *at));
    }
    lanes
}

fn beside_or_within(timeline: &Timeline, inner: usize, outer: usize) -> bool {
    let (inside, around) = (&timeline.spans[inner], &timeline.spans[outer]);
    let beside = timeline.end(inside) <= around.begin || timeline.end(around) <= inside.begin;
    let within = around.begin <= inside.begin && timeline.end(inside) <= timeline.end(around);
    beside || (within && timeline.contains(outer, inner))
}
