//! How long calls fail when a cluster loses its part of the sample.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kindmesh::engine::connect::{ConnectOptions, connect};
use kindmesh::engine::{Engine, ExecRequest};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Seconds for which calls are made: longer than anything that was ever seen to fail over.
const CALLING: u32 = 10;
/// Longest wait for the first call; it is answered within a second.
const FIRST_CALL: Duration = Duration::from_secs(10);

/// Calls from one cluster without a pause while helloworld of the other one goes. Returns the seconds
/// from that command to the end of the last call that failed; 0 when none did.
pub fn measure(caller: &str, loser: &str, deployment: &str) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let engine = connect(&ConnectOptions::default()).await.expect("connect to the engine");
        let heard = Arc::new(Notify::new());
        let script = calls();
        let calls = kubectl(&*engine, caller, &script, Some(heard.clone()));
        let event = async {
            tokio::time::timeout(FIRST_CALL, heard.notified()).await.expect("a call");
            let begun = milliseconds();
            kubectl(&*engine, loser, &format!("scale deployment {deployment} --replicas=0"), None).await;
            begun
        };
        let (calls, begun) = tokio::join!(calls, event);
        // Each line is a call: when it ended, and its status.
        let calls: Vec<(u128, &str)> = calls
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(ended, status)| Some((ended.parse().ok()?, status)))
            .collect();
        assert!(calls.iter().any(|(ended, status)| *ended > begun && *status == "200"), "calls were answered after the event: {calls:?}");
        let last = calls.iter().filter(|(ended, status)| *ended > begun && *status != "200").map(|(ended, _)| *ended).max();
        Duration::from_millis(u64::try_from(last.map_or(0, |last| last - begun)).expect("milliseconds")).as_secs_f64()
    })
}

fn calls() -> String {
    let script = format!(
        "end=$(($(date +%s)+{CALLING})); while [ $(date +%s) -lt $end ]; do \
         status=$(curl -s --max-time 5 -o /dev/null -w %{{http_code}} http://helloworld.sample:5000/hello); echo $(date +%s%3N) $status; done"
    );
    format!("exec deploy/curl -c curl -- sh -c '{script}'")
}

/// The node's own kubectl in the sample's namespace; tells when the first line came.
async fn kubectl(engine: &dyn Engine, node: &str, command: &str, heard: Option<Arc<Notify>>) -> String {
    let script = format!("kubectl --kubeconfig /etc/kubernetes/admin.conf -n sample {command}");
    let mut request = ExecRequest::new(["sh", "-c", script.as_str()]);
    request.on_line = heard.map(|heard| -> kindmesh::engine::LineListener { Arc::new(move |_: &str| heard.notify_one()) });
    let output = engine.exec(node, request, &CancellationToken::new()).await.expect("run kubectl in a node");
    assert!(output.success(), "kubectl in {node}: {}", output.tail(3));
    output.stdout_text()
}

fn milliseconds() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis()
}
