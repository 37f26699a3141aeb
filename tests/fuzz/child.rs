//! One target in a process of its own: inputs one after the other, as many as the time allows.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _, RandomState};
use std::os::unix::fs::FileExt as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::mutate::Mutator;
use crate::parent::corpus;
use crate::targets::TARGETS;

/// Address space of the process: its code, the stacks of its threads, and what inputs of a few kilobytes may need.
const MEMORY: u64 = 1 << 30;
/// How long one input may take, in a build without optimization on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(10);
/// Inputs that led somewhere new are kept for this run, up to so many.
const KEPT: usize = 2000;

/// `TARGET SECONDS FILE`: the file always has the input that is being tried.
///
/// In a thread as runtimes start them, whose stack is a quarter of the main thread's.
pub fn run(arguments: &[String]) -> ExitCode {
    let arguments = arguments.to_vec();
    std::thread::spawn(move || inputs(&arguments)).join().unwrap_or(ExitCode::FAILURE)
}

fn inputs(arguments: &[String]) -> ExitCode {
    let [name, seconds, last] = arguments else { return ExitCode::FAILURE };
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let last = File::options().write(true).open(last).unwrap();
    let limit = Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) };
    setrlimit(Resource::As, limit).unwrap();
    // A panic anywhere ends the process, and who started it keeps the input.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        hook(info);
        std::process::abort();
    }));
    let tried = Arc::new(AtomicU64::new(0));
    watch(tried.clone());

    let seeds = seeds(name);
    assert!(!seeds.is_empty(), "there is no corpus for {name}");
    // A short run is a test: the same today and tomorrow. A long one looks for what is new.
    let seed = match std::env::var_os("KINDMESH_FUZZ_SECONDS") {
        Some(_) => RandomState::new().build_hasher().finish(),
        None => 0x6b69_6e64_6d65_7368,
    };
    let mut mutator = Mutator::new(seed, seeds.clone());
    let mut run = target.run();
    let mut outcomes = HashSet::new();
    let end = Instant::now() + Duration::from_secs(seconds.parse().unwrap());
    let mut attempt = |input: &[u8]| {
        last.set_len(input.len() as u64).unwrap();
        last.write_all_at(input, 0).unwrap();
        let outcome = shape(&run(input));
        tried.fetch_add(1, Ordering::SeqCst);
        outcomes.insert(outcome)
    };
    for seed in &seeds {
        attempt(seed);
    }
    while Instant::now() < end {
        let input = mutator.next();
        if attempt(&input) && mutator.len() < KEPT {
            mutator.keep(input);
        }
    }
    assert!(outcomes.len() > 1, "every input ended alike: {name} tries nothing");
    println!("{} inputs, {} different outcomes, seed {seed:#x}", tried.load(Ordering::SeqCst), outcomes.len());
    ExitCode::SUCCESS
}

/// Ends the process when one input takes too long.
fn watch(tried: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let now = tried.load(Ordering::SeqCst);
            if now != seen {
                (seen, since) = (now, Instant::now());
            } else if since.elapsed() > PATIENCE {
                eprintln!("one input took longer than {} s", PATIENCE.as_secs());
                std::process::abort();
            }
        }
    });
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<_> =
        std::fs::read_dir(corpus(target)).map(|files| files.flatten().map(|file| file.path()).collect()).unwrap_or_default();
    files.sort();
    files.into_iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// What an outcome says without the numbers and names in it: what leads to a new one is worth going on from.
fn shape(outcome: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    let words = outcome.split(|letter: char| !letter.is_ascii_alphabetic()).filter(|word| word.len() > 2).take(12);
    words.for_each(|word| word.hash(&mut hasher));
    hasher.finish()
}
