//! Trying again what heals, until a deadline.

use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use super::deadline::{Deadline, Observer};
use super::error::{K8sError, Result};

/// The longest that a server's wish for a pause is followed; what it says may be anything.
const LONGEST_ASKED: Duration = Duration::from_secs(10);

/// Runs `attempt` until it succeeds, fails with something that does not heal, or the deadline
/// passes. `again` says what heals beyond what always does ([`K8sError::heals`]).
///
/// Between attempts lie 0.1 s at first, then twice as long each time up to 2 s, and up to as much again by chance. A server
/// that says in its status after how many seconds to come again (`retryAfterSeconds`) is given these, 10 s at most. The
/// header `Retry-After` says the same where there is a status; where it comes with bare text, as from a server that sorts
/// requests by their importance, it is not seen: the client hands on the text alone.
pub(crate) async fn healing<T, F: Future<Output = Result<T>>>(
    awaited: &str,
    deadline: Deadline,
    observer: Observer<'_>,
    again: impl Fn(&K8sError) -> bool,
    attempt: impl FnMut() -> F,
) -> Result<T> {
    let last = Mutex::new(String::from("no answer"));
    // Webhook backends and restarting servers need seconds; a crowd of objects must not ask in step.
    let backoff = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(2))
        .without_max_times()
        .with_jitter();
    let longer = |error: &K8sError, pause: Option<Duration>| Some(pause?.max(error.pause().unwrap_or_default().min(LONGEST_ASKED)));
    let attempts = attempt.retry(backoff).when(|error| error.heals() || again(error)).adjust(longer).notify(|error, _| {
        let text = error.to_string();
        let mut last = last.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if *last != text {
            observer(&text);
            *last = text;
        }
    });
    match deadline.limit(attempts).await {
        Some(result) => result,
        None => Err(deadline.error(awaited, last.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::error::RequestErrorKind;
    use super::*;

    fn error(kind: RequestErrorKind) -> K8sError {
        K8sError::Request { verb: "apply", object: "Pod p".to_owned(), kind, message: "no".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_heals_is_tried_again_and_told_once() {
        let (count, heard) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let observer = |text: &str| heard.lock().unwrap().push(text.to_owned());
        let result = healing(
            "Pod p",
            Deadline::after(Duration::from_secs(60)),
            &observer,
            |_| false,
            || async {
                match count.fetch_add(1, Ordering::SeqCst) {
                    0..3 => Err(error(RequestErrorKind::Unavailable)),
                    n => Ok(n),
                }
            },
        );
        assert_eq!(result.await.unwrap(), 3);
        assert_eq!(*heard.lock().unwrap(), ["apply Pod p: no"]);
    }

    /// How long after the first attempt the second one is made.
    async fn pause_after(kind: RequestErrorKind) -> Duration {
        let attempts = Mutex::new(Vec::new());
        let attempt = || async {
            let mut attempts = attempts.lock().unwrap();
            attempts.push(tokio::time::Instant::now());
            if attempts.len() == 1 { Err(error(kind)) } else { Ok(()) }
        };
        healing("Pod p", Deadline::after(Duration::from_secs(60)), &|_| {}, |_| false, attempt).await.unwrap();
        let attempts = attempts.into_inner().unwrap();
        attempts[1] - attempts[0]
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_server_is_given_the_time_it_asks_for() {
        for _ in 0..20 {
            let plain = pause_after(RequestErrorKind::Unavailable).await;
            assert!(plain >= Duration::from_millis(100) && plain <= Duration::from_millis(300), "not at once: {plain:?}");
        }
        let asked = async |seconds: u32| pause_after(RequestErrorKind::Busy { seconds }).await.as_secs();
        assert_eq!((asked(1).await, asked(7).await, asked(u32::MAX).await), (1, 7, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_heal_is_final() {
        let count = AtomicUsize::new(0);
        let result: Result<()> = healing(
            "Pod p",
            Deadline::after(Duration::from_secs(60)),
            &|_| {},
            |_| false,
            || async {
                count.fetch_add(1, Ordering::SeqCst);
                Err(error(RequestErrorKind::Refused))
            },
        )
        .await;
        assert_eq!((result.unwrap_err().to_string().as_str(), count.load(Ordering::SeqCst)), ("apply Pod p: no", 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_it_with_the_last_state() {
        let deadline = Deadline::after(Duration::from_secs(5));
        let result: Result<()> =
            healing("Pod p", deadline, &|_| {}, |_| false, || async { Err(error(RequestErrorKind::Unavailable)) }).await;
        assert_eq!(result.unwrap_err().to_string(), "waited 5 s for Pod p; last seen: apply Pod p: no");
        let hang: Result<()> = healing("Pod p", Deadline::after(Duration::from_secs(5)), &|_| {}, |_| false, std::future::pending).await;
        assert_eq!(hang.unwrap_err().to_string(), "waited 5 s for Pod p; last seen: no answer");
    }
}
