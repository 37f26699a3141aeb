//! What happened on the engine in memory, with the times of this machine's clock, as an engine tells it over HTTP.

use std::io;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use jiff::Timestamp;
use kindmesh::engine::fake::FakeEngine;
use kindmesh::engine::{Engine as _, EngineEvent};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::http::Head;

/// Everything that happened so far; it hears of more as long as its handle lives.
pub struct Happened {
    told: Arc<Mutex<Vec<(Timestamp, Value)>>>,
    more: Arc<Notify>,
    task: JoinHandle<()>,
}

// === impl Happened ===

impl Happened {
    /// Listens to an engine.
    pub fn on(engine: &FakeEngine) -> Self {
        let (told, more) = (Arc::default(), Arc::new(Notify::new()));
        let (engine, into, tell): (_, Arc<Mutex<Vec<_>>>, _) = (engine.clone(), Arc::clone(&told), more.clone());
        let task = tokio::spawn(async move {
            let Ok(mut events) = engine.events(&[]).await else { return };
            while let Some(Ok(event)) = events.next().await {
                let now = Timestamp::now();
                let line = line(&engine, &event, now);
                into.lock().unwrap().push((now, line));
                tell.notify_waiters();
            }
        });
        Self { told, more, task }
    }

    /// Tells what happened between `since` and `until`, and without an `until` also what comes, until the client leaves.
    pub async fn serve(&self, client: &mut BufReader<UnixStream>, head: &Head) -> io::Result<()> {
        let time = |name: &str| head.query(name).and_then(|text| instant(&text));
        let (since, until) = (time("since"), time("until"));
        let meant = |at: &Timestamp| since.is_none_or(|since| *at >= since) && until.is_none_or(|until| *at <= until);
        client
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n")
            .await?;
        let mut seen = if since.is_none() && until.is_none() { self.told.lock().unwrap().len() } else { 0 };
        loop {
            let more = self.more.notified();
            tokio::pin!(more);
            // Before the look, so that nothing falls between.
            more.as_mut().enable();
            let news: Vec<(Timestamp, Value)> = self.told.lock().unwrap()[seen..].to_vec();
            seen += news.len();
            for (_, line) in news.iter().filter(|(at, _)| meant(at)) {
                let text = format!("{line}\n");
                client.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await?;
            }
            client.flush().await?;
            if until.is_some() {
                client.write_all(b"0\r\n\r\n").await?;
                return client.flush().await;
            }
            let mut nothing = [0; 1];
            tokio::select! {
                () = &mut more => {}
                left = client.read(&mut nothing) => return left.map(drop),
            }
        }
    }
}

impl Drop for Happened {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An event in an engine's form. Those of networks carry no labels.
fn line(engine: &FakeEngine, event: &EngineEvent, now: Timestamp) -> Value {
    let (id, mut attributes) = match event.object.as_str() {
        "network" => {
            let id = engine.networks().into_iter().find(|one| one.name == event.name).map(|one| one.id);
            (id, std::collections::BTreeMap::from([("type".to_owned(), "bridge".to_owned())]))
        }
        _ => {
            let id = engine.containers().into_iter().find(|one| one.name == event.name).map(|one| one.id);
            (id, event.attributes.clone())
        }
    };
    attributes.insert("name".to_owned(), event.name.clone());
    json!({
        "Type": event.object, "Action": event.action, "scope": "local",
        "Actor": {"ID": id.unwrap_or_default(), "Attributes": attributes},
        "time": now.as_second(), "timeNano": i64::try_from(now.as_nanosecond()).unwrap_or(0),
    })
}

/// Seconds since 1970, with a fraction.
fn instant(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    Timestamp::new(seconds.parse().ok()?, format!("{fraction:0<9}").get(..9)?.parse().ok()?).ok()
}
