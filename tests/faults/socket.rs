//! Every kind of call at the engine's socket, each in turn, gone wrong in every way: `up` succeeds, or says what failed
//! on which object; a second `up` completes; `down` leaves nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::bench::{Bench, Failure, IMAGE, at_once};
use crate::calls::{FAULTS, Fault, WORDS};
use crate::report;

/// Fleets at once: much of a fault is waiting for a deadline.
const AT_ONCE: usize = 12;

/// What becomes of an answer that is not true: it lacks what was asked for, what was said to be made is not there, or
/// what was said to be begun never ends.
const LIES: &[&str] = &[
    "the engine's answer",
    "No such",
    "what answers there is no container engine",
    "its output ended while",
    "ended while booting",
    "did not boot within",
    "not done after",
];

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
    /// Of a cluster with a worker, which joins.
    UpWithWorker,
    Down,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_up_survives_every_fault_of_every_call() {
    let (tried, failures) = grid(Act::Up).await;
    report::row("engine's socket, up", tried, &failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_up_of_two_nodes_survives_every_fault_of_every_call() {
    let (tried, failures) = grid(Act::UpWithWorker).await;
    report::row("engine's socket, up of two nodes", tried, &failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_down_survives_every_fault_of_every_call() {
    let (tried, failures) = grid(Act::Down).await;
    report::row("engine's socket, down", tried, &failures);
}

/// Tries every fault on every call that the act makes, or on a part of them. How many struck, and what failed.
async fn grid(act: Act) -> (usize, Vec<String>) {
    let bench = act.bench("plain");
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
            FAULTS.into_iter().filter(move |fault| act.tries(nth, count, *fault)).map(move |fault| (kind, nth, fault))
        })
        .enumerate()
        .map(|(number, (kind, nth, fault))| Case { number, kind, nth, fault })
        .collect();
    let tried = AtomicUsize::new(0);
    let failures = at_once(AT_ONCE, &cases, |case| {
        let tried = &tried;
        async move {
            let struck = attempt(act, case).await;
            tried.fetch_add(usize::from(!matches!(struck, Ok(false))), Ordering::SeqCst);
            struck.map(drop).map_err(|why| format!("{} of call {} '{}': {why}", case.fault, case.nth, case.kind))
        }
    });
    (tried.into_inner(), failures)
}

/// Whether there was such a call: the order of calls is not the same each time. Or what was wrong afterwards.
async fn attempt(act: Act, case: Case) -> Result<bool, String> {
    let name = format!("f{}", case.number);
    let bench = act.bench(&name);
    if act == Act::Down {
        bench.up().await.map_err(|error| format!("the fleet did not come: {error}"))?;
    }
    bench.proxy.order(case.kind, case.nth, case.fault);
    let first = act.on(&bench).await;
    if !bench.proxy.relent() {
        return first.map(|()| false).map_err(|error| format!("nothing went wrong, and it failed: {error}"));
    }
    if let Err(error) = &first {
        told(error, &name, case.fault)?;
    }
    bench.quiet().await;
    if act != Act::Down {
        bench.up().await.map_err(|error| format!("the second up failed: {error}; the first: {first:?}"))?;
    }
    bench.down().await.map_err(|error| format!("down failed: {error}; before: {first:?}"))?;
    match bench.left() {
        left if left.is_empty() => Ok(true),
        left => Err(format!("left behind: {}; before: {first:?}", left.join(", "))),
    }
}

/// A message says on what something failed, and why.
pub fn told(error: &str, fleet: &str, fault: Fault) -> Result<(), String> {
    let objects = [fleet, IMAGE, "network", "engine", "dev.kindmesh", "io.x-k8s"];
    if !objects.iter().any(|object| error.contains(object)) {
        return Err(format!("the message names no object: {error}"));
    }
    let causes: &[&str] = match fault {
        Fault::Status(_) => &[WORDS, "taken by a container", "not there", "no node image", "does not exist", "another process took over"],
        Fault::Late => &["answer within", "not done after", "in time", "did not boot within"],
        Fault::Cut | Fault::Lost => &["connection", "ended", "broke", "incomplete", "closed", "in the middle"],
        Fault::Lie => LIES,
    };
    match causes.iter().any(|cause| error.contains(cause)) {
        true => Ok(()),
        false => Err(format!("the message names no cause: {error}")),
    }
}

// === impl Act ===

impl Act {
    fn bench(self, name: &str) -> Bench {
        if self == Self::UpWithWorker { Bench::with_worker(name) } else { Bench::new(name) }
    }

    /// Whether a fault of the n-th of so many calls of a kind is tried: each when all are, or those of the first call
    /// and of the last what leaves something undone or unknown. With a worker the last alone, which is often its own.
    fn tries(self, nth: usize, count: usize, fault: Fault) -> bool {
        let is_sampled = match self {
            Self::UpWithWorker => nth == count && matches!(fault, Fault::Lost),
            Self::Up | Self::Down => nth == 1 || (nth == count && matches!(fault, Fault::Lie | Fault::Lost)),
        };
        report::all() || is_sampled
    }

    async fn on(self, bench: &Bench) -> Result<(), Failure> {
        match self {
            Self::Up | Self::UpWithWorker => bench.up().await,
            Self::Down => bench.down().await,
        }
    }

    /// How many kinds of calls it makes at least.
    fn kinds(self) -> usize {
        match self {
            Self::Up | Self::UpWithWorker => 15,
            Self::Down => 6,
        }
    }
}
