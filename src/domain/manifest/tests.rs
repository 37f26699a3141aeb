use super::*;

fn described(objects: &[Value]) -> Vec<String> {
    objects.iter().map(describe).collect()
}

const MIXED: &str = "
# a comment alone is no document
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: pool, namespace: lb}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hook}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: controller, namespace: lb}
spec: {template: {spec: {volumes: [{secret: {defaultMode: 0644}}]}}}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: s, namespace: lb}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: b, namespace: lb}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: lb}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: role}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ipaddresspools.metallb.io}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: account, namespace: lb}
---
apiVersion: v1
kind: Namespace
metadata: {name: lb}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: class}
---
";

#[test]
fn objects_come_in_an_order_the_server_takes() {
    let mut objects = parse(MIXED).unwrap();
    order(&mut objects);
    insta::assert_snapshot!(described(&objects).join("\n"), @r"
    Namespace lb
    CustomResourceDefinition ipaddresspools.metallb.io
    ServiceAccount lb/account
    ClusterRole role
    ConfigMap lb/b
    ConfigMap lb/a
    Service lb/s
    Deployment lb/controller
    ValidatingWebhookConfiguration hook
    IPAddressPool lb/pool
    GatewayClass class
    ");
    let again = {
        let mut again = objects.clone();
        order(&mut again);
        again
    };
    assert_eq!(objects, again, "objects of one kind keep their order");
}

#[test]
fn barriers_part_them() {
    let parts = parts(parse(MIXED).unwrap());
    assert_eq!(described(&parts.foundations), ["Namespace lb"]);
    assert_eq!(described(&parts.definitions), ["CustomResourceDefinition ipaddresspools.metallb.io"]);
    assert_eq!(parts.objects.len(), 6);
    assert_eq!(described(&parts.webhooks), ["ValidatingWebhookConfiguration hook"]);
    assert_eq!(described(&parts.resources), ["IPAddressPool lb/pool", "GatewayClass class"]);
}

#[test]
fn modes_are_octal() {
    let objects = parse(MIXED).unwrap();
    assert_eq!(objects[2]["spec"]["template"]["spec"]["volumes"][0]["secret"]["defaultMode"], 0o644);
}

#[test]
fn errors_tell_the_place_and_no_secret() {
    let error = parse("apiVersion: v1\nkind: Secret\nstringData: {password: s3cret\n").unwrap_err();
    assert_eq!(error.to_string(), "line 3, column 13: this is no valid YAML");
    for (text, expected) in [
        ("a: 1", "document 1 is no Kubernetes object: it has no apiVersion"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\napiVersion: v1\n", "document 2 is no Kubernetes object: it has no kind"),
        ("apiVersion: v1\nkind: Pod\n", "document 1 is no Kubernetes object: it has no metadata.name"),
        ("apiVersion: v1\nkind: List\nitems: [1]\n", "document 1 is no Kubernetes object: it has no apiVersion"),
    ] {
        assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text}");
    }
    assert_eq!(parse("# nothing\n---\n---\n").unwrap(), Vec::<Value>::new());
}
