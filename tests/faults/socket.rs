//! Every kind of call at the engine's socket, each in turn, gone wrong in every way: `up` succeeds, or says what failed
//! on which object; a second `up` completes; `down` leaves nothing.

use std::collections::BTreeMap;

use crate::bench::{Bench, Failure, IMAGE, at_once};
use crate::calls::{FAULTS, Fault, WORDS};
use crate::report;

/// Fleets at once: much of a fault is waiting for a deadline.
const AT_ONCE: usize = 12;

/// One thing that goes wrong: the n-th call of a kind.
#[derive(Clone, Copy)]
struct Case {
    number: usize,
    kind: &'static str,
    nth: usize,
    fault: Fault,
}

/// What is done with a fleet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Up,
    Down,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_up_survives_every_fault_of_every_call() {
    let (tried, failures) = grid(Act::Up).await;
    report::row("engine's socket, up", tried, &failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_down_survives_every_fault_of_every_call() {
    let (tried, failures) = grid(Act::Down).await;
    report::row("engine's socket, down", tried, &failures);
}

/// Tries every fault on every call that the act makes, or on a part of them.
async fn grid(act: Act) -> (usize, Vec<String>) {
    let bench = Bench::new("plain");
    if act == Act::Down {
        bench.up().await.unwrap();
    }
    bench.proxy.order("nothing", 1, Fault::Lie);
    act.on(&bench).await.unwrap();
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for kind in bench.proxy.seen() {
        *counts.entry(kind).or_default() += 1;
    }
    assert!(counts.len() >= act.kinds(), "fewer kinds of calls than there must be: {counts:?}");
    bench.down().await.unwrap();
    assert_eq!(bench.left(), Vec::<String>::new());

    let calls = counts.into_iter().flat_map(|(kind, count)| (1..=count).map(move |nth| (kind, nth, count)));
    let cases: Vec<Case> = calls
        .flat_map(|(kind, nth, count)| {
            FAULTS.into_iter().filter(move |fault| is_tried(nth, count, *fault)).map(move |fault| (kind, nth, fault))
        })
        .enumerate()
        .map(|(number, (kind, nth, fault))| Case { number, kind, nth, fault })
        .collect();
    let failures = at_once(AT_ONCE, &cases, |case| async move {
        let done = attempt(act, case).await;
        done.map_err(|why| format!("{} of call {} '{}': {why}", case.fault, case.nth, case.kind))
    });
    (cases.len(), failures)
}

/// All of them, or those of the first call of a kind, and of its last what leaves something undone or unknown.
fn is_tried(nth: usize, count: usize, fault: Fault) -> bool {
    report::all() || nth == 1 || (nth == count && matches!(fault, Fault::Lie | Fault::Lost))
}

async fn attempt(act: Act, case: Case) -> Result<(), String> {
    let name = format!("f{}", case.number);
    let bench = Bench::new(&name);
    if act == Act::Down {
        bench.up().await.map_err(|error| format!("the fleet did not come: {error}"))?;
    }
    bench.proxy.order(case.kind, case.nth, case.fault);
    let first = act.on(&bench).await;
    if !bench.proxy.relent() && act == Act::Up {
        // The order of calls is not the same each time.
        return Ok(());
    }
    if let Err(error) = &first {
        told(error, &name, case.fault)?;
    }
    bench.quiet().await;
    if act == Act::Up {
        bench.up().await.map_err(|error| format!("the second up failed: {error}; the first: {first:?}"))?;
    }
    bench.down().await.map_err(|error| format!("down failed: {error}; before: {first:?}"))?;
    match bench.left() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("left behind: {}; before: {first:?}", left.join(", "))),
    }
}

/// A message says on what something failed, and why.
fn told(error: &Failure, fleet: &str, fault: Fault) -> Result<(), String> {
    let objects = [fleet, IMAGE, "network", "engine", "dev.kindmesh", "io.x-k8s"];
    if !objects.iter().any(|object| error.contains(object)) {
        return Err(format!("the message names no object: {error}"));
    }
    let causes: &[&str] = match fault {
        Fault::Status(_) => &[WORDS, "taken by a container", "not there", "no node image", "does not exist"],
        Fault::Late => &["answer within", "not done after", "in time"],
        Fault::Cut | Fault::Lost => &["connection", "ended", "broke", "incomplete", "closed", "in the middle"],
        Fault::Lie => &[":"],
    };
    match causes.iter().any(|cause| error.contains(cause)) {
        true => Ok(()),
        false => Err(format!("the message names no cause: {error}")),
    }
}

// === impl Act ===

impl Act {
    async fn on(self, bench: &Bench) -> Result<(), Failure> {
        match self {
            Self::Up => bench.up().await,
            Self::Down => bench.down().await,
        }
    }

    /// How many kinds of calls it makes at least.
    fn kinds(self) -> usize {
        match self {
            Self::Up => 15,
            Self::Down => 6,
        }
    }
}
