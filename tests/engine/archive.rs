//! Archives in and out.

use bytes::Bytes;
use futures_util::StreamExt;
use kindmesh::engine::{EngineError, EngineErrorKind};

use crate::scope::{gather, scoped, stream, tar_of};

#[tokio::test]
async fn archives_go_in_and_come_out() {
    scoped("archive", async |scope| {
        let name = scope.start("c", &scope.sleeper()).await;
        let large = vec![5_u8; 3_000_000];
        let tar = tar_of(&[("a", 0o640, b"first"), ("deep/b", 0o755, &large)]);
        scope.engine.put_archive(&name, "/data", stream(tar)).await.unwrap();
        assert_eq!(
            scope.sh(&name, "cat /data/a; stat -c %a /data/a /data/deep/b; wc -c < /data/deep/b").await.stdout_text(),
            "first640\n755\n3000000\n"
        );

        let back = gather(scope.engine.get_archive(&name, "/data/deep").await.unwrap()).await;
        let mut archive = tar::Archive::new(&back[..]);
        let sizes: Vec<(String, u64)> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.path().unwrap().display().to_string(), entry.size()))
            .collect();
        assert_eq!(sizes, [("deep/".to_owned(), 0), ("deep/b".to_owned(), 3_000_000)]);

        scope.engine.kill_container(&name, "SIGKILL").await.unwrap();
        scope.engine.wait_container(&name).await.unwrap();
        gather(scope.engine.get_archive(&name, "/data/a").await.unwrap()).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_told_at_once() {
    scoped("nowhere", async |scope| {
        let name = scope.start("c", &scope.sleeper()).await;
        let error = scope.engine.get_archive(&name, "/none").await.err().unwrap();
        assert!(error.is_not_found(), "{error:?}");
        assert!(error.to_string().starts_with(&format!("pack from {name}:/none: ")), "{error}");
        let error = scope.engine.put_archive(&name, "/none", stream(tar_of(&[("a", 0o644, b"x")]))).await.unwrap_err();
        assert!(error.is_not_found(), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_source_that_breaks_is_the_reason_told() {
    scoped("source", async |scope| {
        let name = scope.start("c", &scope.sleeper()).await;
        let whole = tar_of(&[("big", 0o644, &vec![1; 500_000])]);
        let half = Bytes::copy_from_slice(&whole[..200_000]);
        let broken = EngineError::new("read", "the source", EngineErrorKind::Interrupted, "it broke");
        let source = futures_util::stream::iter([Ok(half), Err(broken)]).boxed();
        let error = scope.engine.put_archive(&name, "/data", source).await.unwrap_err();
        assert_eq!(error.to_string(), "read the source: it broke");
    })
    .await;
}
