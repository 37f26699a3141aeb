//! Every verb of the engine's adapter, each call of it gone wrong in every way: none hangs, and each failure names
//! object and cause. What `up` and `down` do not call is met here.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use kindmesh::domain::container::ContainerSpec;
use kindmesh::domain::net::NetworkSpec;
use kindmesh::engine::fake::{ExecReply, FakeEngine};
use kindmesh::engine::files::{read_file, write_file};
use kindmesh::engine::{AttachRequest, ByteStream, Engine, EngineError, ExecRequest, OutputPiece};
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, DEADLINE, IMAGE, at_once};
use crate::calls::{FAULTS, Fault, WORDS};
use crate::report;

const AT_ONCE: usize = 8;
/// Calls that one verb makes at most.
const CALLS: usize = 3;
/// What a command whose output broke off may go on after it, and a margin for a busy machine.
const SLACK: Duration = Duration::from_secs(25);

/// The container, network, volume or image that a verb is about: a word that no message has by itself.
const THING: &str = "thing-7";
/// One that is made.
const NEW: &str = "thing-7-new";
/// Images of the engine and of a registry.
const HERE: &str = "thing-7:here";
const THERE: &str = "registry.example/thing-7:there";
/// Events that are waited for, and the time between two: more than the half of what comes before an answer is cut.
const EVENTS: usize = 80;
const BETWEEN: Duration = Duration::from_millis(20);

/// Calls a verb about the container, network, volume or image [`THING`].
type Verb = fn(&dyn Engine) -> BoxFuture<'_, Result<(), EngineError>>;

