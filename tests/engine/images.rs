//! Images as archives: import, save, load, tags.

use bytes::Bytes;
use futures_util::StreamExt;
use kindmesh::engine::{EngineError, EngineErrorKind, ExecRequest};
use tokio_util::sync::CancellationToken;

use crate::scope::{busybox_rootfs, gather, scoped, stream, tar_of};

#[tokio::test]
async fn an_imported_root_runs_with_its_changes() {
    scoped("import", async |scope| {
        let reference = format!("kindmesh-test/{}:v1", scope.name);
        let changes =
            ["ENTRYPOINT [\"/bin/sh\", \"-c\"]", "CMD [\"sleep 1000\"]", "ENV WORD=given PATH=/bin", "LABEL dev.kindmesh.test=image"];
        let changes = changes.map(str::to_owned);
        let id = scope.engine.import_image(&reference, &changes, stream(busybox_rootfs())).await.unwrap();
        let image = scope.engine.inspect_image(&reference).await.unwrap().unwrap();
        assert_eq!((image.id.as_str(), &image.tags[..]), (id.as_str(), &[reference.clone()][..]));
        assert_eq!(image.labels["dev.kindmesh.test"], "image");
        assert!(image.size > 1_000_000 && !image.architecture.is_empty());

        let spec = kindmesh::domain::container::ContainerSpec { image: reference.clone(), cmd: None, ..scope.sleeper() };
        let name = scope.start("c", &spec).await;
        let output = scope.engine.exec(&name, ExecRequest::new(["sh", "-c", "echo $WORD"]), &CancellationToken::new()).await.unwrap();
        assert_eq!(output.stdout_text(), "given\n");
        assert!(scope.engine.remove_image(&reference).await.unwrap_err().is_conflict());
        scope.engine.remove_container(&name).await.unwrap();

        let other = format!("kindmesh-test/{}:v2", scope.name);
        scope.engine.tag_image(&reference, &other).await.unwrap();
        scope.engine.remove_image(&reference).await.unwrap();
        assert_eq!(scope.engine.inspect_image(&reference).await.unwrap(), None);
        assert_eq!(scope.engine.inspect_image(&other).await.unwrap().unwrap().id, id);

        let saved = gather(scope.engine.save_images(std::slice::from_ref(&other)).await.unwrap()).await;
        scope.engine.remove_image(&other).await.unwrap();
        assert_eq!(scope.engine.inspect_image(&id).await.unwrap(), None);
        assert_eq!(scope.engine.load_images(stream(saved)).await.unwrap(), std::slice::from_ref(&other));
        assert_eq!(scope.engine.inspect_image(&other).await.unwrap().unwrap().id, id);
        scope.engine.remove_image(&other).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    scoped("noimage", async |scope| {
        let engine = &scope.engine;
        assert_eq!(engine.inspect_image("kindmesh-test/none:1").await.unwrap(), None);
        assert!(engine.remove_image("kindmesh-test/none:1").await.unwrap_err().is_not_found());
        assert!(engine.tag_image("kindmesh-test/none:1", "kindmesh-test/none:2").await.unwrap_err().is_not_found());
        let error = engine.save_images(&["kindmesh-test/none:1".to_owned()]).await.err().unwrap();
        assert!(error.message.to_lowercase().contains("no such image") || error.message.contains("reference does not exist"), "{error:?}");
        assert!(!engine.volume_exists("kmt-no-such-volume").await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_broken_archive_is_refused_and_leaves_no_image() {
    scoped("badtar", async |scope| {
        let engine = &scope.engine;
        assert!(engine.load_images(stream(tar_of(&[("readme", 0o644, b"no image")]))).await.is_err());
        assert!(engine.load_images(stream(b"no tar at all".to_vec())).await.is_err());
        let reference = format!("kindmesh-test/{}:v1", scope.name);
        let broken = || EngineError::new("read", "the root", EngineErrorKind::Interrupted, "it broke");
        let half = Bytes::from(busybox_rootfs()).slice(..700_000);
        let source = futures_util::stream::iter([Ok(half.clone()), Err(broken())]).boxed();
        let error = engine.import_image(&reference, &[], source).await.unwrap_err();
        assert_eq!(error.to_string(), "read the root: it broke");
        let error = engine.import_image(&reference, &[], stream(half.to_vec())).await.unwrap_err();
        assert!(error.message.to_lowercase().contains("eof"), "{error:?}");
        assert_eq!(engine.inspect_image(&reference).await.unwrap(), None);
    })
    .await;
}
