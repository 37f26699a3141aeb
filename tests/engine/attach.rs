//! Commands that are talked to while they run, and what the engine remembers.

use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use kindmesh::engine::{AttachRequest, Attached, ExecRequest, OutputPiece, TerminalSize};
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use crate::scope::scoped;

fn sh(script: &str) -> AttachRequest {
    AttachRequest { cmd: ["sh", "-c", script].map(str::to_owned).to_vec(), ..AttachRequest::default() }
}

/// Everything it prints to its end: both streams, and the exit code.
async fn ended(attached: &mut Attached) -> (String, String, i64) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(piece) = attached.output.next().await {
        match piece.unwrap() {
            OutputPiece::Stdout(bytes) => out.extend_from_slice(&bytes),
            OutputPiece::Stderr(bytes) => err.extend_from_slice(&bytes),
        }
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(out), text(err), attached.control.exit_code().await.unwrap())
}

#[tokio::test]
async fn a_command_is_talked_to() {
    scoped("attach", async |scope| {
        let name = scope.start("c", &scope.sleeper()).await;
        let request = AttachRequest { stdin: true, ..sh("read word; echo \"heard $word\"; cat | wc -c; echo err >&2; exit 7") };
        let mut attached = scope.engine.attach_exec(&name, request).await.unwrap();
        let mut input = attached.input.take().unwrap();
        input.write_all(b"hello\n").await.unwrap();
        // It has answered before its input ends.
        let first = attached.output.next().await.unwrap().unwrap();
        assert_eq!(first, OutputPiece::Stdout("heard hello\n".into()));
        input.write_all(&[b'x'; 100_000]).await.unwrap();
        input.shutdown().await.unwrap();
        let (out, err, code) = ended(&mut attached).await;
        assert_eq!((out.trim(), err.as_str(), code), ("100000", "err\n", 7));
    })
    .await;
}

#[tokio::test]
async fn a_command_gets_a_terminal_of_the_right_size() {
    scoped("terminal", async |scope| {
        let name = scope.start("c", &scope.sleeper()).await;
        // The size is told right after the start.
        let tty = Some(TerminalSize { rows: 31, columns: 97 });
        let script = "[ -t 0 ] && [ -t 1 ] && echo terminal; n=0; while [ \"$(stty size 2>/dev/null)\" != '31 97' ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done; stty size";
        let mut attached = scope.engine.attach_exec(&name, AttachRequest { stdin: true, tty, ..sh(script) }).await.unwrap();
        let (out, _, code) = ended(&mut attached).await;
        assert_eq!((out.as_str(), code), ("terminal\r\n31 97\r\n", 0));
    })
    .await;
}

#[tokio::test]
async fn a_command_that_is_given_up_is_killed_with_its_children() {
    scoped("given-up", async |scope| {
        let name = scope.start("c", &scope.sleeper()).await;
        let mut attached = scope.engine.attach_exec(&name, sh("sleep 4071 & echo begun; wait")).await.unwrap();
        assert_eq!(attached.output.next().await.unwrap().unwrap(), OutputPiece::Stdout("begun\n".into()));
        attached.control.kill().await.unwrap();
        let look = ExecRequest::new(["sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c '[s]leep 4071' || true"]);
        let left = scope.engine.exec(&name, look, &CancellationToken::new()).await.unwrap();
        assert_eq!(left.stdout_text().trim(), "0");
    })
    .await;
}

#[tokio::test]
async fn the_engine_remembers_and_describes() {
    scoped("remember", async |scope| {
        let begun = SystemTime::now() - Duration::from_secs(2);
        let name = scope.start("c", &scope.sleeper()).await;
        let labels = scope.engine.inspect_container(&name).await.unwrap().labels;
        let (key, value) = labels.iter().next().expect("what tests make has a label");
        let events = scope.engine.past_events(&[format!("{key}={value}")], begun).await.unwrap();
        let of_it: Vec<&str> = events.iter().filter(|event| event.name == name).map(|event| event.action.as_str()).collect();
        assert!(of_it.contains(&"create") && of_it.contains(&"start"), "{events:?}");
        let described = scope.engine.describe_container(&name).await.unwrap();
        assert_eq!(described["Name"].as_str(), Some(format!("/{name}").as_str()));
        assert!(described["HostConfig"].is_object(), "{described}");
    })
    .await;
}
