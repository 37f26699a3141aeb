//! A cluster's entry in the user's kubeconfig: written by `up`, taken out by `down`.

use std::path::Path;
use std::time::Duration;

use crate::domain::kubeconfig::{Kubeconfig, KubeconfigError};
use crate::engine::ContainerInfo;

use super::api_server;
use super::context::{Kindmesh, Outcome, Scope};
use super::error::{Error, ErrorKind, Result};
use super::kubeconfig_file;

const STEP: &str = "write kubeconfig";
/// Longer than a held lock is waited for, so that it is that which is told.
const DEADLINE: Duration = kubeconfig_file::LOCK_DEADLINE.saturating_add(Duration::from_secs(20));

/// Refuses files that are no kubeconfigs, or cannot be written, before anything depends on them. They are left untouched.
pub(super) fn check(km: &Kindmesh) -> Result<()> {
    let Some(target) = &km.kubeconfig else { return Ok(()) };
    let text = kubeconfig_file::read(&target.write)?;
    Kubeconfig::parse(&text).map_err(|error| corrupt(&target.write, error))?;
    kubeconfig_file::check_writable(&target.write).map_err(|error| error.hint("name another file: `--kubeconfig FILE`"))
}

/// Waits until nobody holds the lock of the file that is to be written, before anything depends on it.
pub(super) async fn unlocked(km: &Kindmesh, scope: &Scope) -> Result<()> {
    match &km.kubeconfig {
        Some(target) if kubeconfig_file::is_locked(&target.write) => {
            let free = async { kubeconfig_file::edit(&target.write, |_| Ok(None)).await.map(Outcome::unchanged) };
            scope.step("wait for the kubeconfig", DEADLINE, free).await.map(drop)
        }
        _ => Ok(()),
    }
}

/// Writes or refreshes the entry; a new one becomes the current context when `current` is set.
/// `handed` is the administrator's kubeconfig where the node has told it already. Returns whether the file changed.
///
/// Undo: [`remove`].
pub(super) async fn write(
    km: &Kindmesh,
    cluster: &str,
    current: bool,
    control_plane: &ContainerInfo,
    handed: Option<&str>,
    scope: &Scope,
) -> Result<bool> {
    let Some(target) = &km.kubeconfig else { return Ok(false) };
    scope
        .step(STEP, DEADLINE, async {
            let engine = km.engine.as_ref();
            let entry = match handed {
                Some(conf) => api_server::handed_entry(engine, cluster, control_plane, conf)?,
                None => api_server::external_entry(engine, cluster, control_plane).await?,
            };
            let changed = kubeconfig_file::edit(&target.write, |text| {
                let mut document = Kubeconfig::parse(text).map_err(|error| corrupt(&target.write, error))?;
                Ok(document.upsert(&entry, current).then(|| document.to_yaml()))
            })
            .await?;
            Ok(if changed { Outcome::changed(true) } else { Outcome::unchanged(false) })
        })
        .await
}

/// Takes the entries of these clusters out of every file. Returns the files that had any.
pub(super) async fn remove(km: &Kindmesh, clusters: &[String]) -> Result<Vec<String>> {
    let Some(target) = &km.kubeconfig else { return Ok(Vec::new()) };
    let mut changed = Vec::new();
    for path in &target.all {
        // Nothing to take out of a file that is not there; locking it would create its folder.
        if !path.exists() {
            continue;
        }
        let edited = kubeconfig_file::edit(path, |text| {
            let mut document = Kubeconfig::parse(text).map_err(|error| corrupt(path, error))?;
            let changed = clusters.iter().fold(false, |changed, cluster| document.remove(cluster) | changed);
            Ok(changed.then(|| document.to_yaml()))
        })
        .await?;
        if edited {
            changed.push(path.display().to_string());
        }
    }
    Ok(changed)
}

fn corrupt(path: &Path, error: KubeconfigError) -> Error {
    Error::new(ErrorKind::Config, format!("{} is no kubeconfig; it is left untouched", path.display()))
        .because(error)
        .hint("repair the file, or use another one: `--kubeconfig FILE`")
}
