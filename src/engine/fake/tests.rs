//! The fake is believable, and misbehaves only to order.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::domain::container::{ContainerSpec, PortMapping, Protocol};
use crate::domain::net::NetworkSpec;
use crate::engine::{ByteStream, ContainerState, Engine, EngineErrorKind as Kind, ExecRequest, RegistryCredentials, files};

const IMAGE: &str = "node:1";

fn engine() -> FakeEngine {
    let engine = FakeEngine::new();
    engine.add_image(IMAGE, &[]);
    engine
}

fn network(name: &str) -> NetworkSpec {
    NetworkSpec { name: name.to_owned(), labels: [("fleet".to_owned(), "f".to_owned())].into(), ..Default::default() }
}

fn node(network: &str) -> ContainerSpec {
    ContainerSpec {
        image: IMAGE.to_owned(),
        network: network.to_owned(),
        labels: [("fleet".to_owned(), "f".to_owned())].into(),
        ..Default::default()
    }
}

async fn started(engine: &FakeEngine, name: &str, spec: &ContainerSpec) {
    engine.create_container(name, spec).await.unwrap();
    engine.start_container(name).await.unwrap();
}

fn stream(bytes: &'static [u8]) -> ByteStream {
    futures_util::stream::iter([Ok(Bytes::from_static(bytes))]).boxed()
}

async fn gather(stream: ByteStream) -> crate::engine::Result<Vec<u8>> {
    stream.try_fold(Vec::new(), |all, piece| std::future::ready(Ok([all, piece.to_vec()].concat()))).await
}

#[tokio::test]
async fn pools_and_addresses_are_handed_out_lowest_first() {
    let engine = engine();
    engine.create_network(&network("a")).await.unwrap();
    engine.create_network(&network("b")).await.unwrap();
    let subnets: Vec<String> = engine.networks().iter().map(|one| one.ipv4().unwrap().subnet.to_string()).collect();
    assert_eq!(subnets, ["172.18.0.0/16", "172.19.0.0/16"]);
    for name in ["one", "two", "three"] {
        started(&engine, name, &node("a")).await;
    }
    engine.remove_container("two").await.unwrap();
    started(&engine, "four", &node("a")).await;
    let address = |name: &str| engine.containers().iter().find(|one| one.name == name).unwrap().networks["a"].ipv4.unwrap().to_string();
    assert_eq!((address("one"), address("three"), address("four")), ("172.18.0.2".into(), "172.18.0.4".into(), "172.18.0.3".into()));
    assert!(engine.remove_network("a").await.unwrap_err().message.contains("active endpoints"));
    engine.end_container("one", 0);
    assert_eq!(engine.inspect_container("one").await.unwrap().networks["a"].ipv4, None);
}

#[tokio::test]
async fn own_subnets_allow_fixed_addresses_and_refuse_overlaps() {
    let engine = engine();
    let own = NetworkSpec {
        ipv4_subnet: Some("10.0.0.0/24".parse().unwrap()),
        ip_range: Some("10.0.0.128/25".parse().unwrap()),
        ..network("own")
    };
    engine.create_network(&own).await.unwrap();
    let error = engine.create_network(&NetworkSpec { name: "other".into(), ..own.clone() }).await.unwrap_err();
    assert!(error.kind == Kind::Refused && error.message.contains("Pool overlaps"), "{error}");
    started(&engine, "fixed", &ContainerSpec { ipv4_address: Some("10.0.0.7".parse().unwrap()), ..node("own") }).await;
    started(&engine, "free", &node("own")).await;
    let attached = engine.networks()[0].attached.clone();
    let addresses: Vec<String> = attached.iter().map(|one| one.ipv4.unwrap().to_string()).collect();
    assert_eq!(addresses, ["10.0.0.7", "10.0.0.128"]);
    engine.create_container("twice", &ContainerSpec { ipv4_address: Some("10.0.0.7".parse().unwrap()), ..node("own") }).await.unwrap();
    assert!(engine.start_container("twice").await.unwrap_err().message.contains("already in use"));

    engine.create_network(&network("auto")).await.unwrap();
    engine.create_container("hopeful", &ContainerSpec { ipv4_address: Some("172.18.0.9".parse().unwrap()), ..node("auto") }).await.unwrap();
    assert!(engine.start_container("hopeful").await.unwrap_err().message.contains("user configured subnets"));
}

