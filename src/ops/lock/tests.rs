use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::engine::EngineErrorKind;
use crate::engine::fake::FakeEngine;
use crate::engine::fake::{Fault, Verb, When};

fn setting() -> (Arc<FakeEngine>, Kindmesh, FleetName) {
    let engine = Arc::new(FakeEngine::new());
    (engine.clone(), Kindmesh::new(engine), "demo".parse().unwrap())
}

/// A ticket that another process left, `beat` signs of life ago.
async fn left_behind(engine: &FakeEngine, fleet: &FleetName, holder: &Holder, beat: u64) {
    let mut labels = fleet_labels(fleet);
    labels.insert(labels::LOCK.to_owned(), holder.to_label());
    engine.create_volume(&ticket::name(fleet, &holder.id, beat), &labels).await.unwrap();
}

fn elsewhere() -> Holder {
    Holder { machine: "elsewhere".to_owned(), host: "far".to_owned(), ..holder::this("up") }
}

#[tokio::test(start_paused = true)]
async fn of_many_one_works_at_a_time_and_all_get_their_turn() {
    let (engine, km, fleet) = setting();
    let (working, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let results = join_all((0..16).map(|_| {
        holding(&km, &fleet, "up", async |_| {
            assert_eq!(working.fetch_add(1, Ordering::SeqCst), 0, "two at once");
            tokio::time::sleep(Duration::from_secs(3)).await;
            working.fetch_sub(1, Ordering::SeqCst);
            done.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    }))
    .await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!((done.load(Ordering::SeqCst), engine.volumes()), (16, Vec::<String>::new()));
}

#[tokio::test(start_paused = true)]
async fn other_fleets_are_nobodys_concern() {
    let (_, km, fleet) = setting();
    let other: FleetName = "demo-2".parse().unwrap();
    let km = km.patience(Duration::ZERO);
    holding(&km, &fleet, "up", async |km| holding(&km, &other, "up", async |_| Ok(())).await).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_patience_it_is_told_who_is_there() {
    let (engine, km, fleet) = setting();
    let km = km.patience(Duration::ZERO);
    let error = holding(&km, &fleet, "start", async |km| holding(&km, &fleet, "down", async |_| Ok(())).await).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains(&format!("`start` (process {} on", std::process::id())), "{error}");
    assert_eq!(engine.volumes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn who_was_killed_here_is_known_as_dead_at_once() {
    let (engine, km, fleet) = setting();
    let me = holder::this("up");
    left_behind(&engine, &fleet, &Holder { born: me.born + 1, ..me }, 4).await;
    holding(&km.patience(Duration::ZERO), &fleet, "up", async |_| Ok(())).await.unwrap();
    assert_eq!(engine.volumes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn who_is_silent_elsewhere_is_dead_after_a_minute_and_who_is_not_is_waited_for() {
    let (engine, km, fleet) = setting();
    let far = elsewhere();
    left_behind(&engine, &fleet, &far, 0).await;
    let begun = Instant::now();
    // It says twice more that it lives, and then nothing.
    let signs = async {
        for beat in 1..=2 {
            tokio::time::sleep(Duration::from_secs(50)).await;
            left_behind(&engine, &fleet, &far, beat).await;
            engine.remove_volume(&ticket::name(&fleet, &far.id, beat - 1)).await.unwrap();
        }
    };
    let (worked, ()) = tokio::join!(holding(&km, &fleet, "up", async |_| Ok(begun.elapsed())), signs);
    let waited = worked.unwrap();
    assert!(waited >= Duration::from_secs(160) && waited < Duration::from_secs(165), "{waited:?}");
    assert_eq!(engine.volumes(), Vec::<String>::new());
}

/// Removes all tickets after 12 s, and does something more.
async fn pruned(engine: &FakeEngine, more: impl AsyncFnOnce()) {
    tokio::time::sleep(Duration::from_secs(12)).await;
    for volume in engine.volumes() {
        engine.remove_volume(&volume).await.unwrap();
    }
    more().await;
}

async fn until_cancelled(km: Kindmesh) -> Result<()> {
    km.cancel.cancelled().await;
    Err(Error::cancelled("work"))
}

#[tokio::test(start_paused = true)]
async fn a_lost_turn_cancels_the_work() {
    let (engine, km, fleet) = setting();
    let other = elsewhere();
    let taken = pruned(&engine, async || left_behind(&engine, &fleet, &other, 1).await);
    let (result, ()) = tokio::join!(holding(&km, &fleet, "up", until_cancelled), taken);
    let error = result.unwrap_err().to_string();
    assert!(error.contains("on far) works on it since the lock was removed"), "{error}");
    assert_eq!(engine.volumes(), [ticket::name(&fleet, &other.id, 1)], "the other's is left");
}

#[tokio::test(start_paused = true)]
async fn who_gave_no_sign_for_a_minute_has_lost_its_turn() {
    let (engine, km, fleet) = setting();
    for number in 2..=16 {
        engine.fault(When::Verb(Verb::CreateVolume, number), Fault::Fail(EngineErrorKind::Unreachable, "gone".to_owned()));
    }
    let (result, ()) = tokio::join!(holding(&km, &fleet, "up", until_cancelled), pruned(&engine, async || ()));
    let error = result.unwrap_err().to_string();
    assert!(error.contains("another process took over"), "{error}");
    assert_eq!(engine.volumes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_only_was_removed_is_made_anew() {
    let (engine, km, fleet) = setting();
    let work = async |_| {
        tokio::time::sleep(Duration::from_secs(30)).await;
        Ok(engine.volumes().len())
    };
    let (held, ()) = tokio::join!(holding(&km, &fleet, "up", work), pruned(&engine, async || ()));
    assert_eq!((held.unwrap(), engine.volumes()), (1, Vec::<String>::new()));
}

#[tokio::test(start_paused = true)]
async fn signs_of_life_outlast_an_engine_that_does_not_answer_for_a_while() {
    let (engine, km, fleet) = setting();
    for number in 2..=6 {
        engine.fault(When::Verb(Verb::CreateVolume, number), Fault::Fail(EngineErrorKind::Unreachable, "gone".to_owned()));
    }
    let work = async |_| {
        tokio::time::sleep(Duration::from_secs(50)).await;
        Ok(())
    };
    holding(&km, &fleet, "up", work).await.unwrap();
    assert_eq!(engine.volumes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_wait_and_dropped_work_leave_nothing() {
    let (engine, km, fleet) = setting();
    left_behind(&engine, &fleet, &elsewhere(), 0).await;
    let cancel = CancellationToken::new();
    let stopped = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        cancel.cancel();
    };
    let waiting = km.clone().cancellation(cancel.clone());
    let (result, ()) = tokio::join!(holding(&waiting, &fleet, "up", async |_| Ok(())), stopped);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(engine.volumes().len(), 1, "only the other's");
    engine.remove_volume(&engine.volumes()[0]).await.unwrap();

    let endless = holding(&km, &fleet, "up", async |_| std::future::pending::<Result<()>>().await);
    tokio::time::timeout(Duration::from_secs(7), endless).await.unwrap_err();
    while !engine.volumes().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_frees_an_engine_goes_on_where_it_can_make_no_lock() {
    let (engine, km, fleet) = setting();
    engine.fault(When::Every(Verb::CreateVolume), Fault::Fail(EngineErrorKind::Failed, "no space left on device".to_owned()));
    let error = holding(&km, &fleet, "up", async |_| Ok(())).await.unwrap_err();
    assert!(error.to_string().contains("no space left"), "{error}");
    holding_if_possible(&km, &fleet, "down", async |_| Ok(())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_ticket_has_the_owner_of_whom_it_is_made_for() {
    let (engine, km, fleet) = setting();
    let owner: crate::domain::lease::Owner = "me".parse().unwrap();
    let km = km.owned_by(owner.clone());
    let labelled = holding(&km, &fleet, "up", async |_| {
        let volumes = engine.list_volumes(&[format!("{}={owner}", labels::OWNER)]).await?;
        Ok(volumes.len())
    });
    assert_eq!(labelled.await.unwrap(), 1);
}
