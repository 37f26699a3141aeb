//! Connecting to small servers on this machine.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

use super::*;

mod tls;

const VERSION: &str =
    r#"{"Platform":{"Name":""},"Version":"20.10.24+dfsg1","ApiVersion":"1.41","MinAPIVersion":"1.12","Os":"linux","Arch":"amd64"}"#;

/// Answers one request with a body.
async fn answer(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin, status: &str, body: &str) {
    let mut seen = Vec::new();
    let mut buffer = [0; 1024];
    while !seen.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => seen.extend_from_slice(&buffer[..count]),
            _ => return,
        }
    }
    let text = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).await.ok();
}

fn options(host: String) -> ConnectOptions {
    ConnectOptions { connect_timeout: Duration::from_millis(500), ..ConnectOptions::to_host(host) }
}

async fn failure(host: String) -> Attempt {
    match connect(&options(host)).await {
        Err(ConnectError::NoEngine { mut tried }) => tried.remove(0),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_socket_and_a_port_answer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("engine.sock");
    let socket = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move { answer(socket.accept().await.unwrap().0, "200 OK", VERSION).await });
    let engine = connect(&options(path.display().to_string())).await.unwrap();
    assert_eq!(engine.endpoint(), format!("unix://{}", path.display()));
    assert_eq!(engine.remote_host(), None);

    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap();
    tokio::spawn(async move { answer(port.accept().await.unwrap().0, "200 OK", VERSION).await });
    let engine = connect(&options(format!("tcp://{address}"))).await.unwrap();
    assert_eq!(engine.endpoint(), format!("tcp://{address}"));
}

#[tokio::test]
async fn the_first_socket_that_answers_is_taken() {
    let home = tempfile::tempdir().unwrap();
    let runtime = home.path().join("run");
    std::fs::create_dir_all(runtime.join("podman")).unwrap();
    // A stale socket before, and podman's after it.
    drop(std::os::unix::net::UnixListener::bind(runtime.join("docker.sock")).unwrap());
    let socket = UnixListener::bind(runtime.join("podman/podman.sock")).unwrap();
    tokio::spawn(async move { answer(socket.accept().await.unwrap().0, "200 OK", VERSION).await });
    let options =
        ConnectOptions { home: Some(home.path().to_owned()), xdg_runtime_dir: Some(runtime.clone()), ..ConnectOptions::default() };
    let mut tried: Vec<String> = Vec::new();
    // The machine may have an engine at the default socket: that is another test's business.
    for Candidate { endpoint, .. } in candidates(&options).unwrap().into_iter().skip(1) {
        match attempt(&endpoint, &options).await {
            Ok(engine) => {
                assert_eq!(engine.endpoint(), format!("unix://{}", runtime.join("podman/podman.sock").display()));
                assert_eq!(tried[0], "nobody listens there");
                assert!(tried[1].starts_with("there is no socket at "), "{tried:?}");
                return;
            }
            Err((reason, _)) => tried.push(reason),
        }
    }
    panic!("nothing answered: {tried:?}");
}

#[tokio::test]
async fn what_does_not_answer_is_told_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none.sock").display().to_string();
    assert_eq!(failure(missing.clone()).await.reason, format!("there is no socket at {missing}"));

    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap();
    assert_eq!(failure(format!("tcp://{address}")).await.reason, "no answer within 0.5 s");
    drop(port);
    assert_eq!(failure(format!("tcp://{address}")).await.reason, "nobody listens there");

    for (status, body, reason) in [
        ("200 OK", "<html>", "what answers there is no container engine: "),
        ("200 OK", r#"{"gitVersion":"v1.34.4"}"#, "what answers there is no container engine: "),
        ("500 Internal Server Error", r#"{"message":"still starting"}"#, "still starting"),
    ] {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = port.local_addr().unwrap();
        tokio::spawn(async move { answer(port.accept().await.unwrap().0, status, body).await });
        let told = failure(format!("tcp://{address}")).await.reason;
        assert!(told.starts_with(reason), "{told}");
    }
}

#[tokio::test]
async fn no_engine_names_every_endpoint_and_what_to_do() {
    let error = connect(&options("/nowhere/x.sock".to_owned())).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no container engine answers:\n  unix:///nowhere/x.sock (--host): there is no socket at /nowhere/x.sock\n\
         start an engine (systemctl start docker, dockerd, or systemctl --user start podman.socket), or name one with --host or DOCKER_HOST"
    );
    let denied = Attempt {
        endpoint: "unix:///x".into(),
        origin: "the default socket",
        reason: "this user may not use the socket".into(),
        denied: true,
    };
    let text = ConnectError::NoEngine { tried: vec![denied] }.to_string();
    assert!(text.contains("join the group"), "{text}");
    assert!(
        told(
            &Endpoint::Unix("/x".into()),
            (EngineErrorKind::Unreachable, "client error (Connect): Permission denied (os error 13)".into())
        )
        .1
    );
}
