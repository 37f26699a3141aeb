//! An engine that speaks Docker's API over a socket: the library's engine in memory behind the HTTP that a real one
//! speaks, so that what is tested is all of kindmesh, its client included.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use kindmesh::engine::fake::FakeEngine;
use kindmesh::engine::{Engine as _, EngineError, EngineErrorKind, ExecRequest};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::http::{self, Head};
use crate::machine::Machine;
use crate::webfaults::WebFaults;
use crate::wire;

/// The server; it ends with its handle.
pub struct EngineServer {
    /// Where it listens.
    pub socket: PathBuf,
    /// What it has.
    pub engine: FakeEngine,
    /// What goes wrong at the API servers of its clusters.
    pub web: WebFaults,
    task: JoinHandle<()>,
}

struct Shared {
    engine: FakeEngine,
    machine: Machine,
    execs: Mutex<HashMap<String, Exec>>,
    /// How many names were made up.
    nameless: AtomicUsize,
}

/// A command that was described, and how it ended.
#[derive(Clone, Default)]
struct Exec {
    container: String,
    cmd: Vec<String>,
    env: Vec<String>,
    stdin: bool,
    code: Option<i64>,
}

/// An answer: status, and a JSON body.
type Answer = (u16, Value);

// === impl EngineServer ===

impl EngineServer {
    /// An engine with one node image, listening at `socket`.
    pub fn start(socket: &Path, image: &str) -> Self {
        let engine = FakeEngine::new();
        engine.add_image(image, &[]);
        let web = WebFaults::default();
        let machine = Machine::new(&engine, web.clone());
        let shared = Arc::new(Shared { engine: engine.clone(), machine, execs: Mutex::default(), nameless: AtomicUsize::default() });
        let listener = UnixListener::bind(socket).unwrap();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = shared.clone();
                // A caller that goes away is no concern of an engine's.
                tokio::spawn(async move { drop(shared.serve(BufReader::new(client)).await) });
            }
        });
        Self { socket: socket.to_owned(), engine, web, task }
    }
}

impl Drop for EngineServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Shared ===

impl Shared {
    async fn serve(&self, mut client: BufReader<UnixStream>) -> io::Result<()> {
        let Some(head) = http::read_head(&mut client).await? else { return Ok(()) };
        let body = http::read_body(&mut client, &head).await?.plain;
        let path = head.path();
        let mut parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        if parts.first().is_some_and(|first| first.len() > 1 && first.starts_with('v') && first.contains('.')) {
            parts.remove(0);
        }
        match (head.method(), &parts[..]) {
            ("POST", ["exec", id, "start"]) => self.run(client, id).await,
            ("GET", ["containers", id, "logs"]) => self.logs(client, &head, id).await,
            ("GET", ["containers", id, "archive"]) => self.get_archive(client, &head, id).await,
            ("PUT", ["containers", id, "archive"]) => {
                let stream = futures_util::stream::iter([Ok(bytes::Bytes::from(body))]).boxed();
                let put = self.engine.put_archive(id, &head.query("path").unwrap_or_default(), stream).await;
                respond(&mut client, put.map_or_else(refusal, |()| (200, Value::Null))).await
            }
            (method, parts) => {
                let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let answer = self.answer(method, parts, &head, &body).await.unwrap_or_else(refusal);
                respond(&mut client, answer).await
            }
        }
    }

