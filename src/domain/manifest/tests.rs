use proptest::prelude::*;
use serde_json::json;

use super::*;

fn names(stage: &Stage) -> Vec<String> {
    stage.objects.iter().map(ToString::to_string).collect()
}

#[test]
fn documents_are_read_and_empty_ones_skipped() {
    let text = "# only a comment\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a, creationTimestamp: null, managedFields: []}\n---\n---\n\
                    apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: b, namespace: a}, data: {mode: 0640}}\n";
    let objects = parse(text).unwrap();
    assert_eq!(objects.iter().map(ToString::to_string).collect::<Vec<_>>(), ["Namespace a", "ConfigMap a/b"]);
    assert_eq!(objects[0].value(), &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}));
    assert_eq!(objects[1].value()["data"]["mode"], json!(0o640), "octal, as Kubernetes' own parser reads it");
}

#[test]
fn faults_are_named_without_the_text_around_them() {
    let error = parse("apiVersion: v1\nkind: Secret\ndata:\n  key: hunter2\n  other: [").unwrap_err();
    assert!(matches!(error, ManifestError::Yaml { line, .. } if line >= 5), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    let cases = [
        ("- 1\n", "document 1 of the manifest is a list; expected an object with apiVersion, kind and metadata.name"),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: n}}\n",
            "document 1 of the manifest (Pod) has a metadata.name that is no text; put it in quotes",
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: n}}\n",
            "document 1 of the manifest (Pod p) has a metadata.namespace that is no text; put it in quotes",
        ),
        ("kind: Pod\n", "document 1 of the manifest (Pod) has no apiVersion"),
        ("apiVersion: v1\nmetadata: {name: x}\n", "document 1 of the manifest (x) has no kind"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {generateName: x}\n", "document 1 of the manifest (Pod) has no metadata.name"),
    ];
    for (text, message) in cases {
        assert_eq!(parse(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn stages_follow_what_needs_what() {
    let text = "
{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, metadata: {name: pool, namespace: ns}}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: hook}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: ns}}
---
{apiVersion: v1, kind: Service, metadata: {name: s, namespace: ns}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: ns}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: r}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: a, namespace: ns}}
---
{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: ipaddresspools.metallb.io}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: ns}}
";
    let stages = stages(parse(text).unwrap());
    assert_eq!(
        stages.iter().map(names).collect::<Vec<_>>(),
        [
            vec!["Namespace ns", "CustomResourceDefinition ipaddresspools.metallb.io"],
            vec!["ServiceAccount ns/a", "ClusterRole r", "ConfigMap ns/c", "Service ns/s"],
            vec!["Deployment ns/d"],
            vec!["ValidatingWebhookConfiguration hook"],
            vec!["IPAddressPool ns/pool"],
        ]
    );
    assert_eq!(stages[0].barrier, ["ipaddresspools.metallb.io"]);
    assert!(stages[1..].iter().all(|stage| stage.barrier.is_empty()));
}

#[test]
fn images_and_variables_are_set_where_the_container_is() {
    let mut object = Object::try_from(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "old", "env": [{"name": "A", "value": "1"}]}]}}}
    }))
    .unwrap();
    assert!(object.set_image("c", "new"));
    assert!(object.set_env("c", "A", "2"));
    assert!(object.set_env("c", "B", "3"));
    assert!(!object.set_image("absent", "new"));
    assert_eq!(
        object.value()["spec"]["template"]["spec"]["containers"][0],
        json!({"name": "c", "image": "new", "env": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]})
    );
}

proptest! {
    #[test]
    fn staging_loses_nothing_and_keeps_tiers_in_order(kinds in prop::collection::vec(0usize..8, 0..40)) {
        let known = [
            ("v1", "Namespace"), ("apiextensions.k8s.io/v1", "CustomResourceDefinition"), ("v1", "Secret"), ("v1", "Pod"),
            ("apps/v1", "DaemonSet"), ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
            ("example.org/v1", "Thing"), ("rbac.authorization.k8s.io/v1", "Role"),
        ];
        let objects: Vec<Object> = kinds.iter().enumerate().map(|(index, kind)| {
            let (api_version, kind) = known[*kind];
            Object::try_from(json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": format!("o{index}")}})).unwrap()
        }).collect();
        let mut before: Vec<String> = objects.iter().map(ToString::to_string).collect();
        let stages = stages(objects);
        let tiers: Vec<Tier> = stages.iter().flat_map(|stage| &stage.objects).map(Object::tier).collect();
        prop_assert!(tiers.is_sorted());
        prop_assert!(stages.iter().all(|stage| !stage.objects.is_empty()));
        let mut after: Vec<String> = stages.iter().flat_map(names).collect();
        before.sort();
        after.sort();
        prop_assert_eq!(before, after);
    }
}
