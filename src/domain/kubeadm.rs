//! The configuration that kubeadm reads in every node, by Kubernetes version and as kind writes it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};

use super::fleet::{BootProfile, ClusterSpec};
use super::name::Role;
use super::node::API_SERVER_PORT;
use super::version::KubernetesVersion;

/// Where the configuration lies in a node; it stays there, because a node that comes back with
/// another address repairs itself with it.
pub const KUBEADM_CONF: &str = "/kind/kubeadm.conf";
/// Folder for what [`SERVING_PROGRAMS`] serve with.
pub const SERVING_FOLDER: &str = "/etc/kubernetes/serving";
/// Where nodes prove that they may join: kind's fixed token. It is valid for a day.
pub const BOOTSTRAP_TOKEN: &str = "abcdef.0123456789abcdef";
/// Kubernetes minor from which the newer shape of the documents is written, as kind does.
const MINOR_WITH_V1BETA4: u32 = 36;
/// Kubernetes minor from which a kubelet ends on a host with cgroup version 1 unless told otherwise.
const MINOR_REFUSING_CGROUP_V1: u32 = 35;
/// Kubernetes minor that first reads the newer shape, with choice of the keys' algorithm and environment of
/// the control plane's programs; what [`BootProfile::Fast`] is made of.
pub const MINOR_OF_FAST: u32 = 31;
/// Go's garbage collector runs when the heap has grown by so many percent; 100 by default. A starting API server
/// allocates much and keeps most of it.
const GOGC: &str = "300";
/// From this size of the whole program on it collects as often as it must to stay below.
const GOMEMLIMIT: &str = "512MiB";
/// Where etcd serves HTTP/1 (its health, its gateway to gRPC), to the same certificates: beside the ports that kubeadm gives it
/// (2379 for clients, 2380 for members, 2381 for metrics).
const ETCD_HTTP_PORT: u16 = 2382;
/// Kubernetes minor whose etcd has left "experimental" out of its flags' names.
const MINOR_WITH_ETCD_3_6: u32 = 34;
const CRI_SOCKET: &str = "unix:///run/containerd/containerd.sock";

/// Who runs the cgroups in a node, and below which one pods live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cgroups {
    /// Version of the host's hierarchy: 1 or 2.
    pub version: u8,
    /// The kubelet's driver (`systemd`, `cgroupfs`).
    pub driver: &'static str,
    /// Cgroup that holds all pods.
    pub root: &'static str,
}

/// All that decides what a node's configuration says.
#[derive(Debug, Clone)]
pub struct KubeadmRequest<'a> {
    /// The cluster.
    pub cluster: &'a ClusterSpec,
    /// Kubernetes version of this node, as its image says.
    pub version: &'a KubernetesVersion,
    /// Name of this node.
    pub node: &'a str,
    /// Control plane or worker.
    pub role: Role,
    /// Name under which other nodes reach the API server: the only control plane's, or the load
    /// balancer's.
    pub endpoint: &'a str,
    /// The node's address.
    pub address: Ipv4Addr,
    /// The engine's kind, part of the provider ID (`docker`, `podman`).
    pub provider: &'a str,
    /// Who runs the cgroups.
    pub cgroups: Cgroups,
    /// Names and addresses the API server's certificate covers beside `localhost` and the address it
    /// is published on.
    pub cert_sans: &'a [String],
    /// Whether the engine runs without root.
    pub rootless: bool,
    /// How the cluster is bootstrapped.
    pub profile: BootProfile,
}

/// Programs of a quickly made control plane that find there what they serve with.
pub const SERVING_PROGRAMS: [&str; 2] = ["controller-manager", "scheduler"];

/// Where one of them has its certificate and key, in one file.
pub fn serving_file(program: &str) -> String {
    format!("{SERVING_FOLDER}/{program}.pem")
}

/// The five documents of a node's `kubeadm.conf`. Both the first control plane's and a joining node's
/// are there, whatever the node is, as kind has it.
pub fn kubeadm(request: &KubeadmRequest<'_>) -> String {
    let documents =
        [cluster_configuration(request), init_configuration(request), join_configuration(request), kubelet(request), kube_proxy(request)];
    documents.iter().map(to_yaml).collect::<Vec<_>>().join("---\n")
}

