//! From booted node containers to a control plane that answers: kubeadm's configuration, init, join.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::domain::kubeadm::{
    BOOTSTRAP_TOKEN, Cgroups, KUBEADM_CONF, KubeadmRequest, SERVING_FOLDER, SERVING_PROGRAMS, kubeadm as kubeadm_config,
};
use crate::domain::name::Role;
use crate::domain::pki;
use crate::domain::version::KubernetesVersion;
use crate::engine::files::write_file;
use crate::engine::{ContainerInfo, Engine, ExecOutput, ExecRequest};

use super::boot;
use super::cluster::ClusterPlan;
use super::context::Scope;
use super::error::{Error, ErrorKind, Result};
use super::inventory::role;

mod handed;

pub(super) use handed::Handed;

/// First part of a node's provider ID, as kind has it for Docker's API.
const PROVIDER: &str = "docker";
/// The node's Kubernetes version, part of kind's contract.
const VERSION_FILE: &str = "/kind/version";
/// Written when kubeadm is done, so that an interrupted bootstrap is told from a finished one.
const DONE_MARK: &str = "/kind/kindmesh-bootstrapped";
/// Written when the control plane's programs are started, by a quick bootstrap.
const START_MARK: &str = "/kind/kindmesh-started";
/// Starts the control plane's programs in a node.
const START: &str = include_str!("bootstrap/start.sh");
/// Written when the database has begun with it.
const SEED_MARK: &str = "/kind/kindmesh-seeded";
/// Half seconds that a kubeadm somebody else started may go on; twice what its slowest run took.
const KUBEADM_PATIENCE: u32 = 240;
/// The longest that [`progress`] takes: it waits for what starts the programs, and then for a kubeadm.
pub(super) const LONGEST: Duration = Duration::from_secs(240);
/// What a node needs to tell it, beside that.
const TELLING: Duration = Duration::from_secs(30);
/// Where the manifests of programs wait that are started later.
const HELD: &str = "/kind/kindmesh-held";
/// Where the kubelet looks for static pods.
const MANIFESTS: &str = "/etc/kubernetes/manifests";
/// Where the kubelet keeps its certificates.
const KUBELET_PKI: &str = "/var/lib/kubelet/pki";
/// Found before the runtime's own place, `/usr/sbin`, by everything in a node.
const RUNTIME: &str = "/usr/local/sbin/runc";
/// Held in the node by what starts the control plane's programs, also when who asked for it was killed. It goes with
/// the node's memory.
const START_LOCK: &str = "/run/kindmesh-start.lock";
/// The kubelet's own kubeconfig.
const KUBELET_CONF: &str = "/etc/kubernetes/kubelet.conf";
/// Lines of kubeadm's output that belong in an error message.
const OUTPUT_TAIL: usize = 15;
/// Lines of the kubelet's log beside it.
const KUBELET_TAIL: usize = 5;
const KUBELET_LOG_DEADLINE: Duration = Duration::from_secs(10);

/// How far a node's bootstrap got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing was done yet.
    Fresh,
    /// kubeadm began and did not end: the node cannot be used again.
    Interrupted,
    /// The control plane's programs are started, and the cluster knows nothing yet of how it is configured: it
    /// is finished from here.
    Started,
    /// kubeadm is done.
    Done,
}

/// What a node tells of itself before anything is done to it.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// How far it got.
    pub(super) progress: Progress,
    /// The Kubernetes version that its image holds.
    pub(super) version: KubernetesVersion,
}

/// How far the node got. A bootstrap that is at work there, left by a process that was killed or run by
/// another one, is waited for, for as long as [`LONGEST`]: when it ends well, it leaves the mark as any other.
pub(super) async fn progress(engine: &dyn Engine, node: &ContainerInfo, cancel: &CancellationToken) -> Result<Progress> {
    let output = told(engine, node, &tell_progress(), cancel).await?;
    read_progress(node, output.stdout_text().trim())
}

