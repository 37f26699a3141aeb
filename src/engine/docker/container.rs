//! Containers.

use std::collections::HashMap;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use bollard::errors::Error;
use bollard::models::{
    ContainerCreateBody, DeviceMapping, EndpointIpamConfig, EndpointSettings, HostConfig, HostConfigCgroupnsModeEnum, Mount, MountType,
    NetworkingConfig, PortBinding, PortMap, RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, StopContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use futures_util::{StreamExt, TryStreamExt};

use super::client::DockerEngine;
use super::{fault, read};
use crate::domain::container::{CgroupNamespace, ContainerSpec, RestartPolicy};
use crate::engine::{ByteStream, ContainerInfo, EngineError, EngineErrorKind, Result};

/// What a runtime says that gave up freezing: on cgroup v1 that is a race with processes which begin meanwhile, and
/// left to the caller to try again (runc, `libcontainer/cgroups/fs/freezer.go`; opencontainers/runc#4388).
const UNFROZEN: &str = "unable to freeze";
/// As many tries follow the first: 6 s altogether.
const PAUSE_TRIES: usize = 5;
/// Time to the second try; it doubles.
const PAUSE_AGAIN: Duration = Duration::from_millis(200);

// === impl DockerEngine ===

impl DockerEngine {
    /// Containers with all of these labels, running or not.
    pub(super) async fn list_containers(&self, labels: &[String]) -> Result<Vec<ContainerInfo>> {
        let filters = HashMap::from([("label", labels.to_vec())]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let object = if labels.is_empty() { "of the engine".to_owned() } else { labels.join(",") };
        let listed = self.call("list containers", &object, self.docker.list_containers(Some(options))).await?;
        Ok(listed.into_iter().map(read::summary).collect())
    }

    /// One container.
    pub(super) async fn inspect_container(&self, id: &str) -> Result<ContainerInfo> {
        const VERB: &str = "inspect container";
        let found = read::container(self.call(VERB, id, self.docker.inspect_container(id, None)).await?);
        if found.id.is_empty() {
            return Err(EngineError::new(VERB, id, EngineErrorKind::Protocol, "the engine's answer names no container"));
        }
        Ok(found)
    }

    /// Everything that is known of a container.
    pub(super) async fn describe_container(&self, id: &str) -> Result<serde_json::Value> {
        const VERB: &str = "inspect container";
        let answer = self.call(VERB, id, self.docker.inspect_container(id, None)).await?;
        serde_json::to_value(answer).map_err(|error| EngineError::new(VERB, id, EngineErrorKind::Protocol, error.to_string()))
    }

    /// Creates a container.
    pub(super) async fn create_container(&self, name: &str, spec: &ContainerSpec) -> Result<String> {
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        let answer = self.call("create container", name, self.docker.create_container(Some(options), create_body(spec))).await?;
        for warning in answer.warnings {
            tracing::debug!(container = name, warning, "the engine warns");
        }
        Ok(answer.id)
    }

    /// Starts a container.
    pub(super) async fn start_container(&self, id: &str) -> Result<()> {
        self.call("start container", id, self.docker.start_container(id, None)).await
    }

    /// Signals a container.
    pub(super) async fn kill_container(&self, id: &str, signal: &str) -> Result<()> {
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        self.call("kill container", id, self.docker.kill_container(id, Some(options))).await
    }

    /// Stops a container; the deadline grows by the grace, since the engine answers only afterwards.
    pub(super) async fn stop_container(&self, id: &str, grace: u32) -> Result<()> {
        const VERB: &str = "stop container";
        let options = StopContainerOptionsBuilder::default().t(i32::try_from(grace).unwrap_or(i32::MAX)).build();
        let limit = self.deadlines.call + Duration::from_secs(grace.into());
        self.within(limit, VERB, id, async {
            self.docker.stop_container(id, Some(options)).await.map_err(|error| fault::map(VERB, id, error))
        })
        .await
    }

    /// Waits for the end, however long that takes.
    pub(super) async fn wait_container(&self, id: &str) -> Result<i64> {
        const VERB: &str = "wait for container";
        match self.docker.wait_container(id, None).next().await {
            Some(Ok(answer)) => Ok(answer.status_code),
            // The client's way of telling an exit code other than 0.
            Some(Err(Error::DockerContainerWaitError { error, code })) if error.is_empty() => Ok(code),
            Some(Err(error)) => Err(fault::map(VERB, id, error)),
            None => Err(EngineError::new(VERB, id, EngineErrorKind::Interrupted, "the engine's answer ended before the container did")),
        }
    }

    /// Removes a container and its anonymous volumes; waits for a removal that is already under way.
    pub(super) async fn remove_container(&self, id: &str) -> Result<()> {
        const VERB: &str = "remove container";
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match self.call(VERB, id, self.docker.remove_container(id, Some(options))).await {
            Err(error) if error.is_conflict() && error.message.contains("already in progress") => self.removed(id).await,
            other => other,
        }
    }

    /// Returns once a container is gone.
    async fn removed(&self, id: &str) -> Result<()> {
        const VERB: &str = "remove container";
        let gone = async {
            loop {
                let options = WaitContainerOptionsBuilder::default().condition("removed").build();
                match self.docker.wait_container(id, Some(options)).next().await {
                    // Gone before the wait began.
                    Some(Err(Error::DockerResponseServerError { status_code: 404, .. })) => return Ok(()),
                    Some(Err(error)) if !matches!(error, Error::DockerContainerWaitError { .. }) => {
                        return Err(fault::map(VERB, id, error));
                    }
                    _ => {}
                }
                // A failed removal ends the wait too: believe only the absence.
                match self.inspect_container(id).await {
                    Err(error) if error.is_not_found() => return Ok(()),
                    Err(error) => return Err(error),
                    Ok(_) => tokio::time::sleep(Duration::from_millis(200)).await,
                }
            }
        };
        self.within(self.deadlines.call, VERB, id, gone).await
    }

    /// Suspends a container. An engine that did not get hold of every process lets all of them go on again; it is
    /// asked anew then, for the next try finds other processes.
    pub(super) async fn pause_container(&self, id: &str) -> Result<()> {
        let tries = ExponentialBuilder::default().with_min_delay(PAUSE_AGAIN).with_max_times(PAUSE_TRIES);
        (async || self.call("pause container", id, self.docker.pause_container(id)).await)
            .retry(tries)
            .when(|error| error.message.contains(UNFROZEN))
            .notify(|error, wait| tracing::debug!(container = id, %error, "asking again in {} ms", wait.as_millis()))
            .await
    }

    /// Resumes a container.
    pub(super) async fn unpause_container(&self, id: &str) -> Result<()> {
        self.call("unpause container", id, self.docker.unpause_container(id)).await
    }

    /// A container's output.
    pub(super) async fn container_logs(&self, id: &str, follow: bool, since: Option<i64>) -> Result<ByteStream> {
        const VERB: &str = "read logs of container";
        // A stream tells of a missing container only when it is first read; ask before.
        self.inspect_container(id).await?;
        let options = LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .follow(follow)
            .since(since.and_then(|since| i32::try_from(since).ok()).unwrap_or(0))
            .tail("all")
            .build();
        let object = id.to_owned();
        Ok(self
            .docker
            .logs(id, Some(options))
            .map_ok(bollard::container::LogOutput::into_bytes)
            .map_err(move |error| fault::map(VERB, &object, error))
            .boxed())
    }
}

/// The request for a container, field by field. What the description leaves empty is not sent.
fn create_body(spec: &ContainerSpec) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        hostname: some(&spec.hostname),
        env: list(&spec.env),
        labels: Some(spec.labels.clone().into_iter().collect()),
        tty: Some(spec.tty),
        entrypoint: spec.entrypoint.clone(),
        cmd: spec.cmd.clone(),
        volumes: list(&spec.anonymous_volumes),
        exposed_ports: list(&spec.ports.iter().map(port_key).collect::<Vec<_>>()),
        host_config: Some(host_config(spec)),
        networking_config: networking(spec),
        ..Default::default()
    }
}

