use super::*;
use crate::testing::support::{containers, engine, holder, node, of, source};

const BETWEEN: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn what_has_no_living_owner_is_removed_and_nothing_else() {
    let engine = engine();
    holder(&engine, "alive").await;
    node(&engine, "mine", &of("alive")).await;
    node(&engine, "dead", &of("gone")).await;
    node(&engine, "users", &crate::domain::lease::Lease::default()).await;
    let past = crate::domain::lease::Lease { expires: Some(jiff::Timestamp::UNIX_EPOCH), owner: None };
    node(&engine, "expired", &past).await;
    let gone = reap(&source(&engine).kindmesh().await.unwrap(), BETWEEN).await.unwrap();
    assert_eq!(gone, BTreeSet::from(["dead".to_owned(), "expired".to_owned()]));
    assert_eq!(containers(&engine), ["holder-alive", "mine-control-plane", "users-control-plane"]);
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_comes_back_saves_its_fleet() {
    let engine = engine();
    node(&engine, "mine", &of("away")).await;
    let again = async {
        tokio::time::sleep(BETWEEN / 2).await;
        holder(&engine, "away").await;
    };
    let kindmesh = source(&engine).kindmesh().await.unwrap();
    let (gone, ()) = tokio::join!(reap(&kindmesh, BETWEEN), again);
    assert_eq!(gone.unwrap(), BTreeSet::new());
    assert!(containers(&engine).contains(&"mine-control-plane".to_owned()));
}
