//! Asynchronous work on threads of its own: from where nothing can be awaited (a drop, a panic, the end of a
//! runtime), and for what is too much for the thread of a test.
//!
//! It runs on a thread and a runtime of its own, since the caller's may be about to end, may have one thread
//! only, or may not be there at all; and with connections of its own, since those of the caller's runtime do
//! not move while it waits.

use std::future::Future;
use std::thread;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use tokio::runtime::{Builder, Handle, RuntimeFlavor};

/// Making a fleet is one large state machine, and debug builds put all of it on the stack; a test's thread has
/// two megabytes. Only what is used is taken of it.
const STACK: usize = 32 * 1024 * 1024;

/// Runs work to its end, however the calling thread stands to a runtime; `None` when it panicked or no thread
/// could be had.
pub(super) fn run<T, F>(work: impl FnOnce() -> F + Send + 'static) -> Option<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    join(spawn(work)?).ok()
}

/// Runs work on a thread of its own and returns at once; `None` when no thread could be had.
pub(super) fn spawn<T, F>(work: impl FnOnce() -> F + Send + 'static) -> Option<thread::JoinHandle<T>>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    thread::Builder::new().name("kindmesh".to_owned()).stack_size(STACK).spawn(move || runtime.block_on(work())).ok()
}

/// Runs work on a thread of its own and waits for it; `None` when it panicked or no thread could be had. Whoever
/// gives up waiting cancels the work, and goes on only when it has ended.
pub(super) async fn apart<T, F>(cancel: CancellationToken, work: impl FnOnce() -> F + Send + 'static) -> Option<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (tell, told) = oneshot::channel();
    // Who waits has gone away when nobody hears it.
    let thread = spawn(move || async move { drop(tell.send(work().await)) });
    let _work = Work { cancel, thread };
    told.await.ok()
}

/// Work that goes on; it does not outlive the value.
struct Work {
    cancel: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.cancel.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic of it has been told of by the missing result.
            join(thread).ok();
        }
    }
}

fn join<T>(thread: thread::JoinHandle<T>) -> thread::Result<T> {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        // Others of the runtime's tasks go on meanwhile.
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(|| thread.join()),
        _ => thread.join(),
    }
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

    #[tokio::test]
    async fn who_gives_up_waiting_goes_on_when_the_work_has_ended() {
        let (cancel, ended) = (CancellationToken::new(), CancellationToken::new());
        let (asked, told) = (cancel.clone(), ended.clone());
        let work = apart(cancel, move || async move {
            asked.cancelled().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            told.cancel();
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), work).await.is_err());
        assert!(ended.is_cancelled());
        assert_eq!(apart(CancellationToken::new(), soon).await, Some(7));
    }

    #[test]
    fn a_panic_stays_where_it_was() {
        assert_eq!(run(|| async { assert!(std::hint::black_box(false)) }), None);
    }
}
