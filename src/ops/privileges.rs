//! Which privileges node containers get: found out with helper containers before any node is made.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use crate::domain::container::{CgroupNamespace, ContainerSpec};
use crate::domain::facts::HostFacts;
use crate::domain::fleet::{Fleet, Privileges};
use crate::domain::inotify;
use crate::domain::labels;
use crate::domain::name::FleetName;
use crate::domain::node::{Profile, fleet_labels};
use crate::engine::{Engine, EngineError, EngineErrorKind};

use super::context::{Kindmesh, Outcome, Scope};
use super::error::{Error, ErrorKind, Result};
use super::inventory::Inventory;
use super::probe_memory;

const STEP: &str = "choose privileges";
const DEADLINE: Duration = Duration::from_secs(60);

/// Linux capabilities in the kernel's order: bit n of a capability mask is the n-th name.
/// Source: include/uapi/linux/capability.h.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Purpose of the helpers of who holds the fleet, in the label [`labels::HELPER`].
pub(super) const PROBE: &str = "probe";
/// Purpose of the helpers of who only looks.
pub(super) const LOOK: &str = "doctor";

/// What a node gets on this engine, and what the probe has seen of its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Probed {
    pub(super) profile: Profile,
    /// The host's limit of inotify instances per user; `None` when nothing had to be probed.
    pub(super) inotify_instances: Option<u32>,
    /// Whether it is only remembered.
    pub(super) remembered: bool,
}

/// Chooses the profile for every node of a fleet, with helpers of this purpose: the one its nodes have already, if that is what
/// is wanted; else it is proved with a container that starts and ends at once. Says so when it is
/// not the usual one.
pub(super) async fn choose(
    km: &Kindmesh,
    fleet: &Fleet,
    facts: &HostFacts,
    inventory: &Inventory,
    image: &str,
    purpose: &str,
    scope: &Scope,
) -> Result<Probed> {
    let engine = &km.engine;
    let wanted = fleet.privileges;
    let known = inventory.of_fleet(&fleet.name).flat_map(|(_, nodes)| nodes).find_map(|node| {
        let profile = Profile::from_label(node.labels.get(labels::PRIVILEGES)?)?;
        let fits = match wanted {
            Privileges::Auto => true,
            Privileges::Privileged => profile == Profile::Privileged,
            Privileges::Reduced => profile != Profile::Privileged,
        };
        fits.then_some(profile)
    });
    if let Some(profile) = known {
        return Ok(Probed { profile, inotify_instances: None, remembered: false });
    }
    if let (Privileges::Auto, Some(profile)) = (wanted, probe_memory::recall(km, facts)) {
        return Ok(Probed { profile, inotify_instances: None, remembered: true });
    }
    let probed = probe(engine, fleet, helper(image, fleet, purpose), scope).await?;
    if wanted == Privileges::Auto {
        probe_memory::keep(km, facts, &probed.profile);
    }
    Ok(probed)
}

async fn probe(engine: &Arc<dyn Engine>, fleet: &Fleet, bare: ContainerSpec, scope: &Scope) -> Result<Probed> {
    let (wanted, image) = (fleet.privileges, bare.image.as_str());
    let failed = |error: EngineError| Error::from(error).within(format_args!("try what the engine can do, with a container of {image}"));
    scope
        .step(STEP, DEADLINE, async {
            scope.progress(STEP, format!("waiting for a container of {image} that should end at once"));
            let refusal = match wanted {
                Privileges::Reduced => None,
                Privileges::Auto | Privileges::Privileged => match try_profile(engine, &bare, &Profile::Privileged).await {
                    Ok(probed) => return Ok(Outcome::unchanged(probed)),
                    Err(error) if is_refusal(&error) => Some(error),
                    Err(error) => return Err(failed(error)),
                },
            };
            if let (Privileges::Privileged, Some(error)) = (wanted, &refusal) {
                return Err(Error::new(ErrorKind::Engine, format!("the engine refuses privileged containers: {}", error.message))
                    .hint("use `--privileges auto` or `reduced`: nodes then get every capability the host has, and nothing else"));
            }
            let probed = reduced(engine, &bare, failed).await?;
            if let (Some(_), Profile::Reduced { cap_drop }) = (&refusal, &probed.profile) {
                let lacks = if cap_drop.is_empty() { String::new() } else { format!(" (the host lacks {})", cap_drop.join(", ")) };
                scope.note(STEP, format!("the engine cannot start privileged containers{lacks}: nodes get the reduced profile"));
            }
            Ok(Outcome::unchanged(probed))
        })
        .await
}

/// Finds the reduced profile this engine accepts. Old engines must be told what the host lacks,
/// newer ones refuse to be told and cut the set themselves.
async fn reduced(engine: &Arc<dyn Engine>, helper: &ContainerSpec, failed: impl Fn(EngineError) -> Error) -> Result<Probed> {
    let plain = Profile::Reduced { cap_drop: Vec::new() };
    let first = match try_profile(engine, helper, &plain).await {
        Ok(probed) => return Ok(probed),
        Err(error) if is_refusal(&error) => error,
        Err(error) => return Err(failed(error)),
    };
    let cut = Profile::Reduced { cap_drop: missing_capabilities(engine, helper, failed).await? };
    match try_profile(engine, helper, &cut).await {
        Ok(probed) => Ok(probed),
        Err(error) => Err(Error::new(
            ErrorKind::Engine,
            format!("the engine starts neither privileged nor reduced containers: {}; and: {}", first.message, error.message),
        )
        .hint("look at the engine's log; a node needs at least SYS_ADMIN, NET_ADMIN and MKNOD")),
    }
}

