//! An engine that speaks Docker's API over a socket: the library's engine in memory behind the HTTP that a real one
//! speaks, so that what is tested is all of kindmesh, its client included.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use jiff::Timestamp;
use kindmesh::engine::fake::FakeEngine;
use kindmesh::engine::{Engine as _, EngineError, EngineErrorKind};
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::execs::Execs;
use crate::happened::Happened;
use crate::http::{self, Head};
use crate::images;
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
    execs: Execs,
    /// How many names were made up.
    nameless: AtomicUsize,
    happened: Happened,
    /// When what was asked for over HTTP was made, by this machine's clock: the engine in memory has one of its own.
    made: Mutex<HashMap<String, Timestamp>>,
}

/// An answer: status, and a JSON body.
pub type Answer = (u16, Value);

// === impl EngineServer ===

impl EngineServer {
    /// An engine with one node image, listening at `socket`.
    pub fn start(socket: &Path, image: &str) -> Self {
        let engine = FakeEngine::new();
        engine.add_image(image, &[]);
        let web = WebFaults::default();
        let machine = Machine::new(&engine, web.clone());
        let shared = Arc::new(Shared {
            engine: engine.clone(),
            machine,
            execs: Execs::default(),
            nameless: AtomicUsize::default(),
            happened: Happened::on(&engine),
            made: Mutex::default(),
        });
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
            ("POST", ["exec", id, "start"]) => self.execs.run(&self.engine, client, id).await,
            ("GET", ["containers", id, "logs"]) => self.logs(client, &head, id).await,
            ("GET", ["containers", id, "archive"]) => self.get_archive(client, &head, id).await,
            ("PUT", ["containers", id, "archive"]) => {
                let stream = futures_util::stream::iter([Ok(bytes::Bytes::from(body))]).boxed();
                let put = self.engine.put_archive(id, &head.query("path").unwrap_or_default(), stream).await;
                respond(&mut client, put.map_or_else(refusal, |()| (200, Value::Null))).await
            }
            ("GET", ["events"]) => self.happened.serve(&mut client, &head).await,
            ("POST", ["images", "create"]) => tell(&mut client, images::create(&self.engine, &head, body).await).await,
            ("POST", ["images", "load"]) => tell(&mut client, images::load(&self.engine, body).await).await,
            ("GET", ["images", "get"]) => match images::save(&self.engine, &head).await {
                Ok(archive) => http::answer(&mut client, 200, "application/x-tar", &archive, true).await,
                Err(error) => respond(&mut client, refusal(error)).await,
            },
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
                let listed = engine.list_containers(&labels()).await?;
                let told = listed.iter().map(|one| self.dated("container", &one.id, "Created", wire::summary(one)));
                (200, told.collect::<Vec<_>>().into())
            }
            ("POST", ["containers", "create"]) => self.create(&head.query("name").unwrap_or_default(), body).await?,
            ("GET", ["containers", id, "json"]) => {
                let info = engine.inspect_container(id).await?;
                (200, self.dated("container", &info.id, "Created", wire::container(&info)))
            }
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
            ("POST", ["containers", id, "exec"]) => self.execs.describe(engine, id, body).await?,
            ("GET", ["exec", id, "json"]) => self.execs.inspect(id),
            ("POST", ["exec", _, "resize"]) => (200, Value::Null),
            ("GET", ["networks"]) => {
                let filters: Value = serde_json::from_str(&head.query("filters").unwrap_or_default()).unwrap_or(Value::Null);
                let name = wire::list(&filters["name"]).first().map(|name| name.trim_matches(['^', '$']).replace('\\', ""));
                let found = match name {
                    Some(name) => engine.networks_named(&name).await?,
                    None => engine.networks_labelled(&labels()).await?,
                };
                let told = found.iter().map(|one| self.dated("network", &one.id, "Created", wire::network(one)));
                (200, told.collect::<Vec<_>>().into())
            }
            ("POST", ["networks", "create"]) => {
                let id = engine.create_network(&wire::network_spec(body)).await?;
                self.made("network", &id);
                (201, json!({"Id": id, "Warning": ""}))
            }
            ("GET", ["networks", id]) => {
                let info = engine.inspect_network(id).await?;
                (200, self.dated("network", &info.id, "Created", wire::network(&info)))
            }
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
            ("POST", ["images", name @ .., "tag"]) => {
                let text = |name: &str| head.query(name).unwrap_or_default();
                engine.tag_image(&name.join("/"), &images::named(&text("repo"), &text("tag"))).await?;
                (201, Value::Null)
            }
            ("DELETE", ["images", name @ ..]) => {
                engine.remove_image(&name.join("/")).await?;
                (200, json!([{"Untagged": name.join("/")}]))
            }
            ("GET", ["distribution", name @ .., "json"]) => match engine.find_in_registry(&name.join("/"), None).await? {
                true => (200, wire::distribution()),
                false => (404, json!({"message": format!("manifest for {} not found: manifest unknown", name.join("/"))})),
            },
            ("GET", ["volumes"]) => {
                let listed = engine.list_volumes(&labels()).await?;
                let told = listed.iter().map(|one| self.dated("volume", &one.name, "CreatedAt", wire::volume(&one.name, &one.labels)));
                (200, json!({"Volumes": told.collect::<Vec<_>>(), "Warnings": []}))
            }
            ("POST", ["volumes", "create"]) => {
                let (name, labels) = (wire::text(&body["Name"]), wire::map(&body["Labels"]));
                if !engine.volume_exists(&name).await? {
                    self.made("volume", &name);
                }
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
        self.made("container", &id);
        Ok((201, json!({"Id": id, "Warnings": []})))
    }

    /// Remembers that something was made now.
    fn made(&self, kind: &str, id: &str) {
        self.made.lock().unwrap().insert(format!("{kind} {id}"), Timestamp::now());
    }

    /// What is told of something, with the time it was made, in the form in which it is there.
    fn dated(&self, kind: &str, id: &str, key: &str, mut told: Value) -> Value {
        if let Some(at) = self.made.lock().unwrap().get(&format!("{kind} {id}")) {
            told[key] = if told[key].is_number() { json!(at.as_second()) } else { json!(at.to_string()) };
        }
        told
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

pub async fn respond(client: &mut BufReader<UnixStream>, (status, body): Answer) -> io::Result<()> {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    http::answer(client, status, "application/json", text.as_bytes(), true).await
}

/// Answers with what is said of a longer work, a line each.
async fn tell(client: &mut BufReader<UnixStream>, said: Result<Vec<Value>, EngineError>) -> io::Result<()> {
    match said {
        Ok(lines) => {
            let text: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            http::answer(client, 200, "application/json", text.as_bytes(), true).await
        }
        Err(error) => respond(client, refusal(error)).await,
    }
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
