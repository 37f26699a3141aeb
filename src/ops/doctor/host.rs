//! Figures of the engine's host, read in a helper container: of its kernel, and not of this machine's.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::checkup::{Route, parse_routes};
use crate::domain::container::ContainerSpec;
use crate::domain::fleet::Fleet;
use crate::domain::inotify;
use crate::engine::Engine;
use crate::ops::privileges::{LOOK, helper, run};

/// Prints them. What cannot be read is left out.
const SCRIPT: &str = "
echo '== inotify'; cat /proc/sys/fs/inotify/max_user_instances
echo '== memory'; cat /proc/meminfo
echo '== disk'; df -P -k /
echo '== route'; cat /proc/net/route
exit 0
";
/// For two helpers on a slow machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// What is known of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Host {
    /// Inotify instances of a user.
    pub(super) inotify: Option<u32>,
    /// Bytes of memory that programs could get.
    pub(super) available: Option<u64>,
    /// Bytes free where containers are kept.
    pub(super) disk_free: Option<u64>,
    /// Its routes; `None` when they cannot be read.
    pub(super) routes: Option<Vec<Route>>,
}

/// Reads them with a helper container of this image, which ends at once and is removed. With an engine on this machine
/// and no image, with what this machine tells.
pub(super) async fn look(engine: &Arc<dyn Engine>, fleet: &Fleet, image: Option<&str>) -> Host {
    let mut host = Host::default();
    if let Some(image) = image {
        // In the host's own network its routes are seen; an engine that forbids that still tells the rest.
        for network in ["host", "none"] {
            let spec = ContainerSpec {
                network: network.to_owned(),
                entrypoint: Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), SCRIPT.to_owned()]),
                ..helper(image, fleet, LOOK)
            };
            if let Ok(Ok(text)) = tokio::time::timeout(DEADLINE, run(engine, spec)).await {
                host = Host::parse(&text);
                if network == "none" {
                    host.routes = None;
                }
                break;
            }
        }
    }
    if engine.remote_host().is_none() {
        host.fill_in(Host {
            inotify: std::fs::read_to_string(inotify::LIMIT_FILE).ok().and_then(|text| text.trim().parse().ok()),
            available: std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text)),
            disk_free: None,
            routes: std::fs::read_to_string("/proc/net/route").ok().map(|text| parse_routes(&text)),
        });
    }
    host
}

// === impl Host ===

impl Host {
    /// Reads what the script printed.
    pub(super) fn parse(text: &str) -> Self {
        let section = |name: &str| {
            let (_, rest) = text.split_once(&format!("== {name}\n"))?;
            Some(rest.split("== ").next().unwrap_or(rest))
        };
        Self {
            inotify: section("inotify").and_then(|text| text.trim().parse().ok()),
            available: section("memory").and_then(available),
            disk_free: section("disk").and_then(free),
            routes: section("route").map(parse_routes),
        }
    }

    fn fill_in(&mut self, other: Host) {
        self.inotify = self.inotify.or(other.inotify);
        self.available = self.available.or(other.available);
        self.disk_free = self.disk_free.or(other.disk_free);
        self.routes = self.routes.take().or(other.routes);
    }
}

/// `MemAvailable: 123 kB`
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The fourth column of the last line of `df -P -k`.
fn free(df: &str) -> Option<u64> {
    df.lines().last()?.split_whitespace().nth(3)?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_helper_prints_is_read_and_what_is_missing_is_not_known() {
        let text = "== inotify\n128\n== memory\nMemTotal: 8000 kB\nMemAvailable:    4000 kB\n== disk\nFilesystem 1024-blocks Used Available Capacity Mounted on\n\
                    overlay 100 40 60 40% /\n== route\nIface Destination Gateway Flags RefCnt Use Metric Mask\n";
        let host = Host::parse(text);
        let expected = Host { inotify: Some(128), available: Some(4_096_000), disk_free: Some(61_440), routes: Some(Vec::new()) };
        assert_eq!(host, expected);
        assert_eq!(Host::parse("sh: not found"), Host::default());
    }
}
