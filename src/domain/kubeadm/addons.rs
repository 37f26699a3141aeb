//! What every cluster begins with, the add-ons that kubeadm prints and the image's storage, with what makes them wait
//! taken out.

use serde_json::{Value, json};

use crate::domain::manifest::{self, ManifestError, Object};
use crate::domain::node::API_SERVER_PORT;

/// Name of the Deployment, and of its only container.
const COREDNS: &str = "coredns";
/// The same of the provisioner of volumes, in this project's image and in kind's.
const PROVISIONER: &str = "local-path-provisioner";
/// What waits in our own image until services can be reached.
const AWAIT: &str = "await-api";

/// What makes the administrator of the kubeconfig one: kubeadm binds that group so, when it first speaks to a
/// cluster.
///
/// # Errors
/// None in practice.
pub fn administrators() -> Result<Object, ManifestError> {
    const GROUP: &str = "kubeadm:cluster-admins";
    Object::try_from(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": GROUP},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": GROUP}],
    }))
}

/// CoreDNS and kube-proxy out of what `kubeadm init phase addon` prints, for a cluster that has just begun.
/// `api_server` is the node's name.
///
/// # Errors
/// When the text is no manifest.
pub fn quick(text: &str, api_server: &str) -> Result<Vec<Object>, ManifestError> {
    manifest::parse(text)?.into_iter().map(|object| Object::try_from(adapted(&object, api_server))).collect()
}

fn adapted(object: &Object, api_server: &str) -> Value {
    let mut value = object.value().clone();
    if let Some(metadata) = value["metadata"].as_object_mut() {
        // Written for an update by replacement.
        metadata.remove("resourceVersion");
    }
    let id = object.id();
    if id.kind == "Deployment" && id.name == COREDNS {
        // A second replica on the same node doubles the work and adds nothing.
        value["spec"]["replicas"] = json!(1);
        for container in value["spec"]["template"]["spec"]["containers"].as_array_mut().into_iter().flatten() {
            if container["name"] != COREDNS {
                continue;
            }
            // By default each 10 s, and the first look is always too early.
            container["readinessProbe"]["periodSeconds"] = json!(1);
            // Not through the service's address: that works only when kube-proxy has got to it.
            let own = [("KUBERNETES_SERVICE_HOST", api_server.to_owned()), ("KUBERNETES_SERVICE_PORT", API_SERVER_PORT.to_string())];
            container["env"] = own.map(|(name, value)| json!({"name": name, "value": value})).to_vec().into();
        }
    }
    value
}

/// Lets the provisioner of volumes ask the API server by the node's name, as the node itself resolves it: then it waits
/// neither for kube-proxy nor for CoreDNS, and nothing has to wait in its stead.
pub fn quick_storage(objects: &mut [Object], api_server: &str) {
    for object in objects.iter_mut().filter(|object| object.id().kind == "Deployment" && object.id().name == PROVISIONER) {
        let named = object.set_env(PROVISIONER, "KUBERNETES_SERVICE_HOST", api_server)
            && object.set_env(PROVISIONER, "KUBERNETES_SERVICE_PORT", &API_SERVER_PORT.to_string())
            && object.set(&["spec", "template", "spec", "dnsPolicy"], json!("Default"));
        if named {
            object.remove_from(&["spec", "template", "spec", "initContainers"], |container| container["name"] == AWAIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provisioner_of_volumes_waits_for_nothing() {
        let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: local-path-provisioner, namespace: s}\nspec: {template: {spec: \
                    {initContainers: [{name: await-api}, {name: other}], containers: [{name: local-path-provisioner, env: [{name: A, value: b}]}]}}}\n\
                    ---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: else, namespace: s}\nspec: {template: {spec: \
                    {initContainers: [{name: await-api}], containers: [{name: else}]}}}\n";
        let mut objects = manifest::parse(text).unwrap();
        let others = objects[1].clone();
        quick_storage(&mut objects, "c1-control-plane");
        let spec = &objects[0].value()["spec"]["template"]["spec"];
        assert_eq!(spec["initContainers"], json!([{"name": "other"}]));
        assert_eq!(spec["dnsPolicy"], "Default");
        assert_eq!(
            spec["containers"][0]["env"],
            json!([{"name": "A", "value": "b"}, {"name": "KUBERNETES_SERVICE_HOST", "value": "c1-control-plane"},
                   {"name": "KUBERNETES_SERVICE_PORT", "value": "6443"}])
        );
        assert_eq!(objects[1], others);
    }

    #[test]
    fn coredns_is_one_quick_replica_and_all_else_stays() {
        let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: coredns, namespace: kube-system}\nspec: {replicas: 2, template: {spec: \
                    {containers: [{name: coredns, readinessProbe: {httpGet: {path: /ready, port: 8181}}}]}}}\n---\napiVersion: v1\nkind: Service\n\
                    metadata: {name: kube-dns, namespace: kube-system, resourceVersion: \"0\"}\n---\napiVersion: apps/v1\nkind: DaemonSet\n\
                    metadata: {name: kube-proxy, namespace: kube-system}\nspec: {template: {spec: {containers: [{name: kube-proxy}]}}}\n";
        let objects = quick(text, "c1-control-plane").unwrap();
        let [deployment, service, proxy] = objects.as_slice() else { panic!("{objects:?}") };
        assert_eq!(deployment.value()["spec"]["replicas"], 1);
        let container = &deployment.value()["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["readinessProbe"], json!({"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1}));
        assert_eq!(container["env"][0]["value"], "c1-control-plane");
        assert!(service.value()["metadata"].get("resourceVersion").is_none());
        assert_eq!(proxy.value()["spec"]["template"]["spec"]["containers"][0], json!({"name": "kube-proxy"}));
    }
}
