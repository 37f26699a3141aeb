//! Questions to the engine, as plain as they can be.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::Value;

/// What a container has cost so far.
#[derive(Clone, Copy)]
pub struct Usage {
    /// CPU seconds since it was made.
    pub cpu: f64,
    /// Memory in MiB, without files that are only cached.
    pub memory: f64,
}

/// The engine's answer to a GET.
///
/// The engine is where the command finds it, as far as that is a unix socket.
pub fn get(path: &str) -> Value {
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let socket = host.strip_prefix("unix://").expect("an engine behind a unix socket");
    let mut stream = UnixStream::connect(socket).expect("connect to the engine");
    // In the old version of the protocol an answer is as long as the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: engine\r\n\r\n").expect("ask the engine");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the engine's answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.lines().next().is_some_and(|line| line.contains(" 200 ")), "the engine answers GET {path} with {head}");
    serde_json::from_str(body).expect("JSON from the engine")
}

/// What a node has cost so far.
pub fn usage(container: &str) -> Usage {
    let stats = get(&format!("/containers/{container}/stats?stream=false&one-shot=true"));
    let number = |pointer: &str| stats.pointer(pointer).and_then(Value::as_f64);
    // By cgroup version 1 and 2.
    let cached = number("/memory_stats/stats/total_inactive_file").or_else(|| number("/memory_stats/stats/inactive_file"));
    Usage {
        cpu: number("/cpu_stats/cpu_usage/total_usage").expect("CPU time of a container") / 1e9,
        memory: (number("/memory_stats/usage").expect("memory of a container") - cached.unwrap_or_default()) / f64::from(1 << 20),
    }
}
