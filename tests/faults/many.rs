//! Many at once: processes that make one network, deletions that edit one file, fleets that come and go.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Arc;

use kindmesh::domain::container::ContainerSpec;
use kindmesh::domain::kubeconfig::Kubeconfig;
use kindmesh::domain::labels;
use kindmesh::domain::net::range::AddrRange;
use kindmesh::engine::Engine as _;
use kindmesh::engine::connect::{ConnectOptions, connect};
use kindmesh::ops::{Kindmesh, KubeconfigTarget};

use crate::bench::{IMAGE, at_once, fleet};
use crate::engine::EngineServer;
use crate::report;

/// Where a test that runs itself as another process tells that process which engine is meant.
const SOCKET: &str = "KINDMESH_FAULTS_SOCKET";
const CREATORS: usize = 32;
const DELETERS: usize = 96;
const FLEETS: usize = 16;

/// Not a test of its own: makes the network, as one of many processes.
#[tokio::test]
#[ignore = "a part of the race below, which starts it in processes of its own"]
async fn creator() {
    let socket = std::env::var(SOCKET).expect("the test that starts this says where the engine is");
    let engine = connect(&ConnectOptions::to_host(socket)).await.unwrap();
    Kindmesh::new(engine).ensure_network(&fleet("creator")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_32_processes_that_make_a_network_one_makes_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut failures = Vec::new();
    // As engines before and after names of networks became unique.
    for (name, duplicates) in [("new", false), ("old", true)] {
        let server = EngineServer::start(&dir.path().join(name), IMAGE);
        server.engine.allow_duplicate_networks(duplicates);
        let children: Vec<_> = (0..CREATORS)
            .map(|_| {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.args(["many::creator", "--exact", "--ignored"]).env(SOCKET, format!("unix://{}", server.socket.display()));
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for child in children {
            let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
            if !output.status.success() {
                failures.push(String::from_utf8_lossy(&output.stdout).into_owned());
            }
        }
        let networks = server.engine.networks();
        assert_eq!(networks.len(), 1, "one network: {networks:?}");
    }
    report::row("32 processes creating a network", 2 * CREATORS, &failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_96_at_once_leave_the_file_whole() {
    let dir = tempfile::tempdir().unwrap();
    let server = EngineServer::start(&dir.path().join("engine.sock"), IMAGE);
    let mut users = String::from("apiVersion: v1\nkind: Config\ncurrent-context: mine\npreferences: {}\n");
    for list in ["clusters", "contexts", "users"] {
        let entry = &list[..list.len() - 1];
        users.push_str(&format!("{list}:\n- {{name: mine, {entry}: {{extra: kept}}}}\n"));
        users.extend((0..DELETERS).map(|number| format!("- {{name: kind-d{number}, {entry}: {{}}}}\n")));
    }
    let path = dir.path().join("kubeconfig");
    std::fs::write(&path, users).unwrap();
    for number in 0..DELETERS {
        let of =
            [(labels::CLUSTER, format!("d{number}")), (labels::ROLE, "control-plane".to_owned()), (labels::FLEET, format!("d{number}"))];
        let spec = ContainerSpec {
            image: IMAGE.to_owned(),
            labels: of.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            ..ContainerSpec::default()
        };
        server.engine.create_container(&format!("d{number}-control-plane"), &spec).await.unwrap();
    }
    let children: Vec<_> = (0..DELETERS)
        .map(|number| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_kindmesh"));
            command.args(["down", "--cluster", &format!("d{number}")]).env_clear().env("HOME", dir.path()).env("KUBECONFIG", &path);
            command.env("DOCKER_HOST", format!("unix://{}", server.socket.display()));
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut failures = Vec::new();
    for child in children {
        let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
        if !output.status.success() {
            failures.push(String::from_utf8_lossy(&output.stderr).into_owned());
        }
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let left = Kubeconfig::parse(&text).unwrap();
    if left.contexts() != ["mine"] || left.current_context() != Some("mine") || text.matches("extra: kept").count() != 3 {
        failures.push(format!("the file is not what it must be:\n{text}"));
    }
    let beside: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!beside.iter().any(|name| name.contains(".lock") || name.starts_with(".kubeconfig-")), "left beside the file: {beside:?}");
    assert_eq!(server.engine.containers().len(), 0);
    report::row("96 deletes on one kubeconfig", DELETERS, &failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn fleets_16_at_once_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let server = EngineServer::start(&dir.path().join("engine.sock"), IMAGE);
    let socket = format!("unix://{}", server.socket.display());
    let path = dir.path().join("kubeconfig");
    let kindmesh = || async {
        let engine = connect(&ConnectOptions::to_host(socket.clone())).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(Kindmesh::new(engine).kubeconfig_files(KubeconfigTarget { write: path.clone(), all: vec![path.clone()] }))
    };
    let numbers: Vec<usize> = (0..FLEETS).collect();
    let fleet_of = |number: usize| {
        let mut fleet = fleet(&format!("m{number}"));
        // All of them share two processors.
        fleet.timeouts = Default::default();
        fleet
    };
    let fleets: Arc<Vec<_>> = Arc::new(numbers.iter().map(|number| fleet_of(*number)).collect());
    let kindmesh = &kindmesh;
    let told = |number: usize, error: kindmesh::ops::Error| format!("fleet m{number}: {}", error.one_line());
    let mut failures = at_once(FLEETS, &numbers, |number| {
        let fleets = fleets.clone();
        async move { kindmesh().await?.up(&fleets[number]).await.map(drop).map_err(|error| told(number, error)) }
    });
    let containers = server.engine.containers();
    let pools: Vec<AddrRange> = containers.iter().filter_map(|one| one.labels.get(labels::POOL)?.parse().ok()).collect();
    for (index, pool) in pools.iter().enumerate() {
        if pools[..index].iter().any(|other| other.overlaps(pool)) {
            failures.push(format!("pool {pool} is shared"));
        }
    }
    let contexts = Kubeconfig::parse(&std::fs::read_to_string(&path).unwrap()).unwrap().contexts().len();
    if (containers.len(), pools.len(), contexts) != (FLEETS, FLEETS, FLEETS) {
        failures.push(format!("{} containers, {} pools, {contexts} contexts", containers.len(), pools.len()));
    }
    failures.extend(at_once(FLEETS, &numbers, |number| {
        let fleets = fleets.clone();
        async move { kindmesh().await?.down(&fleets[number].name).await.map(drop).map_err(|error| told(number, error)) }
    }));
    // A network goes with the fleet that made it, unless others still use it then: with all of them at once, some do.
    if let Err(error) = kindmesh().await.unwrap().down_all().await {
        failures.push(error.one_line());
    }
    let left: BTreeSet<String> = server.engine.containers().into_iter().map(|one| one.name).collect();
    if !left.is_empty() || !server.engine.networks().is_empty() || std::fs::read_to_string(&path).unwrap().contains("kind-m") {
        failures.push(format!("left behind: {left:?} {:?}", server.engine.networks()));
    }
    report::row("16 fleets at once, up and down", 2 * FLEETS, &failures);
}
