//! Who answered whom, how often and how fast.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::view::FleetView;

/// Answered calls by the cluster they came from, the version that answered and the cluster it ran in.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Matrix {
    /// One for every combination that occurred, in the order of clusters and versions.
    pub cells: Vec<Cell>,
}

/// Answers of one version in one cluster to the client of one cluster. Times are seconds in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cell {
    /// Cluster of the client.
    pub from: String,
    /// Version that answered.
    pub version: String,
    /// Cluster of the pod that answered.
    pub to: String,
    /// Number of answers.
    pub calls: usize,
    /// Half of the calls took no longer.
    #[serde(with = "seconds")]
    pub p50: Duration,
    /// Nineteen of twenty calls took no longer.
    #[serde(with = "seconds")]
    pub p95: Duration,
    /// No call took longer.
    #[serde(with = "seconds")]
    pub max: Duration,
}

// === impl Matrix ===

impl Matrix {
    /// Counts the answers that can be attributed to a pod of the version it claims.
    pub fn of(view: &FleetView) -> Self {
        let order = |name: &str| view.clusters.iter().position(|cluster| cluster.name == name);
        let mut times: BTreeMap<(usize, String, Option<usize>), Vec<Duration>> = BTreeMap::new();
        for (from, cluster) in view.clusters.iter().enumerate() {
            let calls = cluster.client.iter().filter_map(|client| client.calls.as_ref().ok()).flatten();
            for call in calls {
                let Ok(answer) = call.answer() else { continue };
                let Some((to, pod)) = view.instance(&answer.instance) else { continue };
                if pod.version.as_ref() == Some(&answer.version) {
                    times.entry((from, answer.version, order(&to.name))).or_default().push(call.took);
                }
            }
        }
        let name = |index: usize| view.clusters.get(index).map(|cluster| cluster.name.clone()).unwrap_or_default();
        let cells = times.into_iter().map(|((from, version, to), mut took)| {
            took.sort();
            let (p50, p95) = (percentile(&took, 50), percentile(&took, 95));
            let max = took.last().copied().unwrap_or_default();
            Cell { from: name(from), version, to: to.map(name).unwrap_or_default(), calls: took.len(), p50, p95, max }
        });
        Self { cells: cells.collect() }
    }

    /// Versions that answered, in order.
    pub fn versions(&self) -> Vec<&str> {
        let mut versions: Vec<&str> = self.cells.iter().map(|cell| cell.version.as_str()).collect();
        versions.sort_unstable();
        versions.dedup();
        versions
    }

    /// Answers that a cluster's client had from a version.
    pub fn answers<'a>(&'a self, from: &'a str, version: &'a str) -> impl Iterator<Item = &'a Cell> {
        self.cells.iter().filter(move |cell| cell.from == from && cell.version == version)
    }
}

/// The smallest of sorted values that at least `percent` of them do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// Seconds with six digits, all that curl tells.
mod seconds {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((duration.as_secs_f64() * 1e6).round() / 1e6)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let times: Vec<Duration> = (1..=20).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(10));
        assert_eq!(percentile(&times, 95), Duration::from_millis(19));
        assert_eq!(percentile(&times[..1], 95), Duration::from_millis(1));
        assert_eq!(percentile(&[], 95), Duration::ZERO);
    }

    #[test]
    fn json_is_read_as_it_was_written() {
        let cell = Cell {
            from: "a".into(),
            version: "v1".into(),
            to: "b".into(),
            calls: 3,
            p50: Duration::from_micros(1234),
            p95: Duration::from_micros(2000),
            max: Duration::from_secs(1),
        };
        let text = serde_json::to_string(&Matrix { cells: vec![cell.clone()] }).unwrap();
        assert_eq!(text, r#"[{"from":"a","version":"v1","to":"b","calls":3,"p50":0.001234,"p95":0.002,"max":1.0}]"#);
        assert_eq!(serde_json::from_str::<Matrix>(&text).unwrap().cells, [cell]);
    }
}
