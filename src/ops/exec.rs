//! A command in a node, for people.

use crate::domain::name::FleetName;
use crate::engine::{AttachRequest, Attached, ContainerInfo, ContainerState};

use super::context::Kindmesh;
use super::error::{Error, ErrorKind, Result};
use super::inventory::{Inventory, fleet_of};
use super::selection;

/// Which node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecTarget {
    /// Of this fleet.
    pub fleet: Option<FleetName>,
    /// Of this cluster, whoever made it; the only one when this and `node` say nothing.
    pub cluster: Option<String>,
    /// This one; the first control plane when it says nothing.
    pub node: Option<String>,
}

impl Kindmesh {
    /// Starts a command in a node and hands out both ends of it. Returns the node's name with it.
    ///
    /// # Errors
    /// `NotFound` when there is no such node, `Config` when several clusters could be meant, `Cluster` when the node
    /// does not run, or the engine's.
    pub async fn exec(&self, target: &ExecTarget, request: AttachRequest) -> Result<(String, Attached)> {
        let inventory = Inventory::read(self.engine.as_ref()).await?;
        let node = find(&inventory, target)?;
        if node.state != ContainerState::Running {
            let state = format!("{:?}", node.state).to_lowercase();
            let error = Error::new(ErrorKind::Cluster, format!("node {} is {state}", node.name));
            return Err(match (node.state, fleet_of(node)) {
                (ContainerState::Created, Some(fleet)) => error.hint(format!("it was never started: `kindmesh up` finishes fleet {fleet}")),
                (ContainerState::Paused, Some(fleet)) => error.hint(format!("`kindmesh resume --fleet {fleet}` lets it go on")),
                (_, Some(fleet)) => error.hint(format!("`kindmesh start --fleet {fleet}` starts it")),
                (_, None) => error,
            });
        }
        let attached = self.engine.attach_exec(&node.name, request).await?;
        Ok((node.name.clone(), attached))
    }
}

fn find<'a>(inventory: &'a Inventory, target: &ExecTarget) -> Result<&'a ContainerInfo> {
    let named: Vec<String> = target.cluster.iter().cloned().collect();
    let Some(wanted) = &target.node else {
        let clusters = selection::clusters(inventory, target.fleet.as_ref(), &named)?;
        return match &clusters[..] {
            [one] => inventory.control_plane(one),
            [first, ..] => Err(Error::new(ErrorKind::Config, format!("there are several clusters: {}", clusters.join(", ")))
                .hint(format!("name one: `--cluster {first}`, or a node with `--node`"))),
            [] => Err(Error::new(ErrorKind::NotFound, "there is no cluster")),
        };
    };
    // A node has its name on the whole engine.
    let everywhere = named.is_empty() && target.fleet.is_none();
    let within = match everywhere {
        true => inventory.clusters().map(|(name, _)| name.to_owned()).collect(),
        false => selection::clusters(inventory, target.fleet.as_ref(), &named)?,
    };
    let mut nodes = within.iter().flat_map(|cluster| inventory.nodes(cluster));
    nodes.find(|node| node.name == *wanted).ok_or_else(|| {
        let known: Vec<&str> = within.iter().flat_map(|cluster| inventory.nodes(cluster)).map(|node| node.name.as_str()).collect();
        let place = if everywhere { "on this engine".to_owned() } else { format!("in {}", within.join(", ")) };
        let error = Error::new(ErrorKind::NotFound, format!("no node {wanted} {place}"));
        if known.is_empty() { error } else { error.hint(format!("there are: {}", known.join(", "))) }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::TryStreamExt as _;

    use super::*;
    use crate::engine::fake::{ExecReply, FakeEngine};
    use crate::engine::{Engine as _, OutputPiece};
    use crate::ops::tests::{IMAGE, node};

    async fn ran(km: &Kindmesh, target: ExecTarget) -> Result<(String, i64, String)> {
        let request = AttachRequest { cmd: vec!["id".into()], ..AttachRequest::default() };
        let (node, mut attached) = km.exec(&target, request).await?;
        let pieces: Vec<OutputPiece> = attached.output.try_collect().await?;
        let text = pieces.iter().map(|piece| match piece {
            OutputPiece::Stdout(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            OutputPiece::Stderr(_) => String::new(),
        });
        Ok((node, attached.control.exit_code().await?, text.collect()))
    }

    fn cluster(name: &str) -> ExecTarget {
        ExecTarget { cluster: Some(name.into()), ..ExecTarget::default() }
    }

    #[tokio::test]
    async fn the_node_is_found_or_what_there_is_is_told() {
        let engine = Arc::new(FakeEngine::new());
        engine.add_image(IMAGE, &[]);
        let km = Kindmesh::new(engine.clone());
        let none = ran(&km, ExecTarget::default()).await.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound);
        node(&engine, "a", Some("f"), "bridge").await;
        engine.on_exec(|call| (call.cmd == ["id"]).then(|| ExecReply::fails(3, "no")));
        assert_eq!(ran(&km, ExecTarget::default()).await.unwrap(), ("a-control-plane".into(), 3, String::new()));
        node(&engine, "b", Some("f"), "bridge").await;
        let several = ran(&km, ExecTarget::default()).await.unwrap_err();
        assert_eq!(several.kind(), ErrorKind::Config, "{several}");
        assert_eq!(ran(&km, cluster("b")).await.unwrap().0, "b-control-plane");
        let by_node = ExecTarget { node: Some("b-control-plane".into()), ..ExecTarget::default() };
        assert_eq!(ran(&km, by_node.clone()).await.unwrap().0, "b-control-plane");
        let elsewhere = ran(&km, ExecTarget { cluster: Some("a".into()), ..by_node }).await.unwrap_err();
        assert_eq!(elsewhere.kind(), ErrorKind::NotFound);
        engine.pause_container("b-control-plane").await.unwrap();
        let paused = ran(&km, cluster("b")).await.unwrap_err();
        assert!(paused.hints()[0].contains("kindmesh resume --fleet f"), "{:?}", paused.hints());
    }
}
