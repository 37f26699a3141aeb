//! Calls go on when a cluster loses its sample, or the network.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::mesh_failures::up;
use crate::support::{Bench, eventually};

/// Longest time until calls succeed again, and go on succeeding, when the pods of a cluster are gone.
const WITHOUT_PODS: Duration = Duration::from_secs(5);
/// And when a cluster is cut off with everything in it. None of the calls fails as a rule: they take up to
/// a second and a half then, because they are made again.
const CUT_OFF: Duration = Duration::from_secs(5);

/// One call of the client: when it began and ended, in milliseconds, and its HTTP status.
#[derive(Debug)]
struct Called {
    begun: u128,
    ended: u128,
    status: String,
}

/// helloworld of one cluster goes: calls from the other are answered by its own.
pub async fn scaled_to_zero(bench: &Bench) {
    let outage = outage(bench, 10, async {
        bench.kubectl("fail2", "-n sample scale deployment helloworld-v2 --replicas=0").await;
    })
    .await;
    assert!(outage <= WITHOUT_PODS, "calls failed for {outage:?}");
    let answers = bench.call("fail1", 10).await;
    assert!(answers.len() == 10 && answers.iter().all(|answer| answer.contains("version: v1")), "{answers:#?}");
    up(bench);
}

/// A cluster is cut off the network: calls from the other are answered by its own. When it is back, so
/// is the mesh.
pub async fn cut_off(bench: &Bench, network: &str) {
    let node = "fail2-control-plane";
    let address = bench.engine.inspect_container(node).await.expect("the node").networks[network].ipv4;
    let outage = outage(bench, 20, async {
        bench.engine.disconnect_network(network, node).await.expect("disconnect");
    })
    .await;
    bench.engine.connect_network(network, node, address).await.expect("connect");
    assert!(outage <= CUT_OFF, "calls failed for {outage:?}");
    up(bench);
}

/// Calls one after the other from the first cluster for this many seconds while something happens, and
/// returns for how long calls failed after it.
async fn outage(bench: &Bench, seconds: u32, event: impl Future<Output = ()>) -> Duration {
    let client = format!(
        "end=$(($(date +%s)+{seconds})); while [ $(date +%s) -lt $end ]; do begun=$(date +%s%3N); \
         status=$(curl -s --max-time 5 -o /dev/null -w %{{http_code}} http://helloworld.sample:5000/hello); \
         echo $begun $(date +%s%3N) $status; sleep 0.1; done"
    );
    // A name of its own each time: what an earlier experiment left must not look like the first call.
    let file = format!("/tmp/calls-{}", SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis());
    let script = format!("kubectl -n sample exec deploy/curl -c curl -- sh -c '{client}' | tee {file}");
    let calls = bench.in_node("fail1-control-plane", &script);
    let event = async {
        eventually("calls are made", Duration::from_secs(20), || async {
            match bench.in_node("fail1-control-plane", &format!("timeout 5 sh -c 'until [ -s {file} ]; do sleep 0.1; done'")).await {
                (0, _) => Ok(()),
                (_, seen) => Err(seen),
            }
        })
        .await;
        let begun = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis();
        event.await;
        begun
    };
    let ((code, said), begun) = tokio::join!(calls, event);
    assert_eq!(code, 0, "{said}");
    let calls: Vec<Called> = said.lines().filter_map(Called::read).collect();
    assert!(calls.iter().any(|call| call.status == "200" && call.ended < begun), "calls succeeded before: {calls:#?}");
    let failed: Vec<&Called> = calls.iter().filter(|call| call.status != "200" && call.ended >= begun).collect();
    let end = failed.iter().map(|call| call.ended).max().unwrap_or(begun);
    let outage = Duration::from_millis(u64::try_from(end - begun).expect("milliseconds"));
    let after = calls.iter().filter(|call| call.begun >= end).count();
    let slowest = calls.iter().map(|call| call.ended - call.begun).max().unwrap_or_default();
    println!("{} of {} calls failed, the last {outage:?} after; the slowest took {slowest} ms; {after} since", failed.len(), calls.len());
    assert!(after >= 5, "calls succeed to the end: {calls:#?}");
    outage
}

impl Called {
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        Some(Self { begun: words.next()?.parse().ok()?, ended: words.next()?.parse().ok()?, status: words.next()?.to_owned() })
    }
}
