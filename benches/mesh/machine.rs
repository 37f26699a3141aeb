//! Where and when figures were taken, without which they say nothing.

use std::fs;

use super::engine;
use super::ours::Ours;

/// One sentence.
pub fn describe(ours: &Ours) -> String {
    let engine = engine::get("/version");
    let image = engine::get(&format!("/images/{}/json", ours.image));
    let date = jiff::Timestamp::now().to_string();
    format!(
        "Measured by `cargo bench --bench mesh` on {} on {} cores, {} GiB, {}, Linux {}, Engine {}, {} profile, Kubernetes {}, Istio {}.",
        date.split('T').next().unwrap_or_default(),
        std::thread::available_parallelism().map_or(0, usize::from),
        memory_gib(),
        distribution(),
        fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        engine["Version"].as_str().unwrap_or_default().split('+').next().unwrap_or_default(),
        if ours.privileged { "privileged" } else { "reduced" },
        ours.kubernetes,
        image.pointer("/Config/Labels/dev.kindmesh.istio").and_then(serde_json::Value::as_str).unwrap_or("of its default version"),
    )
}

fn memory_gib() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<f64>().ok());
    // The kernel keeps a part for itself.
    (kib.unwrap_or_default() / f64::from(1 << 20)).ceil() as u64
}

fn distribution() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("an unnamed system").trim_matches('"').to_owned()
}
