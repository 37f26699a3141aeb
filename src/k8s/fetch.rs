//! Reading from the web, with the HTTP client that is there anyway.

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use kube::client::Body;
use kube::{Client, Config};

/// Manifests and charts are some hundred kilobytes; a slow line gets them in this time.
const DEADLINE: Duration = Duration::from_secs(60);
/// Downloads of releases are redirected once or twice.
const MAX_REDIRECTS: usize = 5;
/// The largest published manifests have about 8 MB.
const MAX_BYTES: usize = 32 << 20;

/// Why something could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fetch {url}: {reason}")]
pub struct FetchError {
    /// Where it was to come from.
    pub url: String,
    /// What went wrong.
    pub reason: String,
}

/// What is asked for.
#[derive(Clone, Default)]
pub struct Ask {
    /// The `http://` or `https://` address.
    pub url: String,
    /// Media types that are taken (`Accept`).
    pub accept: Option<&'static str>,
    /// A token for the address' own host; it is not handed on to where a redirect leads.
    pub token: Option<String>,
    /// The longest answer that is taken, in bytes; 0 for 32 MiB.
    pub max_bytes: usize,
}

/// What a server answered, whether it did as asked or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status; never a redirect.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// How it wants to be asked (`WWW-Authenticate`), when it refuses strangers.
    pub challenge: Option<String>,
}

/// Fetches the text at an `http://` or `https://` address; the system's authorities are trusted,
/// no proxy is used.
///
/// # Errors
/// [`FetchError`] when the server does not answer in time, not with success, or with something else
/// than text.
pub async fn fetch_text(url: &str) -> Result<String, FetchError> {
    let fail = |reason: String| FetchError { url: url.to_owned(), reason };
    let answer = fetch(&Ask { url: url.to_owned(), ..Ask::default() }).await?;
    if !answer.is_success() {
        return Err(fail(answer.refusal()));
    }
    String::from_utf8(answer.body).map_err(|_| fail("what came is no text".to_owned()))
}

/// Fetches what is at an `http://` or `https://` address; the system's authorities are trusted, no proxy
/// is used.
///
/// # Errors
/// [`FetchError`] when the server does not answer within a minute, redirects too often, or answers with more than
/// was allowed. A refusal is an [`Answer`].
pub async fn fetch(ask: &Ask) -> Result<Answer, FetchError> {
    let fail = |reason: String| FetchError { url: ask.url.clone(), reason };
    match tokio::time::timeout(DEADLINE, follow(ask)).await {
        Ok(result) => result.map_err(fail),
        Err(_) => Err(fail(format!("no complete answer within {} s", DEADLINE.as_secs()))),
    }
}

async fn follow(ask: &Ask) -> Result<Answer, String> {
    let first: Uri = ask.url.parse().map_err(|error| format!("it is no address: {error}"))?;
    let mut at = first.clone();
    for _ in 0..=MAX_REDIRECTS {
        // A token is for the host it was made for, and for no other.
        let token = ask.token.as_deref().filter(|_| at.authority() == first.authority() && at.scheme() == first.scheme());
        let response = get(&at, ask.accept, token).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_redirection() {
            let target = text_of(&headers, &LOCATION).ok_or("a redirect that leads nowhere")?;
            at = resolve(&at, &target)?;
            continue;
        }
        let limit = if ask.max_bytes == 0 { MAX_BYTES } else { ask.max_bytes };
        let body = Limited::new(response.into_body(), limit).collect().await.map_err(|error| match error.is::<LengthLimitError>() {
            true => format!("the answer has more than {limit} bytes"),
            false => format!("the answer broke off: {error}"),
        })?;
        return Ok(Answer { status: status.as_u16(), body: body.to_bytes().to_vec(), challenge: text_of(&headers, &WWW_AUTHENTICATE) });
    }
    Err(format!("more than {MAX_REDIRECTS} redirects"))
}

fn text_of(headers: &HeaderMap, name: &http::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

async fn get(at: &Uri, accept: Option<&'static str>, token: Option<&str>) -> Result<http::Response<Body>, String> {
    if !matches!(at.scheme_str(), Some("http" | "https")) {
        return Err(format!("{at} is neither http:// nor https://"));
    }
    let mut base = at.clone().into_parts();
    base.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
    let base = Uri::from_parts(base).map_err(|error| error.to_string())?;
    let client = Client::try_from(Config::new(base)).map_err(|error| error.to_string())?;
    let path = at.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::get(path).body(Body::empty()).map_err(|error| error.to_string())?;
    if let Some(accept) = accept {
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
    }
    if let Some(token) = token {
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| "the token is no header".to_owned())?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    client.send(request).await.map_err(|error| {
        // The outermost words only say that a service failed; the innermost say why.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        cause.to_string()
    })
}

// === impl Answer ===

impl Answer {
    /// Whether the server did as asked.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// In words, what the server said instead.
    pub fn refusal(&self) -> String {
        let status = StatusCode::from_u16(self.status).map_or_else(|_| self.status.to_string(), |status| status.to_string());
        format!("the server answered {status}")
    }
}

// === impl Ask ===

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.as_ref().map(|_| "(secret)");
        f.debug_struct("Ask").field("url", &self.url).field("accept", &self.accept).field("token", &token).finish_non_exhaustive()
    }
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
