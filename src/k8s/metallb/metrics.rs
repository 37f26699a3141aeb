//! What MetalLB's programs serve their metrics with. Without it each makes itself two RSA keys before it does anything else,
//! some tenths of a second of the processor.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use serde_json::json;

use super::NAMESPACE;
use crate::domain::manifest::Object;
use crate::domain::pki;
use crate::k8s::apply::FIELD_MANAGER;
use crate::k8s::client::ApiServer;
use crate::k8s::deadline::{Deadline, Observer};
use crate::k8s::error::{K8sError, Result};
use crate::k8s::retry::healing;

/// Name of the Secret with key and certificate, and of the volume.
const SECRET: &str = "metrics-serving";
/// Where the programs find it. The flag for it came with MetalLB 0.16; the version before ends at a flag that it does not know.
const FOLDER: &str = "/etc/metrics-serving";

/// Has a program of MetalLB, a container of one of these workloads, serve with the Secret's certificate.
pub(super) fn serve_with_secret(objects: &mut [Object], container: &str) -> bool {
    objects.iter_mut().any(|object| {
        let mount = json!({ "name": SECRET, "mountPath": FOLDER, "readOnly": true });
        object.append_to_container(container, "args", json!(format!("--metrics-cert-dir={FOLDER}")))
            && object.append_to_container(container, "volumeMounts", mount)
            && object.append(
                &["spec", "template", "spec", "volumes"],
                json!({ "name": SECRET, "secret": { "secretName": SECRET, "defaultMode": 0o400 } }),
            )
    })
}

/// The Secret, unless the cluster has it: another key each time would be a change each time.
///
/// # Errors
/// The request's.
pub(super) async fn missing_secret(server: &ApiServer, deadline: Deadline, observer: Observer<'_>) -> Result<Option<Object>> {
    let api: Api<Secret> = Api::namespaced(server.client(), NAMESPACE);
    let object = format!("Secret {NAMESPACE}/{SECRET}");
    let read = || async { api.get_metadata_opt(SECRET).await.map_err(|error| server.error("read", object.clone(), &error)) };
    match healing(&object, deadline, observer, |_| false, read).await? {
        Some(_) => Ok(None),
        None => secret().map(Some),
    }
}

fn secret() -> Result<Object> {
    let made = pki::serving("metallb", Timestamp::now());
    let made = made.map_err(|error| K8sError::Hopeless { awaited: "a certificate for MetalLB".to_owned(), state: error.to_string() })?;
    let text = made.expose();
    let (certificate, key) = text.split_at(text.find("-----BEGIN PRIVATE KEY").unwrap_or(text.len()));
    Ok(Object::try_from(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": { "name": SECRET, "namespace": NAMESPACE, "labels": { "app.kubernetes.io/managed-by": FIELD_MANAGER } },
        "data": { "tls.crt": STANDARD.encode(certificate), "tls.key": STANDARD.encode(key) },
    }))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_has_a_certificate_and_its_key() {
        let secret = secret().unwrap();
        let part = |name: &str| {
            let text = secret.value().pointer(&format!("/data/{name}")).and_then(|value| value.as_str()).unwrap();
            String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
        };
        let (certificate, key) = (part("tls.crt"), part("tls.key"));
        assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----") && !certificate.contains("PRIVATE"), "{certificate}");
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----") && key.trim_end().ends_with("-----END PRIVATE KEY-----"));
    }
}
