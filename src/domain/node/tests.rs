use std::io::Write as _;
use std::process::Command;

use super::*;
use crate::domain::fleet::tests_support::fleet;

fn facts() -> HostFacts {
    HostFacts {
        id: "AB:CD".into(),
        api_version: EngineApiVersion::new(1, 41),
        product: "test".into(),
        os: "linux".into(),
        arch: "amd64".into(),
        cgroup_version: 1,
        cgroup_driver: "cgroupfs".into(),
        rootless: false,
        userns_remap: false,
        storage_driver: "overlay2".into(),
        backing_filesystem: Some("extfs".into()),
        cpus: 2,
        memory_bytes: 1 << 34,
        system_time: None,
    }
}

fn describe(role: Role, index: usize, profile: &Profile, facts: &HostFacts, address: Option<Ipv4Addr>) -> ContainerSpec {
    let fleet = fleet(1);
    node(&NodeRequest {
        cluster: &fleet.clusters[0],
        role,
        index,
        image: "kindest/node:v1.34.0",
        network: "kind",
        address,
        api_port: 40123,
        labels: BTreeMap::from([("dev.kindmesh.fleet".to_owned(), "test".to_owned())]),
        env: vec!["NO_PROXY=.svc".to_owned()],
        profile,
        facts,
    })
}