/// How far the node got, as [`progress`], and which version of Kubernetes it has.
pub(super) async fn look(engine: &dyn Engine, node: &ContainerInfo, cancel: &CancellationToken) -> Result<Look> {
    let output = told(engine, node, &format!("{} && cat {VERSION_FILE}", tell_progress()), cancel).await?;
    let text = output.stdout_text();
    let (progress, version) = text.trim().split_once('\n').unwrap_or((text.trim(), ""));
    let progress = read_progress(node, progress)?;
    match (output.success(), version.trim()) {
        (false, _) => Err(Error::new(ErrorKind::Image, format!("node {}: {}", node.name, output.tail(1)))
            .hint(format!("the image {} is no node image: it has no {VERSION_FILE}", node.image))),
        (true, "") => Err(Error::new(ErrorKind::Engine, format!("what node {} told of itself came only in part", node.name))
            .hint("run the command again: it goes on from there")),
        (true, version) => {
            let version = version
                .parse()
                .map_err(|error| Error::new(ErrorKind::Image, format!("{VERSION_FILE} in node {}", node.name)).because(error))?;
            Ok(Look { progress, version })
        }
    }
}

/// What a node tells of itself. Some engines wait for a node that is stuck for ever.
async fn told(engine: &dyn Engine, node: &ContainerInfo, script: &str, cancel: &CancellationToken) -> Result<ExecOutput> {
    let deadline = LONGEST + TELLING;
    let telling = engine.exec(&node.name, ExecRequest::new(["sh", "-c", script]), cancel);
    match tokio::time::timeout(deadline, telling).await {
        Ok(output) => Ok(output?),
        Err(_) => {
            let message = format!("node {} did not tell how far its bootstrap got within {} s", node.name, deadline.as_secs());
            Err(Error::new(ErrorKind::Timeout, message)
                .hint("`kindmesh status` shows how the node is; a cluster that is stuck is made anew by `kindmesh up --recreate`"))
        }
    }
}

fn tell_progress() -> String {
    format!(
        "if [ -e {START_LOCK} ]; then flock --shared --timeout {seconds} {START_LOCK} true; fi; n=0; while pgrep -x kubeadm >/dev/null && [ $n -lt {KUBEADM_PATIENCE} ]; do sleep 0.5; n=$((n+1)); done; if [ -e {DONE_MARK} ]; then echo done; elif [ -e {START_MARK} ]; then echo started; elif [ -e /etc/kubernetes/pki ] || [ -e /var/lib/kubelet/config.yaml ]; then echo interrupted; else echo fresh; fi",
        seconds = KUBEADM_PATIENCE / 2
    )
}

fn read_progress(node: &ContainerInfo, word: &str) -> Result<Progress> {
    match word {
        "done" => Ok(Progress::Done),
        "started" => Ok(Progress::Started),
        "interrupted" => Ok(Progress::Interrupted),
        "fresh" => Ok(Progress::Fresh),
        other => Err(Error::new(ErrorKind::Cluster, format!("node {}: cannot tell how far its bootstrap got: {other}", node.name))
            .hint("run the command again; a node that was removed is made anew by `kindmesh up`")),
    }
}

/// Writes kubeadm's configuration into a node.
pub(super) async fn configure(
    engine: &dyn Engine,
    plan: &ClusterPlan<'_>,
    node: &ContainerInfo,
    version: &KubernetesVersion,
    endpoint: &str,
    cancel: &CancellationToken,
) -> Result<()> {
    let config = configuration(engine, plan, node, version, endpoint)?;
    Ok(write_file(engine, &node.name, KUBEADM_CONF, 0o600, config.into_bytes(), cancel).await?)
}

