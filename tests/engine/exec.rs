//! Commands in containers: output, input, exit codes, and the end of those that are called off.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use kindmesh::engine::{EngineError, EngineErrorKind, ExecRequest, Stdin, files};
use tokio_util::sync::CancellationToken;

use crate::scope::{Scope, scoped};

fn never() -> CancellationToken {
    CancellationToken::new()
}

/// How many processes of the container have this word in their arguments; waits until `wanted` do.
async fn until_running(scope: &Scope, container: &str, word: &str, wanted: bool) {
    let end = Instant::now() + Duration::from_secs(20);
    let line = format!(
        "n=0; for p in /proc/[0-9]*; do read -r a < $p/cmdline 2>/dev/null; case $a in *{}*) n=$((n+1));; esac; done; echo $n",
        // Split, so that the looking shell does not find itself.
        format_args!("{}\"\"{}", &word[..1], &word[1..])
    );
    loop {
        let count = scope.sh(container, &line).await.stdout_text().trim().parse::<u32>().unwrap();
        if (count > 0) == wanted {
            return;
        }
        assert!(Instant::now() < end, "{count} processes of {word}, wanted some: {wanted}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn both_streams_and_the_exit_code_come_back() {
    scoped("exec", async |scope| {
        let name = scope.start("c", &scope.sleeper()).await;
        let output = scope.sh(&name, "echo out; echo err >&2; exit 7").await;
        assert_eq!((output.exit_code, output.stdout_text().as_str()), (7, "out\n"));
        assert_eq!(output.stderr, b"err\n");
        let mut request = ExecRequest::new(["sh", "-c", "echo $WORD"]);
        request.env.push("WORD=given".to_owned());
        assert_eq!(scope.engine.exec(&name, request, &never()).await.unwrap().stdout_text(), "given\n");
    })
    .await;
}

#[tokio::test]
async fn a_missing_program_is_an_exit_code() {
    scoped("missing", async |scope| {
        let name = scope.start("c", &scope.sleeper()).await;
        let output = scope.engine.exec(&name, ExecRequest::new(["no-such-program"]), &never()).await.unwrap();
        assert!(matches!(output.exit_code, 126 | 127), "{output:?}");
        assert!(output.tail(3).contains("no-such-program"), "{output:?}");
    })
    .await;
}

#[tokio::test]
async fn a_missing_or_stopped_container_is_an_error() {
    scoped("gone", async |scope| {
        let error = scope.engine.exec("kmt-no-such-container", ExecRequest::new(["true"]), &never()).await.unwrap_err();
        assert!(error.is_not_found(), "{error:?}");
        assert!(error.to_string().starts_with("run true in kmt-no-such-container: "), "{error}");
        let name = scope.start("c", &scope.container(&["true"])).await;
        scope.engine.wait_container(&name).await.unwrap();
        assert!(scope.engine.exec(&name, ExecRequest::new(["true"]), &never()).await.unwrap_err().is_conflict());
    })
    .await;
}

#[tokio::test]
async fn large_input_and_large_output_flow_at_once() {
    scoped("echo", async |scope| {
        let name = scope.start("c", &scope.sleeper()).await;
        let input: Vec<u8> = (0..8_000_000_u32).map(|number| (number % 251) as u8).collect();
        let request = ExecRequest::new(["cat"]).stdin(input.clone());
        let output = scope.engine.exec(&name, request, &never()).await.unwrap();
        assert_eq!(output.exit_code, 0);
        assert!(output.stdout == input, "{} of {} bytes", output.stdout.len(), input.len());

        let pieces = futures_util::stream::iter((0..100).map(|_| Ok(Bytes::from(vec![b'x'; 10_000])))).boxed();
        let mut request = ExecRequest::new(["wc", "-c"]);
        request.stdin = Some(Stdin::Stream(Arc::new(tokio::sync::Mutex::new(pieces))));
        assert_eq!(scope.engine.exec(&name, request, &never()).await.unwrap().stdout_text().trim(), "1000000");
    })
    .await;
}

#[tokio::test]
async fn input_that_breaks_off_is_no_success() {
    scoped("broken", async |scope| {
        let name = scope.start("c", &scope.sleeper()).await;
        let broken = || EngineError::new("read", "the source", EngineErrorKind::Interrupted, "it broke");
        let pieces = futures_util::stream::iter([Ok(Bytes::from_static(b"half")), Err(broken())]).boxed();
        let mut request = ExecRequest::new(["cat"]);
        request.stdin = Some(Stdin::Stream(Arc::new(tokio::sync::Mutex::new(pieces))));
        let error = scope.engine.exec(&name, request, &never()).await.unwrap_err();
        assert_eq!(error.to_string(), "read the source: it broke");
        // Nobody waits for the command any more, so it must not wait for its input either.
        until_running(&scope, &name, "cat", false).await;

        let request = ExecRequest::new(["head", "-c", "1"]).stdin(vec![b'x'; 4_000_000]);
        let error = scope.engine.exec(&name, request, &never()).await.unwrap_err();
        assert_eq!(error.kind, EngineErrorKind::Interrupted, "{error}");
        // A command that fails without reading tells its own reason.
        let request = ExecRequest::new(["sh", "-c", "exit 3"]).stdin(vec![b'x'; 4_000_000]);
        assert_eq!(scope.engine.exec(&name, request, &never()).await.unwrap().exit_code, 3);
    })
    .await;
}

#[tokio::test]
async fn lines_are_told_as_they_come() {
    scoped("lines", async |scope| {
        let name = scope.start("c", &scope.sleeper()).await;
        let heard: Arc<Mutex<Vec<(String, Instant)>>> = Arc::default();
        let keep = heard.clone();
        let mut request = ExecRequest::new(["sh", "-c", "echo one; sleep 1; printf 'two\\nthree'"]);
        request.on_line = Some(Arc::new(move |line| keep.lock().unwrap().push((line.to_owned(), Instant::now()))));
        scope.engine.exec(&name, request, &never()).await.unwrap();
        let heard = heard.lock().unwrap();
        assert_eq!(heard.iter().map(|(line, _)| line.as_str()).collect::<Vec<_>>(), ["one", "two", "three"]);
        assert!(heard[1].1 - heard[0].1 > Duration::from_millis(700), "told at the end only");
    })
    .await;
}

#[tokio::test]
async fn cancelling_kills_the_command_and_its_children() {
    scoped("cancel", async |scope| {
        let name = scope.start("c", &scope.sleeper()).await;
        let cancel = CancellationToken::new();
        let tree = "trap '' TERM INT HUP; sleep 77123 & sh -c 'sleep 77123 & sleep 77123' & sleep 77123";
        let running = scope.engine.exec(&name, ExecRequest::new(["sh", "-c", tree]), &cancel);
        let stopping = async {
            until_running(&scope, &name, "77123", true).await;
            cancel.cancel();
        };
        let began = Instant::now();
        let (ended, ()) = tokio::join!(running, stopping);
        let error = ended.unwrap_err();
        assert_eq!(error.kind, EngineErrorKind::Cancelled);
        assert_eq!(error.message, "cancelled; the command was killed");
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        until_running(&scope, &name, "77123", false).await;
        // The container's own process bears no mark.
        assert_eq!(scope.sh(&name, "echo alive").await.stdout_text(), "alive\n");
    })
    .await;
}

#[tokio::test]
async fn cancelling_at_any_moment_leaves_nothing_behind() {
    scoped("race", async |scope| {
        let name = scope.start("c", &scope.sleeper()).await;
        for delay in [0, 1, 2, 5, 10, 20, 40, 80] {
            let cancel = CancellationToken::new();
            let later = cancel.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                later.cancel();
            });
            let error = scope.engine.exec(&name, ExecRequest::new(["sleep", "66123"]), &cancel).await.unwrap_err();
            assert_eq!(error.kind, EngineErrorKind::Cancelled, "after {delay} ms: {error}");
            assert!(!error.message.contains("may still run"), "after {delay} ms: {error}");
            until_running(&scope, &name, "66123", false).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dropping_the_future_kills_the_command() {
    scoped("drop", async |scope| {
        let name = scope.start("c", &scope.sleeper()).await;
        let cancel = never();
        let running = scope.engine.exec(&name, ExecRequest::new(["sleep", "88123"]), &cancel);
        tokio::select! {
            ended = running => panic!("ended: {ended:?}"),
            () = until_running(&scope, &name, "88123", true) => {}
        }
        until_running(&scope, &name, "88123", false).await;
    })
    .await;
}

#[tokio::test]
async fn files_are_written_whole_also_on_tmpfs() {
    scoped("files", async |scope| {
        let spec = kindmesh::domain::container::ContainerSpec { tmpfs: [("/run".to_owned(), String::new())].into(), ..scope.sleeper() };
        let name = scope.start("c", &spec).await;
        let engine = scope.engine.as_ref();
        for path in ["/run/deep/er/file", "/data/file", "/top"] {
            files::write_file(engine, &name, path, 0o640, "first", &never()).await.unwrap();
            files::write_file(engine, &name, path, 0o640, vec![7_u8; 300_000], &never()).await.unwrap();
            assert_eq!(files::read_file(engine, &name, path, &never()).await.unwrap(), vec![7_u8; 300_000]);
            assert_eq!(scope.sh(&name, &format!("stat -c %a {path}")).await.stdout_text().trim(), "640");
        }
        assert_eq!(scope.sh(&name, "ls /data").await.stdout_text(), "file\n");
        let error = files::read_file(engine, &name, "/none", &never()).await.unwrap_err();
        assert!(error.is_not_found(), "{error}");
        let error = files::write_file(engine, &name, "/proc/x", 0o600, "x", &never()).await.unwrap_err();
        assert_eq!(error.kind, EngineErrorKind::Refused, "{error}");
        assert!(error.to_string().starts_with(&format!("write file {name}:/proc/x: exit code ")), "{error}");
    })
    .await;
}