#[test]
fn a_privileged_control_plane_is_kinds() {
    let spec = describe(Role::ControlPlane, 1, &Profile::Privileged, &facts(), None);
    insta::assert_snapshot!(serde_json::to_string_pretty(&spec).unwrap(), @r#"
    {
      "image": "kindest/node:v1.34.0",
      "hostname": "c1-control-plane",
      "env": [
        "NO_PROXY=.svc",
        "KUBECONFIG=/etc/kubernetes/admin.conf"
      ],
      "labels": {
        "dev.kindmesh.fleet": "test",
        "io.x-k8s.kind.cluster": "c1",
        "io.x-k8s.kind.role": "control-plane"
      },
      "tty": true,
      "entrypoint": null,
      "cmd": null,
      "anonymous_volumes": [
        "/var"
      ],
      "binds": [
        "/lib/modules:/lib/modules:ro"
      ],
      "mounts": {},
      "ports": [
        {
          "container_port": 6443,
          "protocol": "TCP",
          "host_ip": "127.0.0.1",
          "host_port": 40123
        }
      ],
      "privileged": true,
      "cap_add": [],
      "cap_drop": [],
      "security_opt": [
        "seccomp=unconfined",
        "apparmor=unconfined"
      ],
      "masked_paths": null,
      "readonly_paths": null,
      "tmpfs": {
        "/run": "",
        "/tmp": ""
      },
      "network": "kind",
      "ipv4_address": null,
      "ipv6_address": null,
      "restart": {
        "OnFailure": 1
      },
      "auto_remove": false,
      "init": false,
      "cgroupns": "Private",
      "pid_mode": null,
      "sysctls": {},
      "userns_mode": null,
      "devices": [],
      "device_cgroup_rules": []
    }
    "#);
}

#[test]
fn a_reduced_worker_asks_for_everything_by_name() {
    let profile = Profile::Reduced { cap_drop: vec!["SYS_RESOURCE".to_owned()] };
    let mut spec = describe(Role::Worker, 2, &profile, &facts(), Some(Ipv4Addr::new(10, 9, 0, 4)));
    assert_eq!(spec.entrypoint.as_ref().unwrap()[2], PREPARE);
    spec.entrypoint.as_mut().unwrap()[2] = "(the script)".to_owned();
    insta::assert_snapshot!(serde_json::to_string_pretty(&spec).unwrap(), @r#"
    {
      "image": "kindest/node:v1.34.0",
      "hostname": "c1-worker2",
      "env": [
        "NO_PROXY=.svc"
      ],
      "labels": {
        "dev.kindmesh.address": "10.9.0.4",
        "dev.kindmesh.fleet": "test",
        "io.x-k8s.kind.cluster": "c1",
        "io.x-k8s.kind.role": "worker"
      },
      "tty": true,
      "entrypoint": [
        "/bin/bash",
        "-c",
        "(the script)",
        "prepare"
      ],
      "cmd": [
        "/usr/local/bin/entrypoint",
        "/sbin/init"
      ],
      "anonymous_volumes": [
        "/var"
      ],
      "binds": [
        "/lib/modules:/lib/modules:ro"
      ],
      "mounts": {},
      "ports": [],
      "privileged": false,
      "cap_add": [
        "ALL"
      ],
      "cap_drop": [
        "SYS_RESOURCE"
      ],
      "security_opt": [
        "seccomp=unconfined",
        "apparmor=unconfined"
      ],
      "masked_paths": [],
      "readonly_paths": [],
      "tmpfs": {
        "/run": "",
        "/tmp": ""
      },
      "network": "kind",
      "ipv4_address": "10.9.0.4",
      "ipv6_address": null,
      "restart": {
        "OnFailure": 1
      },
      "auto_remove": false,
      "init": false,
      "cgroupns": "Private",
      "pid_mode": null,
      "sysctls": {},
      "userns_mode": null,
      "devices": [],
      "device_cgroup_rules": [
        "a *:* rwm"
      ]
    }
    "#);
}

#[test]
fn the_host_decides_on_devices_and_namespaces() {
    let on = |facts: &HostFacts| describe(Role::Worker, 1, &Profile::Privileged, facts, None);
    for (driver, below, mapped) in [
        ("overlay2", Some("xfs"), true),
        ("btrfs", None, true),
        ("devicemapper", None, true),
        ("overlay2", None, false),
        ("vfs", Some("ext4"), false),
    ] {
        let facts = HostFacts { storage_driver: driver.into(), backing_filesystem: below.map(str::to_owned), ..facts() };
        assert_eq!(on(&facts).binds.len() == 2, mapped, "{driver} {below:?}");
    }
    let rootless = on(&HostFacts { rootless: true, storage_driver: "btrfs".into(), ..facts() });
    assert_eq!((rootless.binds.len(), rootless.devices[0].host_path.as_str()), (1, "/dev/fuse"));
    assert_eq!(on(&HostFacts { userns_remap: true, ..facts() }).userns_mode.as_deref(), Some("host"));
    let old = on(&HostFacts { api_version: EngineApiVersion::new(1, 40), ..facts() });
    assert_eq!(old.cgroupns, CgroupNamespace::Default);
}

/// Runs the part of the script that edits containerd's configuration.
fn edited(config: &str) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(config.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    let start = PREPARE.find("config=").unwrap();
    let end = PREPARE.find("# The kubelet").unwrap();
    let script = PREPARE[start..end].replace("/etc/containerd/config.toml", path);
    for _ in 0..2 {
        assert!(Command::new("bash").args(["-c", &script]).status().unwrap().success());
    }
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_script_is_bash_and_edits_containerds_configuration_once() {
    assert!(Command::new("bash").args(["-n", "-c", PREPARE]).status().unwrap().success());
    let header = "[plugins.\"io.containerd.grpc.v1.cri\"]\n";
    assert_eq!(
        edited(&format!("version = 2\n{header}  x = 1\n")),
        format!("version = 2\n{header}restrict_oom_score_adj = true\n  x = 1\n")
    );
    assert_eq!(
        edited(&format!("{header}  # restrict_oom_score_adj is explained\n  restrict_oom_score_adj = false\n")),
        format!("{header}  # restrict_oom_score_adj is explained\n  restrict_oom_score_adj = true\n")
    );
    assert_eq!(
        edited("version = 3\n[plugins.'io.containerd.cri.v1.runtime']\n"),
        "version = 3\n[plugins.'io.containerd.cri.v1.runtime']\nrestrict_oom_score_adj = true\n"
    );
}
