//! What every test here needs: turns, the engine, a web page.

use std::sync::Arc;
use std::time::Duration;

use kindmesh::domain::labels;
use kindmesh::engine::Engine;
use kindmesh::engine::connect::{ConnectOptions, connect};
use kindmesh::testing::wait_for;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Fleets that start at the same time: more starve each other on a machine with two processors.
static TURNS: Semaphore = Semaphore::const_new(2);

/// A web server that tells its cluster, with an address of its own.
pub const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: docker.io/kindmesh/echo:v1
        imagePullPolicy: IfNotPresent
        env: [{name: CLUSTER, value: mine}]
        ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
";

pub async fn turn() -> SemaphorePermit<'static> {
    TURNS.acquire().await.unwrap()
}

pub async fn engine() -> Arc<dyn Engine> {
    let docker_host = std::env::var("DOCKER_HOST").ok();
    connect(&ConnectOptions { docker_host, ..ConnectOptions::default() }).await.unwrap()
}

/// Everything on the engine whose fleet or owner begins so: containers, networks, volumes.
pub async fn left_of(engine: &dyn Engine, prefix: &str) -> Vec<String> {
    let ours = |labels: &std::collections::BTreeMap<String, String>| {
        [labels::FLEET, labels::OWNER].iter().any(|key| labels.get(*key).is_some_and(|value| value.starts_with(prefix)))
    };
    let containers = engine.list_containers(&[]).await.unwrap();
    let networks = engine.networks_labelled(&[]).await.unwrap();
    let containers = containers.into_iter().filter(|one| ours(&one.labels)).map(|one| format!("container {}", one.name));
    let volumes = engine.list_volumes(&[labels::FLEET.to_owned()]).await.unwrap();
    let volumes = volumes.into_iter().filter(|one| ours(&one.labels)).map(|one| format!("volume {}", one.name));
    volumes
        .chain(containers)
        .chain(networks.into_iter().filter(|one| ours(&one.labels)).map(|one| format!("network {}", one.name)))
        .collect()
}

/// The page at an address, as soon as it answers with 200.
pub async fn page(address: impl std::fmt::Display, within: Duration) -> kindmesh::ops::Result<String> {
    wait_for(&format!("a page at {address}"), within, || async {
        let get = async {
            let mut stream = TcpStream::connect(address.to_string()).await?;
            stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        match tokio::time::timeout(Duration::from_secs(2), get).await {
            Ok(Ok(answer)) if answer.starts_with("HTTP/1.1 200") => Ok(answer),
            Ok(Ok(answer)) => Err(format!("{answer:?}")),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer in 2 s".to_owned()),
        }
    })
    .await
}