fn cluster_configuration(request: &KubeadmRequest<'_>) -> Value {
    let cluster = request.cluster;
    let mut sans = vec!["localhost".to_owned(), cluster.api_server_address.to_string()];
    // Published on every address, it is reached at the loopback one from the engine's own machine.
    let loopback = match cluster.api_server_address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Some(Ipv4Addr::LOCALHOST.to_string()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(Ipv6Addr::LOCALHOST.to_string()),
        _ => None,
    };
    for san in loopback.iter().chain(request.cert_sans) {
        if !sans.contains(san) {
            sans.push(san.clone());
        }
    }
    let mut api_server = vec![("runtime-config", String::new())];
    let mut controller_manager = vec![("enable-hostpath-provisioner", "true".to_owned())];
    let mut scheduler = Vec::new();
    if request.rootless {
        for component in [&mut api_server, &mut controller_manager, &mut scheduler] {
            component.push(("feature-gates", "KubeletInUserNamespace=true".to_owned()));
        }
    }
    if fast(request) {
        // By default 20 requests a second: enough for a cluster at work, but starting all controllers takes a
        // hundred requests, one controller after another.
        for component in [&mut controller_manager, &mut scheduler] {
            component.push(("kube-api-qps", "500".to_owned()));
            component.push(("kube-api-burst", "1000".to_owned()));
        }
    }
    let mut volumes = [Value::Null, Value::Null];
    if fast(request) {
        // Without a certificate each makes itself two RSA keys before it does anything else.
        for ((component, program), volume) in [&mut controller_manager, &mut scheduler].into_iter().zip(SERVING_PROGRAMS).zip(&mut volumes)
        {
            let file = serving_file(program);
            component.push(("tls-cert-file", file.clone()));
            component.push(("tls-private-key-file", file.clone()));
            *volume = json!([{"name": "serving", "hostPath": file, "mountPath": file, "readOnly": true, "pathType": "File"}]);
        }
    }
    // Electing a leader takes some seconds that only several control planes need.
    if fast(request) && cluster.control_planes == 1 {
        for component in [&mut controller_manager, &mut scheduler] {
            component.push(("leader-elect", "false".to_owned()));
        }
    }
    let mut document = json!({
        "apiVersion": api_version(request),
        "kind": "ClusterConfiguration",
        "kubernetesVersion": request.version.to_string(),
        "clusterName": cluster.name.as_str(),
        "controlPlaneEndpoint": endpoint(request),
        "apiServer": {"certSANs": sans, "extraArgs": extra_args(request, api_server)},
        "controllerManager": {"extraArgs": extra_args(request, controller_manager)},
        "scheduler": {"extraArgs": extra_args(request, scheduler)},
        "networking": {"podSubnet": cluster.pod_subnet.to_string(), "serviceSubnet": cluster.service_subnet.to_string()},
    });
    if fast(request) {
        // Twelve RSA keys take more than a second.
        document["encryptionAlgorithm"] = "ECDSA-P256".into();
        document["apiServer"]["extraEnvs"] = json!([{"name": "GOGC", "value": GOGC}, {"name": "GOMEMLIMIT", "value": GOMEMLIMIT}]);
        let [controller_manager, scheduler] = volumes;
        document["controllerManager"]["extraVolumes"] = controller_manager;
        document["scheduler"]["extraVolumes"] = scheduler;
        document["etcd"] = json!({"local": {"extraArgs": extra_args(request, etcd_args(request))}});
    }
    document
}

fn etcd_args(request: &KubeadmRequest<'_>) -> Vec<(&'static str, String)> {
    // kubeadm has etcd tell each watch (some 200 of a cluster with a mesh) every 5 s that nothing was missed, a seventh of what an
    // idle cluster costs. It is a saving for a watch that breaks; who must know asks.
    let progress = if request.version.at_least(1, MINOR_WITH_ETCD_3_6) {
        "watch-progress-notify-interval"
    } else {
        "experimental-watch-progress-notify-interval"
    };
    // A node that is killed loses nothing, only a host that loses power would. And where HTTP/1 is served at a port of its own,
    // gRPC goes without Go's HTTP server between, which hands what it writes to goroutines of their own.
    let mut args = vec![
        ("unsafe-no-fsync", "true".to_owned()),
        (progress, "1m".to_owned()),
        ("listen-client-http-urls", format!("https://127.0.0.1:{ETCD_HTTP_PORT}")),
    ];
    if request.cluster.control_planes == 1 {
        // The only member elects itself within one timeout, by default a second. Shorter intervals cost processor
        // time for as long as the cluster lives.
        args.extend([("heartbeat-interval", "50".to_owned()), ("election-timeout", "250".to_owned())]);
    }
    args
}

fn init_configuration(request: &KubeadmRequest<'_>) -> Value {
    let mut registration = registration(request);
    if fast(request) && request.cluster.nodes() == 1 {
        // What the only node of a cluster would be freed of later.
        registration["taints"] = json!([]);
    }
    json!({
        "apiVersion": api_version(request),
        "kind": "InitConfiguration",
        "bootstrapTokens": [{"token": BOOTSTRAP_TOKEN}],
        "localAPIEndpoint": local_endpoint(request),
        "nodeRegistration": registration,
        "skipPhases": ["preflight"],
    })
}