fn configuration(
    engine: &dyn Engine,
    plan: &ClusterPlan<'_>,
    node: &ContainerInfo,
    version: &KubernetesVersion,
    endpoint: &str,
) -> Result<String> {
    Ok(kubeadm_config(&KubeadmRequest {
        cluster: plan.spec,
        version,
        node: &node.name,
        role: role(node).unwrap_or(Role::Worker),
        endpoint,
        address: address(node)?,
        provider: PROVIDER,
        cgroups: Cgroups::of_host(plan.facts.cgroup_version),
        // Clients on this machine use the remote engine's own name.
        cert_sans: engine.remote_host().as_slice(),
        rootless: plan.facts.rootless,
        profile: plan.fleet.profile,
    }))
}

/// Runs `kubeadm init` on the first control plane.
pub(super) async fn init(engine: &dyn Engine, node: &ContainerInfo, scope: &Scope, step: &'static str) -> Result<()> {
    let command = format!("kubeadm init --config={KUBEADM_CONF} --skip-token-print --v=1 && touch {DONE_MARK}");
    let output = kubeadm(engine, node, &command, scope, step).await?;
    check(engine, node, "kubeadm init", &output).await
}

/// Starts the control plane's programs on the first control plane, and waits for nothing: certificates,
/// kubeconfigs, the static pods' manifests, the kubelet. Where the image has a seed, the database begins with it.
/// Returns what the node hands over.
pub(super) async fn start(
    engine: &dyn Engine,
    plan: &ClusterPlan<'_>,
    node: &ContainerInfo,
    version: &KubernetesVersion,
    scope: &Scope,
    step: &'static str,
) -> Result<Handed> {
    let skip = "preflight,wait-control-plane,upload-config,upload-certs,mark-control-plane,bootstrap-token,kubelet-finalize,addon,show-join-command";
    let config = configuration(engine, plan, node, version, &node.name)?;
    let address = address(node)?.to_string();
    let pod_cidr = first_pod_cidr(plan).unwrap_or_default();
    let marks = [START_MARK, SEED_MARK, START_LOCK, HELD, MANIFESTS, SERVING_FOLDER, KUBELET_PKI, RUNTIME];
    let arguments = [&node.name, &address, &pod_cidr, KUBEADM_CONF, &config, skip].into_iter().chain(marks);
    let command: Vec<&str> = ["sh", "-c", START, "start.sh"].into_iter().chain(arguments).collect();
    let request = ExecRequest::new(command).stdin(Bytes::from_owner(keys(&node.name)?));
    let output = listened(engine, node, request, scope, step).await?;
    let handed = Handed::read(&output.stdout_text());
    // What is handed over is secret in part, and nothing of it explains a failure.
    check(engine, node, "the start of the control plane", &ExecOutput { stdout: Vec::new(), ..output }).await?;
    handed.ok_or_else(|| {
        Error::new(ErrorKind::Engine, format!("what node {} told of the start of its control plane came only in part", node.name))
            .hint("run the command again: it goes on from there")
    })
}

/// The keys of a node's programs with their certificates, as `start.sh` reads them.
fn keys(node: &str) -> Result<Zeroizing<String>> {
    // Room for all, so that no part stays where it was while it grows.
    let mut text = Zeroizing::new(String::with_capacity(8192));
    for program in ["kubelet"].into_iter().chain(SERVING_PROGRAMS) {
        let made = pki::serving(node, Timestamp::now());
        let made = made.map_err(|error| Error::new(ErrorKind::Cluster, format!("cannot make the keys of node {node}")).because(error))?;
        text.push_str(&format!("#kindmesh {program}\n{}", made.expose()));
    }
    text.push_str("#kindmesh end\n");
    Ok(text)
}

/// The addresses of the pods on the only node of a cluster: the first that the controller manager hands out, by its
/// default size.
fn first_pod_cidr(plan: &ClusterPlan<'_>) -> Option<String> {
    const PREFIX: u8 = 24;
    let subnet = plan.spec.pod_subnet;
    (plan.spec.nodes() == 1 && subnet.prefix() <= PREFIX).then(|| format!("{}/{PREFIX}", subnet.network()))
}