fn host_config(spec: &ContainerSpec) -> HostConfig {
    let devices = spec.devices.iter().map(|device| DeviceMapping {
        path_on_host: Some(device.host_path.clone()),
        path_in_container: Some(device.container_path.clone()),
        cgroup_permissions: Some("rwm".to_owned()),
    });
    HostConfig {
        binds: list(&spec.binds),
        mounts: mounts(spec),
        auto_remove: spec.auto_remove.then_some(true),
        privileged: Some(spec.privileged),
        cap_add: list(&spec.cap_add),
        cap_drop: list(&spec.cap_drop),
        security_opt: list(&spec.security_opt),
        masked_paths: spec.masked_paths.clone(),
        readonly_paths: spec.readonly_paths.clone(),
        tmpfs: if spec.tmpfs.is_empty() { None } else { Some(spec.tmpfs.clone().into_iter().collect()) },
        network_mode: some(&spec.network),
        port_bindings: port_bindings(spec),
        restart_policy: Some(restart_policy(spec.restart)),
        init: spec.init,
        cgroupns_mode: match spec.cgroupns {
            CgroupNamespace::Default => None,
            CgroupNamespace::Private => Some(HostConfigCgroupnsModeEnum::PRIVATE),
        },
        pid_mode: spec.pid_mode.clone(),
        sysctls: if spec.sysctls.is_empty() { None } else { Some(spec.sysctls.clone().into_iter().collect()) },
        userns_mode: spec.userns_mode.clone(),
        devices: list(&devices.collect::<Vec<_>>()),
        device_cgroup_rules: list(&spec.device_cgroup_rules),
        ..Default::default()
    }
}

