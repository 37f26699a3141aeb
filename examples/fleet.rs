//! Creates a fleet of one cluster, uses it through a Kubernetes client, and removes it.
//!
//! ```text
//! cargo run --example fleet
//! ```
//!
//! Needs an engine on its usual socket and a node image (see `kindmesh build node-image`).

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kindmesh::domain::fleet::Fleet;
use kindmesh::engine::connect::{ConnectOptions, connect};
use kindmesh::event::{Event, EventKind, Reporter};
use kindmesh::ops::Kindmesh;
use kube::api::{Api, ListParams, PostParams};

/// Prints each step as it ends.
struct Steps;

impl Reporter for Steps {
    fn report(&self, event: &Event) {
        if let EventKind::Finished { took, .. } = &event.kind {
            println!("{:>6.1}s  {} ({:.1}s)", event.elapsed.as_secs_f64(), event.step, took.as_secs_f64());
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The library reads no environment: what the engine's address is, the program says.
    let options = ConnectOptions { docker_host: std::env::var("DOCKER_HOST").ok(), ..ConnectOptions::default() };
    let kindmesh = Kindmesh::new(connect(&options).await?).reporter(Arc::new(Steps));
    let fleet = Fleet::builder("example").cluster_prefix("example").clusters(1).build()?;

    let result = use_it(&kindmesh, &fleet).await;
    // Whatever happened: nothing stays behind.
    let removed = kindmesh.down(&fleet.name).await?;
    println!("removed: {}", removed.containers.join(", "));
    result
}

async fn use_it(kindmesh: &Kindmesh, fleet: &Fleet) -> Result<(), Box<dyn std::error::Error>> {
    let report = kindmesh.up(fleet).await?;
    for cluster in &report.clusters {
        let client = kindmesh.client(&cluster.name).await?;
        let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await?;
        println!("{} runs {} with {} node(s), pool {}", cluster.name, cluster.kubernetes_version, nodes.items.len(), cluster.pool);

        let config_maps = Api::<ConfigMap>::default_namespaced(client);
        let wanted = ConfigMap {
            metadata: kube::core::ObjectMeta { name: Some("greeting".to_owned()), ..Default::default() },
            data: Some([("hello".to_owned(), cluster.name.clone())].into()),
            ..Default::default()
        };
        let made = config_maps.create(&PostParams::default(), &wanted).await?;
        println!("created config map {}", made.metadata.name.unwrap_or_default());
    }
    Ok(())
}
