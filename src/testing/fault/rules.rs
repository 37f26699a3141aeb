//! Cut networks: rules in the nodes that drop what comes from others.
//!
//! What arrives is dropped, on both sides: so nothing gets through in either direction, connections that are open
//! fall silent as they would with a cut cable, and everybody's address stays.

use std::net::{Ipv4Addr, Ipv6Addr};

use futures_util::future::try_join_all;

use super::super::cluster::TestCluster;
use super::super::fleet::TestFleet;
use super::super::names;
use super::guard::{Fault, Undo, in_node};
use crate::ops::{Error, ErrorKind, Result};

/// Writes the rules, and takes them away.
const SCRIPT: &str = include_str!("rules.sh");
/// Beginning of the chains' names, which have 28 characters at most.
const PREFIX: &str = "KINDMESH-";
/// Every chain of ours.
pub(super) const ANY: &str = "KINDMESH-*";

/// The command that takes a chain away.
pub(super) fn remove(chain: &str) -> Vec<String> {
    command("remove", chain, &[])
}

fn command(verb: &str, chain: &str, addresses: &[String]) -> Vec<String> {
    let words = ["bash", "-c", SCRIPT, "rules", verb, chain].map(str::to_owned);
    words.into_iter().chain(addresses.iter().cloned()).collect()
}

impl TestFleet {
    /// Cuts the network between two clusters: nothing from the nodes of one reaches the nodes, load balancers and
    /// gateways of the other. Both go on to reach everything else, and this machine both.
    ///
    /// ```no_run
    /// # async fn example(fleet: kindmesh::testing::TestFleet) -> kindmesh::ops::Result<()> {
    /// let cut = fleet.partition("cluster1", "cluster2").await?;
    /// // … cluster1 serves alone …
    /// cut.undo().await?;
    /// fleet.verify().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the rules cannot be written; then none is left.
    ///
    /// # Panics
    /// When there is no cluster of one of the names.
    pub async fn partition(&self, a: &str, b: &str) -> Result<Fault> {
        let (a, b) = (self.cluster(a), self.cluster(b));
        let (from_a, from_b) = (self.places(a).await?, self.places(b).await?);
        let drop_all = |places: &[Place]| places.iter().flat_map(|place| place.said('-')).collect::<Vec<String>>();
        let sides = [(a, drop_all(&from_b)), (b, drop_all(&from_a))];
        self.cut(format!("{} and {} are partitioned", a.name(), b.name()), &sides).await
    }

    /// Cuts a cluster off from its network: from all other clusters, and whatever else has an address there. Its own
    /// nodes reach each other, and this machine reaches its API server and addresses.
    ///
    /// # Errors
    /// As [`TestFleet::partition`].
    ///
    /// # Panics
    /// When there is no cluster of this name.
    pub async fn isolate(&self, cluster: &str) -> Result<Fault> {
        let cluster = self.cluster(cluster);
        let network = self.network().await?;
        let own = self.places(cluster).await?;
        let mut rules: Vec<String> = own.iter().flat_map(|place| place.said('+')).collect();
        // What this machine sends comes from the gateway.
        rules.extend(network.ipam.iter().filter_map(|entry| entry.gateway).map(|gateway| format!("+{gateway}")));
        rules.extend(network.ipam.iter().map(|entry| format!("-{}", entry.subnet)));
        self.cut(format!("{} is isolated", cluster.name()), &[(cluster, rules)]).await
    }

    async fn cut(&self, what: String, sides: &[(&TestCluster, Vec<String>)]) -> Result<Fault> {
        let chain = format!("{PREFIX}{}", names::suffix());
        let nodes: Vec<String> = sides.iter().flat_map(|(cluster, _)| cluster.nodes()).cloned().collect();
        let fault = self.fault(what, Undo::Rules { nodes, chain: chain.clone() })?;
        let engine = self.kindmesh().engine().as_ref();
        let works = sides.iter().flat_map(|(cluster, rules)| cluster.nodes().iter().map(move |node| (node, rules)));
        let made = try_join_all(works.map(|(node, rules)| {
            let command = command("add", &chain, rules);
            async move { in_node(engine, node, &command).await }
        }));
        match made.await {
            Ok(_) => Ok(fault),
            Err(error) => {
                let error = error.within(fault.what());
                // What was written is taken away before the caller hears of it.
                fault.undo().await?;
                Err(error)
            }
        }
    }

    async fn network(&self) -> Result<crate::domain::net::NetworkInfo> {
        let name = &self.description().network.name;
        let found = self.kindmesh().engine().networks_named(name).await?.into_iter().next();
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("network {name} is gone")))
    }

    async fn places(&self, cluster: &TestCluster) -> Result<Vec<Place>> {
        let (engine, network) = (self.kindmesh().engine(), &self.description().network.name);
        let mut places = Vec::new();
        for node in cluster.nodes() {
            let info = engine.inspect_container(node).await?;
            let place = info.networks.get(network).map(|place| Place { v4: place.ipv4, v6: place.ipv6 });
            places.push(place.filter(|place| place.v4.is_some()).ok_or_else(|| {
                Error::new(ErrorKind::Conflict, format!("node {node} has no address on network {network}: it does not run"))
            })?);
        }
        Ok(places)
    }
}

/// Where a node is on the fleet's network.
struct Place {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

// === impl Place ===

impl Place {
    fn said(&self, sign: char) -> impl Iterator<Item = String> {
        self.v4.map(|address| format!("{sign}{address}")).into_iter().chain(self.v6.map(|address| format!("{sign}{address}")))
    }
}
