//! From the shape of a file to a builder of a fleet.

use std::time::Duration;

use super::at::{At, Places, Position, position};
use super::mesh::MeshShape;
use super::shape::{AddonsShape, ClusterShape, ClustersShape, FleetShape, Head, MetalLbSettings, NetworkShape, TimeoutsShape};
use super::switch::SwitchOr;
use super::{API_VERSION, Fault, KIND, duration, mesh};
use crate::domain::digest::Digest;
use crate::domain::fleet::{Fleet, MetalLb, Timeouts};
use crate::domain::fleet_builder::{ClusterBuilder, DEFAULT_FLEET, FleetBuilder, FleetError, MeshBuilder, NetworkBuilder, Place, Problem};

/// A fleet as a file describes it, not yet checked, and where everything stands.
pub(super) struct Read {
    pub(super) builder: FleetBuilder,
    pub(super) places: Places,
}

type Refused = (Position, Fault);

/// Reads a text; `with_mesh` asks for a mesh whatever the text says of it.
pub(super) fn read(text: &str, with_mesh: bool) -> Result<Read, Refused> {
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    let shape: Option<FleetShape> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let refused = (error.location().map_or((1, 1), position), Fault::from_yaml(&error));
        // A file of another tool is told as that, not by the first of its keys that this one has not.
        another_tools(text).unwrap_or(refused)
    })?;
    let shape = shape.ok_or(((1, 1), Fault::MissingField { field: "apiVersion" }))?;
    constant("apiVersion", &shape.api_version, API_VERSION)?;
    constant("kind", &shape.kind, KIND)?;

    let mut places = Places::default();
    let name = places.note(Place::Fleet("name"), &shape.name).map_or(DEFAULT_FLEET, String::as_str);
    let mut builder = Fleet::builder(name);
    set!(places, builder, kubernetes_version, Place::Fleet("kubernetesVersion"), shape.kubernetes_version);
    set!(places, builder, image, Place::Fleet("image"), shape.image);
    set!(places, builder, nodes, Place::Fleet("nodes"), shape.nodes);
    set!(places, builder, cluster_prefix, Place::Fleet("clusterPrefix"), shape.cluster_prefix);
    set!(places, builder, pool_size, Place::Fleet("poolSize"), shape.pool_size);
    if let Some(privileges) = shape.privileges {
        builder = builder.privileges(privileges.into());
    }
    if let Some(profile) = shape.profile {
        builder = builder.profile(profile.into());
    }
    if let Some(network) = &shape.network {
        places.network_at(network.position());
        builder = builder.network(network_builder(&mut places, network.value()));
    }
    if let Some(clusters) = &shape.clusters {
        places.clusters_at(clusters.position());
        places.note(Place::Fleet("clusters"), &shape.clusters);
        builder = match clusters.value() {
            ClustersShape::Wrong(message) => return Err((clusters.position(), Fault::Value { message: message.clone() })),
            ClustersShape::Count(count) => builder.clusters(*count),
            // An empty list is no request for the default.
            ClustersShape::List(list) if list.is_empty() => builder.clusters(0),
            ClustersShape::List(list) => list.iter().enumerate().fold(builder, |builder, (index, cluster)| {
                places.cluster_at(cluster.position());
                builder.cluster(cluster_builder(&mut places, index, cluster.value()))
            }),
        };
    }
    if let Some(addons) = places.note(Place::Fleet("addons"), &shape.addons) {
        builder = addons_of(&mut places, addons, builder)?;
    }
    if let Some(mesh) = places.note(Place::Fleet("mesh"), &shape.mesh) {
        builder = mesh_of(&mut places, mesh, with_mesh, builder)?;
    } else if with_mesh {
        builder = builder.mesh(MeshBuilder::new());
    }
    if let Some(timeouts) = &shape.timeouts {
        builder = builder.timeouts(timeouts_of(&mut places, timeouts)?);
    }
    Ok(Read { builder, places })
}

/// Why a file that cannot be read as a fleet is none, where it says of itself that it is something else.
fn another_tools(text: &str) -> Option<Refused> {
    let options = serde_saphyr::options! { with_snippet: false };
    let head: Head = serde_saphyr::from_str_with_options::<Option<Head>>(text, options).ok()??;
    let said = |field, value: &Option<At<String>>, expected| value.as_ref().and_then(|_| constant(field, value, expected).err());
    said("apiVersion", &head.api_version, API_VERSION).or_else(|| said("kind", &head.kind, KIND))
}

fn constant(field: &'static str, value: &Option<At<String>>, expected: &'static str) -> Result<(), Refused> {
    match value {
        None => Err(((1, 1), Fault::MissingField { field })),
        Some(found) if found.value() != expected => {
            Err((found.position(), Fault::WrongKind { field, found: found.value().clone(), expected }))
        }
        Some(_) => Ok(()),
    }
}