#[tokio::test]
async fn duplicates_exist_only_where_they_are_allowed() {
    let engine = engine();
    engine.create_network(&network("kind")).await.unwrap();
    assert!(engine.create_network(&network("kind")).await.unwrap_err().is_conflict());
    engine.allow_duplicate_networks(true);
    let second = engine.create_network(&network("kind")).await.unwrap();
    assert_eq!(engine.networks_named("kind").await.unwrap().len(), 2);
    engine.create_container("c", &node("kind")).await.unwrap();
    assert!(engine.start_container("c").await.unwrap_err().message.contains("ambiguous (2 matches"));
    engine.remove_network(&second).await.unwrap();
    engine.start_container("c").await.unwrap();
}

#[tokio::test]
async fn a_container_lives_and_leaves_nothing() {
    let engine = engine();
    let port = |host_port| PortMapping { container_port: 6443, protocol: Protocol::Tcp, host_ip: "127.0.0.1".parse().unwrap(), host_port };
    let spec = ContainerSpec { anonymous_volumes: vec!["/var".into()], ports: vec![port(0)], ..node("") };
    assert!(engine.create_container("x", &ContainerSpec { image: "none".into(), ..spec.clone() }).await.unwrap_err().is_not_found());
    started(&engine, "x", &spec).await;
    assert!(engine.create_container("x", &spec).await.unwrap_err().is_conflict());
    let info = engine.inspect_container("x").await.unwrap();
    assert_eq!((info.state, info.ports[0].host_port, info.volumes.len()), (ContainerState::Running, 32_768, 1));
    engine.create_container("y", &ContainerSpec { ports: vec![port(32_768)], ..node("") }).await.unwrap();
    assert!(engine.start_container("y").await.unwrap_err().message.contains("port is already allocated"));

    engine.pause_container("x").await.unwrap();
    assert!(engine.pause_container("x").await.unwrap_err().is_conflict());
    engine.unpause_container("x").await.unwrap();
    let waiting = tokio::spawn({
        let engine = engine.clone();
        async move { engine.wait_container("x").await }
    });
    tokio::task::yield_now().await;
    engine.kill_container("x", "SIGKILL").await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), 137);
    assert_eq!(engine.list_containers(&["fleet=f".into()]).await.unwrap()[0].status, "Exited (137)");
    engine.remove_container("x").await.unwrap();
    assert!(engine.volumes().is_empty());
    assert!(engine.remove_container("x").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn gates_refuse_like_an_engine() {
    let engine = engine();
    engine.on_start(|_, spec| if spec.privileged { Err("unable to apply caps: operation not permitted".into()) } else { Ok(()) });
    engine.on_create(|_, spec| if spec.cap_drop.is_empty() { Ok(()) } else { Err("invalid CapDrop".into()) });
    assert_eq!(
        engine.create_container("a", &ContainerSpec { cap_drop: vec!["X".into()], ..node("") }).await.unwrap_err().kind,
        Kind::Refused
    );
    engine.create_container("b", &ContainerSpec { privileged: true, ..node("") }).await.unwrap();
    assert_eq!(engine.start_container("b").await.unwrap_err().kind, Kind::Failed);
    assert_eq!(engine.containers()[0].state, ContainerState::Created);
}

#[tokio::test]
async fn commands_follow_the_script() {
    let engine = engine();
    started(&engine, "n", &node("")).await;
    engine.on_exec(|call| (call.cmd[0] == "kubeadm").then(|| ExecReply::fails(1, "no\nway")));
    engine.on_exec(|call| (call.line() == "cat /kind/version").then(|| ExecReply::stdout("v1.34.4\n")));
    engine.on_exec(|call| (call.cmd[0] == "wc").then(|| ExecReply::stdout(call.stdin.len().to_string())));
    let never = CancellationToken::new();
    let run = |request: ExecRequest| engine.exec("n", request, &never);
    assert_eq!(run(ExecRequest::new(["cat", "/kind/version"])).await.unwrap().stdout_text(), "v1.34.4\n");
    assert_eq!(run(ExecRequest::new(["wc"]).stdin(vec![0; 9])).await.unwrap().stdout_text(), "9");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let keep = heard.clone();
    let mut request = ExecRequest::new(["kubeadm", "init"]);
    request.on_line = Some(Arc::new(move |line| keep.lock().unwrap().push(line.to_owned())));
    assert_eq!(run(request).await.unwrap().exit_code, 1);
    assert_eq!(*heard.lock().unwrap(), ["no", "way"]);
    assert!(run(ExecRequest::new(["anything"])).await.unwrap().success());
    assert_eq!(engine.calls().last().unwrap().object, "anything in n");

    engine.on_exec(|_| Some(ExecReply::Hang));
    let cancel = CancellationToken::new();
    let hanging = engine.exec("n", ExecRequest::new(["sleep"]), &cancel);
    let (ended, ()) = tokio::join!(hanging, async { cancel.cancel() });
    assert_eq!(ended.unwrap_err().kind, Kind::Cancelled);
    engine.end_container("n", 0);
    assert!(run(ExecRequest::new(["x"])).await.unwrap_err().is_conflict());
}

#[tokio::test]
async fn files_and_archives_are_one_file_system_but_for_tmpfs() {
    let engine = engine();
    started(&engine, "n", &ContainerSpec { tmpfs: [("/run".to_owned(), String::new())].into(), ..node("") }).await;
    let never = CancellationToken::new();
    files::write_file(&engine, "n", "/kind/a", 0o600, "text", &never).await.unwrap();
    assert_eq!(engine.file("n", "/kind/a").unwrap(), (0o600, b"text".to_vec()));
    assert!(files::read_file(&engine, "n", "/none", &never).await.unwrap_err().is_not_found());
    let tar = gather(engine.get_archive("n", "/kind").await.unwrap()).await.unwrap();
    for folder in ["/copy", "/run"] {
        let source = futures_util::stream::iter([Ok(Bytes::from(tar.clone()))]).boxed();
        engine.put_archive("n", folder, source).await.unwrap();
    }
    assert_eq!(files::read_file(&engine, "n", "/copy/kind/a", &never).await.unwrap(), b"text");
    assert!(engine.file("n", "/run/kind/a").is_none(), "archives do not reach a tmpfs");
    files::write_file(&engine, "n", "/run/b", 0o644, "seen", &never).await.unwrap();
    assert!(engine.file("n", "/run/b").is_some());
    assert!(engine.get_archive("n", "/nowhere").await.err().unwrap().is_not_found());
}

#[tokio::test]
async fn images_come_by_every_way() {
    let engine = engine();
    let credentials = RegistryCredentials { username: "u".into(), password: "p".into(), identity_token: None, server: "r".into() };
    engine.add_to_registry("r/a:1", Some(credentials.clone()));
    let heard = Mutex::new(0);
    let progress = |_| *heard.lock().unwrap() += 1;
    assert_eq!(engine.pull_image("r/a:1", None, &progress).await.unwrap_err().kind, Kind::Unauthorized);
    let wrong = RegistryCredentials { password: "q".into(), ..credentials.clone() };
    assert_eq!(engine.pull_image("r/a:1", Some(&wrong), &progress).await.unwrap_err().kind, Kind::Unauthorized);
    engine.pull_image("r/a:1", Some(&credentials), &progress).await.unwrap();
    assert!(*heard.lock().unwrap() > 2);
    assert!(engine.pull_image("r/none", None, &progress).await.unwrap_err().is_not_found());

    let id = engine.import_image("own:1", &["LABEL k=v".into()], stream(b"root")).await.unwrap();
    assert_eq!(engine.inspect_image(&id).await.unwrap().unwrap().labels["k"], "v");
    engine.tag_image("own:1", "own:2").await.unwrap();
    engine.remove_image("own:1").await.unwrap();
    assert!(engine.inspect_image("own:2").await.unwrap().is_some());
    let tar = engine.save_images(&["own:2".into()]).await.unwrap();
    let other = FakeEngine::new();
    assert_eq!(other.load_images(tar).await.unwrap(), ["own:2"]);
    assert!(other.load_images(stream(b"")).await.unwrap_err().message.contains("no image"));
    started(&engine, "c", &node("")).await;
    assert!(engine.remove_image(IMAGE).await.unwrap_err().is_conflict());
}

#[tokio::test]
async fn logs_are_followed_to_the_end() {
    let engine = engine();
    started(&engine, "n", &node("")).await;
    engine.log("n", "one\n");
    let logs = engine.container_logs("n", true, None).await.unwrap();
    engine.log("n", "two\n");
    engine.end_container("n", 0);
    assert_eq!(gather(logs).await.unwrap(), b"one\ntwo\n");
}

#[tokio::test]
async fn events_are_told_to_those_whom_they_concern() {
    let engine = engine();
    let mut events = engine.events(&["fleet=f".into()]).await.unwrap();
    engine.create_network(&NetworkSpec { name: "foreign".into(), ..Default::default() }).await.unwrap();
    engine.create_network(&network("ours")).await.unwrap();
    started(&engine, "n", &node("ours")).await;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let event = events.next().await.unwrap().unwrap();
        seen.push(format!("{} {} {}", event.object, event.action, event.name));
    }
    assert_eq!(seen, ["network create ours", "container create n", "container start n"]);
}

