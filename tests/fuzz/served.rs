//! An engine at a socket that answers as a target wants, through the client that is used for a real one.

use std::sync::Arc;

use kindmesh::engine::Engine;
use kindmesh::engine::connect::{ConnectOptions, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;

/// The engine, and the runtime that it and its client run in.
pub struct Served {
    runtime: Runtime,
    pub engine: Arc<dyn Engine>,
    /// Kept as long as the engine's socket is needed.
    _folder: tempfile::TempDir,
}

// === impl Served ===

impl Served {
    /// Answers each request with what `body` makes of its first line, but for the one that asks for the version.
    pub fn new(body: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        let engine = runtime.block_on(async {
            let listener = UnixListener::bind(&socket).unwrap();
            tokio::spawn(async move {
                while let Ok((mut client, _)) = listener.accept().await {
                    let mut request = [0; 4096];
                    let read = client.read(&mut request).await.unwrap_or(0);
                    let request = String::from_utf8_lossy(&request[..read]);
                    let line = request.lines().next().unwrap_or_default();
                    let body = if line.contains("/version") { br#"{"ApiVersion":"1.47"}"#.to_vec() } else { body(line) };
                    let head = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                        body.len()
                    );
                    // A client that has seen enough goes away.
                    let _ = client.write_all(&[head.as_bytes(), &body].concat()).await;
                }
            });
            connect(&ConnectOptions::to_host(format!("unix://{}", socket.display()))).await.unwrap()
        });
        Self { runtime, engine, _folder: folder }
    }

    /// Waits for what is asked of it.
    pub fn block_on<T>(&self, asked: impl Future<Output = T>) -> T {
        self.runtime.block_on(asked)
    }
}
