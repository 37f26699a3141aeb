//! Limits of the engine's host that clusters run into later, with puzzling errors: told beforehand.

use std::time::Duration;

use crate::domain::fleet::Fleet;
use crate::domain::inotify;
use crate::engine::ExecRequest;

use super::context::{Kindmesh, Scope};
use super::inventory::{Inventory, fleet_of, is_running};
use super::nodes;

const STEP: &str = "check limits";
/// For a node to tell a number; one that is stuck tells none.
const ASKING: Duration = Duration::from_secs(10);

/// Warns when the host will probably not have enough inotify instances for what is to be made.
/// Nothing is refused: the need is an estimate.
pub(super) async fn check(km: &Kindmesh, fleet: &Fleet, inventory: &Inventory, probed: Option<u32>, scope: &Scope) {
    let there: Vec<_> = inventory.clusters().flat_map(|(_, nodes)| nodes).collect();
    let mut wanted = fleet.clusters.iter().flat_map(nodes::plans);
    if wanted.all(|plan| there.iter().any(|node| node.name == plan.name)) {
        return;
    }
    // An engine on this machine has this machine's limit.
    let local = if km.engine.remote_host().is_none() { std::fs::read_to_string(inotify::LIMIT_FILE).ok() } else { None };
    let limit = match probed.or_else(|| local.and_then(|text| text.trim().parse().ok())) {
        Some(limit) => Some(limit),
        // Nothing had to be probed, so some node of the fleet is there: it can tell.
        None => match there.iter().find(|node| is_running(node) && fleet_of(node) == Some(fleet.name.as_str())) {
            Some(node) => {
                let asking = km.engine.exec(&node.name, ExecRequest::new(["cat", inotify::LIMIT_FILE]), &scope.cancel);
                let output = tokio::time::timeout(ASKING, asking).await;
                output.ok().and_then(Result::ok).and_then(|output| output.stdout_text().trim().parse().ok())
            }
            None => None,
        },
    };
    let others = there.iter().filter(|node| is_running(node) && fleet_of(node) != Some(fleet.name.as_str())).count();
    let needed = inotify::needed(fleet, others);
    if let Some(limit) = limit.filter(|limit| *limit < needed) {
        scope.warn(
            STEP,
            format!(
                "the engine's host has {limit} inotify instances per user, and about {needed} will be needed: nodes, kubelets or \
                 proxies may fail with \"too many open files\"; on that host, run `sysctl -w fs.inotify.max_user_instances={}`",
                inotify::ADVISED
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::check;
    use crate::domain::fleet::Fleet;
    use crate::engine::fake::FakeEngine;
    use crate::event::{Event, EventKind, Recorder};
    use crate::ops::Kindmesh;
    use crate::ops::inventory::Inventory;

    async fn warnings(clusters: u32, limit: Option<u32>) -> Vec<String> {
        let recorder = Arc::new(Recorder::default());
        let km = Kindmesh::new(Arc::new(FakeEngine::new())).reporter(recorder.clone());
        let fleet = Fleet::builder("f").clusters(clusters).build().unwrap();
        check(&km, &fleet, &Inventory::default(), limit, &km.fleet_scope()).await;
        recorder
            .events()
            .into_iter()
            .filter_map(|Event { kind, .. }| match kind {
                EventKind::Warning { message } => Some(message),
                _ => None,
            })
            .collect()
    }

    #[tokio::test]
    async fn a_host_with_too_few_inotify_instances_is_told_of() {
        assert_eq!(warnings(2, Some(128)).await, Vec::<String>::new());
        let told = warnings(8, Some(128)).await;
        assert!(told.len() == 1 && told[0].contains("128") && told[0].contains("about 240") && told[0].contains("sysctl"), "{told:?}");
    }
}