fn network_builder(places: &mut Places, shape: &NetworkShape) -> NetworkBuilder {
    let mut builder = NetworkBuilder::shared();
    set!(places, builder, name, Place::Network("name"), shape.name);
    set!(places, builder, subnet, Place::Network("subnet"), shape.subnet);
    set!(places, builder, ip_range, Place::Network("ipRange"), shape.ip_range);
    set!(places, builder, gateway, Place::Network("gateway"), shape.gateway);
    set!(places, builder, ipv6_subnet, Place::Network("ipv6Subnet"), shape.ipv6_subnet);
    set!(places, builder, mtu, Place::Network("mtu"), shape.mtu);
    builder
}

fn cluster_builder(places: &mut Places, index: usize, shape: &ClusterShape) -> ClusterBuilder {
    let at = |field| Place::Cluster(index, field);
    let mut builder = ClusterBuilder::new(shape.name.value());
    places.field_at(at("name"), shape.name.position());
    set!(places, builder, nodes, at("nodes"), shape.nodes);
    set!(places, builder, control_planes, at("controlPlanes"), shape.control_planes);
    set!(places, builder, pod_subnet, at("podSubnet"), shape.pod_subnet);
    set!(places, builder, service_subnet, at("serviceSubnet"), shape.service_subnet);
    set!(places, builder, image, at("image"), shape.image);
    set!(places, builder, kubernetes_version, at("kubernetesVersion"), shape.kubernetes_version);
    set!(places, builder, pool_size, at("poolSize"), shape.pool_size);
    set!(places, builder, api_server_address, at("apiServerAddress"), shape.api_server_address);
    set!(places, builder, api_server_port, at("apiServerPort"), shape.api_server_port);
    builder
}

fn addons_of(places: &mut Places, shape: &AddonsShape, builder: FleetBuilder) -> Result<FleetBuilder, Refused> {
    let builder = match shape.metallb.as_ref().map(|metallb| (metallb.position(), metallb.value())) {
        None | Some((_, SwitchOr::Switch(true))) => builder,
        Some((_, SwitchOr::Switch(false))) => builder.metallb(None),
        Some((position, SwitchOr::Wrong(message))) => return Err((position, Fault::Value { message: message.clone() })),
        Some((_, SwitchOr::Settings(settings))) => builder.metallb(Some(MetalLb {
            manifest: None,
            manifest_from: places.note(Place::MetalLb("manifest"), &settings.manifest).cloned(),
            manifest_digest: manifest_digest(places, settings)?,
            controller_image: places.note(Place::MetalLb("controllerImage"), &settings.controller_image).cloned(),
            speaker_image: places.note(Place::MetalLb("speakerImage"), &settings.speaker_image).cloned(),
        })),
    };
    // What goes with the add-ons is told where the sample is asked for.
    Ok(match places.note(Place::Fleet("addons"), &shape.sample) {
        Some(sample) => builder.sample(*sample),
        None => builder,
    })
}

fn manifest_digest(places: &mut Places, settings: &MetalLbSettings) -> Result<Option<Digest>, Refused> {
    let place = Place::MetalLb("manifestDigest");
    let Some(text) = places.note(place, &settings.manifest_digest) else { return Ok(None) };
    text.parse().map(Some).map_err(|error| (places.find(place), FleetError { place, problem: Problem::Digest(error) }.into()))
}

fn mesh_of(places: &mut Places, shape: &SwitchOr<MeshShape>, with_mesh: bool, builder: FleetBuilder) -> Result<FleetBuilder, Refused> {
    let position = places.find(Place::Fleet("mesh"));
    places.mesh_at(position);
    let (on, mesh) = match shape {
        SwitchOr::Switch(on) => (*on, MeshBuilder::new()),
        SwitchOr::Wrong(message) => return Err((position, Fault::Value { message: message.clone() })),
        SwitchOr::Settings(settings) => (settings.enabled.unwrap_or(true), mesh::builder(places, settings)),
    };
    Ok(builder.mesh((on || with_mesh).then_some(mesh)))
}

fn timeouts_of(places: &mut Places, shape: &TimeoutsShape) -> Result<Timeouts, Refused> {
    let mut timeouts = Timeouts::default();
    let fields: [(&'static str, &Option<At<String>>, &mut Duration); 4] = [
        ("nodeBoot", &shape.node_boot, &mut timeouts.node_boot),
        ("clusterReady", &shape.cluster_ready, &mut timeouts.cluster_ready),
        ("addonReady", &shape.addon_ready, &mut timeouts.addon_ready),
        ("meshReady", &shape.mesh_ready, &mut timeouts.mesh_ready),
    ];
    for (name, field, deadline) in fields {
        let place = Place::Timeouts(name);
        if let Some(text) = places.note(place, field) {
            *deadline = duration::parse(text).map_err(|error| (places.find(place), Fault::Duration { place, error }))?;
        }
    }
    Ok(timeouts)
}
