use std::time::Duration;

use futures_util::StreamExt as _;

use super::*;

fn owner() -> Owner {
    "p1-a".parse().unwrap()
}

#[test]
fn a_holder_has_the_sockets_only_when_it_is_told_to_and_never_a_network() {
    let with = describe(&owner(), "i", Some("/run/docker.sock".to_owned()));
    assert_eq!(with.mounts["/run/docker.sock"], SOCKET);
    assert_eq!((with.network.as_str(), with.auto_remove, with.privileged), ("none", true, false));
    let without = describe(&owner(), "i", None);
    assert!(without.mounts.is_empty() && without.security_opt.is_empty());
    assert_eq!(crate::domain::lease::holder(&without.labels), Some(owner()));
}

#[test]
fn only_a_socket_of_this_machine_is_within_reach() {
    let engine = crate::engine::fake::FakeEngine::new();
    assert_eq!(reach_of(&engine), engine.endpoint().strip_prefix("unix://").map(str::to_owned));
}

#[tokio::test(start_paused = true)]
async fn signs_of_life_go_on_until_the_release() {
    let (release, released) = watch::channel(());
    let mut lines = std::pin::pin!(lines(released));
    for _ in 0..3 {
        assert_eq!(lines.next().await.unwrap().unwrap(), "alive\n");
    }
    drop(release);
    assert_eq!(lines.next().await.unwrap().unwrap(), "done\n");
    assert!(lines.next().await.is_none());
}

/// The shell's patience and ours must fit together.
#[test]
fn several_signs_of_life_fit_into_the_silence_that_a_holder_bears() {
    let silence = HOLD.split_whitespace().find_map(|word| word.strip_prefix("silence=")).unwrap();
    assert!(Duration::from_secs(silence.parse().unwrap()) >= BEAT * 10);
    assert!(HOLD.contains(SOCKET) && HOLD.contains(crate::domain::labels::OWNER));
}
