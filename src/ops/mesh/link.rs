//! What joins the clusters: every gateway answers, and every control plane reads every other cluster.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio_util::sync::CancellationToken;

use super::install::{built_in, put};
use crate::domain::fleet::Fleet;
use crate::domain::istio::GatewayKind;
use crate::domain::kubeconfig::ClusterEntry;
use crate::domain::mesh::objects;
use crate::domain::mesh::proof::names::GATEWAY_PORT;
use crate::domain::mesh::remote_secret::{self, Access};
use crate::domain::name::{ClusterName, Role};
use crate::engine::{Engine, ExecRequest};
use crate::k8s::{ApiServer, Deadline, Observer, istio};
use crate::ops::context::{Kindmesh, Outcome, Scope};
use crate::ops::error::{Error, ErrorKind, Result};
use crate::ops::install::failed;

/// A connection on one bridge takes a millisecond; one that takes longer is tried again.
const CONNECT_SECONDS: u32 = 2;
/// An address is announced within a second or two of being assigned.
const KNOCK_PAUSE: Duration = Duration::from_millis(250);
/// For the last knock to end by itself.
const KNOCK_SLACK: Duration = Duration::from_secs(10);

/// One cluster of the mesh, ready to be joined with the others.
pub(in crate::ops) struct Member<'a> {
    pub(in crate::ops) name: &'a ClusterName,
    pub(in crate::ops) server: &'a ApiServer,
    pub(in crate::ops) gateways: &'a std::collections::BTreeMap<GatewayKind, IpAddr>,
}

/// Joins the clusters. First the barrier: all east-west gateways answer. A control plane that knew of
/// another cluster's pods but of no gateway would hand out their own addresses, which lead nowhere.
pub(in crate::ops) async fn ensure(km: &Kindmesh, fleet: &Fleet, members: &[Member<'_>], scope: &Scope) -> Result<bool> {
    gateways_answer(km, fleet, members, scope).await?;
    remote_secrets(fleet, members, scope).await
}

async fn gateways_answer(km: &Kindmesh, fleet: &Fleet, members: &[Member<'_>], scope: &Scope) -> Result<()> {
    const STEP: &str = "reach east-west gateways";
    let deadline = fleet.timeouts.mesh_ready;
    scope
        // The knocks have deadlines of their own, which say more.
        .step(STEP, deadline + KNOCK_SLACK, async {
            let seen = |state: &str| scope.progress(STEP, state);
            let deadline = Deadline::after(deadline);
            let knocks = members.iter().enumerate().map(|(index, member)| {
                // From a node of another cluster, where there is one: that is the way the calls take.
                let from = members[(index + 1) % members.len()].name.node(Role::ControlPlane, 1);
                let seen = &seen;
                async move {
                    let address = member
                        .gateways
                        .get(&GatewayKind::EastWest)
                        .ok_or_else(|| Error::new(ErrorKind::Cluster, format!("cluster {} has no east-west gateway", member.name)))?;
                    let address = SocketAddr::new(*address, GATEWAY_PORT);
                    knock(km.engine.as_ref(), &from, member.name, address, deadline, seen, &scope.cancel).await
                }
            });
            try_join_all(knocks).await?;
            Ok(Outcome::unchanged(()))
        })
        .await
}

/// Connects from a node until the address answers.
async fn knock(
    engine: &dyn Engine,
    node: &str,
    cluster: &ClusterName,
    address: SocketAddr,
    deadline: Deadline,
    seen: Observer<'_>,
    cancel: &CancellationToken,
) -> Result<()> {
    let script = format!("timeout {CONNECT_SECONDS} bash -c ': </dev/tcp/{}/{}' 2>&1", address.ip(), address.port());
    loop {
        let output = engine.exec(node, ExecRequest::new(["sh", "-c", script.as_str()]), cancel).await?;
        if output.success() {
            return Ok(());
        }
        let said = output.tail(1);
        let state = format!(
            "the east-west gateway of {cluster} does not answer {node} at {address}: {}",
            if said.is_empty() { "no answer" } else { &said }
        );
        seen(&state);
        if deadline.remaining().is_zero() {
            return Err(Error::new(ErrorKind::Timeout, state)
                .hint("is its address announced? `kubectl -n metallb-system get servicel2statuses` in that cluster tells by which node"));
        }
        tokio::time::sleep(KNOCK_PAUSE).await;
    }
}

/// Gives every cluster a secret for every other one, and takes away those of clusters that are gone.
async fn remote_secrets(fleet: &Fleet, members: &[Member<'_>], scope: &Scope) -> Result<bool> {
    const STEP: &str = "join clusters";
    let deadline = fleet.timeouts.mesh_ready;
    scope
        .step(STEP, deadline, async {
            let seen = |state: &str| scope.progress(STEP, state);
            let deadline = Deadline::after(deadline);
            let access = try_join_all(members.iter().map(|member| access(member, deadline, &seen))).await?;
            let results = try_join_all(members.iter().map(|member| {
                let (access, seen) = (&access, &seen);
                async move {
                    let others = access.iter().filter(|access| access.cluster != *member.name);
                    let secrets = others.map(Access::to_secret).collect::<Result<Vec<_>, _>>().map_err(built_in)?;
                    let known = istio::remote_clusters(member.server).await.map_err(|error| failed("read remote secrets", error))?;
                    let gone: Vec<String> =
                        known.into_iter().filter(|name| members.iter().all(|other| other.name.as_str() != name)).collect();
                    for cluster in &gone {
                        istio::forget_cluster(member.server, cluster).await.map_err(|error| failed("remove a remote secret", error))?;
                    }
                    Ok::<bool, Error>(put(member.server, secrets, deadline, seen).await? | !gone.is_empty())
                }
            }))
            .await?;
            let changed = results.into_iter().any(|changed| changed);
            Ok(Outcome { value: changed, changed })
        })
        .await
}

/// How a cluster is read from others. A token that its server no longer accepts is made anew.
async fn access(member: &Member<'_>, deadline: Deadline, seen: Observer<'_>) -> Result<Access> {
    let what = "make a token for the other clusters";
    for attempt in 0.. {
        put(member.server, objects::reader_token().map_err(built_in)?, deadline, seen).await?;
        let (token, ca) = istio::reader_token(member.server, deadline, seen).await.map_err(|error| failed(what, error))?;
        let from_here = ClusterEntry::with_token(member.name.as_str(), member.server.address(), &ca, &token).to_kubeconfig().to_yaml();
        if istio::accepts_token(member.server, &from_here).await.map_err(|error| failed(what, error))? {
            return Ok(Access { cluster: member.name.clone(), server: remote_secret::server(member.name), ca, token });
        }
        if attempt > 0 {
            break;
        }
        seen(&format!("cluster {} no longer accepts its token; making a new one", member.name));
        istio::drop_reader_token(member.server).await.map_err(|error| failed(what, error))?;
    }
    Err(Error::new(ErrorKind::Cluster, format!("cluster {} does not accept the token that it made itself", member.name)))
}

#[cfg(test)]
mod tests;
