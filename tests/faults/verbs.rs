//! Every verb of the engine's adapter, each call of it gone wrong in every way: none hangs, and each failure names
//! object and cause. What `up` and `down` do not call is met here.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use kindmesh::domain::container::ContainerSpec;
use kindmesh::domain::net::NetworkSpec;
use kindmesh::engine::files::{read_file, write_file};
use kindmesh::engine::{ByteStream, Engine, EngineError, ExecRequest};
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, DEADLINE, IMAGE, at_once};
use crate::calls::{FAULTS, Fault, WORDS};
use crate::report;

const AT_ONCE: usize = 8;
/// Calls that one verb makes at most.
const CALLS: usize = 3;
/// What a command whose output broke off may go on after it, and a margin for a busy machine.
const SLACK: Duration = Duration::from_secs(25);

/// Calls a verb about the container or network `c`.
type Verb = fn(&dyn Engine) -> BoxFuture<'_, Result<(), EngineError>>;

const VERBS: [(&str, Verb); 23] = [
    ("facts", |engine| async { engine.facts().await.map(drop) }.boxed()),
    ("networks_named", |engine| async { engine.networks_named("c").await.map(drop) }.boxed()),
    ("networks_labelled", |engine| async { engine.networks_labelled(&["c".to_owned()]).await.map(drop) }.boxed()),
    ("create_network", |engine| {
        async { engine.create_network(&NetworkSpec { name: "c2".to_owned(), ..NetworkSpec::default() }).await.map(drop) }.boxed()
    }),
    ("remove_network", |engine| async { engine.remove_network("c").await }.boxed()),
    ("connect_network", |engine| async { engine.connect_network("c", "c", None).await }.boxed()),
    ("list_containers", |engine| async { engine.list_containers(&[]).await.map(drop) }.boxed()),
    ("create_container", |engine| async { engine.create_container("c2", &spec()).await.map(drop) }.boxed()),
    ("start_container", |engine| async { engine.start_container("c").await }.boxed()),
    ("kill_container", |engine| async { engine.kill_container("c", "SIGKILL").await }.boxed()),
    ("stop_container", |engine| async { engine.stop_container("c", 0).await }.boxed()),
    ("remove_container", |engine| async { engine.remove_container("c").await }.boxed()),
    ("pause_container", |engine| async { engine.pause_container("c").await }.boxed()),
    ("container_logs", |engine| async { engine.container_logs("c", false, None).await?.try_for_each(|_| async { Ok(()) }).await }.boxed()),
    ("exec", |engine| async { engine.exec("c", ExecRequest::new(["true"]), &CancellationToken::new()).await.map(drop) }.boxed()),
    ("write_file", |engine| async { write_file(engine, "c", "/f", 0o600, "text", &CancellationToken::new()).await }.boxed()),
    ("read_file", |engine| {
        async {
            let read = read_file(engine, "c", "/there", &CancellationToken::new()).await?;
            assert!(["0123456789".as_bytes(), &[]].contains(&read.as_slice()), "half a file is no success: {read:?}");
            Ok(())
        }
        .boxed()
    }),
    ("put_archive", |engine| async { engine.put_archive("c", "/", tar()).await }.boxed()),
    ("get_archive", |engine| async { engine.get_archive("c", "/there").await?.try_for_each(|_| async { Ok(()) }).await }.boxed()),
    ("describe_container", |engine| async { engine.describe_container("c").await.map(drop) }.boxed()),
    ("create_volume", |engine| async { engine.create_volume("c", &std::collections::BTreeMap::new()).await }.boxed()),
    ("list_volumes", |engine| async { engine.list_volumes(&["c".to_owned()]).await.map(drop) }.boxed()),
    ("remove_volume", |engine| async { engine.remove_volume("c").await }.boxed()),
];

#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    verb: Verb,
    nth: usize,
    fault: Fault,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_fails_in_words_and_in_time() {
    let each = VERBS.iter().flat_map(|(name, verb)| (1..=CALLS).flat_map(move |nth| FAULTS.map(|fault| (*name, *verb, nth, fault))));
    let cases: Vec<Case> = each.map(|(name, verb, nth, fault)| Case { name, verb, nth, fault }).collect();
    let tried = std::sync::atomic::AtomicUsize::new(0);
    let failures = at_once(AT_ONCE, &cases, |case| {
        let tried = &tried;
        async move {
            let struck = attempt(case).await;
            tried.fetch_add(usize::from(!matches!(struck, Ok(false))), std::sync::atomic::Ordering::SeqCst);
            struck.map(drop).map_err(|why| format!("{} of call {} of {}: {why}", case.fault, case.nth, case.name))
        }
    });
    report::row("engine's socket, every verb", tried.into_inner(), &failures);
}

/// Whether there was such a call; why its failure is not as it must be.
async fn attempt(case: Case) -> Result<bool, String> {
    let bench = Bench::new("v");
    let fake = &bench.server.engine;
    fake.create_network(&NetworkSpec { name: "c".to_owned(), ..NetworkSpec::default() }).await.unwrap();
    fake.create_container("c", &spec()).await.unwrap();
    if case.name != "start_container" {
        fake.start_container("c").await.unwrap();
    }
    fake.add_file("c", "/there", "0123456789");
    fake.log("c", "said\n");
    let engine = bench.engine().await?;
    bench.proxy.order_any(case.nth, case.fault);
    let begun = Instant::now();
    let done = (case.verb)(engine.as_ref()).await;
    let struck = bench.proxy.relent();
    if begun.elapsed() > DEADLINE + SLACK {
        return Err(format!("it took {:?}", begun.elapsed()));
    }
    let Err(error) = done else { return Ok(struck) };
    if !struck {
        return Ok(false);
    }
    let text = error.to_string();
    let known: &[&str] = match case.fault {
        Fault::Status(_) => &[WORDS],
        Fault::Late => &["answer within"],
        Fault::Cut | Fault::Lost => &["connection", "ended", "broke", "incomplete", "closed", "in the middle"],
        Fault::Lie => &[": "],
    };
    let object = ["c", "engine"].iter().any(|object| error.object.contains(object));
    match object && known.iter().any(|cause| text.contains(cause)) {
        true => Ok(true),
        false => Err(text),
    }
}

fn spec() -> ContainerSpec {
    ContainerSpec { image: IMAGE.to_owned(), tty: true, ..ContainerSpec::default() }
}

fn tar() -> ByteStream {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    builder.append_data(&mut header, "f", &b"text"[..]).unwrap();
    futures_util::stream::iter([Ok(Bytes::from(builder.into_inner().unwrap()))]).boxed()
}