/// Writes down in a cluster that answers how it is configured, as `kubeadm init` does at its end: for those who
/// join, upgrade or look. The add-ons are not among it, and for the `only` node of a cluster its labels.
pub(super) async fn finish(engine: &dyn Engine, node: &ContainerInfo, only: bool, scope: &Scope, step: &'static str) -> Result<()> {
    let mut skip =
        "preflight,certs,kubeconfig,etcd,control-plane,kubelet-start,wait-control-plane,kubelet-finalize,addon,show-join-command"
            .to_owned();
    if only {
        // It would keep load balancers away from the node until that is undone: who looks in between announces nothing.
        skip.push_str(",mark-control-plane");
    }
    // The last phase but the add-ons, without starting the kubelet again: it has the rotated certificate already,
    // and its next start reads it from here.
    let rotated = "/var/lib/kubelet/pki/kubelet-client-current.pem";
    let command = format!(
        "kubeadm init --config={KUBEADM_CONF} --skip-phases={skip} --skip-token-print --v=1 && \
         if [ -e {rotated} ]; then sed -i -E 's,^( *client-(certificate|key))-data:.*,\\1: {rotated},' {KUBELET_CONF}; fi && \
         touch {DONE_MARK}"
    );
    let output = kubeadm(engine, node, &command, scope, step).await?;
    check(engine, node, "kubeadm init", &output).await
}

/// Starts another of the control plane's programs (`scheduler`, `controller-manager`), as far as it is not.
pub(super) async fn start_program(
    engine: &dyn Engine,
    node: &ContainerInfo,
    program: &str,
    scope: &Scope,
    step: &'static str,
) -> Result<()> {
    let (held, manifest) = (format!("{HELD}/kube-{program}.yaml"), format!("{MANIFESTS}/kube-{program}.yaml"));
    // A node that an earlier release began has none that is held back.
    let command = format!(
        "[ -e {manifest} ] || mv {held} {manifest} 2>/dev/null || kubeadm init phase control-plane {program} --config={KUBEADM_CONF}"
    );
    let output = kubeadm(engine, node, &command, scope, step).await?;
    check(engine, node, &format!("kubeadm init phase control-plane {program}"), &output).await
}

/// What kubeadm would install as the add-ons of every cluster: CoreDNS and kube-proxy, of the versions that
/// belong to this Kubernetes.
pub(super) async fn addon_manifests(engine: &dyn Engine, node: &ContainerInfo, scope: &Scope) -> Result<String> {
    let print = |addon: &str| format!("kubeadm init phase addon {addon} --print-manifest --config={KUBEADM_CONF}");
    let script = format!("{} && echo --- && {}", print("coredns"), print("kube-proxy"));
    let output = engine.exec(&node.name, ExecRequest::new(["sh", "-c", script.as_str()]), &scope.cancel).await?;
    let printed = output.stdout_text();
    // What it printed explains no failure.
    check(engine, node, "kubeadm init phase addon", &ExecOutput { stdout: Vec::new(), ..output }).await?;
    Ok(printed)
}

/// Makes sure the token that nodes join with is there: the one that `init` left is valid for a day.
pub(super) async fn ensure_token(engine: &dyn Engine, control_plane: &ContainerInfo, scope: &Scope) -> Result<()> {
    let refresh = format!(
        "kubeadm token list --kubeconfig=/etc/kubernetes/admin.conf 2>/dev/null | grep -q '^{token} ' || \
         kubeadm token create {token} --ttl 1h --kubeconfig=/etc/kubernetes/admin.conf",
        token = BOOTSTRAP_TOKEN
    );
    let output = engine.exec(&control_plane.name, ExecRequest::new(["sh", "-c", refresh.as_str()]), &scope.cancel).await?;
    check(engine, control_plane, "kubeadm token create", &output).await
}

