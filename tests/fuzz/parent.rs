//! Starts a process per target, and tells what became of it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::report;
use crate::targets::TARGETS;

/// How long each target is tried without being told, in seconds.
const SHORT: u64 = 3;

/// The kept inputs of a target.
pub fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target)
}

/// Tries the targets whose names are among the arguments; all of them when none is.
pub fn run(arguments: &[String]) -> ExitCode {
    let named: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let seconds = std::env::var("KINDMESH_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SHORT);
    let targets: Vec<_> =
        TARGETS.iter().filter(|target| named.is_empty() || named.iter().any(|name| target.name.contains(name.as_str()))).collect();
    println!("fuzzing {} targets for {seconds} s each", targets.len());
    let tried = at_once(&targets, |target| attempt(target.name, seconds));
    let failed = tried.iter().filter(|tried| tried.is_none()).count();
    let inputs: usize = tried.iter().flatten().sum();
    if named.is_empty() {
        // An input that was survived by none is one per target: it ends the target's process.
        report::note("fuzzed inputs", inputs + failed, inputs, &report::machine());
    }
    // As the harness of the other tests says it.
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {} passed; {failed} failed", targets.len() - failed);
    if failed == 0 && !targets.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Does this with all of them, as many at once as there are processors; the results in their order.
fn at_once<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while let Some((index, one)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|index| Some((index, all.get(index)?))) {
            done.push((index, work(one)));
        }
        done
    };
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..std::thread::available_parallelism().map_or(1, usize::from)).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// How many inputs were tried; `None` when one was not survived.
fn attempt(target: &str, seconds: u64) -> Option<usize> {
    let last = tempfile::NamedTempFile::new().unwrap();
    let this = std::env::current_exe().unwrap();
    let output = Command::new(this).args(["--child", target, &seconds.to_string()]).arg(last.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        println!("test {target} ... ok ({})", said.trim());
        return said.split(' ').next().and_then(|count| count.parse().ok());
    }
    println!("test {target} ... FAILED ({})", output.status);
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    let input = std::fs::read(last.path()).unwrap();
    if input.is_empty() {
        // It ended before the first input.
        return None;
    }
    let name = kindmesh::domain::oci::sha256_digest(&input).replace("sha256:", "");
    let kept = corpus(target).join(format!("found-{}", &name[..12]));
    std::fs::create_dir_all(corpus(target)).unwrap();
    std::fs::write(&kept, input).unwrap();
    eprintln!("the input is kept: {}", kept.display());
    None
}
