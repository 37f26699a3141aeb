//! The checks, in the order in which a fleet would run into them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ipnetwork::IpNetwork;

use super::host::{self, Host};
use super::report::{Check, DoctorReport};
use crate::domain::checkup::{self, Finding, Needs};
use crate::domain::facts::HostFacts;
use crate::domain::fleet::{Fleet, Privileges};
use crate::domain::inotify;
use crate::domain::node::Profile;
use crate::engine::ContainerInfo;
use crate::event::Silent;
use crate::ops::context::Kindmesh;
use crate::ops::error::{Error, ErrorKind};
use crate::ops::image::{self, Found};
use crate::ops::inventory::{Inventory, fleet_of, is_running};
use crate::ops::mesh::MeshInput;
use crate::ops::{kubeconfig_entry, network, preflight, privileges};

/// A registry that does not answer in this time is no use for a pull either.
const REGISTRY: Duration = Duration::from_secs(20);

/// One check for the files that the mesh's description names; none without any.
async fn files(fleet: &Fleet) -> Option<Check> {
    const NAME: &str = "files";
    let mesh = fleet.mesh.as_ref()?;
    let istio = &mesh.istio;
    if istio.values_files.is_empty() && istio.operator.is_none() && istio.charts.is_none() && mesh.root_ca.is_none() {
        return None;
    }
    Some(match MeshInput::read(mesh, jiff::Timestamp::now()).await {
        Ok(_) => Check::new(NAME, ErrorKind::File, Finding::ok("what the mesh's description names can be read")),
        Err(error) => Check::failed(NAME, &error),
    })
}

impl Kindmesh {
    /// Looks for everything that would go wrong with a fleet, without making anything of it: engine, control groups,
    /// privileges, kernel limits, memory, disk, processors, clocks, images, kubeconfig files, names, ports, room for
    /// pools, and what is in the way of its networks. Where an image is there, short-lived helper containers with a label are
    /// run, to see what the engine's host has and allows.
    ///
    /// Never fails: what cannot be looked at is a part of the report.
    pub async fn doctor(&self, fleet: &Fleet) -> DoctorReport {
        let km = self.clone().reporter(Arc::new(Silent)).begin();
        let checks = match km.engine.facts().await {
            Ok(facts) => km.look_at_all(fleet, &facts).await,
            Err(error) => vec![Check::failed("engine", &error.into())],
        };
        DoctorReport::new(fleet.name.to_string(), checks)
    }

    async fn look_at_all(&self, fleet: &Fleet, facts: &HostFacts) -> Vec<Check> {
        let seen_at = SystemTime::now();
        let mut checks = vec![engine(self, facts), cgroups(fleet, facts)];
        let inventory = match Inventory::read(self.engine.as_ref()).await {
            Ok(inventory) => inventory,
            Err(error) => {
                checks.push(Check::failed("containers", &error));
                return checks;
            }
        };
        let (images, any) = self.images(fleet).await;
        checks.extend(images);
        checks.extend(files(fleet).await);
        checks.push(self.rights(fleet, facts, &inventory, any.as_deref()).await);
        let host = host::look(&self.engine, fleet, any.as_deref()).await;
        // A node of the same name in another fleet is no node of this one.
        let ours = |node: &&ContainerInfo| is_running(node) && fleet_of(node) == Some(fleet.name.as_str());
        let running: Vec<&str> = inventory.clusters().flat_map(|(_, nodes)| nodes).filter(ours).map(|node| node.name.as_str()).collect();
        let needs = Needs::of(fleet, |name| !running.contains(&name));
        checks.push(instances(fleet, &host, &inventory));
        checks.push(Check::new("memory", ErrorKind::Engine, checkup::memory(needs, host.available, facts.memory_bytes)));
        checks.push(Check::new("disk", ErrorKind::Engine, disk(needs, &host)));
        checks.push(Check::new("processors", ErrorKind::Engine, checkup::processors(needs, facts.cpus)));
        checks.push(Check::new("clock", ErrorKind::Engine, clock(facts, seen_at)));
        checks.push(match kubeconfig_entry::check(self) {
            Ok(()) => Check::new("kubeconfig", ErrorKind::File, Finding::ok("it can be read and written")),
            Err(error) => Check::failed("kubeconfig", &error),
        });
        // Names, ports, the network, room for the pools: as `up` looks at them.
        checks.push(match preflight::check(self, fleet, &inventory, &[]).await {
            Ok(()) => {
                Check::new("fleet", ErrorKind::Conflict, Finding::ok("names and ports are free, and the network has room for every pool"))
            }
            Err(error) => Check::failed("fleet", &error),
        });
        checks.extend(self.routes(fleet, &host).await);
        checks
    }