const VERBS: &[(&str, Verb)] = &[
    ("facts", |engine| async { engine.facts().await.map(drop) }.boxed()),
    ("networks_named", |engine| async { engine.networks_named(THING).await.map(drop) }.boxed()),
    ("networks_labelled", |engine| async { engine.networks_labelled(&[THING.to_owned()]).await.map(drop) }.boxed()),
    ("create_network", |engine| {
        async { engine.create_network(&NetworkSpec { name: NEW.to_owned(), ..NetworkSpec::default() }).await.map(drop) }.boxed()
    }),
    ("remove_network", |engine| async { engine.remove_network(THING).await }.boxed()),
    ("inspect_network", |engine| async { engine.inspect_network(THING).await.map(drop) }.boxed()),
    ("connect_network", |engine| async { engine.connect_network(THING, THING, None).await }.boxed()),
    ("disconnect_network", |engine| async { engine.disconnect_network(THING, THING).await }.boxed()),
    ("list_containers", |engine| async { engine.list_containers(&[]).await.map(drop) }.boxed()),
    ("inspect_container", |engine| async { engine.inspect_container(THING).await.map(drop) }.boxed()),
    ("create_container", |engine| async { engine.create_container(NEW, &spec()).await.map(drop) }.boxed()),
    ("start_container", |engine| async { engine.start_container(THING).await }.boxed()),
    ("kill_container", |engine| async { engine.kill_container(THING, "SIGKILL").await }.boxed()),
    ("stop_container", |engine| async { engine.stop_container(THING, 0).await }.boxed()),
    ("wait_container", |engine| async { engine.wait_container(THING).await.map(drop) }.boxed()),
    ("remove_container", |engine| async { engine.remove_container(THING).await }.boxed()),
    ("pause_container", |engine| async { engine.pause_container(THING).await }.boxed()),
    ("unpause_container", |engine| async { engine.unpause_container(THING).await }.boxed()),
    ("container_logs", |engine| {
        async { engine.container_logs(THING, false, None).await?.try_for_each(|_| async { Ok(()) }).await }.boxed()
    }),
    ("exec", |engine| async { engine.exec(THING, ExecRequest::new(["true"]), &CancellationToken::new()).await.map(drop) }.boxed()),
    ("attach_exec", |engine| {
        async {
            let cmd = ["cat", "/there"].map(str::to_owned).to_vec();
            let mut attached = engine.attach_exec(THING, AttachRequest { cmd, ..AttachRequest::default() }).await?;
            let mut read = Vec::new();
            while let Some(OutputPiece::Stdout(piece) | OutputPiece::Stderr(piece)) = attached.output.try_next().await? {
                read.extend_from_slice(&piece);
            }
            attached.control.exit_code().await?;
            whole(&read);
            Ok(())
        }
        .boxed()
    }),
    ("write_file", |engine| async { write_file(engine, THING, "/f", 0o600, "text", &CancellationToken::new()).await }.boxed()),
    ("read_file", |engine| {
        async {
            whole(&read_file(engine, THING, "/there", &CancellationToken::new()).await?);
            Ok(())
        }
        .boxed()
    }),
    ("put_archive", |engine| async { engine.put_archive(THING, "/", tar("f", b"text")).await }.boxed()),
    ("get_archive", |engine| async { engine.get_archive(THING, "/there").await?.try_for_each(|_| async { Ok(()) }).await }.boxed()),
    ("describe_container", |engine| async { engine.describe_container(THING).await.map(drop) }.boxed()),
    ("create_volume", |engine| async { engine.create_volume(THING, &std::collections::BTreeMap::new()).await }.boxed()),
    ("list_volumes", |engine| async { engine.list_volumes(&[THING.to_owned()]).await.map(drop) }.boxed()),
    ("remove_volume", |engine| async { engine.remove_volume(THING).await }.boxed()),
    ("volume_exists", |engine| async { engine.volume_exists(THING).await.map(drop) }.boxed()),
    ("inspect_image", |engine| async { engine.inspect_image(HERE).await.map(drop) }.boxed()),
    ("pull_image", |engine| async { engine.pull_image(THERE, None, &|_| ()).await }.boxed()),
    ("find_in_registry", |engine| async { engine.find_in_registry(THERE, None).await.map(drop) }.boxed()),
    ("load_images", |engine| {
        let manifest = br#"[{"Config": "c.json", "RepoTags": ["thing-7:loaded"], "Layers": []}]"#;
        async { engine.load_images(tar("manifest.json", manifest)).await.map(drop) }.boxed()
    }),
    ("save_images", |engine| async { engine.save_images(&[HERE.to_owned()]).await?.try_for_each(|_| async { Ok(()) }).await }.boxed()),
    ("import_image", |engine| async { engine.import_image("thing-7:imported", &[], tar("f", b"text")).await.map(drop) }.boxed()),
    ("tag_image", |engine| async { engine.tag_image(HERE, "thing-7:again").await }.boxed()),
    ("remove_image", |engine| async { engine.remove_image(HERE).await }.boxed()),
    ("events", |engine| async { engine.events(&[THING.to_owned()]).await?.take(EVENTS).try_for_each(|_| async { Ok(()) }).await }.boxed()),
    ("past_events", |engine| async { engine.past_events(&[THING.to_owned()], SystemTime::UNIX_EPOCH).await.map(drop) }.boxed()),
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

/// The trait's own source says which verbs there are.
#[test]
fn every_verb_is_there() {
    let source = include_str!("../../src/engine/api.rs").lines();
    let verbs: Vec<&str> = source.filter_map(|line| line.trim().strip_prefix("async fn ")?.split('(').next()).collect();
    let missing: Vec<&&str> = verbs.iter().filter(|verb| VERBS.iter().all(|(name, _)| name != *verb)).collect();
    assert!(verbs.len() > 30 && missing.is_empty(), "{missing:?} of {} verbs", verbs.len());
}

/// Whether there was such a call; why its failure is not as it must be.
async fn attempt(case: Case) -> Result<bool, String> {
    let bench = Bench::new("v");
    prepare(&bench.server.engine, case.name).await;
    let engine = bench.engine().await?;
    bench.proxy.order_any(case.nth, case.fault);
    let done = tokio::time::timeout(DEADLINE + SLACK, (case.verb)(engine.as_ref())).await;
    let struck = bench.proxy.relent();
    let Ok(done) = done else { return Err(format!("not done after {:?}", DEADLINE + SLACK)) };
    let Err(error) = done else { return Ok(struck) };
    if !struck {
        return Ok(false);
    }
    let text = error.to_string();
    let known: &[&str] = match case.fault {
        Fault::Status(_) => &[WORDS, "before the image was there"],
        Fault::Late => &["answer within"],
        Fault::Cut | Fault::Lost => &["connection", "ended", "broke", "incomplete", "closed", "in the middle"],
        // The answer lacks what was asked for, or what follows finds nothing.
        Fault::Lie => &[
            "the engine's answer",
            "the engine closed the stream",
            "the engine stopped telling",
            "No such exec instance",
            "its output ended while",
            "the archive holds no image",
        ],
    };
    let named = match case.name {
        "facts" | "list_containers" => error.object.contains("the engine"),
        // An archive has no name.
        "load_images" => error.verb == "load images",
        _ => error.object.contains(THING),
    };
    match named && known.iter().any(|cause| text.contains(cause)) {
        true => Ok(true),
        false => Err(text),
    }
}

/// Makes what a verb is about, in the state in which it has something to do.
async fn prepare(fake: &FakeEngine, verb: &str) {
    fake.add_image(HERE, &[]);
    fake.add_to_registry(THERE, None);
    fake.create_network(&NetworkSpec { name: THING.to_owned(), ..NetworkSpec::default() }).await.unwrap();
    fake.create_container(THING, &spec()).await.unwrap();
    if verb != "start_container" {
        fake.start_container(THING).await.unwrap();
    }
    fake.add_file(THING, "/there", "0123456789");
    fake.log(THING, "said\n");
    match verb {
        "disconnect_network" => fake.connect_network(THING, THING, None).await.unwrap(),
        "wait_container" => fake.end_container(THING, 0),
        "attach_exec" => fake.on_exec(|call| (call.cmd[0] == "cat").then(|| ExecReply::stdout("0123456789"))),
        "unpause_container" => fake.pause_container(THING).await.unwrap(),
        "events" => {
            let fake = fake.clone();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(BETWEEN).await;
                    fake.pause_container(THING).await.unwrap();
                    tokio::time::sleep(BETWEEN).await;
                    fake.unpause_container(THING).await.unwrap();
                }
            });
        }
        _ => {}
    }
}

/// Half of what was to be read is no success.
fn whole(read: &[u8]) {
    assert!(["0123456789".as_bytes(), &[]].contains(&read), "half of it: {read:?}");
}

fn spec() -> ContainerSpec {
    let labels = [(THING.to_owned(), String::new())].into();
    ContainerSpec { image: IMAGE.to_owned(), tty: true, labels, ..ContainerSpec::default() }
}

fn tar(name: &str, content: &[u8]) -> ByteStream {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, content).unwrap();
    futures_util::stream::iter([Ok(Bytes::from(builder.into_inner().unwrap()))]).boxed()
}
