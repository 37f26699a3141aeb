//! Volumes.

use std::collections::{BTreeMap, HashMap};

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions};

use super::client::DockerEngine;
use super::read;
use crate::engine::{Result, VolumeInfo};

// === impl DockerEngine ===

impl DockerEngine {
    /// Creates an empty volume. One of this name that is there already is none of the engine's errors.
    pub(super) async fn create_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<()> {
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels.clone().into_iter().collect()),
            ..VolumeCreateRequest::default()
        };
        self.call("create volume", name, self.docker.create_volume(request)).await.map(drop)
    }

    /// Volumes with all of these labels.
    pub(super) async fn list_volumes(&self, labels: &[String]) -> Result<Vec<VolumeInfo>> {
        let filters = HashMap::from([("label", labels.to_vec())]);
        let options = ListVolumesOptionsBuilder::default().filters(&filters).build();
        let answer = self.call("list volumes", &labels.join(","), self.docker.list_volumes(Some(options))).await?;
        Ok(answer.volumes.unwrap_or_default().into_iter().map(read::volume).collect())
    }

    /// Removes a volume.
    pub(super) async fn remove_volume(&self, name: &str) -> Result<()> {
        self.call("remove volume", name, self.docker.remove_volume(name, None::<RemoveVolumeOptions>)).await
    }

    /// Whether a volume is there.
    pub(super) async fn volume_exists(&self, name: &str) -> Result<bool> {
        match self.call("inspect volume", name, self.docker.inspect_volume(name)).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
