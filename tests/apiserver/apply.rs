//! Applying: order, barriers, conflicts, refusals, healing.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kindmesh::k8s::{ApplyOptions, Change, K8sError, RequestErrorKind, apply};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::server::{free_port, namespace, objects, run, seconds, shared};

fn changes(applied: &kindmesh::k8s::Applied) -> Vec<Change> {
    applied.objects.iter().map(|(_, change)| *change).collect()
}

#[tokio::test]
async fn the_second_time_changes_nothing() {
    let server = namespace("twice").await;
    let text = "
{apiVersion: v1, kind: ServiceAccount, metadata: {name: a, namespace: twice}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: twice}, data: {key: one}}
---
{apiVersion: v1, kind: Service, metadata: {name: s, namespace: twice}, spec: {ports: [{port: 80, protocol: TCP}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: twice}
spec:
  selector: {matchLabels: {app: d}}
  template: {metadata: {labels: {app: d}}, spec: {containers: [{name: c, image: i}]}}
";
    let first = run(&server, text).await.unwrap();
    assert_eq!(changes(&first), [Change::Created; 4]);
    let second = run(&server, text).await.unwrap();
    assert!(second.is_unchanged(), "{second:?}");
    let third = run(&server, &text.replace("key: one", "key: two")).await.unwrap();
    assert_eq!(changes(&third), [Change::Unchanged, Change::Configured, Change::Unchanged, Change::Unchanged]);
    assert_eq!(third.changed(), 1);
}

/// How often the server has been asked to apply objects of these kinds, which no other test uses.
async fn applied_so_far(server: &kindmesh::k8s::ApiServer) -> u32 {
    let request = http::Request::get("/metrics").body(Vec::new()).expect("a request");
    let text = server.client().request_text(request).await.expect("metrics");
    let ours = |line: &&str| {
        line.starts_with("apiserver_request_total{")
            && line.contains("verb=\"APPLY\"")
            && ["cronjobs", "networkpolicies", "priorityclasses"].iter().any(|it| line.contains(&format!("resource=\"{it}\"")))
    };
    text.lines().filter(ours).filter_map(|line| line.rsplit(' ').next()?.parse::<u32>().ok()).sum()
}

#[tokio::test]
async fn what_is_just_so_is_not_applied_again() {
    let server = namespace("justso").await;
    let text = "
apiVersion: batch/v1
kind: CronJob
metadata: {name: j, namespace: justso, labels: {a: b}}
spec:
  schedule: '0 0 1 1 *'
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          tolerations: [{operator: Exists}]
          containers:
          - name: c
            image: i
            args: [x, z]
            ports: [{containerPort: 80}, {containerPort: 53, protocol: UDP}]
            env: [{name: A, value: '1'}]
            resources: {requests: {cpu: 100m, memory: 64Mi}}
            securityContext: {}
          volumes: [{name: v, emptyDir: {}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p, namespace: justso}
spec: {podSelector: {}, policyTypes: [Ingress], ingress: [{ports: [{port: 80, protocol: TCP}]}]}
---
{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: justso}, value: 7, globalDefault: false, description: d}
";
    run(&server, text).await.unwrap();
    let before = applied_so_far(&server).await;
    assert_eq!(before, 3);
    // What somebody adds beside ours is no reason either.
    let jobs: Api<k8s_openapi::api::batch::v1::CronJob> = Api::namespaced(server.client(), "justso");
    let theirs = json!({"metadata": {"labels": {"theirs": "1"}}, "spec": {"suspend": true}});
    jobs.patch("j", &PatchParams::default(), &Patch::Merge(&theirs)).await.unwrap();
    assert!(run(&server, text).await.unwrap().is_unchanged());
    assert_eq!(applied_so_far(&server).await, before, "all that had to be known was told by reading");

    // What somebody changes of ours is put back.
    let theirs = json!({"spec": {"schedule": "1 1 1 1 *"}});
    jobs.patch("j", &PatchParams::default(), &Patch::Merge(&theirs)).await.unwrap();
    let error = run(&server, text).await.unwrap_err();
    assert!(matches!(error, K8sError::Owned { .. }), "it is theirs now: {error:?}");
    let forced = apply(&server, objects(text), ApplyOptions { force: true }, seconds(30), &|_| {}).await.unwrap();
    assert_eq!(forced.changed(), 1, "{forced:?}");
    let job = jobs.get("j").await.unwrap();
    assert_eq!((job.spec.as_ref().unwrap().schedule.as_str(), job.spec.as_ref().unwrap().suspend), ("0 0 1 1 *", Some(true)));

    // What we no longer want goes.
    let less = text.replace("labels: {a: b}", "labels: {}").replace("            env: [{name: A, value: '1'}]\n", "");
    assert_eq!(run(&server, &less).await.unwrap().changed(), 1);
    let job = serde_json::to_value(jobs.get("j").await.unwrap()).unwrap();
    assert_eq!(job["metadata"]["labels"], json!({"theirs": "1"}));
    assert!(job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0].get("env").is_none(), "{job:#}");

    // Also within what has one owner as a whole: nothing notes which of its parts are ours.
    let within = less.replace("operator: Exists", "operator: Exists, effect: NoSchedule");
    assert_eq!(run(&server, &within).await.unwrap().changed(), 1);
    let fewer = within.replace(", effect: NoSchedule", "");
    assert_eq!(run(&server, &fewer).await.unwrap().changed(), 1);
    let job = serde_json::to_value(jobs.get("j").await.unwrap()).unwrap();
    let tolerations = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["tolerations"];
    assert_eq!(*tolerations, json!([{"operator": "Exists"}]));
    // And the order of what has keys.
    let turned =
        fewer.replace("{containerPort: 80}, {containerPort: 53, protocol: UDP}", "{containerPort: 53, protocol: UDP}, {containerPort: 80}");
    assert_eq!(run(&server, &turned).await.unwrap().changed(), 1);
}