    async fn answer(&self, method: &str, parts: &[&str], head: &Head, body: &Value) -> Result<Answer, EngineError> {
        let engine = &self.engine;
        let labels = || -> Vec<String> {
            let filters: Value = serde_json::from_str(&head.query("filters").unwrap_or_default()).unwrap_or(Value::Null);
            wire::list(&filters["label"])
        };
        let done = |()| (204, Value::Null);
        Ok(match (method, parts) {
            (_, ["_ping"]) => (200, json!("OK")),
            ("GET", ["version"]) => (200, wire::version(&engine.facts().await?)),
            ("GET", ["info"]) => (200, wire::info(&engine.facts().await?)),
            ("GET", ["containers", "json"]) => {
                (200, engine.list_containers(&labels()).await?.iter().map(wire::summary).collect::<Vec<_>>().into())
            }
            ("POST", ["containers", "create"]) => self.create(&head.query("name").unwrap_or_default(), body).await?,
            ("GET", ["containers", id, "json"]) => (200, wire::container(&engine.inspect_container(id).await?)),
            ("POST", ["containers", id, "start"]) => {
                engine.start_container(id).await?;
                self.machine.started(&engine.inspect_container(id).await?).map(done)?
            }
            ("POST", ["containers", id, "wait"]) => (200, json!({"StatusCode": engine.wait_container(id).await?})),
            ("POST", ["containers", id, "kill"]) => done(engine.kill_container(id, &head.query("signal").unwrap_or_default()).await?),
            ("POST", ["containers", id, "stop"]) => done(engine.stop_container(id, 0).await?),
            ("POST", ["containers", id, "pause"]) => done(engine.pause_container(id).await?),
            ("POST", ["containers", id, "unpause"]) => done(engine.unpause_container(id).await?),
            ("DELETE", ["containers", id]) => {
                let info = engine.inspect_container(id).await?;
                engine.remove_container(id).await?;
                self.machine.removed(&info);
                done(())
            }
            ("POST", ["containers", id, "exec"]) => self.describe(id, body).await?,
            ("GET", ["exec", id, "json"]) => match self.execs.lock().unwrap().get(*id) {
                Some(exec) => (200, json!({"ID": id, "Running": exec.code.is_none(), "ExitCode": exec.code})),
                None => (404, json!({"message": format!("No such exec instance: {id}")})),
            },
            ("GET", ["networks"]) => {
                let filters: Value = serde_json::from_str(&head.query("filters").unwrap_or_default()).unwrap_or(Value::Null);
                let name = wire::list(&filters["name"]).first().map(|name| name.trim_matches(['^', '$']).replace('\\', ""));
                let found = match name {
                    Some(name) => engine.networks_named(&name).await?,
                    None => engine.networks_labelled(&labels()).await?,
                };
                (200, found.iter().map(wire::network).collect::<Vec<_>>().into())
            }
            ("POST", ["networks", "create"]) => {
                (201, json!({"Id": engine.create_network(&wire::network_spec(body)).await?, "Warning": ""}))
            }
            ("GET", ["networks", id]) => (200, wire::network(&engine.inspect_network(id).await?)),
            ("DELETE", ["networks", id]) => done(engine.remove_network(id).await?),
            ("POST", ["networks", id, "connect"]) => {
                engine.connect_network(id, &wire::text(&body["Container"]), None).await?;
                (200, Value::Null)
            }
            ("POST", ["networks", id, "disconnect"]) => {
                engine.disconnect_network(id, &wire::text(&body["Container"])).await?;
                (200, Value::Null)
            }
            ("GET", ["images", name @ .., "json"]) => match engine.inspect_image(&name.join("/")).await? {
                Some(image) => (200, wire::image(&image)),
                None => (404, json!({"message": format!("No such image: {}", name.join("/"))})),
            },
            ("GET", ["volumes"]) => {
                let listed = engine.list_volumes(&labels()).await?;
                let listed: Vec<Value> = listed.iter().map(|volume| wire::volume(&volume.name, &volume.labels)).collect();
                (200, json!({"Volumes": listed, "Warnings": []}))
            }
            ("POST", ["volumes", "create"]) => {
                let (name, labels) = (wire::text(&body["Name"]), wire::map(&body["Labels"]));
                engine.create_volume(&name, &labels).await?;
                (201, wire::volume(&name, &labels))
            }
            ("GET", ["volumes", name]) => match engine.volume_exists(name).await? {
                true => (200, wire::volume(name, &std::collections::BTreeMap::new())),
                false => (404, json!({"message": format!("get {name}: no such volume")})),
            },
            ("DELETE", ["volumes", name]) => done(engine.remove_volume(name).await?),
            _ => (404, json!({"message": "page not found"})),
        })
    }

    async fn create(&self, name: &str, body: &Value) -> Result<Answer, EngineError> {
        // An engine makes a name up where none is asked for.
        let made_up = format!("nameless_{}", self.nameless.fetch_add(1, Ordering::SeqCst));
        let name = if name.is_empty() { &made_up } else { name };
        let id = self.engine.create_container(name, &wire::container_spec(body)).await?;
        self.machine.created(name);
        Ok((201, json!({"Id": id, "Warnings": []})))
    }

    async fn describe(&self, container: &str, body: &Value) -> Result<Answer, EngineError> {
        let name = self.engine.inspect_container(container).await?.name;
        let mut execs = self.execs.lock().unwrap();
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

    /// Runs a described command over the connection that asks for it.
    async fn run(&self, mut client: BufReader<UnixStream>, id: &str) -> io::Result<()> {
        let Some(exec) = self.execs.lock().unwrap().get(id).cloned() else {
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
        let output = self.engine.exec(&exec.container, request, &CancellationToken::new()).await;
        let (code, stdout, stderr) = match output {
            Ok(output) => (output.exit_code, output.stdout, output.stderr),
            Err(error) => (126, Vec::new(), error.message.into_bytes()),
        };
        if let Some(exec) = self.execs.lock().unwrap().get_mut(id) {
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

    /// A container's output, raw as that of one with a terminal; the end of the connection is its end.
    async fn logs(&self, mut client: BufReader<UnixStream>, head: &Head, id: &str) -> io::Result<()> {
        let follow = head.query("follow").is_some_and(|follow| follow == "true" || follow == "1");
        let mut logs = match self.engine.container_logs(id, follow, None).await {
            Ok(logs) => logs,
            Err(error) => return respond(&mut client, refusal(error)).await,
        };
        client.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.docker.raw-stream\r\nconnection: close\r\n\r\n").await?;
        while let Some(Ok(piece)) = logs.next().await {
            client.write_all(&piece).await?;
        }
        client.shutdown().await
    }

    async fn get_archive(&self, mut client: BufReader<UnixStream>, head: &Head, id: &str) -> io::Result<()> {
        let mut archive = match self.engine.get_archive(id, &head.query("path").unwrap_or_default()).await {
            Ok(archive) => archive,
            Err(error) => return respond(&mut client, refusal(error)).await,
        };
        let mut bytes = Vec::new();
        while let Some(Ok(piece)) = archive.next().await {
            bytes.extend_from_slice(&piece);
        }
        http::answer(&mut client, 200, "application/x-tar", &bytes, true).await
    }
}

async fn respond(client: &mut BufReader<UnixStream>, (status, body): Answer) -> io::Result<()> {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    http::answer(client, status, "application/json", text.as_bytes(), true).await
}

/// A failure as an engine tells it.
fn refusal(error: EngineError) -> Answer {
    let status = match error.kind {
        EngineErrorKind::NotFound => 404,
        EngineErrorKind::Conflict => 409,
        EngineErrorKind::Refused => 403,
        _ => 500,
    };
    (status, json!({"message": error.message}))
}
