//! From builder to fleet: defaults first, then every rule.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnetwork::Ipv4Network;

use super::{ClusterBuilder, DEFAULT_CLUSTERS, FleetBuilder, FleetError, Place, Problem, deadlines, mesh, network, subnets};
use crate::domain::digest::Digest;
use crate::domain::fleet::{Addons, ClusterSpec, DEFAULT_POOL_SIZE, Fleet, MIN_POOL_SIZE};
use crate::domain::image::ImageRef;
use crate::domain::lease::Lease;
use crate::domain::name::ClusterName;
use crate::domain::net::cidr;
use crate::domain::version::KubernetesVersion;

/// Oldest Kubernetes minor whose nodes come up with the configuration written here.
const OLDEST_MINOR: u32 = 24;
/// The part of the pod subnet that every node gets, by the controller manager's default.
const NODE_PREFIX: u8 = 24;

/// A subnet with its purpose and where it was said.
struct Claim {
    place: Place,
    what: String,
    subnet: Ipv4Network,
}

pub(super) fn build(builder: FleetBuilder) -> Result<Fleet, FleetError> {
    let name = builder.name.parse().map_err(at(Place::Fleet("name")))?;
    let network = network::settings(&builder.network, &builder.name)?;
    let mut claims: Vec<Claim> = network
        .ipv4_subnet
        .map(|subnet| Claim { place: Place::Network("subnet"), what: "network's subnet".to_owned(), subnet })
        .into_iter()
        .collect();
    let described = described(&builder)?;
    let clusters = clusters(&builder.defaults, &described, &mut claims)?;
    overlaps(&claims)?;
    ports(&clusters)?;
    network::room(&network, &clusters)?;
    for (field, deadline) in deadlines(&builder.timeouts) {
        if deadline.is_zero() {
            return Err(FleetError { place: Place::Timeouts(field), problem: Problem::NoTime });
        }
    }
    if builder.sample && builder.metallb.is_none() {
        return Err(FleetError { place: Place::Fleet("addons"), problem: Problem::SampleWithoutMetalLb });
    }
    if builder.mesh.is_some() && builder.metallb.is_none() {
        return Err(FleetError { place: Place::Fleet("mesh"), problem: Problem::MeshWithoutMetalLb });
    }
    let mesh = builder.mesh.map(mesh::spec).transpose()?;
    if let Some(metallb) = &builder.metallb {
        if let Some(expected) = &metallb.manifest_digest {
            let fail = |problem| Err(FleetError { place: Place::MetalLb("manifestDigest"), problem });
            match metallb.manifest.as_ref().map(|text| Digest::of(text.as_bytes())) {
                // The text of one that is only named is read, and checked, by who reads the file.
                None if metallb.manifest_from.is_none() => return fail(Problem::Alone { other: "manifest" }),
                Some(found) if found != *expected => return fail(Problem::OtherManifest { expected: expected.clone(), found }),
                None | Some(_) => {}
            }
        }
        for (field, image) in [("controllerImage", &metallb.controller_image), ("speakerImage", &metallb.speaker_image)] {
            parsed::<ImageRef>(Place::MetalLb(field), image.as_deref())?;
        }
    }
    Ok(Fleet {
        name,
        network,
        clusters,
        addons: Addons { metallb: builder.metallb, sample: builder.sample },
        mesh,
        privileges: builder.privileges,
        profile: builder.profile,
        timeouts: builder.timeouts,
        warm: None,
        lease: Lease::default(),
    })
}

/// Checks the fleet's subnets against that of a network that exists, which on the shared network only
/// the engine knows.
///
/// # Errors
/// [`FleetError`] for the first pod or service subnet that overlaps it.
pub fn overlap_with_network(fleet: &Fleet, network: Ipv4Network) -> Result<(), FleetError> {
    let mut claims =
        vec![Claim { place: Place::Network("name"), what: format!("subnet of the network {}", fleet.network.name), subnet: network }];
    for (index, cluster) in fleet.clusters.iter().enumerate() {
        claims.push(pod_claim(index, &cluster.name, cluster.pod_subnet));
        claims.push(service_claim(index, &cluster.name, cluster.service_subnet));
    }
    overlaps(&claims)
}

/// Checks a fleet that was read back from where it was kept: what its parts say of each other.
///
/// # Errors
/// [`FleetError`] with the first thing that no builder would have let pass.
pub fn recheck(fleet: &Fleet) -> Result<(), FleetError> {
    if fleet.clusters.is_empty() {
        return Err(FleetError { place: Place::Fleet("clusters"), problem: Problem::NoClusters });
    }
    let mut claims = Vec::new();
    for (index, cluster) in fleet.clusters.iter().enumerate() {
        if fleet.clusters[..index].iter().any(|other| other.name == cluster.name) {
            return Err(FleetError { place: Place::Cluster(index, "name"), problem: Problem::NameTaken { name: cluster.name.clone() } });
        }
        claims.push(pod_claim(index, &cluster.name, cluster.pod_subnet));
        claims.push(service_claim(index, &cluster.name, cluster.service_subnet));
    }
    overlaps(&claims)?;
    ports(&fleet.clusters)?;
    network::room(&fleet.network, &fleet.clusters)
}

