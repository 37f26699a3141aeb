//! What people do with a cluster: a deployment, a service by name, a volume, logs, exec.

use crate::support::Bench;

/// Runs from the small image that every node carries for volume work: it has a shell.
const MANIFEST: &str = "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 16Mi}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: docker.io/kindmesh/echo:v1
        imagePullPolicy: IfNotPresent
        env: [{name: CLUSTER, value: mine}]
        ports: [{containerPort: 8080}]
        volumeMounts: [{name: data, mountPath: /data}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080, protocol: TCP}]}
";

#[tokio::test(flavor = "multi_thread")]
async fn deployment_service_dns_volume_logs_and_exec_with_reduced_privileges() {
    let bench = Bench::new("work").await;
    bench.fleet_file("clusterPrefix: work\nclusters: 1\nprivileges: reduced\n");
    let up = bench.kindmesh(["up", "-f", "kindmesh.yaml", "-o", "json"]).json();
    assert_eq!(up["privileges"], "reduced");
    let nodes = bench.kubectl("work1", "get nodes --no-headers").await;
    assert!(nodes.contains(" Ready "), "{nodes}");
    bench.apply("work1", MANIFEST).await;
    bench.kubectl("work1", "wait --for=condition=Available deployment/web --timeout=90s").await;
    let bound = bench.kubectl("work1", "get pvc data -o jsonpath={.status.phase}").await;
    assert_eq!(bound, "Bound");
    // What one pod writes the next one reads.
    let shell = |name: &str, script: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{restartPolicy: Never, containers: [{{name: sh, \
             image: 'docker.io/kindmesh/helper:v1', imagePullPolicy: IfNotPresent, command: [sh, -c, '{script}'], \
             volumeMounts: [{{name: data, mountPath: /data}}]}}], volumes: [{{name: data, persistentVolumeClaim: {{claimName: data}}}}]}}}}"
        )
    };
    for (name, script) in [("writer", "echo kept > /data/word"), ("reader", "cat /data/word")] {
        bench.apply("work1", &shell(name, script)).await;
        bench.kubectl("work1", &format!("wait --for=jsonpath={{.status.phase}}=Succeeded pod/{name} --timeout=60s")).await;
    }
    assert_eq!(bench.kubectl("work1", "logs reader").await, "kept\n");
    // By name, from a pod: CoreDNS, the service's address and kube-proxy's rules.
    let page = bench.kubectl("work1", "exec deploy/web -- /echo get http://web.default.svc.cluster.local/").await;
    assert!(page.contains("\"cluster\":\"mine\""), "{page}");
    let logs = bench.kubectl("work1", "logs deploy/web").await;
    assert_eq!(logs.trim(), "serving on port 8080");
}
