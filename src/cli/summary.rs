//! Where the time went: the closing line of an operation.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::duration;
use crate::event::{Event, EventKind, Reporter};

/// Steps named in the closing line.
const NAMED_STEPS: usize = 3;
/// Shorter steps are not worth naming.
const WORTH_NAMING: Duration = Duration::from_millis(100);

/// Listens to the ends of steps.
#[derive(Debug, Default)]
pub struct Summary {
    steps: Mutex<Steps>,
}

#[derive(Debug, Default)]
struct Steps {
    /// Step to the longest time it took in any cluster: clusters run beside each other.
    longest: BTreeMap<String, Duration>,
    changed: bool,
}

// === impl Summary ===

impl Summary {
    /// `ready in 24.1s: 9.8s kubeadm init, 6.0s wait for nodes, 3.2s install MetalLB`; `done` is the
    /// first word, `total` the time from beginning to end.
    pub fn closing(&self, done: &str, total: Duration) -> String {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let mut longest: Vec<(&String, &Duration)> = steps.longest.iter().filter(|(_, took)| **took >= WORTH_NAMING).collect();
        longest.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let named: Vec<String> =
            longest.iter().take(NAMED_STEPS).map(|(step, took)| format!("{} {step}", duration::short(**took))).collect();
        let total = duration::short(total);
        match named.is_empty() {
            true => format!("{done} in {total}"),
            false => format!("{done} in {total}: {}", named.join(", ")),
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
        let longest = steps.longest.entry(event.step.clone()).or_default();
        *longest = (*longest).max(*took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(summary: &Summary, cluster: &str, step: &str, millis: u64, changed: bool) {
        let kind = EventKind::Finished { took: Duration::from_millis(millis), changed };
        summary.report(&Event { elapsed: Duration::ZERO, cluster: Some(cluster.into()), step: step.into(), kind });
    }

    #[test]
    fn the_three_longest_steps_are_named_once() {
        let summary = Summary::default();
        finished(&summary, "a", "kubeadm init", 9100, true);
        finished(&summary, "b", "kubeadm init", 9800, true);
        finished(&summary, "a", "install MetalLB", 3200, true);
        finished(&summary, "a", "wait for nodes", 6000, true);
        finished(&summary, "a", "start nodes", 500, true);
        let line = summary.closing("ready", Duration::from_millis(24_100));
        assert_eq!(line, "ready in 24.1s: 9.8s kubeadm init, 6.0s wait for nodes, 3.2s install MetalLB");
        assert!(summary.changed());
    }

    #[test]
    fn short_steps_are_not_named() {
        let summary = Summary::default();
        finished(&summary, "a", "start nodes", 40, false);
        assert_eq!(summary.closing("nothing to do,", Duration::from_millis(40)), "nothing to do, in 0.0s");
        assert!(!summary.changed());
    }
}
