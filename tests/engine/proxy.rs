//! A proxy on loopback that breaks connections to order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinHandle;

/// Where connections go.
#[derive(Clone)]
pub enum Target {
    /// A port.
    Tcp(SocketAddr),
    /// A socket.
    Unix(PathBuf),
}

/// The proxy; it ends with its handle.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    rules: Arc<Rules>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Rules {
    /// How many more breaks there will be.
    breaks: AtomicI64,
    /// Bytes a connection may bring back before it is broken.
    after: AtomicI64,
    broken: AtomicU32,
}

// === impl Proxy ===

impl Proxy {
    /// Starts one that passes everything.
    pub async fn start(target: Target) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let rules = Arc::new(Rules { breaks: AtomicI64::new(0), after: AtomicI64::new(i64::MAX), broken: AtomicU32::new(0) });
        let for_all = rules.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (target, rules) = (target.clone(), for_all.clone());
                tokio::spawn(async move {
                    match target {
                        Target::Tcp(address) => {
                            if let Ok(server) = TcpStream::connect(address).await {
                                pass(client, server, &rules).await;
                            }
                        }
                        Target::Unix(path) => {
                            if let Ok(server) = UnixStream::connect(path).await {
                                pass(client, server, &rules).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, rules, task }
    }

    /// From now on, breaks so many connections once each has brought back so many bytes.
    pub fn break_after(&self, bytes: i64, times: i64) {
        self.rules.after.store(bytes, Ordering::SeqCst);
        self.rules.breaks.store(times, Ordering::SeqCst);
    }

    /// How many connections were broken.
    pub fn broken(&self) -> u32 {
        self.rules.broken.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes bytes both ways until one side ends or the connection is to break.
async fn pass<S: AsyncRead + AsyncWrite + Unpin>(mut client: TcpStream, server: S, rules: &Rules) {
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (mut from_client, mut to_client) = client.split();
    let up = async {
        tokio::io::copy(&mut from_client, &mut to_server).await.ok();
        to_server.shutdown().await.ok();
        // The answer may still be under way.
        std::future::pending::<()>().await;
    };
    let down = async {
        let mut brought = 0;
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let count = from_server.read(&mut buffer).await.unwrap_or(0);
            if count == 0 {
                return;
            }
            brought += i64::try_from(count).unwrap();
            if brought > rules.after.load(Ordering::SeqCst) && rules.breaks.fetch_sub(1, Ordering::SeqCst) > 0 {
                rules.broken.fetch_add(1, Ordering::SeqCst);
                return;
            }
            if to_client.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
