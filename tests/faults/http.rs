//! As much of HTTP/1.1 as an engine's socket and an API server's port need: heads, bodies, answers.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest head that is read; engines and clients send less than a kilobyte.
const LONGEST_HEAD: usize = 64 << 10;

/// The first line of a message and its headers.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// `GET /path HTTP/1.1` or `HTTP/1.1 200 OK`.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

/// A body: as it came, and without the framing of chunks.
#[derive(Debug, Clone, Default)]
pub struct Body {
    pub raw: Vec<u8>,
    pub plain: Vec<u8>,
}

/// Reads a head; `None` when the other side has nothing more to say.
pub async fn read_head(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Head>> {
    let mut head = Head::default();
    let mut size = 0;
    loop {
        let mut line = Vec::new();
        let count = from.read_until(b'\n', &mut line).await?;
        size += count;
        if count == 0 && head.line.is_empty() {
            return Ok(None);
        }
        if count == 0 || size > LONGEST_HEAD {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        match (line.is_empty(), head.line.is_empty()) {
            (true, true) => {}
            (true, false) => return Ok(Some(head)),
            (false, true) => head.line = line,
            (false, false) => {
                let (name, value) = line.split_once(':').unwrap_or((&line, ""));
                head.headers.push((name.to_lowercase(), value.trim().to_owned()));
            }
        }
    }
}

/// Reads the body of a request: what its head announces, and nothing else.
pub async fn read_body(from: &mut (impl AsyncBufRead + Unpin), head: &Head) -> io::Result<Body> {
    let mut body = Body::default();
    if head.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        while read_chunk(from, &mut body).await? {}
    } else if let Some(length) = head.header("content-length").and_then(|text| text.parse::<usize>().ok()) {
        body.raw.resize(length, 0);
        from.read_exact(&mut body.raw).await?;
        body.plain.clone_from(&body.raw);
    }
    Ok(body)
}

/// Reads one chunk; `false` after the last.
async fn read_chunk(from: &mut (impl AsyncBufRead + Unpin), body: &mut Body) -> io::Result<bool> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line).await?;
    let text = String::from_utf8_lossy(&line);
    let size = usize::from_str_radix(text.trim().split(';').next().unwrap_or_default(), 16).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut piece = vec![0; size + 2];
    from.read_exact(&mut piece).await?;
    body.plain.extend_from_slice(&piece[..size]);
    body.raw.extend_from_slice(&line);
    body.raw.extend_from_slice(&piece);
    Ok(size > 0)
}

/// Writes an answer with its whole body. `last` tells the other side that the connection ends with it.
pub async fn answer(to: &mut (impl AsyncWrite + Unpin), status: u16, kind: &str, body: &[u8], last: bool) -> io::Result<()> {
    let connection = if last { "connection: close\r\n" } else { "" };
    let head = match status {
        204 | 304 => format!("HTTP/1.1 {status} Done\r\n{connection}\r\n"),
        _ => format!("HTTP/1.1 {status} Done\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n{connection}\r\n", body.len()),
    };
    to.write_all(head.as_bytes()).await?;
    if !matches!(status, 204 | 304) {
        to.write_all(body).await?;
    }
    to.flush().await
}

/// A text of a URL without its percent signs.
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(*first),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

// === impl Head ===

impl Head {
    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Method of a request.
    pub fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    /// Path of a request, decoded and without its query.
    pub fn path(&self) -> String {
        let target = self.line.split(' ').nth(1).unwrap_or_default();
        decoded(target.split('?').next().unwrap_or_default())
    }

    /// A parameter of a request's query.
    pub fn query(&self, name: &str) -> Option<String> {
        self.queries(name).into_iter().next()
    }

    /// Every value of a parameter that may be there several times.
    pub fn queries(&self, name: &str) -> Vec<String> {
        let target = self.line.split(' ').nth(1).unwrap_or_default();
        let query = target.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| decoded(value)).collect()
    }

    /// Whether the connection becomes something else.
    pub fn upgrades(&self) -> bool {
        self.header("upgrade").is_some()
    }

    /// The message's head as bytes, with these headers in place of those of the same names.
    pub fn bytes(&self, instead: &[(&str, &str)]) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.line);
        let kept = self.headers.iter().filter(|(name, _)| instead.iter().all(|(other, _)| other != name));
        for (name, value) in kept.map(|(name, value)| (name.as_str(), value.as_str())).chain(instead.iter().copied()) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}