fn mounts(spec: &ContainerSpec) -> Option<Vec<Mount>> {
    let mount = |(source, target): (&String, &String)| Mount {
        typ: Some(MountType::BIND),
        source: Some(source.clone()),
        target: Some(target.clone()),
        ..Default::default()
    };
    if spec.mounts.is_empty() { None } else { Some(spec.mounts.iter().map(mount).collect()) }
}

fn restart_policy(policy: RestartPolicy) -> bollard::models::RestartPolicy {
    match policy {
        RestartPolicy::No => bollard::models::RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None },
        RestartPolicy::OnFailure(times) => {
            bollard::models::RestartPolicy { name: Some(RestartPolicyNameEnum::ON_FAILURE), maximum_retry_count: Some(times.into()) }
        }
    }
}

fn port_bindings(spec: &ContainerSpec) -> Option<PortMap> {
    let mut map = PortMap::new();
    for port in &spec.ports {
        let binding = PortBinding { host_ip: Some(port.host_ip.to_string()), host_port: Some(port.host_port.to_string()) };
        map.entry(port_key(port)).or_default().get_or_insert_default().push(binding);
    }
    if map.is_empty() { None } else { Some(map) }
}

/// Fixed addresses, and only those: the network itself goes into the network mode, since engines
/// below API 1.44 take one endpoint at creation.
fn networking(spec: &ContainerSpec) -> Option<NetworkingConfig> {
    if spec.ipv4_address.is_none() && spec.ipv6_address.is_none() {
        return None;
    }
    let endpoint = EndpointSettings {
        ipam_config: Some(EndpointIpamConfig {
            ipv4_address: spec.ipv4_address.map(|address| address.to_string()),
            ipv6_address: spec.ipv6_address.map(|address| address.to_string()),
            link_local_ips: None,
        }),
        ..Default::default()
    };
    Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(spec.network.clone(), endpoint)])) })
}

/// A port as the API keys it: `6443/tcp`.
fn port_key(port: &crate::domain::container::PortMapping) -> String {
    format!("{}/{}", port.container_port, port.protocol.as_str())
}

fn some(text: &str) -> Option<String> {
    if text.is_empty() { None } else { Some(text.to_owned()) }
}

fn list<T: Clone>(items: &[T]) -> Option<Vec<T>> {
    if items.is_empty() { None } else { Some(items.to_vec()) }
}

#[cfg(test)]
mod tests;
