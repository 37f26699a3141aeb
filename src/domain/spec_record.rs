//! What of a cluster cannot be changed in place, as its containers' label records it.

use std::collections::BTreeMap;

use super::fleet::ClusterSpec;

/// The record for the label [`labels::SPEC`](super::labels::SPEC): `key=value` pairs, comma-separated.
/// `image` is the reference the nodes are made from.
///
/// ```
/// use kindmesh::domain::{fleet::Fleet, spec_record};
/// let fleet = Fleet::builder("docs").clusters(1).build()?;
/// let record = spec_record::record(&fleet.clusters[0], "kindmesh/node:v1.34.4");
/// assert!(record.contains("image=kindmesh/node:v1.34.4"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn record(cluster: &ClusterSpec, image: &str) -> String {
    let fields = fields(cluster, image);
    fields.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// What the description wants otherwise than the record has it, in words; empty when the cluster can
/// stay. The image counts only when one is asked for: a newer default is no reason to start over.
/// Fields that the record does not have are of a later version and do not count.
pub fn differences(record: &str, cluster: &ClusterSpec, image: &str) -> Vec<String> {
    let recorded: BTreeMap<&str, &str> = record.split(',').filter_map(|pair| pair.split_once('=')).collect();
    let asked_for_image = cluster.image.is_some() || cluster.kubernetes_version.is_some();
    fields(cluster, image)
        .into_iter()
        .filter(|(key, _)| *key != "image" || asked_for_image)
        .filter_map(|(key, wanted)| {
            let is = *recorded.get(key)?;
            (is != wanted).then(|| format!("{key} is {is}, wanted is {wanted}"))
        })
        .collect()
}

fn fields(cluster: &ClusterSpec, image: &str) -> [(&'static str, String); 3] {
    [("podSubnet", cluster.pod_subnet.to_string()), ("serviceSubnet", cluster.service_subnet.to_string()), ("image", image.to_owned())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fleet::Fleet;

    fn cluster() -> ClusterSpec {
        Fleet::builder("f").clusters(1).build().unwrap().clusters.remove(0)
    }

    #[test]
    fn nothing_differs_from_ones_own_record() {
        let record = record(&cluster(), "a:1");
        assert_eq!(differences(&record, &cluster(), "a:1"), Vec::<String>::new());
    }

    #[test]
    fn a_newer_default_image_is_no_difference_but_a_named_one_is() {
        let record = record(&cluster(), "a:1");
        let mut wanted = cluster();
        assert_eq!(differences(&record, &wanted, "a:2"), Vec::<String>::new());
        wanted.image = Some("a:2".to_owned());
        assert_eq!(differences(&record, &wanted, "a:2"), ["image is a:1, wanted is a:2"]);
    }

    #[test]
    fn subnets_and_unknown_fields() {
        let mut wanted = cluster();
        let record = record(&wanted, "a:1");
        wanted.pod_subnet = "10.9.0.0/16".parse().unwrap();
        assert_eq!(differences(&record, &wanted, "a:1").len(), 1);
        assert_eq!(differences("else=1", &wanted, "a:1"), Vec::<String>::new());
    }
}
