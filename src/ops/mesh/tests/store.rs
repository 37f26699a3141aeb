use std::fs;
use std::path::Path;

use super::*;
use crate::ops::error::ErrorKind;
use crate::ops::mesh::ca_store::CaStore;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_root_is_made_once_and_found_again() {
    let state = tempfile::tempdir().unwrap();
    let store = CaStore::new(state.path(), "AB:CD", &fleet());
    assert_eq!(store.load(now()).unwrap(), None);
    assert!(!state.path().join("abcd/demo").exists(), "looking makes nothing");
    let (made, new) = store.ensure(None, now()).unwrap();
    assert!(new);
    assert_eq!(store.ensure(None, now()).unwrap(), (made.clone(), false));
    assert_eq!(store.load(now()).unwrap(), Some(made.clone()));
    assert_eq!(store.folder(), state.path().join("abcd/demo/ca"));
    let other = CaStore::new(state.path(), "AB:CD", &"other".parse().unwrap());
    assert!(!other.ensure(None, now()).unwrap().0.same_certificate(&made), "every fleet has its own");
    let elsewhere = CaStore::new(state.path(), "5f2c0d5e-0000", &fleet());
    assert!(elsewhere.load(now()).unwrap().is_none(), "and on every engine another");
    assert!(CaStore::new(state.path(), "", &fleet()).folder().ends_with("engine/demo/ca"), "an engine without a name has a place too");
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let state = tempfile::tempdir().unwrap();
    let store = CaStore::new(&state.path().join("new/deeper"), "AB:CD", &fleet());
    store.ensure(None, now()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = store.folder();
    for path in [&folder, folder.parent().unwrap(), folder.parent().unwrap().parent().unwrap()] {
        assert_eq!(mode(path), 0o700, "{}", path.display());
    }
    for file in ["root-cert.pem", "root-key.pem"] {
        assert_eq!(mode(&folder.join(file)), 0o600, "{file}");
    }
    fs::set_permissions(folder.join("root-key.pem"), fs::Permissions::from_mode(0o640)).unwrap();
    let error = store.load(now()).unwrap_err();
    assert!(error.to_string().ends_with("is open to other users: its mode is 640"), "{error}");
    assert!(error.hints()[0].contains("chmod 600"), "{error:?}");
}

#[test]
fn of_many_at_once_one_wins_and_all_get_its_root() {
    let state = tempfile::tempdir().unwrap();
    let store = CaStore::new(state.path(), "AB:CD", &fleet());
    let start = std::sync::Barrier::new(8);
    let results: Vec<(Root, bool)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    store.ensure(None, now()).unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|(_, new)| *new).count(), 1);
    assert!(results.iter().all(|(root, _)| *root == results[0].0));
    assert_eq!(names(&state.path().join("abcd/demo")), ["ca"], "nothing unfinished is left");
}

#[test]
fn damage_is_told_and_left_as_it_is() {
    let state = tempfile::tempdir().unwrap();
    let store = CaStore::new(state.path(), "AB:CD", &fleet());
    let (first, _) = store.ensure(None, now()).unwrap();
    let (certificate, key) = (store.folder().join("root-cert.pem"), store.folder().join("root-key.pem"));
    let foreign = root();
    for (file, text, words) in [
        (&certificate, "garbage", "holds no PEM certificate"),
        (&certificate, foreign.certificate(), "the root key is not the key of the root certificate"),
        (&key, "", "holds no PEM private key"),
        (&key, foreign.key().expose(), "the root key is not the key of the root certificate"),
    ] {
        let good = fs::read_to_string(file).unwrap();
        fs::write(file, text).unwrap();
        for error in
            [store.load(now()).unwrap_err(), store.ensure(None, now()).unwrap_err(), store.ensure(Some(&first), now()).unwrap_err()]
        {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(words) && error.to_string().contains("demo/ca"), "{error}");
            assert!(!error.to_string().contains("BEGIN PRIVATE"), "{error}");
        }
        assert_eq!(fs::read_to_string(file).unwrap(), text, "left untouched");
        fs::write(file, good).unwrap();
    }
    let later = now() + jiff::SignedDuration::from_hours(24 * 366 * 10);
    assert!(store.load(later).unwrap_err().to_string().contains("has expired"));
    fs::remove_file(&key).unwrap();
    let error = store.ensure(None, now()).unwrap_err();
    assert!(error.to_string().contains("cannot read") && error.to_string().contains("root-key.pem"), "{error}");
    assert!(certificate.exists() && !key.exists());
}

#[test]
fn a_root_of_ones_own_is_kept_and_no_other_taken_later() {
    let state = tempfile::tempdir().unwrap();
    let (store, own) = (CaStore::new(state.path(), "AB:CD", &fleet()), root());
    assert_eq!(store.ensure(Some(&own), now()).unwrap(), (own.clone(), true));
    assert_eq!(store.ensure(Some(&own), now()).unwrap(), (own.clone(), false));
    assert_eq!(store.ensure(None, now()).unwrap(), (own.clone(), false));
    let error = store.ensure(Some(&root()), now()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains(&own.summary().fingerprint), "{error}");
    assert_eq!(store.load(now()).unwrap(), Some(own));
}

#[test]
fn removal_takes_what_was_made_and_nothing_else() {
    let state = tempfile::tempdir().unwrap();
    let store = CaStore::new(state.path(), "AB:CD", &fleet());
    assert!(!store.remove().unwrap(), "nothing is there");
    store.ensure(None, now()).unwrap();
    let home = state.path().join("abcd/demo");
    // What a process that was killed in the middle leaves.
    fs::create_dir(home.join(".ca-dead")).unwrap();
    fs::write(home.join(".ca-dead/root-key.pem"), "half").unwrap();
    assert!(store.remove().unwrap());
    assert!(!home.exists() && state.path().exists());

    store.ensure(None, now()).unwrap();
    fs::write(store.folder().join("mine.txt"), "x").unwrap();
    assert!(store.remove().unwrap());
    assert_eq!(names(&store.folder()), ["mine.txt"]);
}