/// The clusters by name, counted ones first.
fn described(builder: &FleetBuilder) -> Result<Vec<(ClusterName, ClusterBuilder)>, FleetError> {
    let count = builder.count.unwrap_or(if builder.clusters.is_empty() { DEFAULT_CLUSTERS } else { 0 });
    if builder.clusters.is_empty() && count == 0 {
        return Err(FleetError { place: Place::Fleet("clusters"), problem: Problem::NoClusters });
    }
    let mut described: Vec<(ClusterName, ClusterBuilder)> = Vec::new();
    for index in 1..=count {
        let cluster = ClusterBuilder::new(format!("{}{index}", builder.prefix));
        let name = cluster.name.parse().map_err(at(Place::Fleet("clusterPrefix")))?;
        described.push((name, cluster));
    }
    for cluster in &builder.clusters {
        let place = Place::Cluster(described.len(), "name");
        let name: ClusterName = cluster.name.parse().map_err(at(place))?;
        if described.iter().any(|(other, _)| *other == name) {
            return Err(FleetError { place, problem: Problem::NameTaken { name } });
        }
        described.push((name, cluster.clone()));
    }
    Ok(described)
}

/// Subnets that are named claim their addresses first, so that no default takes them.
fn clusters(
    defaults: &ClusterBuilder,
    described: &[(ClusterName, ClusterBuilder)],
    claims: &mut Vec<Claim>,
) -> Result<Vec<ClusterSpec>, FleetError> {
    let mut named = Vec::with_capacity(described.len());
    for (index, (name, cluster)) in described.iter().enumerate() {
        let pods = subnet(Place::Cluster(index, "podSubnet"), cluster.pod_subnet.as_deref())?;
        let services = subnet(Place::Cluster(index, "serviceSubnet"), cluster.service_subnet.as_deref())?;
        claims.extend(pods.map(|subnet| pod_claim(index, name, subnet)));
        claims.extend(services.map(|subnet| service_claim(index, name, subnet)));
        named.push((pods, services));
    }
    let mut specs = Vec::with_capacity(described.len());
    for ((index, (name, cluster)), (pods, services)) in described.iter().enumerate().zip(named) {
        let free = |candidate: &Ipv4Network, claims: &[Claim]| !claims.iter().any(|claim| claim.subnet.overlaps(*candidate));
        let default = |slot: fn(u32) -> Option<Ipv4Network>, field, claims: &[Claim]| {
            let found = subnets::slots(name).filter_map(slot).find(|candidate| free(candidate, claims));
            found.ok_or(FleetError { place: Place::Cluster(index, field), problem: Problem::NoSubnetLeft })
        };
        let pod_subnet = match pods {
            Some(subnet) => subnet,
            None => {
                let subnet = default(subnets::pods, "podSubnet", claims)?;
                claims.push(pod_claim(index, name, subnet));
                subnet
            }
        };
        let service_subnet = match services {
            Some(subnet) => subnet,
            None => {
                let subnet = default(subnets::services, "serviceSubnet", claims)?;
                claims.push(service_claim(index, name, subnet));
                subnet
            }
        };
        specs.push(spec(index, name, cluster, defaults, pod_subnet, service_subnet)?);
    }
    Ok(specs)
}

