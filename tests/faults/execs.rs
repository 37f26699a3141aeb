//! Commands in containers of the engine in memory: described, then run over the connection that asks for it.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;

use kindmesh::engine::fake::FakeEngine;
use kindmesh::engine::{Engine as _, EngineError, ExecRequest};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use crate::engine::{Answer, respond};
use crate::wire;

/// The commands, by their IDs.
#[derive(Default)]
pub struct Execs(Mutex<HashMap<String, Exec>>);

/// A command that was described, and how it ended.
#[derive(Clone, Default)]
struct Exec {
    container: String,
    cmd: Vec<String>,
    env: Vec<String>,
    stdin: bool,
    code: Option<i64>,
}

// === impl Execs ===

impl Execs {
    /// Remembers a command.
    pub async fn describe(&self, engine: &FakeEngine, container: &str, body: &Value) -> Result<Answer, EngineError> {
        let name = engine.inspect_container(container).await?.name;
        let mut execs = self.0.lock().unwrap();
        let id = format!("{:064x}", execs.len() + 1);
        let exec = Exec {
            container: name,
            cmd: wire::list(&body["Cmd"]),
            env: wire::list(&body["Env"]),
            stdin: body["AttachStdin"] == json!(true),
            code: None,
        };
        execs.insert(id.clone(), exec);
        Ok((201, json!({"Id": id})))
    }

    /// Whether a command runs, and how it ended.
    pub fn inspect(&self, id: &str) -> Answer {
        match self.0.lock().unwrap().get(id) {
            Some(exec) => (200, json!({"ID": id, "Running": exec.code.is_none(), "ExitCode": exec.code})),
            None => (404, json!({"message": format!("No such exec instance: {id}")})),
        }
    }

    /// Runs a described command over the connection that asks for it.
    pub async fn run(&self, engine: &FakeEngine, mut client: BufReader<UnixStream>, id: &str) -> io::Result<()> {
        let Some(exec) = self.0.lock().unwrap().get(id).cloned() else {
            return respond(&mut client, (404, json!({"message": format!("No such exec instance: {id}")}))).await;
        };
        let upgraded =
            "HTTP/1.1 101 UPGRADED\r\ncontent-type: application/vnd.docker.raw-stream\r\nconnection: Upgrade\r\nupgrade: tcp\r\n\r\n";
        client.write_all(upgraded.as_bytes()).await?;
        let mut input = Vec::new();
        if exec.stdin {
            client.read_to_end(&mut input).await?;
        }
        let mut request = ExecRequest::new(exec.cmd.clone());
        request.env.clone_from(&exec.env);
        if exec.stdin {
            request = request.stdin(input);
        }
        let output = engine.exec(&exec.container, request, &CancellationToken::new()).await;
        let (code, stdout, stderr) = match output {
            Ok(output) => (output.exit_code, output.stdout, output.stderr),
            Err(error) => (126, Vec::new(), error.message.into_bytes()),
        };
        if let Some(exec) = self.0.lock().unwrap().get_mut(id) {
            exec.code = Some(code);
        }
        for (stream, bytes) in [(1, stdout), (2, stderr)] {
            for piece in bytes.chunks(16 << 10) {
                let [a, b, c, d] = u32::try_from(piece.len()).unwrap().to_be_bytes();
                client.write_all(&[stream, 0, 0, 0, a, b, c, d]).await?;
                client.write_all(piece).await?;
            }
        }
        client.shutdown().await
    }
}
