//! HTTP into a pod: requests through the API server's port-forward, which reaches even ports that
//! listen on the pod's loopback alone.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::client::ApiServer;
use super::deadline::Deadline;
use super::error::{K8sError, RequestErrorKind, Result};

/// Most of an answer that is read, in bytes. A control plane tells what it knows of a mesh of this
/// size in well under one of them.
pub const MOST: usize = 16 * 1024 * 1024;

/// Longest single exchange. What stands behind it answers from memory.
const EXCHANGE: Duration = Duration::from_secs(5);

/// How long after a connection broke may be waited for the reason.
const EXPLANATION: Duration = Duration::from_millis(300);

/// An HTTP/1.1 connection to a port of a pod. Requests go one after the other; the connection ends
/// with the value.
pub struct PodHttp {
    target: String,
    sender: SendRequest<Empty<Bytes>>,
    /// What the server says when the pod refuses the port.
    refusal: watch::Receiver<Option<String>>,
    // They only carry bytes and are stopped with the connection.
    tasks: Vec<JoinHandle<()>>,
}

// === impl PodHttp ===

impl PodHttp {
    /// Connects to a port of a pod.
    ///
    /// # Errors
    /// `Request` when the server refuses or the pod does not listen, `Timeout`.
    pub async fn connect(server: &ApiServer, namespace: &str, pod: &str, port: u16, deadline: Deadline) -> Result<Self> {
        let target = format!("port {port} of pod {namespace}/{pod}");
        let work = async {
            let api: Api<Pod> = Api::namespaced(server.client(), namespace);
            let mut forwarder = api.portforward(pod, &[port]).await.map_err(|error| server.error("connect to", &target, &error))?;
            let stream =
                forwarder.take_stream(port).ok_or_else(|| interrupted("connect to", &target, "the server forwards no such port"))?;
            let refused = forwarder.take_error(port);
            let (tell, refusal) = watch::channel(None);
            let mut this = Self::over(stream, &target).await?;
            this.refusal = refusal;
            this.tasks.push(tokio::spawn(async move {
                if let Some(refused) = refused
                    && let Some(message) = refused.await
                {
                    // Nobody listens any more when the connection is gone.
                    let _ = tell.send(Some(message.split_whitespace().collect::<Vec<_>>().join(" ")));
                }
                // Ends when both sides closed the stream; what went wrong shows in the exchange.
                let _ = forwarder.join().await;
            }));
            Ok(this)
        };
        deadline.bound(&format!("a connection to {target}"), "no answer", work).await
    }

    /// Speaks HTTP over a stream that is connected already.
    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, target: &str) -> Result<Self> {
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| interrupted("connect to", target, &error.to_string()))?;
        let task = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self { target: target.to_owned(), sender, refusal: watch::channel(None).1, tasks: vec![task] })
    }

    /// Gets a path; the answer must be 200 and no longer than [`MOST`].
    ///
    /// # Errors
    /// `Request` with the status or what broke, `Timeout`.
    pub async fn get(&mut self, path: &str, deadline: Deadline) -> Result<Bytes> {
        let object = format!("{path} at {}", self.target);
        let awaited = format!("an answer of {object}");
        match tokio::time::timeout(EXCHANGE, deadline.bound(&awaited, "no answer", self.exchange(path, &object))).await {
            Ok(Err(error)) if error.kind() == Some(RequestErrorKind::Interrupted) => Err(self.explain(error).await),
            Ok(result) => result,
            Err(_) => Err(K8sError::Timeout { awaited, after: EXCHANGE, last: "no answer".to_owned() }),
        }
    }

    /// A broken connection with the server's words for it: they come beside the stream, and may come
    /// after its end.
    async fn explain(&mut self, error: K8sError) -> K8sError {
        let told = tokio::time::timeout(EXPLANATION, self.refusal.wait_for(Option::is_some)).await;
        match (told, error) {
            (Ok(Ok(message)), K8sError::Request { verb, object, kind, .. }) => {
                K8sError::Request { verb, object, kind, message: message.clone().unwrap_or_default() }
            }
            (_, error) => error,
        }
    }

    async fn exchange(&mut self, path: &str, object: &str) -> Result<Bytes> {
        let broken = |error: &dyn std::error::Error| interrupted("read", object, &error.to_string());
        // Only loopback is trusted there, and that is what the name says, too.
        let request = Request::get(path).header(http::header::HOST, "localhost").body(Empty::new()).map_err(|error| broken(&error))?;
        self.sender.ready().await.map_err(|error| broken(&error))?;
        let answer = self.sender.send_request(request).await.map_err(|error| broken(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MOST).collect().await.map_err(|error| broken(error.as_ref()))?.to_bytes();
        match status.as_u16() {
            200 => Ok(body),
            code => Err(K8sError::Request {
                verb: "read",
                object: object.to_owned(),
                kind: if code == 404 { RequestErrorKind::NotFound } else { RequestErrorKind::Refused },
                message: format!("HTTP status {code}"),
            }),
        }
    }
}

impl Drop for PodHttp {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl std::fmt::Debug for PodHttp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PodHttp").field("target", &self.target).finish_non_exhaustive()
    }
}

fn interrupted(verb: &'static str, object: &str, message: &str) -> K8sError {
    K8sError::Request { verb, object: object.to_owned(), kind: RequestErrorKind::Interrupted, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    /// Answers each request with the next text, then closes.
    fn serve(answers: &'static [&'static str]) -> DuplexStream {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        tokio::spawn(async move {
            let mut request = [0; 1024];
            for answer in answers {
                let _ = theirs.read(&mut request).await;
                let _ = theirs.write_all(answer.as_bytes()).await;
            }
        });
        ours
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(5))
    }

    #[tokio::test]
    async fn one_connection_carries_several_answers_whole_and_chunked() {
        let answers = &[
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n",
        ];
        let mut http = PodHttp::over(serve(answers), "port 15014 of pod a/b").await.unwrap();
        assert_eq!(http.get("/debug/clusterz", soon()).await.unwrap(), "[]");
        assert_eq!(http.get("/debug/networkz", soon()).await.unwrap(), "[1,2]");
    }

    #[tokio::test]
    async fn statuses_and_ends_are_errors_with_the_place() {
        let mut http = PodHttp::over(serve(&["HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"]), "port 1 of pod a/b").await.unwrap();
        let error = http.get("/x", soon()).await.unwrap_err();
        assert_eq!(error.to_string(), "read /x at port 1 of pod a/b: HTTP status 401");
        assert_eq!(error.kind(), Some(RequestErrorKind::Refused));
        let error = http.get("/y", soon()).await.unwrap_err();
        assert_eq!(error.kind(), Some(RequestErrorKind::Interrupted), "{error}");
    }

    #[tokio::test]
    async fn an_answer_cut_short_is_no_answer() {
        let mut http = PodHttp::over(serve(&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[]"]), "port 1 of pod a/b").await.unwrap();
        assert!(http.get("/x", soon()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends() {
        let (ours, _theirs) = tokio::io::duplex(1024);
        let mut http = PodHttp::over(ours, "port 1 of pod a/b").await.unwrap();
        let error = http.get("/x", Deadline::after(Duration::from_secs(60))).await.unwrap_err();
        assert_eq!(error.to_string(), "waited 5 s for an answer of /x at port 1 of pod a/b; last seen: no answer");
    }
}
