//! One root of trust in all clusters.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::super::cause::Cause;
use super::super::judge::Failure;
use super::super::names;
use super::super::view::{ClusterView, FleetView};

/// Compares the roots of a cluster, byte for byte, with the one that most namespaces of the fleet have,
/// the first cluster's when there is no such one.
pub fn roots(view: &FleetView, cluster: &ClusterView) -> Vec<Failure> {
    let what = format!("ConfigMap {}", names::ROOT_CONFIG_MAP);
    let roots = match &cluster.roots {
        Err(why) => return vec![Failure::unseen(&what, why)],
        Ok(roots) => roots,
    };
    let reference = reference(view);
    let mut failures = Vec::new();
    for namespace in [names::SYSTEM_NAMESPACE, names::SAMPLE_NAMESPACE] {
        match roots.get(namespace).and_then(Option::as_deref) {
            None => failures.push(Failure::new(Cause::NoRoot, format!("there is no {what} in namespace {namespace}"))),
            Some(root) if !is_certificate(root) => {
                failures.push(Failure::new(Cause::NoRoot, format!("{what} in namespace {namespace} holds no certificate")));
            }
            Some(root) => {
                if let Some((of, other)) = reference
                    && other != root
                {
                    let (ours, theirs) = (fingerprint(root), fingerprint(other));
                    let message = format!("the root in namespace {namespace} (SHA-256 {ours}) is not that of {of} ({theirs})");
                    failures.push(Failure::new(Cause::DifferentRoots, message).about(of));
                }
            }
        }
    }
    failures
}

/// The root that counts, and the first cluster that has it.
fn reference(view: &FleetView) -> Option<(&str, &[u8])> {
    let mut found: Vec<(&str, &[u8])> = Vec::new();
    let mut count: BTreeMap<&[u8], usize> = BTreeMap::new();
    for cluster in &view.clusters {
        for root in cluster.roots.iter().flat_map(BTreeMap::values).flatten() {
            found.push((&cluster.name, root));
            *count.entry(root).or_default() += 1;
        }
    }
    let most = count.values().max().copied()?;
    found.into_iter().find(|(_, root)| count.get(root) == Some(&most))
}

fn is_certificate(root: &[u8]) -> bool {
    let text = String::from_utf8_lossy(root);
    text.contains("-----BEGIN CERTIFICATE-----") && text.contains("-----END CERTIFICATE-----")
}

/// Enough of a digest to tell roots apart by eye.
fn fingerprint(root: &[u8]) -> String {
    Sha256::digest(root).iter().take(6).fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
