//! What of a cluster cannot be changed in place, as its containers' label records it.

use std::collections::BTreeMap;

use super::fleet::{BootProfile, ClusterSpec};

/// The value of what was left to kindmesh.
const CHOSEN: &str = "auto";

/// The record for the label [`labels::SPEC`](super::labels::SPEC): `key=value` pairs, comma-separated.
/// `image` is the reference the nodes are made from.
///
/// ```
/// use kindmesh::domain::fleet::{BootProfile, Fleet};
/// use kindmesh::domain::spec_record;
/// let fleet = Fleet::builder("docs").clusters(1).build()?;
/// let record = spec_record::record(&fleet.clusters[0], "kindmesh/node:v1.34.4", BootProfile::Fast);
/// assert!(record.contains("image=kindmesh/node:v1.34.4"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn record(cluster: &ClusterSpec, image: &str, profile: BootProfile) -> String {
    let fields = fields(cluster, image, profile);
    fields.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// What the description wants otherwise than the record has it, in words; empty when the cluster can
/// stay. The image counts only when one is asked for, and so does the API server's port: a newer default is no reason
/// to start over.
/// Fields that the record does not have are of a later version and do not count.
pub fn differences(record: &str, cluster: &ClusterSpec, image: &str, profile: BootProfile) -> Vec<String> {
    let recorded: BTreeMap<&str, &str> = record.split(',').filter_map(|pair| pair.split_once('=')).collect();
    let asked_for_image = cluster.image.is_some() || cluster.kubernetes_version.is_some();
    fields(cluster, image, profile)
        .into_iter()
        .filter(|(key, wanted)| (*key != "image" || asked_for_image) && wanted != CHOSEN)
        .filter_map(|(key, wanted)| {
            let is = *recorded.get(key)?;
            (is != wanted).then(|| format!("{key} is {is}, wanted is {wanted}"))
        })
        .collect()
}

fn fields(cluster: &ClusterSpec, image: &str, profile: BootProfile) -> [(&'static str, String); 6] {
    let profile = match profile {
        BootProfile::Fast => "fast",
        BootProfile::Kind => "kind",
    };
    [
        ("podSubnet", cluster.pod_subnet.to_string()),
        ("serviceSubnet", cluster.service_subnet.to_string()),
        ("image", image.to_owned()),
        ("apiServerAddress", cluster.api_server_address.to_string()),
        ("apiServerPort", cluster.api_server_port.map_or_else(|| CHOSEN.to_owned(), |port| port.to_string())),
        ("profile", profile.to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fleet::Fleet;

    fn cluster() -> ClusterSpec {
        Fleet::builder("f").clusters(1).build().unwrap().clusters.remove(0)
    }

    const FAST: BootProfile = BootProfile::Fast;

    #[test]
    fn nothing_differs_from_ones_own_record() {
        let record = record(&cluster(), "a:1", FAST);
        assert_eq!(differences(&record, &cluster(), "a:1", FAST), Vec::<String>::new());
    }

    #[test]
    fn a_newer_default_image_is_no_difference_but_a_named_one_is() {
        let record = record(&cluster(), "a:1", FAST);
        let mut wanted = cluster();
        assert_eq!(differences(&record, &wanted, "a:2", FAST), Vec::<String>::new());
        wanted.image = Some("a:2".to_owned());
        assert_eq!(differences(&record, &wanted, "a:2", FAST), ["image is a:1, wanted is a:2"]);
    }

    #[test]
    fn a_chosen_port_is_any_port_and_a_named_one_is_that_port() {
        let mut named = cluster();
        named.api_server_port = Some(6443);
        let recorded = record(&named, "a:1", FAST);
        assert_eq!(differences(&recorded, &cluster(), "a:1", FAST), Vec::<String>::new());
        let recorded = record(&cluster(), "a:1", FAST);
        assert_eq!(differences(&recorded, &named, "a:1", FAST), ["apiServerPort is auto, wanted is 6443"]);
    }

    #[test]
    fn subnets_profiles_and_unknown_fields() {
        let mut wanted = cluster();
        let record = record(&wanted, "a:1", FAST);
        assert_eq!(differences(&record, &wanted, "a:1", BootProfile::Kind), ["profile is fast, wanted is kind"]);
        wanted.pod_subnet = "10.9.0.0/16".parse().unwrap();
        assert_eq!(differences(&record, &wanted, "a:1", FAST).len(), 1);
        assert_eq!(differences("else=1", &wanted, "a:1", FAST), Vec::<String>::new());
    }
}
