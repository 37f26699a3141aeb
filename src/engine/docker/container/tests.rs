//! The create body, field by field.

use serde_json::json;

use super::*;
use crate::domain::container::{DeviceMapping, PortMapping, Protocol};

fn body(spec: &ContainerSpec) -> serde_json::Value {
    serde_json::to_value(create_body(spec)).unwrap()
}

#[test]
fn an_empty_description_sends_nothing_that_overrides_the_image() {
    let sent = body(&ContainerSpec { image: "i".into(), ..Default::default() });
    for field in ["Cmd", "Entrypoint", "Hostname", "Env", "Volumes", "ExposedPorts", "NetworkingConfig"] {
        assert!(sent.get(field).is_none(), "{field}: {sent}");
    }
    let host = &sent["HostConfig"];
    for field in ["CapAdd", "CapDrop", "Init", "CgroupnsMode", "MaskedPaths", "ReadonlyPaths", "NetworkMode", "Tmpfs", "PidMode", "Devices"]
    {
        assert!(host.get(field).is_none(), "{field}: {host}");
    }
    assert_eq!(host["RestartPolicy"], json!({ "Name": "no" }));
}

#[test]
fn a_node_is_sent_as_kind_sends_it() {
    let spec = ContainerSpec {
        image: "kindest/node:v1".into(),
        hostname: "c-control-plane".into(),
        tty: true,
        labels: [("io.x-k8s.kind.cluster".to_owned(), "c".to_owned())].into(),
        env: vec!["KUBECONFIG=/etc/kubernetes/admin.conf".into()],
        anonymous_volumes: vec!["/var".into()],
        binds: vec!["/lib/modules:/lib/modules:ro".into()],
        privileged: true,
        security_opt: vec!["seccomp=unconfined".into(), "apparmor=unconfined".into()],
        tmpfs: [("/tmp".to_owned(), String::new()), ("/run".to_owned(), String::new())].into(),
        network: "kind".into(),
        restart: RestartPolicy::OnFailure(1),
        init: Some(false),
        cgroupns: CgroupNamespace::Private,
        ports: vec![PortMapping {
            container_port: 6443,
            protocol: Protocol::Tcp,
            host_ip: "127.0.0.1".parse().unwrap(),
            host_port: 40_001,
        }],
        ..Default::default()
    };
    let sent = body(&spec);
    assert_eq!(sent["Hostname"], "c-control-plane");
    assert_eq!(sent["Tty"], true);
    assert_eq!(sent["Volumes"], json!({ "/var": {} }));
    assert_eq!(sent["ExposedPorts"], json!({ "6443/tcp": {} }));
    assert!(sent.get("NetworkingConfig").is_none(), "the network mode says it");
    let host = &sent["HostConfig"];
    assert_eq!(host["Binds"], json!(["/lib/modules:/lib/modules:ro"]));
    assert_eq!(host["Privileged"], true);
    assert_eq!(host["Tmpfs"], json!({ "/tmp": "", "/run": "" }));
    assert_eq!(host["NetworkMode"], "kind");
    assert_eq!(host["PortBindings"], json!({ "6443/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "40001" }] }));
    assert_eq!(host["RestartPolicy"], json!({ "Name": "on-failure", "MaximumRetryCount": 1 }));
    assert_eq!(host["Init"], false);
    assert_eq!(host["CgroupnsMode"], "private");
}

#[test]
fn the_reduced_profile_masks_nothing_and_maps_its_device() {
    let spec = ContainerSpec {
        masked_paths: Some(vec![]),
        readonly_paths: Some(vec![]),
        cap_add: vec!["ALL".into()],
        cap_drop: vec!["SYS_RESOURCE".into()],
        device_cgroup_rules: vec!["a *:* rwm".into()],
        devices: vec![DeviceMapping { host_path: "/dev/kmsg".into(), container_path: "/dev/kmsg".into() }],
        ..Default::default()
    };
    let host = &body(&spec)["HostConfig"];
    assert_eq!((&host["MaskedPaths"], &host["ReadonlyPaths"]), (&json!([]), &json!([])));
    assert_eq!((&host["CapAdd"], &host["CapDrop"]), (&json!(["ALL"]), &json!(["SYS_RESOURCE"])));
    assert_eq!(host["DeviceCgroupRules"], json!(["a *:* rwm"]));
    assert_eq!(host["Devices"], json!([{ "PathOnHost": "/dev/kmsg", "PathInContainer": "/dev/kmsg", "CgroupPermissions": "rwm" }]));
    assert_eq!(host["Privileged"], false);
}

#[test]
fn fixed_addresses_name_the_network_and_ports_share_a_key() {
    let port = |host_ip: &str| PortMapping { container_port: 53, protocol: Protocol::Udp, host_ip: host_ip.parse().unwrap(), host_port: 0 };
    let spec = ContainerSpec {
        network: "own".into(),
        ipv4_address: Some("10.0.0.9".parse().unwrap()),
        ipv6_address: Some("fc00::9".parse().unwrap()),
        ports: vec![port("127.0.0.1"), port("::1")],
        ..Default::default()
    };
    let sent = body(&spec);
    assert_eq!(
        sent["NetworkingConfig"]["EndpointsConfig"],
        json!({ "own": { "IPAMConfig": { "IPv4Address": "10.0.0.9", "IPv6Address": "fc00::9" } } })
    );
    let bindings = &sent["HostConfig"]["PortBindings"]["53/udp"];
    assert_eq!(*bindings, json!([{ "HostIp": "127.0.0.1", "HostPort": "0" }, { "HostIp": "::1", "HostPort": "0" }]));
}

/// An engine on loopback that gives these answers, one a connection, and counts them.
async fn answering(answers: Vec<&'static str>) -> (DockerEngine, tokio::task::JoinHandle<usize>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let docker = bollard::Docker::connect_with_http(&endpoint, DockerEngine::CLIENT_TIMEOUT, bollard::API_DEFAULT_VERSION).unwrap();
    let served = tokio::spawn(async move {
        let mut given = 0;
        for answer in answers {
            let Ok(Ok((mut client, _))) = tokio::time::timeout(Duration::from_secs(2), listener.accept()).await else { break };
            let mut head = [0; 4096];
            assert!(client.read(&mut head).await.unwrap() > 0);
            client.write_all(answer.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
            given += 1;
        }
        given
    });
    (DockerEngine::new(docker, endpoint, None, "1.41".parse().unwrap(), crate::engine::Deadlines::default()), served)
}

const DONE: &str = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
const BUSY: &str = "HTTP/1.1 500 Internal Server Error\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 95\r\n\r\n\
    {\"message\":\"Cannot pause container c: OCI runtime pause failed: unable to freeze: unknown    \"}";
const OTHER: &str = "HTTP/1.1 500 Internal Server Error\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 27\r\n\r\n\
    {\"message\":\"is not paused\"}";

#[tokio::test]
async fn a_runtime_that_could_not_freeze_is_asked_again() {
    let (engine, served) = answering(vec![BUSY, BUSY, DONE]).await;
    engine.pause_container("c").await.unwrap();
    assert_eq!(served.await.unwrap(), 3);
}

#[tokio::test]
async fn no_other_refusal_is() {
    let (engine, served) = answering(vec![OTHER, DONE]).await;
    let error = engine.pause_container("c").await.unwrap_err();
    assert!(error.message.contains("is not paused"), "{error:?}");
    assert_eq!(served.await.unwrap(), 1);
}
