//! What a node recorded of its own start, read from its journal and the logs of its control plane.
//!
//! The record is text in sections that begin with `== NAME`:
//!
//! | section | holds |
//! |---|---|
//! | `clock` | seconds since 1970 with a fraction, `/proc/uptime`, `/proc/1/stat`, a line each |
//! | `journal` | lines of `journalctl --output short-unix` |
//! | `pods` | lines of `/var/log/pods`, each after its file's path and a colon |

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Time;

/// Ticks per second in `/proc/PID/stat`; part of Linux' interface with programs (USER_HZ).
const TICKS: f64 = 100.0;
/// Place of the start time in `/proc/PID/stat`, counted from the field after the program's name.
const START_FIELD: usize = 19;
/// A log line is written at most so much later than it says, in microseconds.
const LATE: i64 = 60_000_000;

/// Something that happened on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeMoment {
    /// What happened.
    pub name: String,
    /// When, microseconds since 1970.
    pub at: u64,
}

/// What systemd says, in its newer and older words, and what it means.
const UNITS: [(&str, &str); 6] = [
    ("Reached target multi-user.target", "systemd up"),
    ("Reached target Multi-User System", "systemd up"),
    ("Started containerd.service", "containerd active"),
    ("Started containerd container runtime", "containerd active"),
    ("Started kubelet.service", "kubelet started"),
    ("Started kubelet: ", "kubelet started"),
];

/// What the kubelet says. Its health endpoint listens as soon as it calls itself started.
const KUBELET: [(&str, &str); 2] =
    [("\"Started kubelet\"", "kubelet healthy"), ("\"Fast updating node status as it just became ready\"", "node Ready")];

/// What containers of the control plane say: container, words, meaning. The API server publishes its own
/// address when its `/readyz` has answered for the first time.
const CONTROL_PLANE: [(&str, &str, &str); 5] = [
    ("kube-apiserver", "Serving securely on", "API server serves"),
    ("kube-apiserver", "Resetting endpoints for master service", "first /readyz ok"),
    ("kube-apiserver", "quota admission added evaluator for: endpoint", "first /readyz ok"),
    ("kube-controller-manager", "successfully acquired lease", "controller-manager leads"),
    ("kube-scheduler", "successfully acquired lease", "scheduler leads"),
];

/// Moments of a node's record, in order. What cannot be read is left out.
pub fn node_moments(record: &str) -> Vec<NodeMoment> {
    let mut sections: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut section = "";
    for line in record.lines() {
        match line.strip_prefix("== ") {
            Some(name) => section = name,
            None => sections.entry(section).or_default().push(line),
        }
    }
    let lines = |name: &str| sections.get(name).map(Vec::as_slice).unwrap_or_default();
    let mut moments: Vec<NodeMoment> = container_start(lines("clock")).into_iter().collect();
    moments.extend(journal(lines("journal")));
    moments.extend(pods(lines("pods")));
    moments.sort_by(|a, b| (a.at, &a.name).cmp(&(b.at, &b.name)));
    moments
}

/// When the first process of the container was made.
fn container_start(lines: &[&str]) -> Option<NodeMoment> {
    let [now, uptime, stat] = lines else { return None };
    let now: f64 = now.trim().parse().ok()?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    // The name of the program stands in parentheses and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: f64 = fields.split_whitespace().nth(START_FIELD)?.parse().ok()?;
    let at = now - (uptime - ticks / TICKS);
    (at > 0.0).then(|| NodeMoment { name: "container started".to_owned(), at: (at * 1e6) as u64 })
}

fn journal(lines: &[&str]) -> Vec<NodeMoment> {
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    let mut moments = Vec::new();
    for line in lines {
        let Some((at, program, message)) = journal_line(line) else { continue };
        let said = |words: &[(&str, &str)]| words.iter().find(|(words, _)| message.contains(words)).map(|(_, name)| (*name).to_owned());
        let name = match program {
            "systemd" => said(&UNITS),
            "kubelet" => said(&KUBELET),
            "containerd" => {
                if let Some((id, name)) = created(message) {
                    names.insert(id, name);
                }
                started(message).map(|id| format!("{} started", names.get(id).copied().unwrap_or("a container")))
            }
            _ => None,
        };
        moments.extend(name.map(|name| NodeMoment { name, at }));
    }
    moments
}

/// Time, program and message of `1795387543.152202 host program[pid]: message`.
fn journal_line(line: &str) -> Option<(u64, &str, &str)> {
    let (at, rest) = line.split_once(' ')?;
    let (_, rest) = rest.split_once(' ')?;
    let (program, message) = rest.split_once(": ")?;
    let (seconds, fraction) = at.split_once('.')?;
    let micros: u64 = fraction.get(..6)?.parse().ok()?;
    Some((seconds.parse::<u64>().ok()? * 1_000_000 + micros, program.split('[').next()?, message))
}

/// ID and name of a container that the runtime has created. It quotes its own words, so quotes are
/// escaped.
fn created(message: &str) -> Option<(&str, &str)> {
    let (before, id) = message.split_once(" returns container id \\\"")?;
    let (_, name) = before.split_once("&ContainerMetadata{Name:")?;
    Some((id.split('\\').next()?, name.split(',').next()?))
}

/// ID of a container that the runtime has started.
fn started(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("StartContainer for \\\"")?;
    rest.strip_suffix(" returns successfully\"")?.strip_suffix("\\\"")
}

fn pods(lines: &[&str]) -> Vec<NodeMoment> {
    let mut moments: Vec<NodeMoment> = Vec::new();
    let mut last_controller = None;
    for line in lines {
        let Some((path, entry)) = line.split_once(".log:") else { continue };
        let container = path.rsplit('/').nth(1).unwrap_or_default();
        if container == "kube-controller-manager" && entry.contains("\"Started controller\"") {
            last_controller = last_controller.max(log_time(entry));
        }
        let words = CONTROL_PLANE.iter().find(|(of, words, _)| *of == container && entry.contains(words));
        let (Some((.., name)), Some(at)) = (words, log_time(entry)) else { continue };
        // Two lines may mean the same; the first of a log tells when.
        if !moments.iter().any(|known| known.name == *name && known.at <= at) {
            moments.retain(|known| known.name != *name);
            moments.push(NodeMoment { name: (*name).to_owned(), at });
        }
    }
    moments.extend(last_controller.map(|at| NodeMoment { name: "all controllers started".to_owned(), at }));
    moments
}

/// When a line was said: klog's own time where it has one, for under load a line is written late.
fn log_time(entry: &str) -> Option<u64> {
    let mut fields = entry.split_whitespace();
    let written: Timestamp = fields.next()?.parse().ok()?;
    let written = written.as_microsecond();
    // `stderr F I1122 22:45:50.668297`
    let said = fields.nth(3).and_then(|time| time.parse::<Time>().ok()).and_then(|time| {
        let day = Timestamp::from_microsecond(written).ok()?.to_zoned(jiff::tz::TimeZone::UTC).date();
        let said = day.to_datetime(time).to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_microsecond();
        // A log in another time zone than UTC, or midnight between the two.
        (0..LATE).contains(&(written - said)).then_some(said)
    });
    u64::try_from(said.unwrap_or(written)).ok()
}