/// Joins a node to the cluster.
pub(super) async fn join(engine: &dyn Engine, node: &ContainerInfo, scope: &Scope, step: &'static str) -> Result<()> {
    let command = format!("kubeadm join --config={KUBEADM_CONF} --v=1 && touch {DONE_MARK}");
    let output = kubeadm(engine, node, &command, scope, step).await?;
    check(engine, node, "kubeadm join", &output).await
}

/// IPv4 address of a running node.
pub(super) fn address(node: &ContainerInfo) -> Result<Ipv4Addr> {
    node.networks.values().find_map(|network| network.ipv4).ok_or_else(|| {
        Error::new(ErrorKind::Cluster, format!("node {} has no IPv4 address", node.name))
            .hint("its network may have been disconnected; remove the cluster and create it again")
    })
}

async fn kubeadm(engine: &dyn Engine, node: &ContainerInfo, command: &str, scope: &Scope, step: &'static str) -> Result<ExecOutput> {
    listened(engine, node, ExecRequest::new(["sh", "-c", command]), scope, step).await
}

/// Runs a command that calls kubeadm, and tells its phases.
async fn listened(
    engine: &dyn Engine,
    node: &ContainerInfo,
    mut request: ExecRequest,
    scope: &Scope,
    step: &'static str,
) -> Result<ExecOutput> {
    let listener = scope.clone();
    let name = node.name.clone();
    request.on_line = Some(Arc::new(move |line: &str| {
        if let Some(phase) = phase(line) {
            listener.progress(step, format!("{name}: {phase}"));
        }
    }));
    Ok(engine.exec(&node.name, request, &scope.cancel).await?)
}

/// kubeadm tells what it does as `[certs] Generating …`; everything else is for its log, and so is that it finds nothing
/// to start the kubelet with, which it is not to do.
fn phase(line: &str) -> Option<&str> {
    if line.contains("No supported init system") {
        return None;
    }
    let rest = line.strip_prefix('[')?;
    let (name, text) = rest.split_once("] ")?;
    (!name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && !text.is_empty()).then_some(line)
}

async fn check(engine: &dyn Engine, node: &ContainerInfo, what: &str, output: &ExecOutput) -> Result<()> {
    if output.success() {
        return Ok(());
    }
    let mut message =
        format!("{what} on node {} failed with exit code {}; it ends with:\n{}", node.name, output.exit_code, output.tail(OUTPUT_TAIL));
    // kubeadm only says that the kubelet is not healthy; why is in the kubelet's own log.
    if let Some(log) = kubelet_log(engine, node).await {
        message = format!("{message}\nthe kubelet's log ends with:\n{log}");
    }
    let error = Error::new(ErrorKind::Cluster, message)
        .hint(format!("the node is kept; its kubelet's log: `docker exec {} journalctl -u kubelet`", node.name))
        .hint("`kindmesh up` goes on from there, or starts over with a new node");
    let starved = error.to_string().contains("too many open files");
    Err(if starved { error.hint(boot::inotify_hint()) } else { error })
}

/// What the kubelet said last, as far as it is about something that went wrong. The command may have been
/// given up on a deadline, so this has one of its own.
async fn kubelet_log(engine: &dyn Engine, node: &ContainerInfo) -> Option<String> {
    let script = format!(
        "journalctl --unit kubelet --output cat --no-pager --lines 200 | grep -E '^[EF][0-9]|[Ee]rror|fail' | tail -n {KUBELET_TAIL}"
    );
    let cancel = CancellationToken::new();
    let log = engine.exec(&node.name, ExecRequest::new(["sh", "-c", script.as_str()]), &cancel);
    let output = tokio::time::timeout(KUBELET_LOG_DEADLINE, log).await.ok()?.ok()?;
    let text = output.stdout_text().trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
#[path = "bootstrap/tests.rs"]
mod tests;
