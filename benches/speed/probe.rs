//! When a cluster can be used, asked in the same way whoever made it.

use std::path::Path;
use std::time::{Duration, Instant};

use kindmesh::domain::kubeconfig::Kubeconfig;
use kindmesh::domain::manifest;
use kindmesh::k8s::apply::{ApplyOptions, apply};
use kindmesh::k8s::{ApiServer, Deadline, nodes, wait};

/// Seconds from a moment on.
#[derive(Clone, Copy)]
pub struct Moments {
    /// Until the API server called itself ready.
    pub api: f64,
    /// Until the node was Ready, the default service account there, and a pod ran and had resolved
    /// `kubernetes.default`.
    pub usable: f64,
}

/// A pod whose first words are a question to the cluster's name server. It asks again at once: with the
/// resolver's own patience a first question that is lost would hide what is measured.
const POD: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: probe, namespace: default}
spec:
  selector: {matchLabels: {app: probe}}
  template:
    metadata: {labels: {app: probe}}
    spec:
      terminationGracePeriodSeconds: 0
      dnsConfig: {options: [{name: timeout, value: "1"}, {name: attempts, value: "1"}]}
      containers:
      - name: probe
        image: docker.io/kindmesh/curl:v1
        imagePullPolicy: IfNotPresent
        command: [sh, -c, "until getent hosts kubernetes.default.svc.cluster.local; do sleep 0.1; done; touch /tmp/ok; sleep 100000"]
        readinessProbe: {exec: {command: [cat, /tmp/ok]}, periodSeconds: 1}
"#;

/// Follows a cluster that is being made, from its entry in a kubeconfig file on. The entry is looked for from the
/// moment on that `since` names.
pub fn follow(kubeconfig: &Path, context: &str, since: Instant) -> Moments {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let deadline = Deadline::after(Duration::from_secs(300));
        let server = loop {
            if let Some(server) = entry(kubeconfig, context).await {
                break server;
            }
            assert!(!deadline.remaining().is_zero(), "{} never had {context}", kubeconfig.display());
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        wait::ready(&server, deadline, &|_| ()).await.expect("the API server");
        let api = since.elapsed().as_secs_f64();
        let node = loop {
            let there = nodes::list(&server).await.expect("nodes");
            if let Some(node) = there.into_iter().next() {
                break node.name;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        wait::nodes_ready(&server, &[node], deadline, &|_| ()).await.expect("the node");
        wait::service_account(&server, "default", "default", deadline, &|_| ()).await.expect("the service account");
        let objects = manifest::parse(POD).expect("a manifest");
        apply(&server, objects, ApplyOptions::default(), deadline, &|_| ()).await.expect("apply the pod");
        wait::deployment_available(&server, "default", "probe", deadline, &|_| ()).await.expect("the pod");
        Moments { api, usable: since.elapsed().as_secs_f64() }
    })
}

async fn entry(kubeconfig: &Path, context: &str) -> Option<ApiServer> {
    let text = std::fs::read_to_string(kubeconfig).ok()?;
    let file = Kubeconfig::parse(&text).ok()?;
    file.contexts().contains(&context).then_some(())?;
    let current =
        text.lines().map(|line| if line.starts_with("current-context:") { format!("current-context: {context}") } else { line.to_owned() });
    ApiServer::from_kubeconfig(&current.collect::<Vec<_>>().join("\n")).await.ok()
}
