//! The trait, verb by verb; the work is in the files of the nouns.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::SystemTime;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tokio_util::sync::CancellationToken;

use super::client::DockerEngine;
use crate::domain::container::ContainerSpec;
use crate::domain::facts::HostFacts;
use crate::domain::net::{NetworkInfo, NetworkSpec};
use crate::engine::{
    AttachRequest, Attached, ByteStream, ContainerInfo, Engine, EngineEvent, ExecOutput, ExecRequest, ImageInfo, PullProgress,
    RegistryCredentials, Result, VolumeInfo,
};

// === impl DockerEngine ===

#[async_trait]
impl Engine for DockerEngine {
    fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    fn remote_host(&self) -> Option<String> {
        self.remote_host.clone()
    }

    async fn facts(&self) -> Result<HostFacts> {
        self.facts().await
    }

    async fn networks_named(&self, name: &str) -> Result<Vec<NetworkInfo>> {
        self.networks_named(name).await
    }

    async fn networks_labelled(&self, labels: &[String]) -> Result<Vec<NetworkInfo>> {
        self.networks_labelled(labels).await
    }

    async fn inspect_network(&self, id: &str) -> Result<NetworkInfo> {
        self.inspect_network(id).await
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<String> {
        self.create_network(spec).await
    }

    async fn remove_network(&self, id: &str) -> Result<()> {
        self.remove_network(id).await
    }

    async fn connect_network(&self, network: &str, container: &str, ipv4: Option<Ipv4Addr>) -> Result<()> {
        self.connect_network(network, container, ipv4).await
    }

    async fn disconnect_network(&self, network: &str, container: &str) -> Result<()> {
        self.disconnect_network(network, container).await
    }

    async fn list_containers(&self, labels: &[String]) -> Result<Vec<ContainerInfo>> {
        self.list_containers(labels).await
    }

    async fn inspect_container(&self, id: &str) -> Result<ContainerInfo> {
        self.inspect_container(id).await
    }

    async fn describe_container(&self, id: &str) -> Result<serde_json::Value> {
        self.describe_container(id).await
    }

    async fn create_container(&self, name: &str, spec: &ContainerSpec) -> Result<String> {
        self.create_container(name, spec).await
    }

    async fn start_container(&self, id: &str) -> Result<()> {
        self.start_container(id).await
    }

    async fn kill_container(&self, id: &str, signal: &str) -> Result<()> {
        self.kill_container(id, signal).await
    }

    async fn stop_container(&self, id: &str, grace: u32) -> Result<()> {
        self.stop_container(id, grace).await
    }

    async fn wait_container(&self, id: &str) -> Result<i64> {
        self.wait_container(id).await
    }

    async fn remove_container(&self, id: &str) -> Result<()> {
        self.remove_container(id).await
    }

    async fn pause_container(&self, id: &str) -> Result<()> {
        self.pause_container(id).await
    }

    async fn unpause_container(&self, id: &str) -> Result<()> {
        self.unpause_container(id).await
    }

    async fn container_logs(&self, id: &str, follow: bool, since: Option<i64>) -> Result<ByteStream> {
        self.container_logs(id, follow, since).await
    }

    async fn exec(&self, container: &str, request: ExecRequest, cancel: &CancellationToken) -> Result<ExecOutput> {
        self.exec(container, request, cancel).await
    }

    async fn attach_exec(&self, container: &str, request: AttachRequest) -> Result<Attached> {
        self.attach_exec(container, request).await
    }

    async fn put_archive(&self, container: &str, path: &str, tar: ByteStream) -> Result<()> {
        self.put_archive(container, path, tar).await
    }

    async fn get_archive(&self, container: &str, path: &str) -> Result<ByteStream> {
        self.get_archive(container, path).await
    }

    async fn inspect_image(&self, reference: &str) -> Result<Option<ImageInfo>> {
        self.inspect_image(reference).await
    }

    async fn pull_image(
        &self,
        reference: &str,
        credentials: Option<&RegistryCredentials>,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<()> {
        self.pull_image(reference, credentials, progress).await
    }

    async fn find_in_registry(&self, reference: &str, credentials: Option<&RegistryCredentials>) -> Result<bool> {
        self.find_in_registry(reference, credentials).await
    }

    async fn load_images(&self, tar: ByteStream) -> Result<Vec<String>> {
        self.load_images(tar).await
    }

    async fn save_images(&self, references: &[String]) -> Result<ByteStream> {
        self.save_images(references).await
    }

    async fn import_image(&self, reference: &str, changes: &[String], rootfs: ByteStream) -> Result<String> {
        self.import_image(reference, changes, rootfs).await
    }

    async fn tag_image(&self, source: &str, reference: &str) -> Result<()> {
        self.tag_image(source, reference).await
    }

    async fn remove_image(&self, reference: &str) -> Result<()> {
        self.remove_image(reference).await
    }

    async fn create_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<()> {
        self.create_volume(name, labels).await
    }

    async fn list_volumes(&self, labels: &[String]) -> Result<Vec<VolumeInfo>> {
        self.list_volumes(labels).await
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        self.remove_volume(name).await
    }

    async fn volume_exists(&self, name: &str) -> Result<bool> {
        self.volume_exists(name).await
    }

    async fn events(&self, labels: &[String]) -> Result<BoxStream<'static, Result<EngineEvent>>> {
        self.events(labels).await
    }

    async fn past_events(&self, labels: &[String], since: SystemTime) -> Result<Vec<EngineEvent>> {
        self.past_events(labels, since).await
    }
}
