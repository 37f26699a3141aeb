//! A small web server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A server that answers as it was told and remembers what it was asked.
pub(in crate::ops) struct Server {
    /// `127.0.0.1:PORT`.
    pub(in crate::ops) host: String,
    pages: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

// === impl Server ===

impl Server {
    /// Starts one that has no pages; it ends with the test.
    pub(in crate::ops) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let server = Self { host, pages: Arc::default(), asked: Arc::default() };
        let (pages, asked) = (Arc::clone(&server.pages), Arc::clone(&server.asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    let mut part = [0; 4096];
                    match stream.read(&mut part).await {
                        Ok(read @ 1..) => request.extend_from_slice(&part[..read]),
                        _ => break,
                    }
                }
                let request = String::from_utf8_lossy(&request).into_owned();
                let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                let token = request.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or("nobody").to_owned();
                asked.lock().unwrap().push(format!("{path} by {token}"));
                let page = {
                    let pages = pages.lock().unwrap();
                    let own = pages.get(&format!("{path} by {token}")).or_else(|| pages.get(&path));
                    own.cloned().unwrap_or_else(|| answer("404 Not Found", "", b""))
                };
                let _ = stream.write_all(&page).await;
            }
        });
        server
    }

    /// What is there under a path.
    pub(in crate::ops) fn page(&self, path: &str, body: &[u8]) {
        self.answer(path, answer("200 OK", "", body));
    }

    /// The answer to a path, or to `PATH by TOKEN` for who brings that `Authorization`.
    pub(in crate::ops) fn answer(&self, path: &str, answer: Vec<u8>) {
        self.pages.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// `PATH by TOKEN` of every request, `nobody` being who brings none.
    pub(in crate::ops) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// An answer as it goes over the wire.
pub(in crate::ops) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}