#[tokio::test]
async fn definitions_are_served_before_their_kinds_are_used() {
    // Everything in one manifest, in the worst order.
    let server = shared().await;
    let text = "
{apiVersion: barrier.example.org/v1, kind: Thing, metadata: {name: t, namespace: barrier}, spec: {size: 3}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.barrier.example.org}
spec:
  group: barrier.example.org
  scope: Namespaced
  names: {kind: Thing, listKind: ThingList, plural: things, singular: thing}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {size: {type: integer}}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: barrier}}
";
    let applied = run(&server, text).await.unwrap();
    let names: Vec<&str> = applied.objects.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Namespace barrier", "CustomResourceDefinition things.barrier.example.org", "Thing barrier/t"]);
    let again = run(&server, text).await.unwrap();
    assert!(again.is_unchanged(), "{again:?}");
}

#[tokio::test]
async fn a_kind_nobody_defines_is_refused_at_once() {
    let server = shared().await;
    let begun = Instant::now();
    let error =
        run(&server, "{apiVersion: absent.example.org/v1, kind: Ghost, metadata: {name: g, namespace: default}}").await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("apply Ghost default/g: the server (v1."), "{text}");
    assert!(text.contains("serves no kind Ghost in absent.example.org/v1"), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn another_managers_fields_are_left_alone_unless_forced() {
    let server = namespace("owned").await;
    let api: Api<ConfigMap> = Api::namespaced(server.client(), "owned");
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"key": "theirs"}});
    api.patch("c", &PatchParams::apply("someone-else"), &Patch::Apply(&theirs)).await.unwrap();

    let ours = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: owned}, data: {key: ours}}";
    let error = run(&server, ours).await.unwrap_err();
    assert!(matches!(error, K8sError::Owned { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with("apply ConfigMap owned/c: ") && text.contains("someone-else") && text.contains(".data.key"), "{text}");
    assert_eq!(api.get("c").await.unwrap().data.unwrap()["key"], "theirs");

    apply(&server, objects(ours), ApplyOptions { force: true }, seconds(30), &|_| {}).await.unwrap();
    assert_eq!(api.get("c").await.unwrap().data.unwrap()["key"], "ours");
}

#[tokio::test]
async fn a_refusal_is_final_and_names_the_object() {
    let server = namespace("refused").await;
    let begun = Instant::now();
    let bad = "{apiVersion: v1, kind: Service, metadata: {name: s, namespace: refused}, spec: {ports: [{port: 0, protocol: TCP}]}}";
    let error = run(&server, bad).await.unwrap_err();
    assert_eq!(error.kind(), Some(RequestErrorKind::Refused), "{error}");
    assert!(error.to_string().starts_with("apply Service refused/s: ") && error.to_string().contains("spec.ports[0].port"), "{error}");

    let unknown = "{apiVersion: v1, kind: Service, metadata: {name: s, namespace: refused}, spec: {prots: []}}";
    let error = run(&server, unknown).await.unwrap_err();
    assert!(error.to_string().contains("prots"), "a field the server does not know is not dropped in silence: {error}");
    assert!(begun.elapsed() < Duration::from_secs(10), "neither was tried again");
}

#[tokio::test]
async fn a_webhook_without_backend_is_waited_for() {
    let server = namespace("hooked").await;
    let port = free_port();
    // A webhook that admits objects of this namespace alone, at an address nobody listens on.
    let hook = format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: hooked}}
