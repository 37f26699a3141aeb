use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use super::*;

fn home() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("sub/config");
    (dir, path)
}

#[tokio::test]
async fn a_new_file_is_private_and_its_lock_is_gone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_dir, path) = home();
    assert!(edit(&path, |text| Ok(Some(format!("{text}a")))).await.unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), "a");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!path.with_file_name("config.lock").exists());
}

#[tokio::test]
async fn an_unchanged_text_is_not_written() {
    let (_dir, path) = home();
    edit(&path, |_| Ok(Some("a".into()))).await.unwrap();
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    assert!(!edit(&path, |text| Ok(Some(text.to_owned()))).await.unwrap());
    assert!(!edit(&path, |_| Ok(None)).await.unwrap());
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
}

#[tokio::test]
async fn a_failed_edit_leaves_the_file_and_releases_the_lock() {
    let (_dir, path) = home();
    edit(&path, |_| Ok(Some("a".into()))).await.unwrap();
    edit(&path, |_| Err(Error::new(ErrorKind::Config, "no"))).await.unwrap_err();
    assert_eq!(fs::read_to_string(&path).unwrap(), "a");
    assert!(!path.with_file_name("config.lock").exists());
}

#[tokio::test]
async fn a_stale_lock_is_taken_over() {
    let (_dir, path) = home();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let lock = File::create(path.with_file_name("config.lock")).unwrap();
    lock.set_modified(SystemTime::now() - STALE_AFTER - Duration::from_secs(1)).unwrap();
    assert!(edit(&path, |_| Ok(Some("a".into()))).await.unwrap());
}

#[tokio::test]
async fn a_lock_of_a_process_that_was_killed_is_taken_over_at_once() {
    let (_dir, path) = home();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let killed = Holder { born: 0, ..holder::this("edit") };
    let lock = path.with_file_name("config.lock");
    fs::write(&lock, killed.to_label()).unwrap();
    let edited = tokio::time::timeout(Duration::from_secs(5), edit(&path, |_| Ok(Some("a".into()))));
    assert!(edited.await.expect("it is not waited for").unwrap());
    assert!(!lock.exists());
    // And that of one that lives is not.
    fs::write(&lock, holder::this("edit").to_label()).unwrap();
    assert!(!is_stale(&lock));
}

#[cfg(target_os = "linux")]
#[test]
fn a_lock_says_who_holds_it_from_the_moment_it_is_there() {
    let (_dir, path) = home();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let lock = path.with_file_name("config.lock");
    let holder = holder::this("edit").to_label();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..2000 {
                take(&lock, &holder).unwrap();
                assert_eq!(take(&lock, "another").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
                fs::remove_file(&lock).unwrap();
            }
        });
        let mut seen = 0;
        while !writer.is_finished() {
            if let Ok(text) = fs::read_to_string(&lock) {
                assert_eq!(text, holder);
                seen += 1;
            }
        }
        assert!(seen > 0, "it was never looked at");
    });
}

#[tokio::test(start_paused = true)]
async fn a_held_lock_is_waited_for_and_then_named() {
    let (_dir, path) = home();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path.with_file_name("config.lock")).unwrap();
    let error = edit(&path, |_| Ok(Some("a".into()))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("config.lock"), "{error}");
    assert!(!path.exists());
}

#[tokio::test]
async fn many_writers_lose_nothing() {
    let (_dir, path) = home();
    let writers = (0..32).map(|n| {
        let path = path.clone();
        tokio::spawn(async move { edit(&path, |text| Ok(Some(format!("{text}{n}\n")))).await })
    });
    for writer in futures_util::future::join_all(writers).await {
        assert!(writer.unwrap().unwrap());
    }
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 32);
}

#[tokio::test]
async fn a_link_keeps_its_target() {
    let (dir, path) = home();
    let real = dir.path().join("real");
    fs::write(&real, "a").unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&real, &path).unwrap();
    edit(&path, |_| Ok(Some("b".into()))).await.unwrap();
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_symlink());
    assert_eq!(fs::read_to_string(&real).unwrap(), "b");
}

#[tokio::test]
async fn a_file_keeps_its_owner_and_mode() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    let (_dir, path) = home();
    edit(&path, |_| Ok(Some("a".into()))).await.unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    // Only root can give files away; for others it stays their own.
    let _given = chown(&path, Some(1234), Some(5678));
    let before = fs::metadata(&path).unwrap();
    edit(&path, |_| Ok(Some("b".into()))).await.unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!((after.uid(), after.gid(), after.mode()), (before.uid(), before.gid(), before.mode()));
    assert_ne!(after.ino(), before.ino(), "it was replaced");
}

#[test]
fn what_nothing_can_be_renamed_over_is_written_in_place() {
    let (dir, _) = home();
    let path = dir.path().join("config");
    fs::write(&path, "longer than what follows").unwrap();
    write_in_place(&path, "b").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "b");
}

#[test]
fn whether_a_file_can_be_written_is_found_out_without_writing() {
    let (dir, path) = home();
    check_writable(&path).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is made");
    fs::create_dir_all(&path).unwrap();
    check_writable(&path).unwrap_err();
    // Not even root makes files there.
    let error = check_writable(Path::new("/proc/kindmesh/config")).unwrap_err().to_string();
    assert!(error.contains("cannot write kubeconfig /proc/kindmesh/config"), "{error}");
}