    /// One check for every image, and one that is there.
    async fn images(&self, fleet: &Fleet) -> (Vec<Check>, Option<String>) {
        let (mut checks, mut there, mut looked) = (Vec::new(), None, Vec::new());
        for cluster in &fleet.clusters {
            let wish = (&cluster.image, &cluster.kubernetes_version);
            if looked.contains(&wish) {
                continue;
            }
            looked.push(wish);
            let found = tokio::time::timeout(REGISTRY, image::find(self.engine.as_ref(), cluster, self.registry_config.as_deref())).await;
            let found = found.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Image, format!("the registry did not answer within {} s", REGISTRY.as_secs()))
                    .hint("look at the engine's way to the registry (proxy, name service), or build an image: `kindmesh build node-image`"))
            });
            checks.push(match found {
                Ok(Found::Present(reference)) => {
                    there.get_or_insert_with(|| reference.clone());
                    Check::new("image", ErrorKind::Image, Finding::ok(format!("{reference} is on the engine")))
                }
                Ok(Found::Pullable(reference)) => {
                    Check::new("image", ErrorKind::Image, Finding::ok(format!("{reference} is not on the engine and can be pulled")))
                }
                Err(error) => Check::failed("image", &error),
            });
        }
        (checks, there)
    }

    async fn rights(&self, fleet: &Fleet, facts: &HostFacts, inventory: &Inventory, image: Option<&str>) -> Check {
        const NAME: &str = "privileges";
        let Some(image) = image else {
            let finding =
                Finding::warn("what containers may do cannot be tried without a node image", "get an image first, then look again");
            return Check::new(NAME, ErrorKind::Engine, finding);
        };
        match privileges::choose(self, fleet, facts, inventory, image, privileges::LOOK, &self.fleet_scope()).await {
            Err(error) => Check::failed(NAME, &error),
            Ok(probed) => Check::new(
                NAME,
                ErrorKind::Engine,
                match (&probed.profile, fleet.privileges) {
                    (Profile::Privileged, _) => Finding::ok("the engine starts privileged containers"),
                    (Profile::Reduced { .. }, Privileges::Reduced) => Finding::ok("the engine starts containers with the reduced profile"),
                    (Profile::Reduced { cap_drop }, _) => {
                        let lacks = if cap_drop.is_empty() { String::new() } else { format!(" (its host lacks {})", cap_drop.join(", ")) };
                        Finding::ok(format!("the engine starts no privileged containers{lacks}: nodes get the reduced profile"))
                    }
                },
            ),
        }
    }

    /// What is in the way of the fleet's network, of pods and of services.
    async fn routes(&self, fleet: &Fleet, host: &Host) -> Vec<Check> {
        const NAME: &str = "routes";
        let Some(routes) = &host.routes else {
            let finding = Finding::warn(
                "the routes of the engine's host cannot be read",
                "compare `ip route` there with the subnets of the fleet file: a VPN that takes the same addresses hides nodes",
            );
            return vec![Check::new(NAME, ErrorKind::Conflict, finding)];
        };
        let existing = network::find(self.engine.as_ref(), &fleet.network.name).await.ok().flatten();
        let there = existing.as_ref().and_then(|network| match network.ipv4()?.subnet {
            IpNetwork::V4(subnet) => Some(subnet),
            IpNetwork::V6(_) => None,
        });
        let mut checks = Vec::new();
        if let Some(subnet) = there.or(fleet.network.ipv4_subnet) {
            // Of two routes the narrower one wins: what is behind the other is not reached.
            let found = checkup::in_the_way(subnet, routes, there.is_some());
            if !found.is_empty() {
                let fix = "choose another `network.subnet`, or end the VPN or the network that has those addresses";
                let why = format!("the network's subnet {subnet} overlaps with {}", told(&found));
                let finding = match found.iter().any(|route| route.to.prefix() >= subnet.prefix()) {
                    true => Finding::fail(format!("{why}, which hides nodes"), fix),
                    false => Finding::warn(format!("{why}: what is there at these addresses is hidden while the network exists"), fix),
                };
                checks.push(Check::new(NAME, ErrorKind::Conflict, finding));
            }
        }
        for cluster in &fleet.clusters {
            for (what, subnet) in [("pod", cluster.pod_subnet), ("service", cluster.service_subnet)] {
                let found = checkup::in_the_way(subnet, routes, false);
                let tunnels: Vec<_> = found.into_iter().filter(|route| route.is_tunnel()).collect();
                if !tunnels.is_empty() {
                    let finding = Finding::warn(
                        format!(
                            "the {what} subnet {subnet} of cluster {} overlaps with {}: pods cannot reach what is behind it",
                            cluster.name,
                            told(&tunnels)
                        ),
                        format!("set another `{what}Subnet`, unless pods need nothing of that VPN"),
                    );
                    checks.push(Check::new(NAME, ErrorKind::Conflict, finding));
                }
            }
        }
        if checks.is_empty() {
            checks.push(Check::new(NAME, ErrorKind::Conflict, Finding::ok("no route of the engine's host is in the way")));
        }
        checks
    }
}

