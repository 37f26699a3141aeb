//! The clusters of a fleet, in the order people count them.

use crate::domain::name::{ClusterName, FleetName};

use super::super::context::Kindmesh;
use super::super::error::{Error, ErrorKind, Result};
use super::super::inventory::Inventory;

/// Reads what the engine has, and which clusters of it are the fleet's: one at least.
pub(in crate::ops) async fn read(kindmesh: &Kindmesh, fleet: &FleetName) -> Result<(Inventory, Vec<ClusterName>)> {
    let inventory = Inventory::read(kindmesh.engine.as_ref()).await?;
    let mut clusters: Vec<ClusterName> = inventory.of_fleet(fleet).map(|(name, _)| name.parse()).collect::<Result<_, _>>()?;
    if clusters.is_empty() {
        let known = inventory.fleets().join(", ");
        let error = Error::new(ErrorKind::NotFound, format!("no fleet {fleet} on {}", kindmesh.engine.endpoint()));
        return Err(match known.is_empty() {
            true => error.hint(format!("make it with `kindmesh up --fleet {fleet} --mesh`")),
            false => error.hint(format!("there are: {known}; name one with --fleet")),
        });
    }
    clusters.sort_by_key(|name| by_number(name.as_str()));
    Ok((inventory, clusters))
}

/// `cluster2` before `cluster10`.
fn by_number(name: &str) -> (String, u64, String) {
    let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    (stem.to_owned(), name[stem.len()..].parse().unwrap_or_default(), name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_in_the_order_of_their_numbers() {
        let mut names = ["east", "cluster10", "cluster2", "cluster1"];
        names.sort_by_key(|name| by_number(name));
        assert_eq!(names, ["cluster1", "cluster2", "cluster10", "east"]);
    }
}
