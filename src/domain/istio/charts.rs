//! The three charts that make a member of a mesh.

use crate::domain::helm::Chart;
use crate::domain::mesh::spec::OLDEST_ISTIO_MINOR;

/// Istio's charts `base`, `istiod` and `gateway`, of one version.
#[derive(Debug, Clone)]
pub struct Charts {
    base: Chart,
    istiod: Chart,
    gateway: Chart,
}

/// Why three charts are not Istio's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChartsError {
    /// A chart of another name.
    #[error("the chart given as '{expected}' is '{found}'; give Istio's charts base, istiod and gateway")]
    Name {
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// Charts of more than one version.
    #[error("Istio's charts are of different versions: base {base}, istiod {istiod}, gateway {gateway}; give three of one version")]
    Versions {
        /// Version of `base`.
        base: String,
        /// Version of `istiod`.
        istiod: String,
        /// Version of `gateway`.
        gateway: String,
    },
    /// Charts from before this program's time.
    #[error("Istio's charts are of version {found}; they are known from 1.{OLDEST_ISTIO_MINOR} on")]
    TooOld {
        /// What they say.
        found: String,
    },
}

// === impl Charts ===

impl Charts {
    /// Checks that the charts are what they are given as, and belong together.
    ///
    /// # Errors
    /// [`ChartsError`] when a name is another, when the versions differ, and when they are too old.
    /// Charts out of Istio's sources say `1.0.0`, since only a release puts its version in; they are taken.
    pub fn new(base: Chart, istiod: Chart, gateway: Chart) -> Result<Self, ChartsError> {
        for (chart, expected) in [(&base, "base"), (&istiod, "istiod"), (&gateway, "gateway")] {
            if chart.name() != expected {
                return Err(ChartsError::Name { expected, found: chart.name().to_owned() });
            }
        }
        let charts = Self { base, istiod, gateway };
        if charts.base.version() != charts.version() || charts.gateway.version() != charts.version() {
            let version = |chart: &Chart| chart.version().to_owned();
            return Err(ChartsError::Versions {
                base: version(&charts.base),
                istiod: version(&charts.istiod),
                gateway: version(&charts.gateway),
            });
        }
        let minor = minor(charts.version());
        match charts.release() {
            Some(release) if minor.is_some_and(|(major, minor)| (major, minor) < (1, OLDEST_ISTIO_MINOR)) => {
                Err(ChartsError::TooOld { found: release.to_owned() })
            }
            _ => Ok(charts),
        }
    }

    /// The version they all say; `1.0.0` for charts out of Istio's sources.
    pub fn version(&self) -> &str {
        self.istiod.version()
    }

    /// The release they belong to; `None` for charts out of Istio's sources.
    pub fn release(&self) -> Option<&str> {
        Some(self.version()).filter(|version| *version != "1.0.0")
    }

    /// Definitions and what else a cluster has once.
    pub fn base(&self) -> &Chart {
        &self.base
    }

    /// The control plane.
    pub fn istiod(&self) -> &Chart {
        &self.istiod
    }

    /// A gateway.
    pub fn gateway(&self) -> &Chart {
        &self.gateway
    }
}

fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.strip_prefix('v').unwrap_or(version).split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
