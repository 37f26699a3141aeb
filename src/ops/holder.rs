//! This process as others see it, and other processes as this one sees them.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::ticket::Holder;

/// This process, for one piece of work.
pub(super) fn this(work: &str) -> Holder {
    let pid = std::process::id();
    Holder {
        id: format!("{:016x}", RandomState::new().build_hasher().finish()),
        work: work.to_owned(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        machine: machine(),
        pid,
        born: stat(pid).map(|stat| stat.born).unwrap_or_default(),
        since: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX)),
    }
}

/// Whether the process is certainly gone. `false` where that cannot be told: on another machine.
pub(super) fn is_gone(holder: &Holder) -> bool {
    let machine = machine();
    if machine.is_empty() || holder.machine != machine {
        return false;
    }
    match stat(holder.pid) {
        // Another one has its number by now, or nobody has waited for it yet.
        Some(stat) => stat.born != holder.born || stat.ended,
        None => !Path::new("/proc").join(holder.pid.to_string()).exists(),
    }
}

/// The running kernel and the numbering of its processes.
fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let space = std::fs::read_link("/proc/self/ns/pid");
    match (boot, space) {
        (Ok(boot), Ok(space)) => format!("{} {}", boot.trim(), space.display()),
        _ => String::new(),
    }
}

struct Stat {
    ended: bool,
    born: u64,
}

/// `/proc/PID/stat`, by proc(5): the name in parentheses may contain anything, so fields count from its end.
fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    // Field 3 is the state, field 22 the start.
    Some(Stat { ended: matches!(*fields.first()?, "Z" | "X"), born: fields.get(19)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_others_are_told_from_it() {
        let me = this("up");
        assert!(!is_gone(&me) && me.born > 0 && me.id.len() == 16);
        assert_ne!(me.id, this("up").id);
        assert!(is_gone(&Holder { born: me.born + 1, ..me.clone() }), "another process with its number");
        assert!(!is_gone(&Holder { machine: "elsewhere".to_owned(), born: 0, ..me }));
    }

    #[test]
    fn a_killed_process_is_gone_before_and_after_it_is_waited_for() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let holder = Holder { pid: child.id(), born: stat(child.id()).unwrap().born, ..this("up") };
        assert!(!is_gone(&holder));
        child.kill().unwrap();
        while !is_gone(&holder) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(is_gone(&holder));
    }
}
