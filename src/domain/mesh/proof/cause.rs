//! Why a mesh is not proven: named causes, the deeper before the shallower.

use serde::{Deserialize, Serialize};

/// A named cause. Of several, the first in this order most likely explains the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Cause {
    /// There is nothing to prove.
    NoClusters,
    /// A node does not run: it is paused or stopped.
    NodeNotRunning,
    /// An API server does not answer.
    ApiServerUnreachable,
    /// No istiod is ready.
    NoIstiod,
    /// The root certificate is not there.
    NoRoot,
    /// Clusters trust different roots.
    DifferentRoots,
    /// Something lacks the label that says on which network it is, or has another one.
    NoNetworkLabel,
    /// A network has no gateway, or istiod knows none for it.
    NoNetworkGateway,
    /// The gateway's address is announced by nobody.
    AddressNotAnnounced,
    /// The gateway does not answer at its address.
    GatewayDown,
    /// A remote secret leads to the wrong place.
    WrongServerAddress,
    /// An istiod has not read another cluster.
    NotSynced,
    /// Something is left of a cluster that the fleet does not have.
    UnknownCluster,
    /// The sample is not there.
    NoSample,
    /// A pod has no proxy.
    NotInjected,
    /// A pod is not ready.
    NotReady,
    /// A proxy has no connection to its istiod.
    ProxyNotConnected,
    /// Endpoints are missing.
    MissingEndpoints,
    /// There are endpoints that should not be there.
    UnexpectedEndpoints,
    /// Endpoints get no requests.
    UnhealthyEndpoints,
    /// A proxy does not trust the other side's certificate.
    UntrustedCertificate,
    /// An answer was none of the sample's.
    BadAnswer,
    /// An answer came from a pod that nobody knows.
    UnknownInstance,
    /// Calls were not answered.
    NoAnswer,
    /// A version never answered.
    MissingVersion,
    /// No pod of a cluster ever answered.
    ClusterNotReached,
    /// Fewer calls were made than asked for.
    TooFewCalls,
    /// A pod talks in plain text.
    PlaintextAccepted,
    /// It could not be looked at.
    NotObserved,
}

// === impl Cause ===

impl Cause {
    /// Every cause, in their order.
    pub const ALL: [Cause; 29] = [
        Cause::NoClusters,
        Cause::NodeNotRunning,
        Cause::ApiServerUnreachable,
        Cause::NoIstiod,
        Cause::NoRoot,
        Cause::DifferentRoots,
        Cause::NoNetworkLabel,
        Cause::NoNetworkGateway,
        Cause::AddressNotAnnounced,
        Cause::GatewayDown,
        Cause::WrongServerAddress,
        Cause::NotSynced,
        Cause::UnknownCluster,
        Cause::NoSample,
        Cause::NotInjected,
        Cause::NotReady,
        Cause::ProxyNotConnected,
        Cause::MissingEndpoints,
        Cause::UnexpectedEndpoints,
        Cause::UnhealthyEndpoints,
        Cause::UntrustedCertificate,
        Cause::BadAnswer,
        Cause::UnknownInstance,
        Cause::NoAnswer,
        Cause::MissingVersion,
        Cause::ClusterNotReached,
        Cause::TooFewCalls,
        Cause::PlaintextAccepted,
        Cause::NotObserved,
    ];

    /// What to do next.
    pub fn next_step(self) -> &'static str {
        match self {
            Cause::NoClusters => "make a fleet with `kindmesh up --mesh`",
            Cause::NodeNotRunning => "wake the fleet with `kindmesh resume` or `kindmesh start`, with the same `--fleet`",
            Cause::ApiServerUnreachable => {
                "run `kindmesh status`; `kindmesh resume` and `kindmesh start`, with the same `--fleet`, wake what is paused or stopped"
            }
            Cause::NoIstiod => {
                "install the mesh with `kindmesh up --mesh`, or look why: kubectl -n istio-system describe pods -l app=istiod"
            }
            Cause::NoRoot => "istiod writes it when it runs: kubectl -n istio-system logs deploy/istiod",
            Cause::DifferentRoots => {
                "compare `kindmesh mesh ca`; remove the cluster that differs (`kindmesh down --cluster NAME`) and make it anew with `kindmesh up --mesh`"
            }
            Cause::NoNetworkLabel => "run `kindmesh up --mesh` again, which sets topology.istio.io/network, then restart istiod there",
            Cause::NoNetworkGateway => {
                "kubectl -n istio-system get service istio-eastwestgateway; its address comes from the pool (`kindmesh status`)"
            }
            Cause::AddressNotAnnounced => {
                "look at MetalLB's speakers: kubectl -n metallb-system get pods,l2advertisements,servicel2statuses; are all clusters on one Docker network?"
            }
            Cause::GatewayDown => "kubectl -n istio-system describe pods -l istio=eastwestgateway",
            Cause::WrongServerAddress => {
                "run `kindmesh up --mesh` again, which writes remote secrets with an address that pods of other clusters reach"
            }
            Cause::NotSynced => {
                "run `kindmesh up --mesh` again for fresh remote secrets; istiod says why: kubectl -n istio-system logs deploy/istiod"
            }
            Cause::UnknownCluster => {
                "run `kindmesh up --mesh` again, which removes what kindmesh left; delete other secrets with the label istio/multiCluster=true in istio-system by hand"
            }
            Cause::NoSample => "deploy it with `kindmesh up --mesh --sample`",
            Cause::NotInjected => {
                "label the namespace istio-injection=enabled and restart its Deployments: kubectl -n sample rollout restart deployment"
            }
            Cause::NotReady => "kubectl -n sample describe pods",
            Cause::ProxyNotConnected => "kubectl -n sample logs deploy/curl -c istio-proxy",
            Cause::MissingEndpoints | Cause::UnexpectedEndpoints | Cause::UnhealthyEndpoints => {
                "they follow within seconds: try again with `kindmesh verify --wait 60s`; if it stays, look at the failures above this one first"
            }
            Cause::UntrustedCertificate => {
                "compare `kindmesh mesh ca`; proxies keep certificates of an older root until they restart: kubectl -n sample rollout restart deployment"
            }
            Cause::BadAnswer | Cause::NoAnswer => "kubectl -n sample logs deploy/curl -c istio-proxy",
            Cause::UnknownInstance => "was a pod replaced meanwhile? try again; if it stays, pod addresses of clusters overlap",
            Cause::MissingVersion => "deploy both versions with `kindmesh up --mesh --sample`; kubectl -n sample get pods -L version",
            Cause::ClusterNotReached => "try again with more `--calls`; if it stays, a DestinationRule or locality prefers other clusters",
            Cause::TooFewCalls => "try again; a client that is killed or cut off makes fewer calls",
            Cause::PlaintextAccepted => {
                "apply a PeerAuthentication with mtls.mode STRICT to namespace sample; `kindmesh up --mesh --sample` does"
            }
            Cause::NotObserved => "try again; what is not seen proves nothing",
        }
    }
}

impl std::fmt::Display for Cause {
    /// Its name as in JSON.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = format!("{self:?}");
        let (first, rest) = name.split_at(1);
        write!(f, "{}{rest}", first.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_listed_in_their_order_and_named_as_in_json() {
        assert!(Cause::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        for (index, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, index);
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.to_string());
            assert!(!cause.next_step().ends_with('.'), "{cause}");
        }
        assert_eq!(Cause::NotObserved as usize, Cause::ALL.len() - 1, "the last one is listed");
    }
}
