//! A small web server, and small charts.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A server that answers as it was told and remembers what it was asked.
pub(super) struct Server {
    /// `127.0.0.1:PORT`.
    pub(super) host: String,
    pages: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

// === impl Server ===

impl Server {
    pub(super) async fn start() -> Self {
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

    pub(super) fn page(&self, path: &str, body: &[u8]) {
        self.answer(path, answer("200 OK", "", body));
    }

    pub(super) fn answer(&self, path: &str, answer: Vec<u8>) {
        self.pages.lock().unwrap().insert(path.to_owned(), answer);
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

pub(super) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// The files of a chart that renders to one config map.
pub(super) fn files(name: &str, version: &str) -> Vec<(String, String)> {
    vec![
        ("Chart.yaml".to_owned(), format!("apiVersion: v2\nname: {name}\nversion: {version}\n")),
        ("values.yaml".to_owned(), "a: 1\n".to_owned()),
        ("templates/a.yaml".to_owned(), "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n".to_owned()),
    ]
}

/// A packed chart.
pub(super) fn packed(name: &str, version: &str) -> Vec<u8> {
    let files = files(name, version);
    let named: Vec<(String, &[u8])> = files.iter().map(|(path, text)| (format!("{name}/{path}"), text.as_bytes())).collect();
    archive(&named)
}

/// An archive with these files, whatever their names.
pub(super) fn archive(files: &[(String, &[u8])]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    gzip(&tar)
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
