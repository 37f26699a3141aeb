//! Reading a manifest from the web, with the HTTP client that is there anyway.

use std::time::Duration;

use http::header::LOCATION;
use http::{Request, Uri};
use kube::client::Body;
use kube::{Client, Config};

/// Manifests are some hundred kilobytes; a slow line gets them in this time.
const DEADLINE: Duration = Duration::from_secs(60);
/// Downloads of releases are redirected once or twice.
const MAX_REDIRECTS: usize = 5;
/// The largest published manifests have about 8 MB.
const MAX_BYTES: usize = 32 << 20;

/// Why a text could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fetch {url}: {reason}")]
pub struct FetchError {
    /// Where it was to come from.
    pub url: String,
    /// What went wrong.
    pub reason: String,
}

/// Fetches the text at an `http://` or `https://` address; the system's authorities are trusted,
/// no proxy is used.
///
/// # Errors
/// [`FetchError`] when the server does not answer in time, not with success, or with something else
/// than text.
pub async fn fetch_text(url: &str) -> Result<String, FetchError> {
    let fail = |reason: String| FetchError { url: url.to_owned(), reason };
    match tokio::time::timeout(DEADLINE, follow(url)).await {
        Ok(result) => result.map_err(fail),
        Err(_) => Err(fail(format!("no complete answer within {} s", DEADLINE.as_secs()))),
    }
}

async fn follow(url: &str) -> Result<String, String> {
    let mut at: Uri = url.parse().map_err(|error| format!("it is no address: {error}"))?;
    for _ in 0..=MAX_REDIRECTS {
        let response = get(&at).await?;
        let status = response.status();
        if status.is_redirection() {
            let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).ok_or("a redirect that leads nowhere")?;
            at = resolve(&at, target)?;
            continue;
        }
        if !status.is_success() {
            return Err(format!("{at} answered {status}"));
        }
        let bytes = http_bytes(response.into_body()).await?;
        return String::from_utf8(bytes).map_err(|_| "what came is no text".to_owned());
    }
    Err(format!("more than {MAX_REDIRECTS} redirects"))
}

async fn get(at: &Uri) -> Result<http::Response<Body>, String> {
    if !matches!(at.scheme_str(), Some("http" | "https")) {
        return Err(format!("{at} is neither http:// nor https://"));
    }
    let mut base = at.clone().into_parts();
    base.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
    let base = Uri::from_parts(base).map_err(|error| error.to_string())?;
    let client = Client::try_from(Config::new(base)).map_err(|error| error.to_string())?;
    let path = at.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).body(Body::empty()).map_err(|error| error.to_string())?;
    client.send(request).await.map_err(|error| {
        // The outermost words only say that a service failed; the innermost say why.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        cause.to_string()
    })
}

/// Where a redirect leads: another address, or another path of the same server.
fn resolve(at: &Uri, target: &str) -> Result<Uri, String> {
    let next: Uri = target.parse().map_err(|error| format!("a redirect to '{target}': {error}"))?;
    if next.scheme().is_some() {
        return Ok(next);
    }
    if !target.starts_with('/') {
        return Err(format!("a redirect to '{target}', which is no address and no path"));
    }
    let mut parts = at.clone().into_parts();
    parts.path_and_query = next.into_parts().path_and_query;
    Uri::from_parts(parts).map_err(|error| error.to_string())
}

async fn http_bytes(body: Body) -> Result<Vec<u8>, String> {
    let bytes = body.collect_bytes().await.map_err(|error| format!("the answer broke off: {error}"))?;
    match bytes.len() {
        0..=MAX_BYTES => Ok(bytes.to_vec()),
        more => Err(format!("{more} bytes are too much for a manifest")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers each path as told, until the test ends.
    async fn server(answers: &'static [(&'static str, &'static str)]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap_or(0);
                let line = String::from_utf8_lossy(&request[..read]).into_owned();
                let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                let answer = answers
                    .iter()
                    .find(|(known, _)| *known == path)
                    .map_or("404 Not Found\r\nContent-Length: 0\r\n\r\n", |(_, answer)| answer);
                let _ = stream.write_all(format!("HTTP/1.1 {answer}").as_bytes()).await;
            }
        });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn a_text_is_fetched_through_redirects() {
        let base = server(&[
            ("/a?x=1", "302 Found\r\nLocation: /b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
            ("/b", "200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nkind: A\n"),
        ])
        .await;
        assert_eq!(fetch_text(&format!("{base}/a?x=1")).await.unwrap(), "kind: A\n");
    }

    #[tokio::test]
    async fn what_fails_is_told_with_the_address() {
        let base = server(&[("/loop", "302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")]).await;
        for (url, words) in [
            (format!("{base}/missing"), "404"),
            (format!("{base}/loop"), "redirects"),
            ("ftp://example/x".to_owned(), "neither http"),
            ("http://127.0.0.1:1/x".to_owned(), "refused"),
        ] {
            let error = fetch_text(&url).await.unwrap_err().to_string();
            assert!(error.contains(&url) && error.to_lowercase().contains(words), "{error}");
        }
    }
}
