//! A proxy between kindmesh and an engine's socket that makes one call go wrong.
//!
//! The client keeps no connection for a second request, and the proxy asks the engine to end each after one: so a
//! connection is a call, and streams that follow an upgrade pass through as they are.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::calls::{Fault, WORDS, kind, lie};
use crate::http::{self, Body, Head};

/// The proxy; it ends with its handle.
pub struct Proxy {
    /// Where it listens.
    pub socket: PathBuf,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    engine: PathBuf,
    /// How long a late call is held back.
    late: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Kind of each call so far.
    seen: Vec<&'static str>,
    /// What is to go wrong: the n-th call of a kind, counted from 1 and from the order on.
    order: Option<(Option<&'static str>, usize, Fault)>,
    /// Whether it did.
    struck: bool,
    /// Late calls that are not done yet.
    under_way: usize,
}

// === impl Proxy ===

impl Proxy {
    /// Listens at `socket` for an engine at `engine`. Late calls come after `late`.
    pub fn start(socket: &Path, engine: &Path, late: Duration) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let shared = Arc::new(Shared { engine: engine.to_owned(), late, state: Mutex::default() });
        let for_all = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = for_all.clone();
                // A broken connection is what is wanted here.
                tokio::spawn(async move { drop(serve(client, &shared).await) });
            }
        });
        Self { socket: socket.to_owned(), shared, task }
    }

    /// Makes the n-th call of a kind from now on go wrong, counted from 1.
    pub fn order(&self, kind: &'static str, nth: usize, fault: Fault) {
        *self.shared.state.lock().unwrap() = State { order: Some((Some(kind), nth, fault)), ..State::default() };
    }

    /// Makes the n-th call of all from now on go wrong, counted from 1.
    pub fn order_any(&self, nth: usize, fault: Fault) {
        *self.shared.state.lock().unwrap() = State { order: Some((None, nth, fault)), ..State::default() };
    }

    /// Passes everything from now on. Returns whether what was ordered happened.
    pub fn relent(&self) -> bool {
        let mut state = self.shared.state.lock().unwrap();
        state.order = None;
        state.struck
    }

    /// Kinds of the calls since the last order.
    pub fn seen(&self) -> Vec<&'static str> {
        self.shared.state.lock().unwrap().seen.clone()
    }

    /// Whether a late call is yet to be done.
    pub fn busy(&self) -> bool {
        self.shared.state.lock().unwrap().under_way > 0
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(client: UnixStream, shared: &Arc<Shared>) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let Some(head) = http::read_head(&mut client).await? else { return Ok(()) };
    let kind = kind(head.method(), &head.path());
    let fault = shared.judge(kind);
    match fault {
        None => {
            let mut engine = shared.engine(&head).await?;
            tokio::io::copy_bidirectional(&mut client, &mut engine).await.map(drop)
        }
        Some(Fault::Status(code)) => {
            let body = format!(r#"{{"message":"{WORDS} (told to say {code})"}}"#);
            refuse(&mut client, &head, code, &body).await
        }
        Some(Fault::Lie) if kind == "start exec" => {
            client.write_all(b"HTTP/1.1 101 UPGRADED\r\nconnection: Upgrade\r\nupgrade: tcp\r\n\r\n").await?;
            client.shutdown().await
        }
        Some(Fault::Lie) => {
            let (code, body) = lie(kind);
            refuse(&mut client, &head, code, body).await
        }
        Some(Fault::Late) => {
            let body = http::read_body(&mut client, &head).await?;
            let shared = shared.clone();
            shared.state.lock().unwrap().under_way += 1;
            // The caller may give up meanwhile; the engine does not notice.
            let done = tokio::spawn(async move {
                tokio::time::sleep(shared.late).await;
                let done = whole(&shared, &head, &body).await;
                shared.state.lock().unwrap().under_way -= 1;
                done
            });
            // Whoever is still there gets its answer.
            let answer = done.await??;
            client.write_all(&answer).await
        }
        Some(Fault::Lost) => {
            let body = body_of(&mut client, &head).await?;
            whole(shared, &head, &body).await.map(drop)
        }
        Some(Fault::Cut) => {
            let body = body_of(&mut client, &head).await?;
            let answer = whole(shared, &head, &body).await?;
            client.write_all(&answer[..middle(&answer)]).await?;
            client.flush().await
        }
    }
}

/// The body of a request, and all that a command is fed with after the upgrade.
async fn body_of(client: &mut BufReader<UnixStream>, head: &Head) -> io::Result<Body> {
    let mut body = http::read_body(client, head).await?;
    if head.upgrades() {
        // Commands that read nothing are not closed by their callers: what is there comes at once.
        let fed = async {
            let mut piece = [0; 16 << 10];
            while let Ok(count @ 1..) = client.read(&mut piece).await {
                body.raw.extend_from_slice(&piece[..count]);
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(200), fed).await;
    }
    Ok(body)
}

/// Does a call and returns all that the engine answers.
async fn whole(shared: &Shared, head: &Head, body: &Body) -> io::Result<Vec<u8>> {
    let mut engine = shared.engine(head).await?;
    engine.write_all(&body.raw).await?;
    if head.upgrades() {
        engine.shutdown().await?;
    }
    let mut answer = Vec::new();
    // What never ends (a log that is followed) is as good as answered after a while.
    let _ = tokio::time::timeout(Duration::from_secs(2), engine.read_to_end(&mut answer)).await;
    Ok(answer)
}

/// Where the middle of an answer's body is; of its head, when it has none.
fn middle(answer: &[u8]) -> usize {
    let body = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    if body == answer.len() { body / 2 } else { body + (answer.len() - body) / 2 }
}

/// Answers without the engine, and lets the client say all it has to.
async fn refuse(client: &mut BufReader<UnixStream>, head: &Head, code: u16, body: &str) -> io::Result<()> {
    http::answer(client, code, "application/json", body.as_bytes(), true).await?;
    let _ = tokio::time::timeout(Duration::from_secs(2), http::read_body(client, head)).await;
    Ok(())
}

// === impl Shared ===

impl Shared {
    /// Notes a call, and says what happens to it.
    fn judge(&self, kind: &'static str) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        state.seen.push(kind);
        let (wanted, nth, fault) = state.order?;
        let meant = |seen: &&'static str| wanted.is_none_or(|wanted| wanted == *seen);
        let struck = meant(&kind) && nth == state.seen.iter().filter(|seen| meant(seen)).count();
        state.struck |= struck;
        struck.then_some(fault)
    }

    /// A connection to the engine that has got the head of a call.
    async fn engine(&self, head: &Head) -> io::Result<UnixStream> {
        let mut engine = UnixStream::connect(&self.engine).await?;
        let bytes = if head.upgrades() { head.bytes(&[]) } else { head.bytes(&[("connection", "close")]) };
        engine.write_all(&bytes).await?;
        Ok(engine)
    }
}
