//! What was waited for longest, where much happens at the same time.

use std::collections::BTreeMap;

/// A stretch of time that something took, in any unit that counts up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// What took it; the same in several places counts once at a time.
    pub name: String,
    /// Its beginning.
    pub begin: u64,
    /// Its end.
    pub end: u64,
}

/// Begin and end.
type Interval = (u64, u64);

/// The `count` names that explain most of the time, longest first, with the time that each explains beyond
/// those before it. So what ran beside something longer is not counted twice, and all of them together
/// are never longer than the whole.
pub fn longest(stretches: &[Stretch], count: usize) -> Vec<(String, u64)> {
    let mut left: BTreeMap<&str, Vec<Interval>> = BTreeMap::new();
    for stretch in stretches {
        left.entry(&stretch.name).or_default().push((stretch.begin, stretch.end));
    }
    let mut left: BTreeMap<&str, Vec<Interval>> = left.into_iter().map(|(name, intervals)| (name, union(intervals))).collect();
    let mut found = Vec::new();
    while found.len() < count {
        // Of equals, the first by name.
        let most = left.iter().map(|(name, intervals)| (length(intervals), *name)).max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(a.1)));
        let Some((length, name)) = most.filter(|(length, _)| *length > 0) else { break };
        let covered = left.remove(name).unwrap_or_default();
        for intervals in left.values_mut() {
            *intervals = without(intervals, &covered);
        }
        found.push((name.to_owned(), length));
    }
    found
}

/// The same time as intervals that do not meet, in order.
fn union(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_unstable();
    let mut joined: Vec<Interval> = Vec::new();
    for (begin, end) in intervals.into_iter().filter(|(begin, end)| begin < end) {
        match joined.last_mut() {
            Some(last) if begin <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((begin, end)),
        }
    }
    joined
}

/// What is left of some intervals without others; both in order.
fn without(intervals: &[Interval], covered: &[Interval]) -> Vec<Interval> {
    let mut left = intervals.to_vec();
    for (from, to) in covered {
        left = left
            .into_iter()
            .flat_map(|(begin, end)| [(begin, end.min(*from)), (begin.max(*to), end)])
            .filter(|(begin, end)| begin < end)
            .collect();
    }
    left
}

fn length(intervals: &[Interval]) -> u64 {
    intervals.iter().map(|(begin, end)| end - begin).sum()
}
