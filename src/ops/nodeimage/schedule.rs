//! Runs steps as soon as what they depend on is done.

use std::future::Future;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

/// What a step mostly uses; steps of one lane share its places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// All processor cores: one at a time, or each takes longer and none finishes early.
    Compile,
    /// The network, or the engine: as many as are ready.
    Open,
}

/// A step as the schedule sees it.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// Steps (by index) that come first.
    pub after: Vec<usize>,
    /// What it uses.
    pub lane: Lane,
    /// False when there is nothing to do: it counts as done.
    pub needed: bool,
}

/// Runs every needed slot; of those that are ready the first in the list goes first.
///
/// The first error cancels `cancel`, and is returned once everything that was under way has ended:
/// no step is dropped in the middle, so each can undo what it made.
pub(super) async fn run<F, T, E>(slots: &[Slot], cancel: &CancellationToken, mut start: impl FnMut(usize) -> F) -> Result<(), E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut done: Vec<bool> = slots.iter().map(|slot| !slot.needed).collect();
    let mut started = done.clone();
    let mut running = FuturesUnordered::new();
    let mut compiling = false;
    let mut failed = None;
    loop {
        for (index, slot) in slots.iter().enumerate() {
            let ready = !started[index] && slot.after.iter().all(|before| done[*before]);
            if !ready || failed.is_some() || (slot.lane == Lane::Compile && compiling) {
                continue;
            }
            compiling |= slot.lane == Lane::Compile;
            started[index] = true;
            let step = start(index);
            running.push(async move { (index, step.await) });
        }
        let Some((index, result)) = running.next().await else { break };
        compiling &= slots[index].lane != Lane::Compile;
        match result {
            Ok(_) => done[index] = true,
            Err(error) => {
                cancel.cancel();
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn slot(after: &[usize], lane: Lane) -> Slot {
        Slot { after: after.to_vec(), lane, needed: true }
    }

    /// Runs slots that each yield a few times, and returns what began and ended in which order.
    async fn trace(slots: &[Slot], fail: Option<usize>) -> (Vec<String>, Result<(), usize>, bool) {
        let log = RefCell::new(Vec::new());
        let cancel = CancellationToken::new();
        let result = run(slots, &cancel, |index| {
            let log = &log;
            log.borrow_mut().push(format!("+{index}"));
            async move {
                for _ in 0..=index {
                    tokio::task::yield_now().await;
                }
                log.borrow_mut().push(format!("-{index}"));
                if fail == Some(index) { Err(index) } else { Ok(()) }
            }
        })
        .await;
        (log.into_inner(), result, cancel.is_cancelled())
    }

    #[tokio::test]
    async fn order_follows_dependencies_and_lanes() {
        let slots = [
            slot(&[], Lane::Open),
            slot(&[], Lane::Compile),
            slot(&[], Lane::Compile),
            slot(&[0, 2], Lane::Open),
            Slot { needed: false, ..slot(&[3], Lane::Open) },
        ];
        let (log, result, cancelled) = trace(&slots, None).await;
        assert_eq!(log, ["+0", "+1", "-0", "-1", "+2", "-2", "+3", "-3"]);
        assert!(result.is_ok() && !cancelled);
    }

    #[tokio::test]
    async fn a_failure_waits_for_what_is_under_way_and_starts_nothing_more() {
        let slots = [slot(&[], Lane::Open), slot(&[], Lane::Open), slot(&[0], Lane::Open)];
        let (log, result, cancelled) = trace(&slots, Some(0)).await;
        assert_eq!(log, ["+0", "+1", "-0", "-1"]);
        assert_eq!(result, Err(0));
        assert!(cancelled);
    }
}