/// Capabilities that the engine's host does not have, read from its first process.
async fn missing_capabilities(
    engine: &Arc<dyn Engine>,
    helper: &ContainerSpec,
    failed: impl Fn(EngineError) -> Error,
) -> Result<Vec<String>> {
    let spec = ContainerSpec {
        pid_mode: Some("host".to_owned()),
        entrypoint: Some(vec!["/bin/cat".to_owned(), "/proc/1/status".to_owned()]),
        ..helper.clone()
    };
    let output = run(engine, spec).await.map_err(failed)?;
    let mask = output
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .ok_or_else(|| Error::new(ErrorKind::Engine, "cannot read which capabilities the engine's host has"))?;
    Ok(lacking(mask))
}

fn lacking(mask: u64) -> Vec<String> {
    CAPABILITIES.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) == 0).map(|(_, name)| (*name).to_owned()).collect()
}

async fn try_profile(engine: &Arc<dyn Engine>, helper: &ContainerSpec, profile: &Profile) -> Result<Probed, EngineError> {
    // That it starts is the proof; what it prints is worth knowing too.
    let mut spec = ContainerSpec { entrypoint: Some(vec!["/bin/cat".to_owned(), inotify::LIMIT_FILE.to_owned()]), ..helper.clone() };
    profile.grant(&mut spec);
    let output = run(engine, spec).await?;
    Ok(Probed { profile: profile.clone(), inotify_instances: output.trim().parse().ok(), remembered: false })
}

/// Removes what probes of killed processes left. Only for who holds the fleet: then nobody else probes for it.
pub(super) async fn clear(engine: &dyn Engine, fleet: &FleetName) -> Result<()> {
    let of = [format!("{}={fleet}", labels::FLEET), format!("{}={PROBE}", labels::HELPER)];
    for left in engine.list_containers(&of).await? {
        match engine.remove_container(&left.id).await {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Creates, starts and removes a helper container; returns what it printed.
///
/// A task of its own: a caller that gives up (deadline, Ctrl-C) must not leave the container behind,
/// and what runs in it ends by itself at once.
pub(super) async fn run(engine: &Arc<dyn Engine>, spec: ContainerSpec) -> Result<String, EngineError> {
    let engine = engine.clone();
    let image = spec.image.clone();
    let work = async move {
        // Without a name the engine picks one: two runs at once do not meet.
        let id = engine.create_container("", &spec).await?;
        let result = async {
            engine.start_container(&id).await?;
            engine.wait_container(&id).await?;
            collect_logs(engine.as_ref(), &id).await
        }
        .await;
        let removed = engine.remove_container(&id).await;
        let output = result?;
        removed?;
        Ok(output)
    };
    tokio::spawn(work.in_current_span())
        .await
        .unwrap_or_else(|error| Err(EngineError::new("run helper of", image, EngineErrorKind::Cancelled, error.to_string())))
}

async fn collect_logs(engine: &dyn Engine, id: &str) -> Result<String, EngineError> {
    use futures_util::TryStreamExt as _;
    let mut logs = engine.container_logs(id, false, None).await?;
    let mut text = Vec::new();
    while let Some(piece) = logs.try_next().await? {
        text.extend_from_slice(&piece);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// A container that is never more than looked into, or runs one short command. It has the label and the lease of the
/// fleet that it is made for: what outlives a killed process, or comes after its caller gave up, goes with its fleet.
pub(super) fn helper(image: &str, fleet: &Fleet, purpose: &str) -> ContainerSpec {
    let mut labels = fleet_labels(&fleet.name);
    labels.insert(labels::HELPER.to_owned(), purpose.to_owned());
    labels.extend(fleet.lease.labels());
    ContainerSpec {
        image: image.to_owned(),
        cmd: Some(Vec::new()),
        labels,
        network: "none".to_owned(),
        init: Some(false),
        cgroupns: CgroupNamespace::Private,
        ..ContainerSpec::default()
    }
}

/// Whether the engine understood and said no, as opposed to being broken or gone.
fn is_refusal(error: &EngineError) -> bool {
    match error.kind {
        EngineErrorKind::Refused => true,
        // A runtime that cannot apply what was asked for is reported as the engine's own failure.
        EngineErrorKind::Failed | EngineErrorKind::Conflict => {
            ["operation not permitted", "capabilit", "caps"].iter().any(|word| error.message.contains(word))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_brings_the_profile_back() {
        for profile in [
            Profile::Privileged,
            Profile::Reduced { cap_drop: Vec::new() },
            Profile::Reduced { cap_drop: vec!["SYS_RESOURCE".to_owned(), "BPF".to_owned()] },
        ] {
            assert_eq!(Profile::from_label(&profile.to_label()), Some(profile));
        }
        assert_eq!(Profile::from_label("other"), None);
    }

    #[test]
    fn the_mask_names_what_is_missing() {
        assert_eq!(lacking(0x0000_01ff_feff_ffff), ["SYS_RESOURCE"]);
        assert_eq!(lacking(0x0000_01ff_ffff_ffff), Vec::<String>::new());
        assert_eq!(lacking(0x0000_01ff_ffff_fffe), ["CHOWN"]);
    }
}