fn spec(
    index: usize,
    name: &ClusterName,
    cluster: &ClusterBuilder,
    defaults: &ClusterBuilder,
    pod_subnet: Ipv4Network,
    service_subnet: Ipv4Network,
) -> Result<ClusterSpec, FleetError> {
    // What the fleet says is wrong where the fleet says it.
    let place = |field, own: bool| if own { Place::Cluster(index, field) } else { Place::Fleet(field) };
    let fail = |place, problem| Err(FleetError { place, problem });

    let nodes = cluster.nodes.or(defaults.nodes).unwrap_or(1);
    if nodes == 0 {
        return fail(place("nodes", cluster.nodes.is_some()), Problem::NoNodes);
    }
    let control_planes = cluster.control_planes.unwrap_or(1);
    match control_planes {
        0 => return fail(Place::Cluster(index, "controlPlanes"), Problem::NoNodes),
        1 => {}
        count => return fail(Place::Cluster(index, "controlPlanes"), Problem::ControlPlanes { count }),
    }
    let blocks = cidr::size(pod_subnet) >> (32 - u32::from(NODE_PREFIX));
    if blocks < u64::from(nodes) {
        return fail(Place::Cluster(index, "podSubnet"), Problem::PodSubnetTooSmall { subnet: pod_subnet, nodes, blocks });
    }
    if !(12..=28).contains(&service_subnet.prefix()) {
        return fail(Place::Cluster(index, "serviceSubnet"), Problem::ServiceSubnet { subnet: service_subnet });
    }
    let pool_size = cluster.pool_size.or(defaults.pool_size).unwrap_or(DEFAULT_POOL_SIZE);
    if pool_size < MIN_POOL_SIZE {
        return fail(place("poolSize", cluster.pool_size.is_some()), Problem::PoolSize { size: pool_size });
    }
    let image_place = place("image", cluster.image.is_some());
    let image = cluster.image.as_ref().or(defaults.image.as_ref());
    parsed::<ImageRef>(image_place, image.map(String::as_str))?;
    let version_place = place("kubernetesVersion", cluster.kubernetes_version.is_some());
    let version = cluster.kubernetes_version.as_ref().or(defaults.kubernetes_version.as_ref());
    let version = parsed::<KubernetesVersion>(version_place, version.map(String::as_str))?;
    if let Some(version) = version.as_ref().filter(|version| !version.at_least(1, OLDEST_MINOR)) {
        return fail(version_place, Problem::TooOld { version: version.to_string(), minimum: OLDEST_MINOR });
    }
    let api_server_address = match &cluster.api_server_address {
        None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(text) => syntax(Place::Cluster(index, "apiServerAddress"), text, "IP address, such as 127.0.0.1")?,
    };
    if cluster.api_server_port == Some(0) {
        let problem = Problem::Bounds { value: 0, min: 1, max: 65_535 };
        return fail(Place::Cluster(index, "apiServerPort"), problem);
    }
    Ok(ClusterSpec {
        name: name.clone(),
        image: image.cloned(),
        kubernetes_version: version,
        control_planes,
        workers: nodes - control_planes,
        pod_subnet,
        service_subnet,
        pool_size,
        api_server_address,
        api_server_port: cluster.api_server_port,
    })
}

/// The later of two claims is the one that is wrong.
fn overlaps(claims: &[Claim]) -> Result<(), FleetError> {
    let mut sorted: Vec<&Claim> = claims.iter().collect();
    sorted.sort_by_key(|claim| claim.place);
    for (index, claim) in sorted.iter().enumerate() {
        if let Some(other) = sorted[..index].iter().find(|other| other.subnet.overlaps(claim.subnet)) {
            let problem =
                Problem::Overlap { what: claim.what.clone(), subnet: claim.subnet, other_what: other.what.clone(), other: other.subnet };
            return Err(FleetError { place: claim.place, problem });
        }
    }
    Ok(())
}

fn ports(clusters: &[ClusterSpec]) -> Result<(), FleetError> {
    let mut taken: BTreeMap<u16, Vec<&ClusterSpec>> = BTreeMap::new();
    for (index, cluster) in clusters.iter().enumerate() {
        let Some(port) = cluster.api_server_port else { continue };
        let others = taken.entry(port).or_default();
        let address = cluster.api_server_address;
        let same = |other: IpAddr| other == address || other.is_unspecified() || address.is_unspecified();
        if let Some(other) = others.iter().find(|other| same(other.api_server_address)) {
            let problem = Problem::PortTaken { port, other: other.name.clone() };
            return Err(FleetError { place: Place::Cluster(index, "apiServerPort"), problem });
        }
        others.push(cluster);
    }
    Ok(())
}

fn pod_claim(index: usize, cluster: &ClusterName, subnet: Ipv4Network) -> Claim {
    Claim { place: Place::Cluster(index, "podSubnet"), what: format!("pod subnet of {cluster}"), subnet }
}

fn service_claim(index: usize, cluster: &ClusterName, subnet: Ipv4Network) -> Claim {
    Claim { place: Place::Cluster(index, "serviceSubnet"), what: format!("service subnet of {cluster}"), subnet }
}

pub(super) fn subnet(place: Place, text: Option<&str>) -> Result<Option<Ipv4Network>, FleetError> {
    let Some(text) = text else { return Ok(None) };
    let subnet = cidr::normalise(syntax(place, text, "IPv4 subnet, such as 10.9.0.0/16")?);
    let first = subnet.network();
    let purpose = match first {
        _ if first.is_loopback() => "loopback",
        _ if first.is_link_local() => "link-local addresses",
        _ if first.is_multicast() => "multicast",
        _ if first.octets()[0] == 0 => "this network",
        _ if first.octets()[0] > 239 => "future use",
        _ => return Ok(Some(subnet)),
    };
    Err(FleetError { place, problem: Problem::Special { subnet: subnet.to_string(), purpose } })
}

pub(super) fn syntax<T: FromStr>(place: Place, text: &str, what: &'static str) -> Result<T, FleetError> {
    text.parse().map_err(|_| FleetError { place, problem: Problem::Syntax { text: text.to_owned(), what } })
}

fn parsed<T: FromStr>(place: Place, text: Option<&str>) -> Result<Option<T>, FleetError>
where
    Problem: From<T::Err>,
{
    text.map(|text| text.parse().map_err(at(place))).transpose()
}

fn at<E>(place: Place) -> impl Fn(E) -> FleetError
where
    Problem: From<E>,
{
    move |error| FleetError { place, problem: error.into() }
}
