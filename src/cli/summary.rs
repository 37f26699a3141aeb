//! Where the time went: the closing line of an operation.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::duration;
use crate::domain::trace::{Stretch, longest};
use crate::event::{Event, EventKind, Reporter};

/// Waits named in the closing line.
const NAMED_WAITS: usize = 3;
/// Shorter ones are not worth naming.
const WORTH_NAMING: Duration = Duration::from_millis(100);

/// Listens to the ends of steps.
#[derive(Debug, Default)]
pub struct Summary {
    steps: Mutex<Steps>,
}

#[derive(Debug, Default)]
struct Steps {
    /// Milliseconds since the operation began.
    done: Vec<Stretch>,
    changed: bool,
}

// === impl Summary ===

impl Summary {
    /// `ready in 24.1s; longest waits: 9.8s kubeadm init, 6.0s wait for nodes, 3.2s install MetalLB`;
    /// `done` is the first word, `total` the time from beginning to end. What clusters do side by side, and
    /// steps beside longer ones, counts once: the waits are parts of the total.
    pub fn closing(&self, done: &str, total: Duration) -> String {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = longest(&steps.done, NAMED_WAITS).into_iter().map(|(step, took)| (step, Duration::from_millis(took)));
        let named: Vec<String> =
            waits.filter(|(_, took)| *took >= WORTH_NAMING).map(|(step, took)| format!("{} {step}", duration::short(took))).collect();
        let total = duration::short(total);
        match named.is_empty() {
            true => format!("{done} in {total}"),
            false => format!("{done} in {total}; longest waits: {}", named.join(", ")),
        }
    }

    /// Whether any step had something to do.
    pub fn changed(&self) -> bool {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).changed
    }
}

impl Reporter for Summary {
    fn report(&self, event: &Event) {
        let EventKind::Finished { took, changed } = &event.kind else { return };
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.changed |= changed;
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let begin = millis(event.elapsed.saturating_sub(*took));
        steps.done.push(Stretch { name: event.step.clone(), begin, end: millis(event.elapsed) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step of a cluster from one millisecond to another.
    fn finished(summary: &Summary, cluster: &str, step: &str, from: u64, to: u64, changed: bool) {
        let kind = EventKind::Finished { took: Duration::from_millis(to - from), changed };
        summary.report(&Event { elapsed: Duration::from_millis(to), cluster: Some(cluster.into()), step: step.into(), kind });
    }

    #[test]
    fn the_three_longest_waits_are_named_once() {
        let summary = Summary::default();
        finished(&summary, "a", "kubeadm init", 500, 9600, true);
        finished(&summary, "b", "kubeadm init", 500, 10_300, true);
        finished(&summary, "a", "install MetalLB", 10_300, 13_500, true);
        finished(&summary, "a", "wait for nodes", 13_500, 19_500, true);
        finished(&summary, "a", "start nodes", 0, 500, true);
        let line = summary.closing("ready", Duration::from_millis(24_100));
        assert_eq!(line, "ready in 24.1s; longest waits: 9.8s kubeadm init, 6.0s wait for nodes, 3.2s install MetalLB");
        assert!(summary.changed());
    }

    #[test]
    fn what_runs_beside_something_longer_is_no_wait_of_its_own() {
        let summary = Summary::default();
        finished(&summary, "a", "install Istio", 10_000, 23_000, true);
        finished(&summary, "a", "install MetalLB", 10_000, 22_000, true);
        finished(&summary, "a", "start nodes", 0, 900, true);
        let line = summary.closing("ready", Duration::from_millis(24_000));
        assert_eq!(line, "ready in 24.0s; longest waits: 13.0s install Istio, 0.9s start nodes");
    }

    #[test]
    fn short_steps_are_not_named() {
        let summary = Summary::default();
        finished(&summary, "a", "start nodes", 0, 40, false);
        assert_eq!(summary.closing("nothing to do,", Duration::from_millis(40)), "nothing to do, in 0.0s");
        assert!(!summary.changed());
    }
}
