//! The gateways of a cluster.

use std::fmt;

/// A gateway by its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GatewayKind {
    /// What lets the other clusters of the mesh in.
    EastWest,
    /// What lets the outside world in.
    Ingress,
    /// What lets workloads out.
    Egress,
}

// === impl GatewayKind ===

impl GatewayKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::EastWest, Self::Ingress, Self::Egress];

    /// Name of its Deployment, its Service and its release, as in Istio's own installations.
    pub fn name(self) -> &'static str {
        match self {
            Self::EastWest => "istio-eastwestgateway",
            Self::Ingress => "istio-ingressgateway",
            Self::Egress => "istio-egressgateway",
        }
    }

    /// Value of the label `istio` of its pods, by which Gateway objects select it.
    pub fn selector(self) -> &'static str {
        match self {
            Self::EastWest => "eastwestgateway",
            Self::Ingress => "ingressgateway",
            Self::Egress => "egressgateway",
        }
    }
}

impl fmt::Display for GatewayKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
