//! Asynchronous work from where nothing can be awaited: a drop, a panic, the end of a runtime.
//!
//! It runs on a thread and a runtime of its own, since the caller's may be about to end, may have one thread
//! only, or may not be there at all; and with connections of its own, since those of the caller's runtime do
//! not move while it waits.

use std::future::Future;
use std::thread;

use tokio::runtime::{Builder, Handle, RuntimeFlavor};

/// Runs work to its end, however the calling thread stands to a runtime; `None` when it panicked or no thread
/// could be had.
pub(super) fn run<T, F>(work: impl FnOnce() -> F + Send + 'static) -> Option<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let thread = spawn(work)?;
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        // Others of the runtime's tasks go on meanwhile.
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(|| thread.join()),
        _ => thread.join(),
    }
    .ok()
}

/// Runs work on a thread of its own and returns at once; `None` when no thread could be had.
pub(super) fn spawn<T, F>(work: impl FnOnce() -> F + Send + 'static) -> Option<thread::JoinHandle<T>>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    thread::Builder::new().name("kindmesh".to_owned()).spawn(move || runtime.block_on(work())).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn soon() -> u8 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        7
    }

    #[test]
    fn without_a_runtime() {
        assert_eq!(run(soon), Some(7));
    }

    #[tokio::test]
    async fn from_a_runtime_of_one_thread() {
        assert_eq!(run(soon), Some(7));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn from_a_runtime_of_several_whose_tasks_go_on() {
        let (tell, told) = tokio::sync::oneshot::channel();
        tokio::spawn(async { tell.send(7) });
        assert_eq!(run(|| async { told.await.ok() }), Some(Some(7)), "the only worker is not blocked");
    }

    #[test]
    fn a_panic_stays_where_it_was() {
        assert_eq!(run(|| async { assert!(std::hint::black_box(false)) }), None);
    }
}