#[tokio::test]
async fn faults_strike_the_call_they_are_meant_for() {
    let engine = engine();
    engine.fault(When::Verb(Verb::CreateContainer, 2), Fault::Fail(Kind::Failed, "disk full".into()));
    engine.create_container("a", &node("")).await.unwrap();
    let error = engine.create_container("b", &node("")).await.unwrap_err();
    assert_eq!(error.to_string(), "create container b: disk full");
    engine.create_container("b", &node("")).await.unwrap();
    engine.fault(When::Call(4), Fault::Fail(Kind::Timeout, "late".into()));
    assert_eq!(engine.facts().await.unwrap_err().kind, Kind::Timeout);
    engine.fault(When::Every(Verb::Facts), Fault::Fail(Kind::Unreachable, "gone".into()));
    assert!(engine.facts().await.is_err() && engine.facts().await.is_err());
    assert_eq!(engine.count(Verb::Facts), 3);
    assert_eq!(engine.changes().len(), 3);
}

#[tokio::test]
async fn a_lost_answer_has_been_acted_upon_and_a_lie_has_not() {
    let engine = engine();
    engine.fault(When::Verb(Verb::CreateContainer, 1), Fault::LoseAnswer);
    engine.fault(When::Verb(Verb::CreateContainer, 2), Fault::Lie);
    assert_eq!(engine.create_container("lost", &node("")).await.unwrap_err().kind, Kind::Interrupted);
    engine.create_container("lie", &node("")).await.unwrap();
    let names: Vec<String> = engine.containers().into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["lost"]);
    engine.fault(When::Verb(Verb::ListContainers, 1), Fault::Lie);
    assert!(engine.list_containers(&[]).await.unwrap().is_empty());
    engine.start_container("lost").await.unwrap();
    engine.on_exec(|call| (call.cmd[0] == "touch").then(|| ExecReply::stdout("")));
    engine.fault(When::Verb(Verb::Exec, 1), Fault::LoseAnswer);
    let error = engine.exec("lost", ExecRequest::new(["touch"]), &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Interrupted);
}

#[tokio::test(start_paused = true)]
async fn delays_and_cuts() {
    let engine = engine();
    engine.fault(When::Verb(Verb::Facts, 1), Fault::Delay(Duration::from_secs(90)));
    let began = tokio::time::Instant::now();
    engine.facts().await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(90));

    started(&engine, "n", &node("")).await;
    engine.add_file("n", "/f", vec![1; 5000]);
    engine.fault(When::Verb(Verb::GetArchive, 1), Fault::Cut(1500));
    let mut stream = engine.get_archive("n", "/f").await.unwrap();
    let mut whole = 0;
    let error = loop {
        match stream.next().await.unwrap() {
            Ok(piece) => whole += piece.len(),
            Err(error) => break error,
        }
    };
    assert_eq!((whole, error.kind), (1500, Kind::Interrupted));
    assert!(stream.next().await.is_none());

    engine.fault(When::Verb(Verb::ImportImage, 1), Fault::Cut(2));
    assert_eq!(engine.import_image("i:1", &[], self::stream(b"rootfs")).await.unwrap_err().kind, Kind::Interrupted);
    assert!(engine.inspect_image("i:1").await.unwrap().is_none());
}
