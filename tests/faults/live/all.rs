//! `down --all` on an engine that others use as well.

use kindmesh::domain::container::ContainerSpec;
use kindmesh::domain::net::NetworkSpec;
use kindmesh::engine::Engine;
use kindmesh::engine::connect::{ConnectOptions, connect};

use super::ONE_NODE;
use super::restarts::own_engine;
use crate::real::Real;

/// What others have on the engine: a name for a container, a network and a volume.
const OTHERS: &str = "kfall-of-others";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "removes every fleet of the engine, whoever made it; `make faults` runs it"]
async fn down_all_takes_every_fleet_and_nothing_of_others() {
    own_engine();
    let real = tokio::task::block_in_place(|| Real::new("kfall", ONE_NODE));
    let engine = connect(&ConnectOptions::to_host(format!("unix://{}", real.socket().display()))).await.unwrap();
    // What an earlier run left that was killed.
    cleared(engine.as_ref()).await;
    let of_others = ["container /", "network ", "volume "].map(|kind| format!("{kind}{OTHERS}"));
    let attempt = async {
        tokio::task::block_in_place(|| real.comes())?;
        let image = engine.inspect_container(&format!("{}1-control-plane", real.name)).await.unwrap().image;
        others(engine.as_ref(), image).await;
        tokio::task::block_in_place(|| real.try_run(&["down", "--all"]))?;
        match real.left() {
            left if left == of_others => Ok(()),
            left => Err(format!("of {of_others:?} and nothing else there is {left:?}")),
        }
    };
    let failures: Vec<String> = attempt.await.err().into_iter().collect();
    cleared(engine.as_ref()).await;
    tokio::task::block_in_place(|| real.row("down --all beside what others have", 1, &failures));
}

async fn others(engine: &dyn Engine, image: String) {
    engine.create_volume(OTHERS, &[].into()).await.unwrap();
    engine.create_network(&NetworkSpec { name: OTHERS.to_owned(), ..NetworkSpec::default() }).await.unwrap();
    let spec = ContainerSpec {
        image,
        entrypoint: Some(["sleep", "infinity"].map(str::to_owned).to_vec()),
        cmd: Some(Vec::new()),
        network: OTHERS.to_owned(),
        binds: vec![format!("{OTHERS}:/var")],
        ..ContainerSpec::default()
    };
    engine.create_container(OTHERS, &spec).await.unwrap();
    engine.start_container(OTHERS).await.unwrap();
}

async fn cleared(engine: &dyn Engine) {
    let removed = [engine.remove_container(OTHERS).await, engine.remove_network(OTHERS).await, engine.remove_volume(OTHERS).await];
    for error in removed.into_iter().filter_map(Result::err) {
        assert!(error.is_not_found(), "{error}");
    }
}
