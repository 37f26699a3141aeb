//! A port of this machine that leads to a port of a pod, through the API server.

use std::net::{Ipv4Addr, SocketAddr};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::client::ApiServer;
use super::error::{K8sError, RequestErrorKind, Result};

/// Forwards connections until it is dropped; those that are open end with it.
#[derive(Debug)]
pub struct Forward {
    address: SocketAddr,
    task: JoinHandle<()>,
}

// === impl Forward ===

impl Forward {
    /// Listens on a free port of 127.0.0.1. That the pod listens shows in the first connection: one that it
    /// refuses is closed at once.
    ///
    /// # Errors
    /// When there is no such pod, or no port to listen on.
    pub async fn open(server: &ApiServer, namespace: &str, pod: &str, port: u16) -> Result<Self> {
        let object = format!("port {port} of pod {namespace}/{pod}");
        let api: Api<Pod> = Api::namespaced(server.client(), namespace);
        api.get(pod).await.map_err(|error| server.error("forward to", &object, &error))?;
        let local = |error: std::io::Error| K8sError::Request {
            verb: "forward to",
            object: object.clone(),
            kind: RequestErrorKind::Unreachable,
            message: format!("no port on 127.0.0.1: {error}"),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(local)?;
        let address = listener.local_addr().map_err(local)?;
        let pod = pod.to_owned();
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => drop(open.spawn(carry(api.clone(), pod.clone(), port, stream))),
                        Err(error) => tracing::debug!(%error, "a connection to forward was not accepted"),
                    },
                    Some(_) = open.join_next() => {}
                }
            }
        });
        Ok(Self { address, task })
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries one connection. What goes wrong shows as its end.
async fn carry(api: Api<Pod>, pod: String, port: u16, mut near: TcpStream) {
    let mut forwarder = match api.portforward(&pod, &[port]).await {
        Ok(forwarder) => forwarder,
        Err(error) => return tracing::debug!(pod, port, %error, "the server does not forward"),
    };
    let Some(mut far) = forwarder.take_stream(port) else { return };
    if let Err(error) = tokio::io::copy_bidirectional(&mut near, &mut far).await {
        tracing::debug!(pod, port, %error, "a forwarded connection broke");
    }
    drop(far);
    // Ends when both sides have closed.
    let _ = forwarder.join().await;
}