webhooks:
- name: hooked.example.org
  admissionReviewVersions: [v1]
  sideEffects: None
  timeoutSeconds: 2
  clientConfig: {{url: 'https://127.0.0.1:{port}/'}}
  namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: hooked}}}}
  rules: [{{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}}]
"
    );
    run(&server, &hook).await.unwrap();
    let object = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: hooked}}";
    // Webhook configurations reach admission a moment later: wait until it refuses.
    let refused = async {
        loop {
            let attempt = apply(&server, objects(object), ApplyOptions::default(), seconds(1), &|_| {}).await;
            if let Err(error) = attempt {
                return error;
            }
            let api: Api<ConfigMap> = Api::namespaced(server.client(), "hooked");
            api.delete("c", &DeleteParams::default()).await.unwrap();
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(20), refused).await.unwrap();
    assert!(matches!(error, K8sError::Timeout { .. }), "{error:?}");
    assert!(error.to_string().contains("failed calling webhook"), "{error}");

    let heard = std::sync::Mutex::new(Vec::new());
    let observer = |state: &str| heard.lock().unwrap().push(state.to_owned());
    let heal = async {
        // The backend "comes": here the hook goes, once the apply has met it.
        while heard.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let api: Api<k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration> = Api::all(server.client());
        api.delete("hooked", &DeleteParams::default()).await.unwrap();
    };
    let (applied, ()) = tokio::join!(apply(&server, objects(object), ApplyOptions::default(), seconds(30), &observer), heal);
    assert_eq!(changes(&applied.unwrap()), [Change::Created]);
}

/// What is left of a client that is killed while its service is made: the server allocates the address before.
#[tokio::test]
async fn an_address_without_its_service_is_freed() {
    let server = namespace("stranded").await;
    let allocation = |address: &str, service: &str| {
        format!(
            "{{apiVersion: networking.k8s.io/v1, kind: IPAddress, metadata: {{name: {address}, labels: {{ipaddress.kubernetes.io/ip-family: IPv4, ipaddress.kubernetes.io/managed-by: ipallocator.k8s.io}}}}, spec: {{parentRef: {{resource: services, namespace: stranded, name: {service}}}}}}}"
        )
    };
    run(&server, &allocation("10.96.0.77", "dns")).await.unwrap();
    run(&server, &allocation("10.96.0.78", "another")).await.unwrap();
    let service = |address: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: dns, namespace: stranded}}, spec: {{clusterIP: {address}, ports: [{{port: 53, protocol: UDP}}]}}}}"
        )
    };
    // That of another service is not ours to free.
    let refused = apply(&server, objects(&service("10.96.0.78")), Default::default(), seconds(8), &|_| ()).await.unwrap_err();
    assert!(refused.to_string().contains("provided IP is already allocated"), "{refused}");
    let begun = Instant::now();
    run(&server, &service("10.96.0.77")).await.unwrap();
    // The server itself would need a minute.
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
}
