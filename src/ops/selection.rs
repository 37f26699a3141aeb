//! The clusters a command is meant for, when it is not one fleet by its name.

use crate::domain::name::FleetName;

use super::error::{Error, ErrorKind, Result};
use super::inventory::Inventory;

/// The named clusters, whoever made them; else those of the named fleet; else those of the only fleet there is.
/// Sorted, each once, and never none.
pub(super) fn clusters(inventory: &Inventory, fleet: Option<&FleetName>, named: &[String]) -> Result<Vec<String>> {
    if !named.is_empty() {
        let mut clusters = named.to_vec();
        clusters.sort();
        clusters.dedup();
        for cluster in &clusters {
            if inventory.nodes(cluster).is_empty() {
                // Says which clusters there are.
                inventory.control_plane(cluster)?;
            }
            if let Some(fleet) = fleet
                && inventory.fleet_of_cluster(cluster) != Some(fleet.as_str())
            {
                return Err(Error::new(ErrorKind::NotFound, format!("cluster {cluster} is not of fleet {fleet}")));
            }
        }
        return Ok(clusters);
    }
    let fleets = inventory.fleets();
    let fleet = match (fleet, &fleets[..]) {
        (Some(fleet), _) => fleet.clone(),
        (None, [only]) => only.parse()?,
        (None, []) => {
            let error = Error::new(ErrorKind::NotFound, "no fleet on this engine");
            let others: Vec<&str> = inventory.clusters().map(|(name, _)| name).collect();
            return Err(match others.first() {
                None => error.hint("make one with `kindmesh up`"),
                Some(first) => error.hint(format!("name a cluster: `--cluster {first}`; there are: {}", others.join(", "))),
            });
        }
        (None, [first, ..]) => {
            let error = Error::new(ErrorKind::Config, format!("there are several fleets: {}", fleets.join(", ")));
            return Err(error.hint(format!("name one: `--fleet {first}`, or clusters with `--cluster`")));
        }
    };
    let clusters: Vec<String> = inventory.of_fleet(&fleet).map(|(name, _)| name.to_owned()).collect();
    if clusters.is_empty() {
        let error = Error::new(ErrorKind::NotFound, format!("no fleet {fleet} on this engine"));
        return Err(if fleets.is_empty() {
            error.hint("make it with `kindmesh up`")
        } else {
            error.hint(format!("there are: {}", fleets.join(", ")))
        });
    }
    Ok(clusters)
}
