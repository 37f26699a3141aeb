//! Fleets that test runs have in common, found again by what they are.

use std::fs::{self, File};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::names;
use super::settings::Settings;
use crate::domain::fleet::Fleet;
use crate::domain::name::FleetName;
use crate::ops::{Error, ErrorKind, Result};

/// Making a fleet takes a minute or two on a slow machine; several may be before us.
const TURN: Duration = Duration::from_secs(600);
/// Between two looks whether it is our turn.
const PAUSE: Duration = Duration::from_millis(100);

/// The suffix of a description: the same for the same description and version of this library, in whichever
/// process.
pub(super) fn fingerprint(description: &Fleet) -> String {
    // Fields in the order of their declaration: what a later version adds is another fleet.
    let text = serde_json::to_string(description).unwrap_or_else(|_| description.name.to_string());
    let digest = Sha256::new().chain_update(env!("CARGO_PKG_VERSION")).chain_update(text).finalize();
    names::spell(u64::from_be_bytes(std::array::from_fn(|at| digest[at])))
}

/// One process of this user at a time; the kernel ends the turn with the value, or the process.
pub(super) async fn turn(settings: &Settings, fleet: &FleetName) -> Result<File> {
    let folder = settings.state.clone().unwrap_or_else(|| settings.temporary.clone()).join("_tests");
    let path = folder.join(format!("{fleet}.lock"));
    let failed = |error: std::io::Error| Error::new(ErrorKind::File, format!("lock {}", path.display())).because(error);
    fs::create_dir_all(&folder).map_err(failed)?;
    let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
    super::wait_for(&format!("another test to make fleet {fleet}"), TURN, || {
        // Polled, since a lock that is waited for would block the runtime's thread.
        let tried = file.try_lock();
        async {
            match tried {
                Ok(()) => Ok(()),
                Err(error) => {
                    tokio::time::sleep(PAUSE).await;
                    Err(format!("{} is held: {error}", path.display()))
                }
            }
        }
    })
    .await?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_description_is_the_same_fleet_and_another_is_not() {
        let fleet = |clusters| Fleet::builder("test").clusters(clusters).build().unwrap();
        assert_eq!(fingerprint(&fleet(1)), fingerprint(&fleet(1)));
        assert_ne!(fingerprint(&fleet(1)), fingerprint(&fleet(2)));
    }

    #[tokio::test]
    async fn turns_are_taken_one_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { state: Some(folder.path().to_path_buf()), ..Settings::default() };
        let name: FleetName = "test".parse().unwrap();
        let first = turn(&settings, &name).await.unwrap();
        let second = tokio::time::timeout(Duration::from_millis(50), turn(&settings, &name));
        assert!(second.await.is_err());
        drop(first);
        turn(&settings, &name).await.unwrap();
    }
}