fn engine(km: &Kindmesh, facts: &HostFacts) -> Check {
    let what = format!("{}, API {}, {}/{}, at {}", facts.product, facts.api_version, facts.os, facts.arch, km.engine.endpoint());
    Check::new("engine", ErrorKind::Engine, Finding::ok(what))
}

fn cgroups(fleet: &Fleet, facts: &HostFacts) -> Check {
    const NAME: &str = "cgroups";
    if let Err(error) = preflight::check_host(fleet, facts) {
        return Check::failed(NAME, &error);
    }
    let what = format!("version {}, driver {}", facts.cgroup_version, facts.cgroup_driver);
    let finding = match (facts.cgroup_version, facts.cgroup_driver.as_str()) {
        (_, "none") => Finding::fail(
            format!("{what}: the engine may not limit containers"),
            "a rootless engine needs its controllers delegated: `Delegate=yes` in the user's systemd unit",
        ),
        (1, _) => Finding::warn(
            format!("{what}: Kubernetes 1.35 and later refuse it"),
            "stay with Kubernetes 1.34, or boot the host with `systemd.unified_cgroup_hierarchy=1`",
        ),
        _ => Finding::ok(what),
    };
    Check::new(NAME, ErrorKind::Engine, finding)
}

fn instances(fleet: &Fleet, host: &Host, inventory: &Inventory) -> Check {
    let others = inventory.clusters().flat_map(|(_, nodes)| nodes);
    let others = others.filter(|node| is_running(node) && fleet_of(node) != Some(fleet.name.as_str())).count();
    let (needed, fix) =
        (inotify::needed(fleet, others), format!("on the engine's host: `sysctl -w fs.inotify.max_user_instances={}`", inotify::ADVISED));
    let finding = match host.inotify {
        None => Finding::warn("the limit of inotify instances in the engine's kernel cannot be read", fix),
        Some(limit) if limit < needed => Finding::warn(
            format!(
                "the engine's kernel has {limit} inotify instances per user, and about {needed} will be needed: \"too many open files\""
            ),
            fix,
        ),
        Some(limit) => Finding::ok(format!("about {needed} of {limit} instances in the engine's kernel")),
    };
    Check::new("inotify", ErrorKind::Engine, finding)
}

fn disk(needs: Needs, host: &Host) -> Finding {
    match host.disk_free {
        Some(free) => checkup::disk(needs, free),
        None => Finding::warn("what is free on the engine's disk cannot be read", "get an image first, then look again"),
    }
}

fn clock(facts: &HostFacts, seen_at: SystemTime) -> Finding {
    let Some(theirs) = facts.system_time else {
        return Finding::warn("the engine does not tell its time", "compare the clocks of both machines");
    };
    match theirs.duration_since(seen_at) {
        Ok(ahead) => checkup::clock(ahead, true),
        Err(behind) => checkup::clock(behind.duration(), false),
    }
}

fn told(routes: &[&checkup::Route]) -> String {
    routes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", and ")
}
