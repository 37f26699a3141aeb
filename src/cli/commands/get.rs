//! `kindmesh get clusters|nodes|kubeconfig`: lists as kind prints them.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::super::errors::CliError;
use super::super::exit::Exit;
use super::super::session::Session;
use crate::ops::{ClusterEntry, Kindmesh, NodeEntry};

const KUBECONFIG_EXAMPLES: &str = "\
Examples:
  kindmesh get kubeconfig --cluster cluster1 > cluster1.yaml
  kindmesh get kubeconfig --cluster cluster1 --internal    for use from containers on the same network";

/// Flags of `get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    #[command(subcommand)]
    command: GetCommand,
}

#[derive(Debug, Subcommand)]
enum GetCommand {
    /// List clusters, those of kind included
    Clusters,
    /// List nodes
    Nodes(NodesArgs),
    /// Print the kubeconfig of a cluster
    Kubeconfig(KubeconfigArgs),
}

#[derive(Debug, Args)]
struct NodesArgs {
    /// Only nodes of this cluster [default: all]
    #[arg(long, visible_alias = "name", value_name = "NAME")]
    cluster: Option<String>,
}

/// Flags of `get kubeconfig` and `kubeconfig`.
#[derive(Debug, Args)]
#[command(after_help = KUBECONFIG_EXAMPLES)]
pub struct KubeconfigArgs {
    /// The cluster [default: the only one there is]
    #[arg(long, visible_alias = "name", value_name = "NAME")]
    cluster: Option<String>,
    /// Address the API server as containers on the same network reach it
    #[arg(long)]
    internal: bool,
}

#[derive(Serialize)]
struct Clusters {
    clusters: Vec<ClusterEntry>,
}

#[derive(Serialize)]
struct Nodes {
    nodes: Vec<NodeEntry>,
}

#[derive(Serialize)]
struct Kubeconfig {
    cluster: String,
    kubeconfig: String,
}

/// Runs it.
///
/// # Errors
/// When the engine cannot be asked, or a named cluster does not exist.
pub async fn run(session: &Session, args: &GetArgs) -> Result<(), CliError> {
    let kindmesh = session.kindmesh(None).await?;
    match &args.command {
        GetCommand::Clusters => clusters(session, &kindmesh).await,
        GetCommand::Nodes(args) => nodes(session, &kindmesh, args).await,
        GetCommand::Kubeconfig(args) => kubeconfig(session, &kindmesh, args).await,
    }
}

/// Runs `kubeconfig`, which is short for `get kubeconfig`.
///
/// # Errors
/// As [`run`].
pub async fn run_kubeconfig(session: &Session, args: &KubeconfigArgs) -> Result<(), CliError> {
    kubeconfig(session, &session.kindmesh(None).await?, args).await
}

async fn clusters(session: &Session, kindmesh: &Kindmesh) -> Result<(), CliError> {
    let document = Clusters { clusters: session.or_cancelled(kindmesh.clusters()).await? };
    session.printer().result(&document, || lines(document.clusters.iter().map(|cluster| &cluster.name)))?;
    if document.clusters.is_empty() {
        session.printer().say("No clusters found.");
    }
    Ok(())
}

async fn nodes(session: &Session, kindmesh: &Kindmesh, args: &NodesArgs) -> Result<(), CliError> {
    let document = Nodes { nodes: session.or_cancelled(kindmesh.nodes(args.cluster.as_deref())).await? };
    session.printer().result(&document, || lines(document.nodes.iter().map(|node| &node.name)))?;
    // A cluster without nodes is none, and was told as an error.
    if document.nodes.is_empty() {
        session.printer().say("No nodes found.");
    }
    Ok(())
}

async fn kubeconfig(session: &Session, kindmesh: &Kindmesh, args: &KubeconfigArgs) -> Result<(), CliError> {
    let cluster = match &args.cluster {
        Some(name) => name.clone(),
        None => only(session.or_cancelled(kindmesh.clusters()).await?)?,
    };
    let kubeconfig = session.or_cancelled(kindmesh.kubeconfig(&cluster, args.internal)).await?;
    let document = Kubeconfig { cluster, kubeconfig };
    session.printer().result(&document, || document.kubeconfig.clone())
}

/// Name of the only cluster.
fn only(clusters: Vec<ClusterEntry>) -> Result<String, CliError> {
    let names: Vec<String> = clusters.into_iter().map(|cluster| cluster.name).collect();
    match &names[..] {
        [name] => Ok(name.clone()),
        [] => Err(CliError::new(Exit::NotFound, "there is no cluster").hint("make some with `kindmesh up`")),
        [first, ..] => Err(CliError::new(Exit::Config, format!("there are several clusters: {}", names.join(", ")))
            .hint(format!("name one: `kindmesh get kubeconfig --cluster {first}`"))),
    }
}

fn lines<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(|name| format!("{name}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(names: &[&str]) -> Vec<ClusterEntry> {
        names.iter().map(|name| ClusterEntry { name: (*name).to_owned(), fleet: None, nodes: 1, running: 1 }).collect()
    }

    #[test]
    fn the_only_cluster_needs_no_name() {
        assert_eq!(only(entries(&["a"])).unwrap(), "a");
        assert_eq!(only(entries(&[])).unwrap_err().kind, Exit::NotFound);
        let several = only(entries(&["a", "b"])).unwrap_err();
        assert_eq!(several.kind, Exit::Config, "as with `exec`");
        assert!(several.message.contains("a, b") && several.hints[0].contains("--cluster a"), "{several:?}");
    }
}
