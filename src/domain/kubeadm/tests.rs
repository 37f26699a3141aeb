use super::*;
use crate::domain::fleet::tests_support::fleet;

fn conf(version: &str, role: Role, change: impl FnOnce(&mut KubeadmRequest<'_>)) -> String {
    let fleet = fleet(1);
    let version: KubernetesVersion = version.parse().unwrap();
    let mut request = KubeadmRequest {
        cluster: &fleet.clusters[0],
        version: &version,
        node: "c1-control-plane",
        role,
        endpoint: "c1-control-plane",
        address: Ipv4Addr::new(172, 18, 0, 2),
        provider: "docker",
        cgroups: Cgroups::of_host(2),
        cert_sans: &[],
        rootless: false,
        profile: BootProfile::Kind,
    };
    change(&mut request);
    kubeadm(&request)
}

#[test]
fn the_older_shape() {
    insta::assert_snapshot!(conf("v1.34.4", Role::ControlPlane, |_| {}), @r#"
    apiServer:
      certSANs:
      - localhost
      - "127.0.0.1"
      extraArgs:
        runtime-config: ""
    apiVersion: kubeadm.k8s.io/v1beta3
    clusterName: c1
    controlPlaneEndpoint: c1-control-plane:6443
    controllerManager:
      extraArgs:
        enable-hostpath-provisioner: "true"
    kind: ClusterConfiguration
    kubernetesVersion: v1.34.4
    networking:
      podSubnet: 10.1.0.0/16
      serviceSubnet: 10.101.0.0/16
    scheduler:
      extraArgs: null
    ---
    apiVersion: kubeadm.k8s.io/v1beta3
    bootstrapTokens:
    - token: abcdef.0123456789abcdef
    kind: InitConfiguration
    localAPIEndpoint:
      advertiseAddress: "172.18.0.2"
      bindPort: 6443
    nodeRegistration:
      criSocket: unix:///run/containerd/containerd.sock
      kubeletExtraArgs:
        node-ip: "172.18.0.2"
        node-labels: ""
        provider-id: kind://docker/c1/c1-control-plane
    skipPhases:
    - preflight
    ---
    apiVersion: kubeadm.k8s.io/v1beta3
    controlPlane:
      localAPIEndpoint:
        advertiseAddress: "172.18.0.2"
        bindPort: 6443
    discovery:
      bootstrapToken:
        apiServerEndpoint: c1-control-plane:6443
        token: abcdef.0123456789abcdef
        unsafeSkipCAVerification: true
    kind: JoinConfiguration
    nodeRegistration:
      criSocket: unix:///run/containerd/containerd.sock
      kubeletExtraArgs:
        node-ip: "172.18.0.2"
        node-labels: ""
        provider-id: kind://docker/c1/c1-control-plane
    skipPhases:
    - preflight
    ---
    apiVersion: kubelet.config.k8s.io/v1beta1
    cgroupDriver: systemd
    cgroupRoot: /kubelet
    evictionHard:
      imagefs.available: 0%
      nodefs.available: 0%
      nodefs.inodesFree: 0%
    failSwapOn: false
    imageGCHighThresholdPercent: 100
    kind: KubeletConfiguration
    ---
    apiVersion: kubeproxy.config.k8s.io/v1alpha1
    conntrack:
      maxPerCore: 0
    iptables:
      minSyncPeriod: 1s
    kind: KubeProxyConfiguration
    mode: iptables
    "#);
}

#[test]
fn the_newer_shape_has_arguments_as_lists() {
    insta::assert_snapshot!(conf("v1.36.0-alpha.1", Role::Worker, |request| {
        request.cgroups = Cgroups::of_host(1);
        request.rootless = true;
    }), @r#"
    apiServer:
      certSANs:
      - localhost
      - "127.0.0.1"
      extraArgs:
      - name: runtime-config
        value: ""
      - name: feature-gates
        value: KubeletInUserNamespace=true
    apiVersion: kubeadm.k8s.io/v1beta4
    clusterName: c1
    controlPlaneEndpoint: c1-control-plane:6443
    controllerManager:
      extraArgs:
      - name: enable-hostpath-provisioner
        value: "true"
      - name: feature-gates
        value: KubeletInUserNamespace=true
    kind: ClusterConfiguration
    kubernetesVersion: v1.36.0-alpha.1
    networking:
      podSubnet: 10.1.0.0/16
      serviceSubnet: 10.101.0.0/16
    scheduler:
      extraArgs:
      - name: feature-gates
        value: KubeletInUserNamespace=true
    ---
    apiVersion: kubeadm.k8s.io/v1beta4
    bootstrapTokens:
    - token: abcdef.0123456789abcdef
    kind: InitConfiguration
    localAPIEndpoint:
      advertiseAddress: "172.18.0.2"
      bindPort: 6443
    nodeRegistration:
      criSocket: unix:///run/containerd/containerd.sock
      kubeletExtraArgs:
      - name: node-ip
        value: "172.18.0.2"
      - name: node-labels
        value: ""
      - name: provider-id
        value: kind://docker/c1/c1-control-plane
    skipPhases:
    - preflight
    ---
    apiVersion: kubeadm.k8s.io/v1beta4
    discovery:
      bootstrapToken:
        apiServerEndpoint: c1-control-plane:6443
        token: abcdef.0123456789abcdef
        unsafeSkipCAVerification: true
    kind: JoinConfiguration
    nodeRegistration:
      criSocket: unix:///run/containerd/containerd.sock
      kubeletExtraArgs:
      - name: node-ip
        value: "172.18.0.2"
      - name: node-labels
        value: ""
      - name: provider-id
        value: kind://docker/c1/c1-control-plane
    skipPhases:
    - preflight
    ---
    apiVersion: kubelet.config.k8s.io/v1beta1
    cgroupDriver: cgroupfs
    cgroupRoot: /
    evictionHard:
      imagefs.available: 0%
      nodefs.available: 0%
      nodefs.inodesFree: 0%
    failCgroupV1: false
    failSwapOn: false
    featureGates:
      KubeletInUserNamespace: true
    imageGCHighThresholdPercent: 100
    kind: KubeletConfiguration
    ---
    apiVersion: kubeproxy.config.k8s.io/v1alpha1
    conntrack:
      maxPerCore: 0
      tcpCloseWaitTimeout: 0s
      tcpEstablishedTimeout: 0s
    featureGates:
      KubeletInUserNamespace: true
    iptables:
      minSyncPeriod: 1s
    kind: KubeProxyConfiguration
    mode: iptables
    "#);
}

#[test]
fn names_for_the_certificate_are_added_once() {
    let sans: &[String] = ["localhost", "10.0.0.7", "c1.example"].map(str::to_owned).to_vec().leak();
    let text = conf("v1.34.4", Role::ControlPlane, |request| request.cert_sans = sans);
    let document: Value = serde_saphyr::from_multiple::<Value>(&text).unwrap().remove(0);
    assert_eq!(document["apiServer"]["certSANs"], json!(["localhost", "127.0.0.1", "10.0.0.7", "c1.example"]));
}

#[test]
fn a_server_published_everywhere_is_also_itself_at_the_loopback_address() {
    for (address, expected) in [("0.0.0.0", "127.0.0.1"), ("::", "::1")] {
        let mut cluster = fleet(1).clusters[0].clone();
        cluster.api_server_address = address.parse().unwrap();
        let cluster: &'static ClusterSpec = Box::leak(Box::new(cluster));
        let text = conf("v1.34.4", Role::ControlPlane, |request| request.cluster = cluster);
        let document: Value = serde_saphyr::from_multiple::<Value>(&text).unwrap().remove(0);
        assert_eq!(document["apiServer"]["certSANs"], json!(["localhost", address, expected]));
    }
}

#[test]
fn the_shape_changes_with_the_minor_version() {
    for (version, expected) in [("v1.35.9", "v1beta3"), ("v1.36.0-rc.1", "v1beta4"), ("v1.37.2", "v1beta4"), ("v1.27.3", "v1beta3")] {
        assert!(conf(version, Role::Worker, |_| {}).contains(&format!("kubeadm.k8s.io/{expected}")), "{version}");
    }
}

#[test]
fn quickly_from_the_first_version_that_can() {
    let fast = |version: &str, role| conf(version, role, |request| request.profile = BootProfile::Fast);
    let of = |version: &str, role, change: fn(&mut KubeadmRequest<'_>)| conf(version, role, change);
    let older = fast("v1.30.0", Role::ControlPlane);
    assert_eq!(older, of("v1.30.0", Role::ControlPlane, |_| {}), "older versions are made as kind makes them");
    let quick = fast("v1.34.4", Role::ControlPlane);
    assert!(quick.contains("minSyncPeriod: 100ms") && older.contains("minSyncPeriod: 1s"), "services follow their pods at once");
    for words in [
        "kubeadm.k8s.io/v1beta4",
        "encryptionAlgorithm: ECDSA-P256",
        "leader-elect",
        "kube-api-qps",
        "unsafe-no-fsync",
        "name: watch-progress-notify-interval",
        "taints: []",
        "GOGC",
        "tls-private-key-file",
        "hostPath: /etc/kubernetes/serving/scheduler.pem",
        "hostPath: /etc/kubernetes/serving/controller-manager.pem",
        "https://127.0.0.1:2382",
    ] {
        assert!(quick.contains(words), "{words} in {quick}");
    }
    let etcd_3_5 = fast("v1.33.9", Role::ControlPlane);
    assert!(etcd_3_5.contains("name: experimental-watch-progress-notify-interval"), "{etcd_3_5}");
}
