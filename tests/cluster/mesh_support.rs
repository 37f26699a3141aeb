//! What the tests of a mesh share: the fleet, its verdict, calls through it.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kindmesh::domain::mesh::proof::Cause;
use kindmesh::ops::VerifyReport;
use serde_json::Value;

use crate::support::{Bench, eventually};

/// What `verify` ends with when the mesh is not proven.
pub const EXIT_UNPROVEN: i32 = 10;

/// How long `verify` may take to name something that was broken: a control plane gives up reading
/// another cluster after 30 s.
const NAMED: Duration = Duration::from_secs(90);

impl Bench {
    /// Writes the fleet file of a mesh, with the node image that the tests are to use.
    pub fn mesh_file(&self, body: &str) {
        let image = std::env::var("KINDMESH_NODE_IMAGE").map(|image| format!("image: {image}\n")).unwrap_or_default();
        self.fleet_file(&format!("{image}{body}"));
    }

    /// Tells how far the test is, for those who look for its time.
    pub fn done(&self, stage: &str) {
        println!("{:>6.1} s  {}: {stage}", self.begun.elapsed().as_secs_f64(), self.fleet);
    }

    /// `up` to its end, which proves the mesh.
    pub fn mesh_up(&self) -> Value {
        self.kindmesh(["up", "-f", "kindmesh.yaml", "--mesh", "-o", "json"]).json()
    }

    /// What `verify` says, and how it ends.
    pub fn verdict(&self, wait: &str) -> (Option<i32>, VerifyReport) {
        let ran = self.kindmesh(["verify", "-f", "kindmesh.yaml", "-o", "json", "--wait", wait]);
        let report = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        (ran.code, report)
    }

    /// `verify` proves the mesh of these clusters.
    pub fn proven(&self, clusters: &[&str], wait: &str) -> VerifyReport {
        let (code, report) = self.verdict(wait);
        assert_eq!(code, Some(0), "{}", told(&report));
        green(&report, clusters);
        report
    }

    /// Waits until what `verify` names first is this, in this cluster, with these words.
    pub async fn unproven(&self, cause: Cause, cluster: &str, words: &[&str]) -> VerifyReport {
        eventually(&format!("verify names {cause} in {cluster}, {words:?}"), NAMED, || async {
            let (code, report) = self.verdict("0s");
            if report.ok {
                return Err("everything is right".to_owned());
            }
            assert_eq!(code, Some(EXIT_UNPROVEN), "{}", told(&report));
            let failures = report.verdict.failures();
            self.done(&told(&report));
            let named = failures.iter().any(|(check, failure)| {
                let here = check.cluster.as_deref() == Some(cluster);
                here && failure.cause == cause && words.iter().all(|word| failure.message.contains(word))
            });
            let first = failures.first().is_some_and(|(_, failure)| failure.cause == cause);
            if named && first { Ok(report) } else { Err(told(&report)) }
        })
        .await
    }

    /// An object as JSON.
    pub async fn object(&self, cluster: &str, args: &str) -> Value {
        let text = self.kubectl(cluster, &format!("get {args} -o json")).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Pods of the mesh with what changes when one of them is made anew or started again.
    pub async fn mesh_pods(&self, cluster: &str) -> BTreeSet<String> {
        let columns = "NAMESPACE:.metadata.namespace,NAME:.metadata.name,UID:.metadata.uid,\
                       RUN:.status.containerStatuses[*].containerID,FIRST:.status.initContainerStatuses[*].containerID";
        let pods = self.kubectl(cluster, &format!("get pods -A --no-headers -o custom-columns={columns}")).await;
        let of_mesh = |pod: &&str| ["istio-system ", "sample ", "metallb-system "].iter().any(|namespace| pod.starts_with(namespace));
        let pods: BTreeSet<String> = pods.lines().filter(of_mesh).map(str::to_owned).collect();
        assert!(pods.len() >= 7, "istiod, two gateways, MetalLB's two and the sample's two: {pods:#?}");
        pods
    }

    /// The answers to calls of the client in a cluster, made as people make them.
    pub async fn call(&self, cluster: &str, count: usize) -> Vec<String> {
        let calls = format!("for n in $(seq {count}); do curl -sS --max-time 5 http://helloworld.sample:5000/hello; done");
        let said = self.kubectl(cluster, &format!("-n sample exec deploy/curl -c curl -- sh -c '{calls}'")).await;
        said.lines().map(str::to_owned).collect()
    }

    /// The kubeconfig in a remote secret.
    pub async fn remote_kubeconfig(&self, cluster: &str, other: &str) -> (Value, Value) {
        let secret = self.object(cluster, &format!("-n istio-system secret istio-remote-secret-{other}")).await;
        let text = secret["data"][other].as_str().unwrap_or_else(|| panic!("the key is the cluster: {secret:#}"));
        let config = serde_json::from_slice(&STANDARD.decode(text).expect("base64")).expect("a kubeconfig");
        (secret, config)
    }
}

/// Asserts that every client reached both versions, each in the clusters where it runs.
pub fn green(report: &VerifyReport, clusters: &[&str]) {
    assert!(report.ok, "{}", told(report));
    let names: Vec<&str> = report.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    assert_eq!(names, clusters);
    for from in &report.clusters {
        assert!(from.calls >= 20 && from.gateway.is_some(), "{from:?}");
        for (index, to) in clusters.iter().enumerate() {
            let version = if index % 2 == 0 { "v1" } else { "v2" };
            let cells: Vec<_> = report.verdict.matrix.answers(&from.name, version).filter(|cell| cell.to == *to).collect();
            assert!(cells.iter().any(|cell| cell.calls >= 1), "{} never reached {version} in {to}: {:?}", from.name, report.verdict.matrix);
        }
    }
}

/// Asserts that these answers are of both versions.
pub fn of_both_versions(answers: &[String]) {
    let count =
        |version: &str| answers.iter().filter(|answer| answer.starts_with(&format!("Hello version: {version}, instance: "))).count();
    let (v1, v2) = (count("v1"), count("v2"));
    assert!(v1 > 0 && v2 > 0 && v1 + v2 == answers.len(), "{answers:#?}");
}

/// What is wrong, the most telling first.
pub fn told(report: &VerifyReport) -> String {
    let line = |(check, failure): &(&kindmesh::domain::mesh::proof::Check, &kindmesh::domain::mesh::proof::Failure)| {
        format!("{:?} in {}: {}: {}", check.check, check.cluster.as_deref().unwrap_or("the fleet"), failure.cause, failure.message)
    };
    report.verdict.failures().iter().map(line).collect::<Vec<_>>().join("\n")
}