fn join_configuration(request: &KubeadmRequest<'_>) -> Value {
    let mut document = json!({
        "apiVersion": api_version(request),
        "kind": "JoinConfiguration",
        "nodeRegistration": registration(request),
        "discovery": {"bootstrapToken": {
            "apiServerEndpoint": endpoint(request),
            "token": BOOTSTRAP_TOKEN,
            "unsafeSkipCAVerification": true,
        }},
        "skipPhases": ["preflight"],
    });
    if request.role == Role::ControlPlane {
        document["controlPlane"] = json!({"localAPIEndpoint": local_endpoint(request)});
    }
    document
}

fn kubelet(request: &KubeadmRequest<'_>) -> Value {
    let mut document = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": request.cgroups.driver,
        "cgroupRoot": request.cgroups.root,
        "failSwapOn": false,
        // The node's disk is the host's: its fill level is no reason to throw images or pods out.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
    });
    if request.cgroups.version == 1 && request.version.at_least(1, MINOR_REFUSING_CGROUP_V1) {
        document["failCgroupV1"] = false.into();
    }
    feature_gates(request, &mut document);
    document
}

fn kube_proxy(request: &KubeadmRequest<'_>) -> Value {
    let mut conntrack = json!({"maxPerCore": 0});
    if request.rootless {
        conntrack["tcpEstablishedTimeout"] = "0s".into();
        conntrack["tcpCloseWaitTimeout"] = "0s".into();
    }
    let mut document = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        // How soon a service follows its pods: everything that is installed waits for some service.
        "iptables": {"minSyncPeriod": if fast(request) { "100ms" } else { "1s" }},
        "conntrack": conntrack,
    });
    feature_gates(request, &mut document);
    document
}

fn registration(request: &KubeadmRequest<'_>) -> Value {
    let provider_id = format!("kind://{}/{}/{}", request.provider, request.cluster.name, request.node);
    let arguments = vec![("node-ip", request.address.to_string()), ("node-labels", String::new()), ("provider-id", provider_id)];
    json!({"criSocket": CRI_SOCKET, "kubeletExtraArgs": extra_args(request, arguments)})
}

fn local_endpoint(request: &KubeadmRequest<'_>) -> Value {
    json!({"advertiseAddress": IpAddr::V4(request.address).to_string(), "bindPort": API_SERVER_PORT})
}

fn endpoint(request: &KubeadmRequest<'_>) -> String {
    format!("{}:{API_SERVER_PORT}", request.endpoint)
}

fn feature_gates(request: &KubeadmRequest<'_>, document: &mut Value) {
    if request.rootless {
        document["featureGates"] = json!({"KubeletInUserNamespace": true});
    }
}

fn fast(request: &KubeadmRequest<'_>) -> bool {
    bootstraps_fast(request.profile, request.version)
}

/// Whether a cluster of this version is bootstrapped quickly: older ones are as kind makes them.
pub fn bootstraps_fast(profile: BootProfile, version: &KubernetesVersion) -> bool {
    profile == BootProfile::Fast && version.at_least(1, MINOR_OF_FAST)
}

fn newer_shape(request: &KubeadmRequest<'_>) -> bool {
    request.version.at_least(1, MINOR_WITH_V1BETA4) || fast(request)
}

fn api_version(request: &KubeadmRequest<'_>) -> &'static str {
    if newer_shape(request) { "kubeadm.k8s.io/v1beta4" } else { "kubeadm.k8s.io/v1beta3" }
}

/// Arguments as a map in the older shape, as a list in the newer one; none is null in both.
fn extra_args(request: &KubeadmRequest<'_>, arguments: Vec<(&str, String)>) -> Value {
    if arguments.is_empty() {
        return Value::Null;
    }
    if newer_shape(request) {
        return arguments.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    }
    Value::Object(arguments.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect::<Map<_, _>>())
}

/// Block YAML. Every document here is made of maps, lists, texts, numbers and booleans, so that
/// nothing can fail; an empty text would make kubeadm say what is missing.
fn to_yaml(document: &Value) -> String {
    serde_saphyr::to_string(document).unwrap_or_default()
}

// === impl Cgroups ===

impl Cgroups {
    /// By the host's hierarchy. On version 2 as kind has it. On version 1 the kubelet manages cgroups
    /// itself from the root: below a root that is bind-mounted over itself, as kind's image has it,
    /// it looks at the wrong mount on some kernels and ends.
    pub fn of_host(cgroup_version: u8) -> Self {
        match cgroup_version {
            1 => Self { version: 1, driver: "cgroupfs", root: "/" },
            _ => Self { version: 2, driver: "systemd", root: "/kubelet" },
        }
    }
}

pub mod addons;
#[cfg(test)]
mod tests;
