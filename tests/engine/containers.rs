//! Containers through their lives.

use std::time::Duration;

use futures_util::StreamExt;
use kindmesh::domain::container::{CgroupNamespace, ContainerSpec, PortMapping, Protocol, RestartPolicy};
use kindmesh::engine::ContainerState;

use crate::scope::{gather, scoped, settled};

#[tokio::test]
async fn facts_tell_the_host() {
    scoped("facts", async |scope| {
        let facts = scope.engine.facts().await.unwrap();
        assert_eq!(facts.os, "linux");
        assert!(["amd64", "arm64"].contains(&facts.arch.as_str()), "{facts:?}");
        assert!(facts.api_version.major == 1 && facts.api_version.minor >= 40, "{facts:?}");
        assert!([1, 2].contains(&facts.cgroup_version));
        assert!(facts.cpus > 0 && facts.memory_bytes > 1 << 20, "{facts:?}");
        assert!(!facts.product.is_empty() && !facts.storage_driver.is_empty() && !facts.cgroup_driver.is_empty(), "{facts:?}");
        // The files of the cgroup hierarchy on this machine, which is the engine's, agree.
        if scope.engine.remote_host().is_none() {
            let v2 = std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
            assert_eq!(facts.cgroup_version == 2, v2, "{facts:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_life_from_creation_to_removal() {
    scoped("life", async |scope| {
        let engine = &scope.engine;
        let spec = ContainerSpec { anonymous_volumes: vec!["/data".to_owned()], ..scope.sleeper() };
        let name = scope.named("c");
        let id = engine.create_container(&name, &spec).await.unwrap();
        let made = engine.inspect_container(&name).await.unwrap();
        assert_eq!((made.id.as_str(), made.name.as_str(), made.state), (id.as_str(), name.as_str(), ContainerState::Created));
        assert_eq!(made.image, spec.image);
        assert_eq!(made.labels, spec.labels);
        assert_eq!((made.exit_code, made.pid), (None, 0));
        assert!(made.created > 1_700_000_000);
        let [volume] = &made.volumes[..] else { panic!("{made:?}") };
        assert!(engine.volume_exists(volume).await.unwrap());

        let error = engine.create_container(&name, &spec).await.unwrap_err();
        assert!(error.is_conflict(), "{error:?}");
        engine.start_container(&id).await.unwrap();
        engine.start_container(&id).await.expect("starting a running container");
        assert!(engine.inspect_container(&id).await.unwrap().pid > 0);
        engine.pause_container(&id).await.unwrap();
        assert_eq!(engine.inspect_container(&id).await.unwrap().state, ContainerState::Paused);
        engine.unpause_container(&id).await.unwrap();
        // An engine hears of a pause a second time, from its runtime, and on a busy machine only after the end of the pause:
        // until it hears of that again, too, it lists a running container as paused.
        let listed = settled("the container is listed as running", async || {
            let mut listed = engine.list_containers(&scope.filter()).await.unwrap();
            assert_eq!(listed.len(), 1);
            listed.pop().filter(|one| one.state == ContainerState::Running)
        })
        .await;
        assert_eq!(listed.name, name);
        assert!(listed.status.starts_with("Up") && !listed.status.contains("Paused"), "{listed:?}");

        engine.kill_container(&id, "SIGKILL").await.unwrap();
        assert_eq!(engine.wait_container(&id).await.unwrap(), 137);
        let ended = engine.inspect_container(&id).await.unwrap();
        assert_eq!((ended.state, ended.exit_code), (ContainerState::Exited, Some(137)));
        assert!(engine.kill_container(&id, "SIGKILL").await.unwrap_err().is_conflict());

        engine.remove_container(&id).await.unwrap();
        assert!(!engine.volume_exists(volume).await.unwrap(), "the anonymous volume stayed");
        assert!(engine.inspect_container(&id).await.unwrap_err().is_not_found());
        assert!(engine.remove_container(&id).await.unwrap_err().is_not_found());
        assert!(engine.remove_volume(volume).await.unwrap_err().is_not_found());
    })
    .await;
}

#[tokio::test]
async fn stopping_gives_grace_and_wait_tells_the_code() {
    scoped("stop", async |scope| {
        let name = scope.start("kind", &scope.container(&["sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.1; done"])).await;
        scope.engine.stop_container(&name, 20).await.unwrap();
        assert_eq!(scope.engine.wait_container(&name).await.unwrap(), 9);
        let name = scope.start("stubborn", &scope.container(&["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"])).await;
        scope.engine.stop_container(&name, 1).await.unwrap();
        assert_eq!(scope.engine.wait_container(&name).await.unwrap(), 137);
        let name = scope.start("fine", &scope.container(&["true"])).await;
        assert_eq!(scope.engine.wait_container(&name).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn many_removals_of_one_container_all_end_when_it_is_gone() {
    scoped("removals", async |scope| {
        let name = scope.start("c", &scope.sleeper()).await;
        let results = futures_util::future::join_all((0..6).map(|_| scope.engine.remove_container(&name))).await;
        assert!(scope.engine.inspect_container(&name).await.unwrap_err().is_not_found());
        assert!(results.iter().any(Result::is_ok));
        for error in results.into_iter().filter_map(Result::err) {
            assert!(error.is_not_found(), "{error:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn every_field_reaches_the_container() {
    scoped("fields", async |scope| {
        let network = scope.network("net");
        scope.engine.create_network(&network).await.unwrap();
        let spec = ContainerSpec {
            hostname: "given-name".to_owned(),
            env: vec!["WORD=given".to_owned()],
            entrypoint: Some(vec!["sh".to_owned(), "-c".to_owned()]),
            cmd: Some(vec!["trap 'exit 0' TERM; while :; do sleep 0.2; done".to_owned()]),
            tmpfs: [("/run".to_owned(), "size=1m".to_owned())].into(),
            binds: vec!["/etc/hostname:/data/host:ro".to_owned()],
            cap_add: vec!["NET_ADMIN".to_owned()],
            security_opt: vec!["seccomp=unconfined".to_owned()],
            masked_paths: Some(vec![]),
            readonly_paths: Some(vec![]),
            sysctls: [("net.ipv4.ip_forward".to_owned(), "1".to_owned())].into(),
            cgroupns: CgroupNamespace::Private,
            restart: RestartPolicy::OnFailure(1),
            init: Some(false),
            device_cgroup_rules: vec!["a *:* rwm".to_owned()],
            network: network.name.clone(),
            ports: vec![
                PortMapping { container_port: 6443, protocol: Protocol::Tcp, host_ip: "127.0.0.1".parse().unwrap(), host_port: 0 },
                PortMapping { container_port: 53, protocol: Protocol::Udp, host_ip: "127.0.0.1".parse().unwrap(), host_port: 0 },
            ],
            ..scope.sleeper()
        };
        let name = scope.start("c", &spec).await;
        let line = "cat /etc/hostname; echo $WORD; cat /proc/sys/net/ipv4/ip_forward; while read -r a b c d; do [ \"$b\" = /run ] && echo \"$c\"; done < /proc/mounts; wc -c < /data/host";
        let text = scope.sh(&name, line).await.stdout_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..4], ["given-name", "given", "1", "tmpfs"], "{text}");
        assert!(lines[4].trim().parse::<u32>().unwrap() > 0);
        let effective = scope.sh(&name, "while read -r k v; do [ $k = CapEff: ] && echo $v; done < /proc/1/status").await.stdout_text();
        assert_ne!(u64::from_str_radix(effective.trim(), 16).unwrap() & (1 << 12), 0, "no NET_ADMIN in {effective}");

        let inspected = scope.engine.inspect_container(&name).await.unwrap();
        let listed = scope.engine.list_containers(&scope.filter()).await.unwrap();
        for ports in [&inspected.ports, &listed[0].ports] {
            let mut seen: Vec<(u16, &str)> = ports.iter().map(|port| (port.container_port, port.protocol.as_str())).collect();
            seen.sort_unstable();
            assert_eq!(seen, [(53, "udp"), (6443, "tcp")]);
            assert!(ports.iter().all(|port| port.host_port > 0 && port.host_ip.is_loopback()));
        }
        assert!(inspected.networks[&network.name].ipv4.is_some());
        assert_eq!(listed[0].networks, inspected.networks);
    })
    .await;
}

#[tokio::test]
async fn a_missing_image_and_an_impossible_command_are_told_apart() {
    scoped("bad", async |scope| {
        let spec = ContainerSpec { image: "kindmesh-test/none:1".to_owned(), ..scope.sleeper() };
        let error = scope.engine.create_container(&scope.named("a"), &spec).await.unwrap_err();
        assert!(error.is_not_found(), "{error:?}");
        let name = scope.named("b");
        scope.engine.create_container(&name, &scope.container(&["/no/such/program"])).await.unwrap();
        let error = scope.engine.start_container(&name).await.unwrap_err();
        assert!(error.message.contains("/no/such/program"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn logs_come_whole_and_can_be_followed() {
    scoped("logs", async |scope| {
        for tty in [false, true] {
            let spec = ContainerSpec { tty, ..scope.container(&["sh", "-c", "echo one; echo two >&2; sleep 1; echo three"]) };
            let name = scope.start(if tty { "tty" } else { "plain" }, &spec).await;
            let followed = gather(scope.engine.container_logs(&name, true, None).await.unwrap()).await;
            scope.engine.wait_container(&name).await.unwrap();
            let whole = gather(scope.engine.container_logs(&name, false, None).await.unwrap()).await;
            let mut lines: Vec<String> = String::from_utf8(whole).unwrap().lines().map(str::to_owned).collect();
            lines.sort();
            assert_eq!(lines, ["one", "three", "two"], "tty {tty}");
            assert_eq!(followed.len(), if tty { 17 } else { 14 }, "tty {tty}: {:?}", String::from_utf8_lossy(&followed));
        }
        let error = scope.engine.container_logs("kmt-no-such-container", true, None).await.err().unwrap();
        assert!(error.is_not_found());
    })
    .await;
}

#[tokio::test]
async fn logs_of_the_newest_start_alone() {
    scoped("restart", async |scope| {
        let say = ["sh", "-c", "if [ -e /again ]; then echo second; else touch /again; echo first; fi"];
        let name = scope.start("c", &scope.container(&say)).await;
        scope.engine.wait_container(&name).await.unwrap();
        // The engine tells the moment of a start in seconds.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        scope.engine.start_container(&name).await.unwrap();
        scope.engine.wait_container(&name).await.unwrap();
        let started = scope.engine.inspect_container(&name).await.unwrap().started;
        assert!(started.is_some());
        assert_eq!(gather(scope.engine.container_logs(&name, false, None).await.unwrap()).await, b"first\nsecond\n");
        assert_eq!(gather(scope.engine.container_logs(&name, false, started).await.unwrap()).await, b"second\n");
    })
    .await;
}

#[tokio::test]
async fn following_a_silent_container_waits() {
    scoped("silent", async |scope| {
        let name = scope.start("c", &scope.sleeper()).await;
        let mut logs = scope.engine.container_logs(&name, true, None).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(2), logs.next()).await.is_err(), "the stream ended");
    })
    .await;
}
