//! Connections to the engine that break: told as such, in time, and never as success.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use kindmesh::engine::connect::{ConnectOptions, connect};
use kindmesh::engine::{Deadlines, EngineErrorKind, ExecRequest};
use tokio_util::sync::CancellationToken;

use crate::proxy::{Proxy, Target};
use crate::scope::{Scope, scoped, stream, tar_of};

/// The same engine behind a proxy, with short deadlines.
async fn behind(scope: &Scope) -> (Proxy, Scope) {
    let endpoint = scope.engine.endpoint();
    let target = match endpoint.strip_prefix("unix://") {
        Some(path) => Target::Unix(PathBuf::from(path)),
        None => Target::Tcp(endpoint.rsplit_once("//").unwrap().1.parse().unwrap()),
    };
    let proxy = Proxy::start(target).await;
    let deadlines = Deadlines { call: Duration::from_secs(5), transfer: Duration::from_secs(20) };
    let options = ConnectOptions { deadlines, ..ConnectOptions::to_host(format!("tcp://{}", proxy.address)) };
    let engine = connect(&options).await.unwrap();
    (proxy, Scope { engine, name: scope.name.clone() })
}

#[tokio::test]
async fn every_verb_works_over_tcp_too() {
    scoped("tcp", async |scope| {
        let (_proxy, scope) = behind(&scope).await;
        let name = scope.start("c", &scope.sleeper()).await;
        let request = ExecRequest::new(["cat"]).stdin(vec![b'x'; 3_000_000]);
        let output = scope.engine.exec(&name, request, &CancellationToken::new()).await.unwrap();
        assert_eq!((output.exit_code, output.stdout.len()), (0, 3_000_000));
        scope.engine.put_archive(&name, "/data", stream(tar_of(&[("a", 0o644, b"x")]))).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_broken_exec_is_an_error_and_its_command_is_killed() {
    scoped("cutexec", async |scope| {
        let (proxy, far) = behind(&scope).await;
        let name = scope.start("c", &scope.sleeper()).await;
        proxy.break_after(100_000, 1);
        let line = "n=0; while [ $n -lt 40000 ]; do echo 0123456789; n=$((n+1)); done; sleep 55123";
        let began = Instant::now();
        let ended = far.engine.exec(&name, ExecRequest::new(["sh", "-c", line]), &CancellationToken::new()).await;
        assert_eq!(proxy.broken(), 1);
        let error = ended.unwrap_err();
        assert_eq!(error.kind, EngineErrorKind::Interrupted, "{error:?}");
        assert!(began.elapsed() < Duration::from_secs(30));
        let end = Instant::now() + Duration::from_secs(20);
        while scope.sh(&name, "cat /proc/[0-9]*/cmdline").await.stdout_text().contains("sleep\u{0}55123") {
            assert!(Instant::now() < end, "the command lives on");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_engine_that_is_gone_is_unreachable_and_one_that_hangs_times_out() {
    scoped("dead", async |scope| {
        let (proxy, far) = behind(&scope).await;
        drop(proxy);
        // The listener goes with its task, which ends when it is next polled.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let error = far.engine.list_containers(&[]).await.unwrap_err();
        assert_eq!(error.kind, EngineErrorKind::Unreachable, "{error:?}");

        let (proxy, far) = behind(&scope).await;
        let address = proxy.address;
        drop(proxy);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let silent = tokio::net::TcpListener::bind(address).await.unwrap();
        let began = Instant::now();
        let error = far.engine.inspect_container("some").await.unwrap_err();
        assert_eq!(error.kind, EngineErrorKind::Timeout, "{error:?}");
        assert!(error.to_string().starts_with("inspect container some: the engine at tcp://"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(9));
        drop(silent);
    })
    .await;
}
