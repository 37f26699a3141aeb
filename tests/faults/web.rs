//! Every kind of request to an API server, gone wrong in every way: one `up` survives it.

use std::collections::BTreeSet;

use crate::bench::{Bench, at_once};
use crate::report;
use crate::webfaults::{WEB_FAULTS, WebFault};

const AT_ONCE: usize = 4;
/// Requests in a row that go wrong.
const TIMES: [usize; 2] = [1, 3];

#[derive(Clone, Copy)]
struct Case {
    number: usize,
    kind: &'static str,
    times: usize,
    fault: WebFault,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_up_survives_what_an_api_server_does_at_its_worst() {
    let bench = Bench::new("web");
    // Only what is not yet so is watched.
    bench.server.web.linger();
    bench.up().await.unwrap();
    let kinds: BTreeSet<&'static str> = bench.server.web.seen().into_iter().collect();
    assert!(kinds.len() >= 8, "fewer kinds of requests than there must be: {kinds:?}");
    bench.down().await.unwrap();

    let every = kinds.into_iter().flat_map(|kind| WEB_FAULTS.map(|fault| (kind, fault)));
    let watches = [WebFault::Closed, WebFault::Expired].map(|fault| ("watch", fault));
    let late = [("readyz", WebFault::Late)];
    // Nobody else changes what is only read.
    let sensible = |(kind, fault): &(&str, WebFault)| *fault != WebFault::Conflict || *kind == "apply";
    let cases: Vec<Case> = every
        .chain(watches)
        .chain(late)
        .filter(sensible)
        .flat_map(|(kind, fault)| TIMES.map(|times| (kind, fault, times)))
        // Several looks that are given up take longer than the API server is waited for.
        .filter(|(_, fault, times)| *fault != WebFault::Late || *times == 1)
        .enumerate()
        .map(|(number, (kind, fault, times))| Case { number, kind, times, fault })
        .collect();
    let failures = at_once(AT_ONCE, &cases, |case| async move {
        let done = attempt(case).await;
        done.map_err(|why| format!("{} of the first {} '{}': {why}", case.fault, case.times, case.kind))
    });
    report::row("API server, up", cases.len(), &failures);
}

async fn attempt(case: Case) -> Result<(), String> {
    let bench = Bench::new(&format!("w{}", case.number));
    let web = &bench.server.web;
    web.order(case.kind, case.times, case.fault);
    web.linger();
    bench.up().await?;
    match web.struck() {
        0 => return Err("there was no such request".to_owned()),
        struck if struck < case.due() => return Err(format!("it struck {struck} times, not {}", case.due())),
        _ => {}
    }
    bench.down().await?;
    match bench.left() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("left behind: {}", left.join(", "))),
    }
}

// === impl Case ===

impl Case {
    /// How often its fault must have struck: as often as was ordered, for what fails is asked for again, but where something
    /// else takes its place.
    fn due(self) -> usize {
        use WebFault::{Expired, Failed, Slow, TooMany, Webhook};
        match (self.kind, self.fault) {
            // Any answer tells that the server serves, and more is not asked.
            ("livez", TooMany | Failed | Webhook | Slow) => 1,
            // All is listed anew then, and what was watched for may be there by now.
            ("watch", Expired) => 1,
            _ => self.times,
        }
    }
}
