//! `kindmesh load`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::super::duration;
use super::super::errors::CliError;
use super::super::session::Session;
use crate::domain::name::FleetName;
use crate::ops::{LoadOutcome, LoadReport, LoadRequest, LoadSource};

const EXAMPLES: &str = "\
Images come from the engine, under the names they have there, or from an archive as `docker save` writes it
(or an OCI layout in a tar, packed by gzip or not). Both are read once, for all nodes at once. A node that has
an image is sent nothing, and of other images only the layers that it lacks.
Without --fleet and --cluster they go into the only fleet there is. Pods find them under their complete
names; with the tag `latest` they need imagePullPolicy IfNotPresent or Never.

Examples:
  kindmesh load shop:dev                       into every node of the only fleet
  kindmesh load shop:dev cart:dev --fleet duo  two images into a fleet
  kindmesh load shop:dev --cluster a           one cluster, made by kindmesh or by kind
  kindmesh load --archive shop.tar
  docker save shop:dev | kindmesh load --archive -";

/// Standard input, for what opens a file.
const STDIN: &str = "/dev/stdin";

/// Flags of `load`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct LoadArgs {
    /// Images on the engine, by name or ID
    #[arg(value_name = "IMAGE", required_unless_present = "archive", conflicts_with = "archive")]
    images: Vec<String>,
    /// Archive of images, - for standard input
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,
    /// Into the clusters of this fleet [default: the only one]
    #[arg(long, value_name = "NAME")]
    fleet: Option<FleetName>,
    /// Into this cluster, whoever made it; may be given several times [default: all of the fleet]
    #[arg(long, visible_alias = "name", value_name = "NAME")]
    cluster: Vec<String>,
    /// Into this node; may be given several times [default: all of the clusters]
    #[arg(long, value_name = "NAME")]
    node: Vec<String>,
}

/// Runs it.
///
/// # Errors
/// When an image, an archive, a cluster or a node is not there, or a node did not get everything; the others
/// do all the same, and the result tells.
pub async fn run(session: &Session, args: &LoadArgs) -> Result<(), CliError> {
    let source = match &args.archive {
        None => LoadSource::Images(args.images.clone()),
        Some(path) if path == Path::new("-") => LoadSource::Archive(STDIN.into()),
        Some(path) => LoadSource::Archive(path.clone()),
    };
    let request = LoadRequest { source, fleet: args.fleet.clone(), clusters: args.cluster.clone(), nodes: args.node.clone() };
    let report = session.kindmesh(None).await?.load(&request).await?;
    session.printer().result(&report, String::new)?;
    match report.failure() {
        Some(error) => Err(error.into()),
        None => {
            session.printer().say(&closing(&report));
            Ok(())
        }
    }
}

/// `loaded docker.io/library/shop:dev into 2 nodes in 1.9s: 136.4 MB read, 272.8 MB sent`
fn closing(report: &LoadReport) -> String {
    let took = duration::short(report.took);
    let nodes = |count: usize| if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") };
    let all = nodes(report.nodes.len());
    let with = |outcome: LoadOutcome| report.nodes.iter().filter(|node| node.images.iter().any(|image| image.outcome == outcome)).count();
    let mut names: Vec<&str> = report.nodes.iter().flat_map(|node| &node.images).map(|image| image.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let names = names.join(", ");
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let sent: u64 = report.nodes.iter().map(|node| node.sent_bytes).sum();
    match (with(LoadOutcome::Loaded), with(LoadOutcome::Tagged)) {
        (0, 0) => format!("nothing to send: {all} had {names} ({took})"),
        (0, tagged) => format!("nothing to send: {names} got its name in {} ({took})", nodes(tagged)),
        (loaded, _) => format!(
            "loaded {names} into {} in {took}: {} read, {} sent",
            if loaded == report.nodes.len() { all } else { format!("{loaded} of {all}") },
            megabytes(report.read_bytes),
            megabytes(sent),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ops::{ImageLoad, NodeLoad};

    fn report(outcomes: &[LoadOutcome]) -> LoadReport {
        let node = |(at, outcome): (usize, &LoadOutcome)| NodeLoad {
            cluster: "a".into(),
            node: format!("a-worker{at}"),
            sent_bytes: if *outcome == LoadOutcome::Loaded { 1_500_000 } else { 0 },
            images: vec![ImageLoad { name: "docker.io/library/shop:dev".into(), outcome: *outcome }],
            error: None,
        };
        let nodes: Vec<NodeLoad> = outcomes.iter().enumerate().map(node).collect();
        LoadReport { nodes, read_bytes: 2_000_000, changed: true, took: Duration::from_millis(1900) }
    }

    #[test]
    fn the_closing_line_says_what_moved() {
        let (loaded, tagged, present) = (LoadOutcome::Loaded, LoadOutcome::Tagged, LoadOutcome::Present);
        let name = "docker.io/library/shop:dev";
        assert_eq!(closing(&report(&[loaded, loaded])), format!("loaded {name} into 2 nodes in 1.9s: 2.0 MB read, 3.0 MB sent"));
        assert_eq!(closing(&report(&[loaded, present])), format!("loaded {name} into 1 of 2 nodes in 1.9s: 2.0 MB read, 1.5 MB sent"));
        assert_eq!(closing(&report(&[present])), format!("nothing to send: 1 node had {name} (1.9s)"));
        assert_eq!(closing(&report(&[tagged, present])), format!("nothing to send: {name} got its name in 1 node (1.9s)"));
    }
}
