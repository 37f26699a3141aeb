//! A small HTTP client for proofs: one GET over plain TCP, tried until it is answered.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::deadline::{Deadline, Observer, tell};
use super::error::Result;

/// Longest single attempt: an address nobody announces yet swallows the first packets.
const ATTEMPT: Duration = Duration::from_secs(2);

/// Most of an answer that is read.
const MOST: u64 = 1024 * 1024;

/// Gets `http://ADDR/PATH` and returns the body, asking again until the answer is 200.
///
/// # Errors
/// `Timeout`, with the failure seen last.
pub async fn http_get(addr: SocketAddr, path: &str, deadline: Deadline, observer: Observer<'_>) -> Result<String> {
    let awaited = format!("an answer of http://{addr}{path}");
    let last = Mutex::new(String::from("no answer"));
    let backoff =
        ExponentialBuilder::new().with_min_delay(Duration::from_millis(100)).with_max_delay(Duration::from_millis(500)).without_max_times();
    let attempts = (|| attempt(addr, path)).retry(backoff).notify(|state: &String, _| {
        let mut last = last.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if *last != *state {
            tell(observer, state);
            last.clone_from(state);
        }
    });
    match deadline.wait(&awaited, attempts).await {
        Some(Ok(body)) => Ok(body),
        Some(Err(state)) => Err(deadline.error(awaited, state)),
        None => {
            let last = last.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
            Err(deadline.error(awaited, last))
        }
    }
}

async fn attempt(addr: SocketAddr, path: &str) -> Result<String, String> {
    let exchange = async {
        let mut stream = TcpStream::connect(addr).await?;
        // HTTP/1.0: the answer comes whole and ends with the connection.
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {addr}\r\nAccept: */*\r\n\r\n").as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(MOST).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match tokio::time::timeout(ATTEMPT, exchange).await {
        Ok(Ok(answer)) => body(&answer),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", ATTEMPT.as_secs())),
    }
}

/// The body of an answer whose status is 200.
fn body(answer: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| "the answer is no HTTP".to_owned())?;
    let status = head.split(' ').nth(1).and_then(|code| code.get(..3)).and_then(|code| code.parse::<u16>().ok());
    match status {
        Some(200) if head.starts_with("HTTP/1.") => Ok(body.to_owned()),
        Some(code) => Err(format!("HTTP status {code}")),
        None => Err("the answer is no HTTP".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Answers each connection with the next text; the last one again and again.
    async fn serve(answers: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for index in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answers[index.min(answers.len() - 1)].as_bytes()).await;
            }
        });
        addr
    }

    #[tokio::test]
    async fn it_asks_until_the_answer_is_good() {
        let addr = serve(&["", "HTTP/1.0 503 Later\r\n\r\n", "HTTP/1.1 200 OK\r\nServer: x\r\n\r\nhello"]).await;
        let body = http_get(addr, "/", Deadline::after(Duration::from_secs(10)), &|_| {}).await.unwrap();
        assert_eq!(body, "hello");
    }

    #[tokio::test]
    async fn the_last_failure_is_told() {
        let addr = serve(&["HTTP/1.0 500 Broken\r\n\r\n"]).await;
        let error = http_get(addr, "/x", Deadline::after(Duration::from_millis(300)), &|_| {}).await.unwrap_err();
        assert_eq!(error.to_string(), format!("waited 0.3 s for an answer of http://{addr}/x; last seen: HTTP status 500"));
    }
}
